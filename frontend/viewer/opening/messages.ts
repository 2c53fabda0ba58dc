// What the page and the fetcher beside it say to each other about a reading that is being opened.

import type { ReadingDetail } from "../contract";

export type ToFetcher =
  /**
   * Fetch what a reading needs; no more than `early` slices until told to go on. `hold`: that may
   * be long, so the line is not kept meanwhile.
   */
  | { type: "open"; reading: string; early: number; hold: boolean }
  | { type: "goOn" }
  | { type: "stop" };

export type FromFetcher =
  | { type: "detail"; detail: ReadingDetail }
  /** Packed as `readPacked` takes it; null where nothing is drawn yet. */
  | { type: "mask"; head: string; mask: ArrayBuffer | null }
  /** What the host asks of the series, as the server wrote it: its list, and its metadata. */
  | { type: "study"; series: string; metadata: string }
  | { type: "images"; rows: number; columns: number; sops: string[] }
  /** Hounsfield units of one slice, row-major. */
  | { type: "slice"; index: number; values: Int16Array<ArrayBuffer>; low: number; high: number }
  /** All slices were sent. */
  | { type: "whole" }
  | { type: "failed"; what: "detail" | "mask" | "study" | "images"; why: string };
