// A batch on its way: a few files at once, large ones in pieces that go on where they stopped.
// Knows no page: `changed` hears of every change, and the view draws it.

import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import { type Chosen, folderOf } from "./files";
import {
  type Batch,
  Lost,
  newId,
  type Problem,
  Refused,
  type Said,
  type Server,
  SignedOut,
  type Told,
  type Verdict,
} from "./server";

export const AT_ONCE = 3;
export const PIECE_BYTES = 4 << 20;
// Where many files wait, small ones go several in a request: each request costs more than they do.
export const MANY_FILES = 100;
export const SMALL_BYTES = 128 << 10;
export const SEVERAL_FILES = 50;
export const SEVERAL_BYTES = 1 << 20;
const FIRST_DELAY_MS = 1000;
const LONGEST_DELAY_MS = 30_000;
const SIGNED_OUT_DELAY_MS = 3000;
const RATE_WINDOW_MS = 15_000;

export type FileState = "waiting" | "sending" | "reading" | "done" | "here" | "problem";

export interface Item {
  said: Said;
  file: File;
  folder: string;
  state: FileState;
  sent: number;
  counts: Record<string, number>;
  problems: Problem[];
}

// Why nothing is sent just now; `again` is when it is tried next (ms since 1970).
export interface Halt {
  kind: "lost" | "signed_out";
  message: string;
  again: number;
}

export type Phase = "idle" | "running" | "paused" | "judging" | "ended" | "failed";

export class Queue {
  readonly items: Item[] = [];
  phase: Phase = "idle";
  halt: Halt | null = null;
  verdict: Verdict | null = null;
  failure: Problem | null = null;
  receipt = newId();

  private cancelled = false;
  private next = 0;
  private readonly again: Item[] = [];
  private workers = 0;
  private failures = 0;
  private singly = false;
  private wake: (() => void)[] = [];
  private timer: ReturnType<typeof setTimeout> | null = null;
  private opened: Promise<unknown> | null = null;
  private samples: [number, number][] = [];

  constructor(
    private readonly server: Server,
    private readonly limit: number,
    private readonly changed: (item?: Item) => void,
    // Where the files come from, as the server calls it; "" for the usual place.
    private readonly source = "",
    private readonly now: () => number = Date.now,
  ) {}

  // More files for this batch; with `batch`, go on with one that was interrupted.
  add(chosen: Chosen[], batch: Batch | null = null): void {
    if (batch && this.items.length === 0) this.receipt = batch.receipt;
    const here = new Set((batch?.here ?? []).filter((row) => row[1]).map((row) => row[0]));
    const seen = new Map<string, number>();
    for (const item of this.items) count(seen, alike(item.said));
    const fresh = chosen.map(({ name, file }): Item => {
      const said = { name, size: file.size, modified: file.lastModified, copy: 0 };
      said.copy = count(seen, alike(said));
      const folder = folderOf(name);
      return { said, file, folder, state: "waiting", sent: 0, counts: {}, problems: [] };
    });
    for (const item of fresh) {
      // Of several that look alike nobody knows which one came: all are sent again.
      const several = (seen.get(alike(item.said)) ?? 0) > 1;
      if (!several && here.has(keyOf(item.said))) item.state = "here";
      else if (item.said.size > this.limit) this.tooLarge(item);
      this.items.push(item);
    }
    this.opened = null;
    if (this.phase === "idle") this.phase = "running";
    this.changed();
    this.pump();
  }

  pause(): void {
    if (this.phase !== "running") return;
    this.phase = "paused";
    this.changed();
  }

  resume(): void {
    if (this.phase !== "paused") return;
    this.phase = "running";
    this.samples = [];
    this.tryNow();
  }

  // Nothing more is sent; what came stays and is judged.
  cancel(): void {
    if (this.phase !== "running" && this.phase !== "paused") return;
    this.cancelled = true;
    for (const item of this.items) {
      if (item.state === "waiting") this.leave(item);
    }
    this.next = this.items.length;
    this.again.length = 0;
    this.phase = "running";
    this.tryNow();
  }

  // Do not wait any longer for the network or the sign-in.
  tryNow(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    this.halt = null;
    for (const go of this.wake.splice(0)) go();
    this.changed();
    this.pump();
  }

  get sending(): boolean {
    return this.phase === "running" || this.phase === "paused" || this.phase === "judging";
  }

  get bytes(): number {
    return sum(this.items, (item) => item.said.size);
  }

  get bytesSent(): number {
    return sum(this.items, (item) => (settled(item) ? item.said.size : item.sent));
  }

  get filesDone(): number {
    return sum(this.items, (item) => (settled(item) ? 1 : 0));
  }

  get counts(): Record<string, number> {
    const all: Record<string, number> = {};
    for (const item of this.items) {
      if (item.state === "here") all.here = (all.here ?? 0) + 1;
      for (const [what, many] of Object.entries(item.counts)) all[what] = (all[what] ?? 0) + many;
    }
    return all;
  }

