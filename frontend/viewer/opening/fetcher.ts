// A worker that fetches what a reading needs while the page still loads its own scripts: the
// reading, then at once its mask, its images, and what the host asks of their series. The images
// come as one answer, the middle slice first; each goes to the page as soon as it is whole, in
// Hounsfield units.

import type { ReadingDetail } from "../contract";
import type { FromFetcher, ToFetcher } from "./messages";
import { SliceStream, type StreamHeader } from "./slices";

const VOLUME = "application/x-concord-volume";
const DICOM_JSON = "application/dicom+json";
/** What the host asks to be told of a series. */
const FIELDS = "00080021%2C00080031%2C0008103E%2C00200011";

const stop = new AbortController();
let goOn = () => {};
const further = new Promise<void>((resolve) => {
  goOn = resolve;
});

function tell(message: FromFetcher, transfer: Transferable[] = []): void {
  (self as unknown as Worker).postMessage(message, transfer);
}

async function answerOf(path: string, accept: string): Promise<Response> {
  const answer = await fetch(path, {
    headers: { Accept: accept },
    redirect: "error",
    cache: "no-store", // Larger than what browsers keep: storing it would be for nothing.
    signal: stop.signal,
  });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer;
}

async function open(reading: string, early: number, hold: boolean): Promise<void> {
  const detail = await attempt("detail", async () => {
    const answer = await answerOf(`/api/readings/${reading}`, "application/json");
    const found = (await answer.json()) as ReadingDetail;
    tell({ type: "detail", detail: found });
    return found;
  });
  if (!detail) return;
  await Promise.all([
    attempt("study", () => fetchStudy(detail)),
    attempt("mask", () => fetchMask(detail)),
    attempt("images", () => fetchImages(detail, early, hold)),
  ]);
}

async function attempt<T>(what: "detail" | "mask" | "study" | "images", act: () => Promise<T>) {
  try {
    return await act();
  } catch (error) {
    tell({ type: "failed", what, why: String(error) });
    return null;
  }
}

async function fetchStudy({ dicomweb, study_uid, series_uid }: ReadingDetail): Promise<void> {
  const root = `${dicomweb}/studies/${study_uid}/series`;
  const answers = [`${root}?includefield=${FIELDS}`, `${root}/${series_uid}/metadata`].map(
    async (path) => (await answerOf(path, DICOM_JSON)).text(),
  );
  const [series = "", metadata = ""] = await Promise.all(answers);
  tell({ type: "study", series, metadata });
}

async function fetchMask({ head, manifest }: ReadingDetail): Promise<void> {
  if (manifest.slices.length === 0) {
    tell({ type: "mask", head, mask: null });
    return;
  }
  const answer = await answerOf(`/api/masks/${head}/volume`, "*/*");
  const mask = await answer.arrayBuffer();
  tell({ type: "mask", head, mask }, [mask]);
}

async function fetchImages(detail: ReadingDetail, early: number, hold: boolean): Promise<void> {
  const { stream, header } = await begin(detail, 0);
  const [, rows, columns] = header.grid.shape;
  tell({ type: "images", rows, columns, sops: header.grid.sop_uids });
  const { order } = header.facts;
  if (!hold) {
    await send(stream, header, order.slice(0, early));
    await further;
    await send(stream, header, order.slice(early));
  } else {
    await send(stream, header, order.slice(0, early));
    await stream.close();
    await further;
    const rest = await begin(detail, early);
    await send(rest.stream, rest.header, order.slice(early));
  }
  tell({ type: "whole" });
}

/** The slices after the first `after` of them. */
async function begin(detail: ReadingDetail, after: number) {
  const series = `${detail.dicomweb}/studies/${detail.study_uid}/series/${detail.series_uid}`;
  const answer = await answerOf(`${series}?order=outwards&after=${after}`, VOLUME);
  if (!answer.headers.get("Content-Type")?.startsWith(VOLUME) || !answer.body) {
    throw new Error("The images did not come as a volume.");
  }
  const stream = new SliceStream(answer.body.getReader());
  const header = await stream.header();
  if (!header.facts.stored) throw new Error("The images need the viewer's own rescaling.");
  return { stream, header };
}

async function send(stream: SliceStream, header: StreamHeader, order: number[]): Promise<void> {
  const [, rows, columns] = header.grid.shape;
  for (const index of order) {
    const intercept = header.rescale[index]?.[1] ?? 0;
    const { values, low, high } = await stream.slice(rows * columns, intercept);
    tell({ type: "slice", index, values, low, high }, [values.buffer]);
  }
}

self.addEventListener("message", ({ data }: MessageEvent<ToFetcher>) => {
  if (data.type === "open") void open(data.reading, data.early, data.hold);
  else if (data.type === "goOn") goOn();
  else stop.abort();
});
