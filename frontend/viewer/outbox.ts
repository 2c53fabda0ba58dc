// Changes wait here until the server has them: in order, one request in flight, kept on disk,
// tried again with growing pauses, never dropped.

import { ApiError, Unreachable } from "./api";
import type { Change, ChangeResult } from "./contract";

/** A change and the head it leads to, as computed here. */
export interface Entry {
  change: Change;
  head: string;
}

/** Where entries survive a reload; an entry is on disk before it is sent. */
export interface Shelf {
  all(): Promise<Entry[]>;
  add(entry: Entry): Promise<void>;
  remove(ids: string[]): Promise<void>;
}

export type OutboxState = "saved" | "saving" | "offline" | "signed_out" | "stopped";

export interface Courier {
  send(changes: Change[]): Promise<ChangeResult[]>;
  /** Some results arrived, in order. `agreed` is false when a head differs from ours. */
  delivered(results: ChangeResult[], agreed: boolean): void;
  /** The server refused: the queue stands still until `resume`. */
  refused(error: ApiError): void;
  changed(): void;
}

const LARGEST_BATCH = 24;
const LARGEST_BODY = 4_000_000;
const SHORTEST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;

export class Outbox {
  state: OutboxState = "saved";
  private entries: Entry[] = [];
  private writes: Promise<unknown> = Promise.resolve();
  private pump: Promise<void> | null = null;
  private failures = 0;
  private wake: (() => void) | null = null;

  constructor(
    private readonly shelf: Shelf,
    private readonly courier: Courier,
    private readonly pause: (ms: number, wake: Promise<void>) => Promise<void> = defaultPause,
  ) {}

  get waiting(): readonly Entry[] {
    return this.entries;
  }

  /** What an earlier page left behind, without sending it yet. */
  async restore(): Promise<readonly Entry[]> {
    await this.writes;
    this.entries = await this.shelf.all();
    return this.entries;
  }

  add(entry: Entry): void {
    this.entries.push(entry);
    this.writes = this.writes.then(() => this.shelf.add(entry));
    this.start();
  }

  /** Sends what waits, after a pause, a sign-in or a regained lease. */
  start(): void {
    if (this.state === "stopped") {
      this.courier.changed();
      return;
    }
    this.wake?.();
    this.pump ??= this.run().finally(() => {
      this.pump = null;
    });
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
    this.entries = this.entries.filter(({ change }) => !ids.includes(change.id));
    await this.shelf.remove(ids);
  }

  /** Hands over what waits; it stays on disk until removed. */
  takeAll(): Entry[] {
    const entries = this.entries;
    this.entries = [];
    return entries;
  }

  /** Resolves once nothing is in flight. */
  async idle(): Promise<void> {
    await this.pump;
  }

  private async run(): Promise<void> {
    while (this.entries.length > 0 && this.state !== "stopped") {
      if (this.failures === 0) this.set("saving");
      const batch = this.batch();
      try {
        await this.writes;
        const results = await this.courier.send(batch.map(({ change }) => change));
        this.failures = 0;
        await this.settle(batch, results);
      } catch (error) {
        if (!(await this.survive(error))) return;
      }
    }
    if (this.state !== "stopped") this.set("saved");
  }

  private async settle(batch: Entry[], results: ChangeResult[]): Promise<void> {
    const agreed = batch.every(({ change, head }, place) => {
      const result = results[place];
      return result?.id === change.id && result.head === head;
    });
    const ids = batch.map(({ change }) => change.id);
    this.entries = this.entries.filter(({ change }) => !ids.includes(change.id));
    await this.shelf.remove(ids);
    if (!agreed) this.state = "stopped";
    this.courier.delivered(results, agreed);
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
    const ms = Math.min(LONGEST_PAUSE_MS, SHORTEST_PAUSE_MS * 2 ** (this.failures - 1));
    await this.pause(ms, new Promise((resolve) => (this.wake = resolve)));
    this.wake = null;
    return true;
  }

  private batch(): Entry[] {
    const batch: Entry[] = [];
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