  // Bytes a second lately; 0 where nothing can be said.
  get rate(): number {
    const at = this.now();
    this.samples.push([at, this.bytesSent]);
    while ((this.samples[0]?.[0] ?? at) < at - RATE_WINDOW_MS) this.samples.shift();
    const [first, bytes] = this.samples[0] ?? [at, 0];
    return at - first < 1500 ? 0 : Math.max(0, ((this.bytesSent - bytes) * 1000) / (at - first));
  }

  private tooLarge(item: Item): void {
    const mib = (bytes: number): number => Math.floor(bytes / 2 ** 20);
    this.fail(item, {
      code: "TOO_LARGE",
      message: `It has ${mib(item.said.size)} MiB, more than the ${mib(this.limit)} MiB allowed.`,
      cure: "Send it in parts, or have CONCORD_MAX_UPLOAD_BYTES raised.",
    });
  }

  private leave(item: Item): void {
    const message = item.sent > 0 ? "It was not sent whole; nothing of it is kept." : "Not sent.";
    this.fail(item, { code: "CANCELLED", message, cure: "" });
  }

  private fail(item: Item, problem: Omit<Problem, "name">): void {
    item.state = "problem";
    item.problems = [{ name: item.said.name, ...problem }];
    this.changed(item);
  }

  private pump(): void {
    while (this.phase === "running" && this.workers < AT_ONCE) {
      const item = this.again.shift() ?? this.following();
      if (!item) break;
      this.workers += 1;
      void this.work(item);
    }
    if (this.phase === "running" && this.workers === 0) void this.close();
  }

  private following(): Item | undefined {
    while (this.next < this.items.length) {
      const item = this.items[this.next++];
      if (item?.state === "waiting") return item;
    }
    return undefined;
  }

  private async work(first: Item): Promise<void> {
    for (let item: Item | undefined = first; item; ) {
      await this.clear();
      if (this.phase !== "running") {
        if (item.state === "waiting") this.again.push(item);
        break;
      }
      if (item.state === "waiting") {
        const others = this.smallOnesWith(item);
        await (others.length > 0 ? this.sendSeveral([item, ...others]) : this.send(item));
        for (const other of others) if (other.state === "waiting") this.again.push(other);
      }
      if (item.state !== "waiting") item = this.again.shift() ?? this.following();
    }
    this.workers -= 1;
    this.changed();
    this.pump();
  }

  // Small files that go with this one, where many are still to come.
  private smallOnesWith(item: Item): Item[] {
    const others: Item[] = [];
    let bytes = item.said.size;
    if (this.singly || bytes > SMALL_BYTES) return others;
    while (others.length + 1 < SEVERAL_FILES && this.items.length - this.next > MANY_FILES) {
      const next = this.items[this.next];
      if (!next || (next.state === "waiting" && next.said.size > SMALL_BYTES)) break;
      if (next.state === "waiting" && bytes + next.said.size > SEVERAL_BYTES) break;
      this.next += 1;
      if (next.state !== "waiting") continue; // Here already, or refused before.
      others.push(next);
      bytes += next.said.size;
    }
    return others;
  }

  private async sendSeveral(items: Item[]): Promise<void> {
    const tell = (state?: FileState): void => {
      for (const item of items) {
        if (state) item.state = state;
        this.changed(item);
      }
    };
    tell("sending");
    try {
      await this.open();
      const all = await this.server.several(
        this.receipt,
        items.map((item) => item.said),
        items.map((item) => item.file),
        (bytes) => {
          let left = bytes;
          for (const item of items) {
            item.sent = Math.min(left, item.said.size);
            left -= item.sent;
          }
          tell();
        },
      );
      this.failures = 0;
      for (const [at, item] of items.entries()) {
        const told = all[at];
        if (told) this.done(item, told);
        else item.state = "waiting";
      }
    } catch (error) {
      for (const item of items) {
        item.state = "waiting";
        item.sent = 0;
      }
      // One of them is refused: alone, each hears of itself.
      if (error instanceof Refused && !ended(error)) this.singly = true;
      else for (const item of items) await this.trouble(item, error);
    }
    for (const item of items) if (item.state === "waiting" && this.cancelled) this.leave(item);
    tell();
  }

  private async send(item: Item): Promise<void> {
    item.state = "sending";
    this.changed(item);
    try {
      await this.open();
      const told = await (item.said.size > PIECE_BYTES ? this.pieces(item) : this.whole(item));
      this.failures = 0;
      if (!told)
        item.state = "waiting"; // Paused between two pieces.
      else this.done(item, told);
    } catch (error) {
      item.state = "waiting";
      await this.trouble(item, error);
    }
    if (item.state === "waiting" && this.cancelled) this.leave(item);
    this.changed(item);
  }

  private open(): Promise<unknown> {
    this.opened ??= this.server
      .open(this.receipt, this.source, this.items.length, this.bytes)
      .catch((error: unknown) => {
        this.opened = null;
        throw error;
      });
    return this.opened;
  }

