// Changes wait here until the server has them: in order, one request in flight, kept on disk,
// tried again with growing pauses, never dropped. A change is given to the line and to the disk in
// one breath, and neither waits for the other: whichever has it, it is not lost.

import { ApiError, Unreachable } from "./api";
import type { Change, ChangeResult } from "./contract";

/** A change and the head it leads to, as computed here; "" where there is no mask to agree on. */
export interface Entry<C extends { id: string } = Change> {
  change: C;
  head: string;
}

/** The server's answer to one change. */
export interface Answer {
  id: string;
  head: string;
}

/** Where entries survive a reload; what is asked of it happens in the order it was asked. */
export interface Shelf<C extends { id: string } = Change> {
  all(): Promise<Entry<C>[]>;
  add(entry: Entry<C>): Promise<void>;
  remove(ids: string[]): Promise<void>;
}

export type OutboxState = "saved" | "saving" | "offline" | "signed_out" | "stopped";

export interface Courier<C extends { id: string } = Change, R extends Answer = ChangeResult> {
  send(changes: C[]): Promise<R[]>;
  /** Some results arrived, in order. `agreed` is false when a head differs from ours. */
  delivered(results: R[], agreed: boolean): void;
  /** The server refused: the queue stands still until `resume`. */
  refused(error: ApiError): void;
  changed(): void;
}

const LARGEST_BATCH = 24;
const LARGEST_BODY = 4_000_000;
const SHORTEST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;

export class Outbox<C extends { id: string } = Change, R extends Answer = ChangeResult> {
  state: OutboxState = "saved";
  /** How often changes of an earlier page were looked for. */
  takenUp = 0;
  private entries: Entry<C>[] = [];
  private writes: Promise<unknown> = Promise.resolve();
  /** Delivered or set aside; the disk may still be about to forget them. */
  private readonly gone = new Set<string>();
  /** Entries the disk refused: they live as long as the page. */
  private readonly unkept = new Set<Entry<C>>();
  private pump: Promise<void> = Promise.resolve();
  private pumping = false;
  private failures = 0;
  private wake: (() => void) | null = null;

  constructor(
    private readonly shelf: Shelf<C>,
    private readonly courier: Courier<C, R>,
    private readonly pause: (ms: number, wake: Promise<void>) => Promise<void> = defaultPause,
  ) {}

  get waiting(): readonly Entry<C>[] {
    return this.entries;
  }

  /**
   * What an earlier page left behind, without sending it yet. Entries no longer on disk were
   * delivered by another tab of this reading; those added while the disk was read stay.
   */
  async restore(): Promise<void> {
    const before = new Set(this.entries);
    await this.writes;
    const kept = (await this.shelf.all()).filter(({ change }) => !this.gone.has(change.id));
    const known = new Set(kept.map(({ change }) => change.id));
    const stays = (entry: Entry<C>) => !before.has(entry) || this.unkept.has(entry);
    const added = this.entries.filter((entry) => stays(entry) && !known.has(entry.change.id));
    this.entries = [...kept, ...added];
    this.takenUp += 1;
  }

  /** Sent at once where the line is free; `complete` then fills in what no request names. */
  add(entry: Entry<C>, complete: () => void = () => {}): void {
    this.entries.push(entry);
    this.start();
    try {
      complete();
    } finally {
      this.keep(entry);
    }
  }

  private keep(entry: Entry<C>): void {
    const kept = this.shelf.add(entry).catch((error: unknown) => {
      this.unkept.add(entry);
      console.warn("An unsent change could not be kept on this disk.", error);
    });
    this.writes = Promise.all([this.writes, kept]);
  }

  /** Sends what waits, after a pause, a sign-in or a regained lease. */
  start(): void {
    if (this.state === "stopped") {
      this.courier.changed();
      return;
    }
    this.wake?.();
    if (!this.pumping) this.pump = this.run();
  }

  resume(): void {
    this.state = this.entries.length ? "saving" : "saved";
    this.start();
  }

  stop(): void {
    this.state = "stopped";
    this.courier.changed();
  }

  /** Forgets entries: they were accepted earlier, or set aside by the reader. */
  async forget(ids: string[]): Promise<void> {
    this.drop(ids);
    await this.shelf.remove(ids);
  }

  private drop(ids: string[]): void {
    for (const id of ids) this.gone.add(id);
    this.entries = this.entries.filter(({ change }) => !this.gone.has(change.id));
  }

  /** Hands over what waits; it stays on disk until removed. */
  takeAll(): Entry<C>[] {
    const entries = this.entries;
    this.entries = [];
    return entries;
  }

  /** Resolves once nothing is in flight, neither to the server nor to the disk. */
  async idle(): Promise<void> {
    await this.pump;
    await this.writes;
  }

  /** Resolves once the line is quiet, or after so many milliseconds. */
  answered(most: number): Promise<void> {
    return Promise.race([this.pump, new Promise<void>((resolve) => setTimeout(resolve, most))]);
  }

  private async run(): Promise<void> {
    this.pumping = true;
    try {
      while (this.entries.length > 0 && this.state !== "stopped") {
        if (!(await this.sendBatch())) return;
      }
      if (this.state !== "stopped") this.set("saved");
    } finally {
      this.pumping = false;
    }
  }

  /** True when the next batch, or the same one again, may be sent. */
  private async sendBatch(): Promise<boolean> {
    const batch = this.batch();
    // On its way before anything is drawn.
    const sending = this.courier.send(batch.map(({ change }) => change));
    if (this.failures === 0) this.set("saving");
    try {
      const results = await sending;
      this.failures = 0;
      this.settle(batch, results);
      return true;
    } catch (error) {
      return this.survive(error);
    }
  }

  private settle(batch: Entry<C>[], results: R[]): void {
    const agreed = batch.every(({ change, head }, place) => {
      const result = results[place];
      return result?.id === change.id && result.head === head;
    });
    const ids = batch.map(({ change }) => change.id);
    this.drop(ids);
    if (!agreed) this.state = "stopped";
    this.courier.delivered(results, agreed);
    const removed = this.shelf.remove(ids).catch((error: unknown) => {
      console.warn("A change that arrived could not be taken off this disk.", error);
    });
    this.writes = Promise.all([this.writes, removed]);
  }

  /** True when the same batch may be tried again. */
  private async survive(error: unknown): Promise<boolean> {
    if (error instanceof ApiError && !error.signedOut) {
      this.set("stopped");
      this.courier.refused(error);
      return false;
    }
    if (!(error instanceof ApiError) && !(error instanceof Unreachable)) console.error(error);
    this.failures += 1;
    this.set(error instanceof ApiError ? "signed_out" : "offline");
    const asked = error instanceof Unreachable ? error.waitMs : 0;
    const grown = Math.min(LONGEST_PAUSE_MS, SHORTEST_PAUSE_MS * 2 ** (this.failures - 1));
    const ms = Math.max(asked, grown);
    await this.pause(ms, new Promise((resolve) => (this.wake = resolve)));
    this.wake = null;
    return true;
  }

  private batch(): Entry<C>[] {
    const batch: Entry<C>[] = [];
    let size = 0;
    for (const entry of this.entries.slice(0, LARGEST_BATCH)) {
      size += JSON.stringify(entry.change).length;
      if (batch.length > 0 && size > LARGEST_BODY) break;
      batch.push(entry);
    }
    return batch;
  }

  private set(state: OutboxState): void {
    this.state = state;
    this.courier.changed();
  }
}

function defaultPause(ms: number, wake: Promise<void>): Promise<void> {
  return Promise.race([new Promise<void>((resolve) => setTimeout(resolve, ms)), wake]);
}
