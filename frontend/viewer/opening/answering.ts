// The host asks which series there are and for their metadata once the case's page stands; what was
// fetched ahead answers it without the server. Whatever is missing goes the host's own way.

import type { DicomWebClient, Host, SeriesAsked } from "../ohif";
import type { Opening, Study } from "./opening";

/** Call it when the host enters a reading: its client of that reading is there by then. */
export function answerAhead(host: Host, opening: Opening): void {
  const client = host.extensionManager.getActiveDataSource()[0]?.retrieve.getWadoDicomWebClient();
  if (client) answerFor(client, opening);
}

function answerFor(client: DicomWebClient, opening: Opening): void {
  const asks = {
    series: client.searchForSeries.bind(client),
    metadata: client.retrieveSeriesMetadata.bind(client),
  };
  const known = async (part: keyof Study, asked: SeriesAsked) => {
    const study = await opening.study();
    const found = study ? (JSON.parse(study[part]) as Found[]) : [];
    return found.length && found.every((one) => isOf(one, asked)) ? found : asks[part](asked);
  };
  client.searchForSeries = (asked) => known("series", asked);
  client.retrieveSeriesMetadata = async (asked) => {
    const found = await known("metadata", asked);
    opening.forgetStudy();
    return found;
  };
}

type Found = Record<string, { Value?: unknown[] } | undefined>;
const STUDY = "0020000D";
const SERIES = "0020000E";

function isOf(found: Found, { studyInstanceUID, seriesInstanceUID }: SeriesAsked): boolean {
  const uid = (tag: string) => found[tag]?.Value?.[0];
  return (
    uid(STUDY) === studyInstanceUID &&
    (seriesInstanceUID === undefined || uid(SERIES) === seriesInstanceUID)
  );
}