  private whole(item: Item): Promise<Told> {
    return this.server.whole(this.receipt, item.said, item.file, (bytes) => {
      item.sent = bytes;
      this.changed(item);
    });
  }

  private async pieces(item: Item): Promise<Told | null> {
    let told = await this.server.begin(this.receipt, item.said);
    const { file, said } = item;
    while (!told.taken && told.received < said.size) {
      item.sent = told.received;
      this.changed(item);
      if (this.phase !== "running" || this.cancelled) return null;
      const from = told.received;
      const piece = file.slice(from, Math.min(from + PIECE_BYTES, said.size));
      try {
        told = await this.server.piece(told.file, from, piece, (bytes) => {
          item.sent = from + bytes;
          this.changed(item);
        });
      } catch (error) {
        const elsewhere = error instanceof Refused && error.code === "OTHER_OFFSET";
        if (!elsewhere || error.received === null || error.received === from) throw error;
        told = { ...told, received: error.received };
      }
    }
    if (told.taken) return told;
    item.state = "reading";
    item.sent = said.size;
    this.changed(item);
    return this.server.take(told.file, said.name);
  }

  private done(item: Item, told: Told): void {
    item.sent = item.said.size;
    item.counts = told.counts;
    item.problems = told.kept;
    item.state = told.kept.length > 0 ? "problem" : "done";
  }

  private async trouble(item: Item, error: unknown): Promise<void> {
    if (error instanceof Refused) {
      const { code, message, cure } = error;
      if (ended(error)) {
        this.phase = "failed";
        this.failure = { name: "", code, message, cure };
      } else {
        this.fail(item, { code, message, cure });
      }
    } else if (error instanceof SignedOut) {
      this.stop({ kind: "signed_out", message: error.message, again: SIGNED_OUT_DELAY_MS });
    } else if (!(await readable(item.file))) {
      this.fail(item, {
        code: "UNREADABLE_FILE",
        message: "It can no longer be read on this computer.",
        cure: "Check that it is still there and has not changed, then drop it again.",
      });
    } else {
      const message = error instanceof Lost ? error.message : "The server cannot be reached.";
      const delay = Math.min(FIRST_DELAY_MS * 2 ** this.failures, LONGEST_DELAY_MS);
      this.stop({ kind: "lost", message, again: delay });
    }
  }

  private stop(halt: Halt): void {
    if (this.halt) return; // Another file of the same moment said so already.
    this.failures += 1;
    this.halt = { ...halt, again: this.now() + halt.again };
    this.timer = setTimeout(() => this.tryNow(), halt.again);
    this.samples = [];
    this.changed();
  }

  // Waits until nothing holds the batch up.
  private clear(): Promise<void> {
    if (!this.halt) return Promise.resolve();
    return new Promise((go) => this.wake.push(go));
  }

  private async close(): Promise<void> {
    this.phase = "judging";
    this.changed();
    while (this.phase === "judging") {
      try {
        await this.open();
        this.verdict = await this.server.close(this.receipt);
        this.phase = "ended";
      } catch (error) {
        if (error instanceof Refused) {
          this.phase = "failed";
          const { code, message, cure } = error;
          this.failure = { name: "", code, message, cure };
        } else {
          const kind = error instanceof SignedOut ? "signed_out" : "lost";
          const delay = Math.min(FIRST_DELAY_MS * 2 ** this.failures, LONGEST_DELAY_MS);
          this.stop({ kind, message: (error as Error).message, again: delay });
          await this.clear();
        }
      }
    }
    this.changed();
  }
}

// Whether nothing more is taken for this batch, of this person.
function ended(error: Refused): boolean {
  return error.code === "BATCH_CLOSED" || error.status === 403;
}

export function settled(item: Item): boolean {
  return item.state === "done" || item.state === "here" || item.state === "problem";
}

// How many of the files that were chosen a batch knows already, whole or in part.
export function overlap(chosen: Chosen[], batch: Batch): number {
  const known = new Set(batch.here.map((row) => row[0]));
  if (known.size === 0) return 0;
  return chosen.filter(({ name, file }) =>
    known.has(keyOf({ name, size: file.size, modified: file.lastModified, copy: 0 })),
  ).length;
}

// What a file is known by, here and on the server (which keeps no names).
export function keyOf(said: Said): string {
  return bytesToHex(sha256(utf8ToBytes(`${alike(said)}\0${said.copy}`)));
}

function alike(said: Said): string {
  return `${said.name}\0${said.size}\0${said.modified}`;
}

// How many there were before; one more now.
function count(seen: Map<string, number>, key: string): number {
  const before = seen.get(key) ?? 0;
  seen.set(key, before + 1);
  return before;
}

async function readable(file: File): Promise<boolean> {
  try {
    await file.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}

function sum(items: Item[], of: (item: Item) => number): number {
  let total = 0;
  for (const item of items) total += of(item);
  return total;
}
