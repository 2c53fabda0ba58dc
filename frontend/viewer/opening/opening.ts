// A reading on its way: what the fetcher brought so far, and what is still to come. Each part is
// given once; whoever finds a part missing asks the server as if nothing had been fetched ahead.

import type { ReadingDetail } from "../contract";
import type { FromFetcher, ToFetcher } from "./messages";

export interface Images {
  rows: number;
  columns: number;
  sops: string[];
}

/** JSON texts of the list of series and of the metadata of the one that is read. */
export interface Study {
  series: string;
  metadata: string;
}

export interface ArrivedSlice {
  index: number;
  values: Int16Array<ArrayBuffer>;
  low: number;
  high: number;
}

export interface SliceListener {
  slice(slice: ArrivedSlice): void;
  whole(): void;
  failed(why: string): void;
}

/** A promise, and who keeps it. */
class Part<T> {
  readonly promise: Promise<T>;
  keep: (value: T) => void = () => {};
  fail: (why: Error) => void = () => {};

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.keep = resolve;
      this.fail = reject;
    });
    this.promise.catch(() => {});
  }
}

const FETCHER = "/viewer/ext/concord-fetcher.js";

export class Opening {
  private readonly worker: Worker;
  /** Mask and study came, or will not. */
  private readonly fetched: Promise<unknown>;
  private readonly detailPart = new Part<ReadingDetail>();
  private maskPart = new Part<{ head: string; mask: ArrayBuffer | null }>();
  private studyPart = new Part<Study>();
  private readonly imagesPart = new Part<Images>();
  private readonly shownPart = new Part<void>();
  private readonly arrivedPart = new Part<void>();
  private readonly earlyPart = new Part<void>();
  /** What is fetched ahead is here, or will not come: the early slices, the mask and the study. */
  held = false;
  /** The volume on screen takes its slices from here. */
  feeds = false;
  private detailTaken = false;
  private maskTaken = false;
  private waiting: ArrivedSlice[] = [];
  private end: { why: string | null } | null = null;
  private listener: SliceListener | null = null;

  constructor(
    readonly reading: string,
    private readonly how: { early: number; hold: boolean },
  ) {
    const parts = [this.maskPart.promise, this.studyPart.promise];
    this.fetched = Promise.allSettled(parts);
    void Promise.all([this.fetched, this.earlyPart.promise]).then(() => {
      this.held = true;
    });
    this.worker = new Worker(FETCHER);
    this.worker.onmessage = ({ data }: MessageEvent<FromFetcher>) => this.hear(data);
    this.worker.onerror = () => this.hear({ type: "failed", what: "detail", why: "no worker" });
    this.tell({ type: "open", reading, ...how });
  }

  /**
   * The reading as it was when it was fetched; null where it did not come, or was taken, or may be
   * old: what was fetched long ahead is asked for again.
   */
  async detail(): Promise<ReadingDetail | null> {
    if (this.detailTaken || this.how.hold) return null;
    this.detailTaken = true;
    return this.detailPart.promise.catch(() => null);
  }

  /** The packed mask of that head; undefined where it did not come, or was taken. */
  async mask(head: string): Promise<ArrayBuffer | undefined> {
    if (this.maskTaken) return undefined;
    this.maskTaken = true;
    const found = await this.maskPart.promise.catch(() => null);
    this.maskPart = new Part(); // As large as the images: it is not kept beside what is made of it.
    return found?.head === head && found.mask ? found.mask : undefined;
  }

  /** What the host asks of the series; null where it did not come. */
  study(): Promise<Study | null> {
    return this.studyPart.promise.catch(() => null);
  }

  /** The host has it: it is not kept beside. */
  forgetStudy(): void {
    this.studyPart = new Part();
    this.studyPart.fail(new Error("It was taken."));
  }

  /** Which images come; null where they do not come this way. */
  images(): Promise<Images | null> {
    return this.imagesPart.promise.catch(() => null);
  }

  /** Hands over every slice that is here and will come; the rest is fetched once one is shown. */
  listen(listener: SliceListener): void {
    this.listener = listener;
    for (const slice of this.waiting.splice(0)) listener.slice(slice);
    if (this.end) this.tellEnd(listener, this.end);
    void this.shownPart.promise.then(() => this.tell({ type: "goOn" }));
  }

  /** The first slice is on screen, or none will come from here. */
  get shown(): Promise<void> {
    return this.feeds ? this.shownPart.promise : Promise.resolve();
  }

  isShown(): void {
    this.shownPart.keep();
  }

  /** All slices are here, or none will come any more from here. */
  get whole(): Promise<void> {
    return this.arrivedPart.promise;
  }

  /** Nothing more is wanted. */
  stop(): void {
    this.tell({ type: "stop" });
    this.worker.terminate();
    this.waiting = [];
    this.listener = null;
    this.isShown();
    this.arrivedPart.keep();
    for (const part of [this.detailPart, this.maskPart, this.studyPart, this.imagesPart]) {
      part.fail(new Error("The reading was left."));
    }
  }

  private hear(message: FromFetcher): void {
    if (message.type === "detail") this.detailPart.keep(message.detail);
    else if (message.type === "mask") this.maskPart.keep(message);
    else if (message.type === "study") this.studyPart.keep(message);
    else if (message.type === "images") this.imagesPart.keep(message);
    else if (message.type === "slice") this.take(message);
    else if (message.type === "whole") this.ended(null);
    else this.failed(message.what, message.why);
  }

  private take(slice: ArrivedSlice): void {
    if (this.listener) this.listener.slice(slice);
    else if (this.waiting.push(slice) >= this.how.early) this.earlyPart.keep();
  }

  private failed(what: "detail" | "mask" | "study" | "images", why: string): void {
    const error = new Error(why);
    if (what === "detail") this.detailPart.fail(error);
    if (what === "detail" || what === "mask") this.maskPart.fail(error);
    if (what === "detail" || what === "study") this.studyPart.fail(error);
    if (what === "mask" || what === "study") return;
    this.imagesPart.fail(error);
    this.ended(why);
  }

  private ended(why: string | null): void {
    this.end = { why };
    this.arrivedPart.keep();
    this.earlyPart.keep();
    // Images may fail while the rest is still on its way.
    void this.fetched.then(() => this.worker.terminate());
    if (this.listener) this.tellEnd(this.listener, this.end);
  }

  private tellEnd(listener: SliceListener, { why }: { why: string | null }): void {
    if (why === null) listener.whole();
    else listener.failed(why);
  }

  private tell(message: ToFetcher): void {
    this.worker.postMessage(message);
  }
}

declare global {
  interface Window {
    /** What the page began to fetch before the viewer was there. */
    concordOpening?: Opening;
  }
}

/** What was fetched ahead for this reading; it is given to one. */
export function takeOpening(reading: string): Opening | null {
  const opening = window.concordOpening;
  if (opening?.reading !== reading) return null;
  window.concordOpening = undefined;
  return opening;
}
