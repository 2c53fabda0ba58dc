// What a case leaves in the host when it is left: images, volumes and masks in the image library's
// cache, and strokes in its own history, which hold the masks they were painted on.

import { cornerstone } from "../ohif";

export function releaseImages(): void {
  const { cache, imageLoadPoolManager, utilities } = cornerstone();
  imageLoadPoolManager.clearRequestStack("prefetch");
  cache.purgeCache();
  const history = utilities.HistoryMemo?.DefaultHistoryMemo;
  if (history) Object.assign(history, { size: history.size }); // Setting it empties the history.
}
