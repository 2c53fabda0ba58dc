// What a case leaves in the host when it is left: images, volumes and masks in the image library's
// cache, strokes in its own history, which hold the masks they were painted on, and what it was
// told of every image, twice: as it came, and as it reads it.

import { cornerstone, type Host, type Study } from "../ohif";

/** How the host's list of answers names our data source. */
const SOURCE = "concord";
/** The last case that was left: some of its images may still be on their way. */
let last: Study[] = [];

/** Call it as a mode is left: the host still knows which studies it shows. */
export function release(host: Host): void {
  releaseImages();
  const { studies } = host.servicesManager.services.hangingProtocolService;
  const source = host.extensionManager.getActiveDataSource()[0];
  for (const study of last) {
    if (studies.includes(study)) continue;
    study.series.length = 0;
    source?.deleteStudyMetadataPromise(`${SOURCE}:${study.StudyInstanceUID}`);
  }
  last = [...studies];
}

function releaseImages(): void {
  const { cache, imageLoadPoolManager, utilities } = cornerstone();
  imageLoadPoolManager.clearRequestStack("prefetch");
  cache.purgeCache();
  const history = utilities.HistoryMemo?.DefaultHistoryMemo;
  if (history) Object.assign(history, { size: history.size }); // Setting it empties the history.
}
