import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Chosen } from "../pages/upload/files";
import { type Item, keyOf, overlap, PIECE_BYTES, Queue, SMALL_BYTES } from "../pages/upload/queue";
import {
  type Batch,
  Lost,
  type Problem,
  Refused,
  type Said,
  type Server,
  SignedOut,
  type Told,
  type Verdict,
} from "../pages/upload/server";
import { bytes, outcome, stateOf, timeLeft } from "../pages/upload/words";

const chosen = (name: string, size = 10, modified = 5): Chosen => {
  const file = new File([new Uint8Array(size)], name, { lastModified: modified });
  return { name, file };
};

const told = (more: Partial<Told> = {}): Told => ({
  file: "f",
  received: 0,
  taken: true,
  counts: { stored: 1 },
  kept: [],
  ...more,
});

const row = (name: string, whole: number): [string, number] => [
  keyOf({ name, size: 10, modified: 5, copy: 0 }),
  whole,
];

const batch = (here: Batch["here"]): Batch => ({
  receipt: "of before",
  started: "2026-01-01T00:00:00Z",
  source: "upload page",
  files: here.length,
  bytes: 0,
  counts: {},
  here,
});

// A server that keeps what it gets, and fails when it is told to.
class Keeper implements Server {
  calls: string[] = [];
  whole_: string[] = [];
  spool = new Map<string, number>();
  sizes = new Map<string, number>();
  flying = 0;
  most = 0;
  receipts = new Set<string>();
  sources: string[] = [];
  trouble: (Error | null)[] = [];
  kept: Problem[] = [];

  private async step<T>(call: string, answer: () => T): Promise<T> {
    this.flying += 1;
    this.most = Math.max(this.most, this.flying);
    await new Promise((go) => setTimeout(go, 5));
    this.flying -= 1;
    const error = this.trouble.shift();
    if (error) throw error;
    this.calls.push(call);
    return answer();
  }

  async open(receipt: string, source: string): Promise<Batch> {
    this.receipts.add(receipt);
    this.sources.push(source);
    this.calls.push("open");
    return batch([]);
  }

  async unfinished(): Promise<Batch[]> {
    return [];
  }

  whole(_: string, said: Said): Promise<Told> {
    return this.step(`whole ${said.name}`, () => {
      this.whole_.push(`${said.name}#${said.copy}`);
      const kept = said.name.startsWith("bad") ? this.kept : [];
      return told({ kept, counts: kept.length ? { kept_aside: 1 } : { stored: 1 } });
    });
  }

  several(_: string, said: Said[]): Promise<Told[]> {
    return this.step(`several ${said.length}`, () =>
      said.map((one) => {
        this.whole_.push(`${one.name}#${one.copy}`);
        const kept = one.name.startsWith("bad") ? this.kept : [];
        return told({ kept, counts: kept.length ? { kept_aside: 1 } : { stored: 1 } });
      }),
    );
  }

  begin(_: string, said: Said): Promise<Told> {
    return this.step(`begin ${said.name}`, () => {
      this.sizes.set(said.name, said.size);
      const received = this.spool.get(said.name) ?? 0;
      return told({ file: said.name, received, taken: false, counts: {} });
    });
  }

  piece(file: string, offset: number, part: Blob): Promise<Told> {
    return this.step(`piece ${offset}`, () => {
      const here = this.spool.get(file) ?? 0;
      if (offset !== here) throw new Refused(409, "OTHER_OFFSET", "elsewhere", "", here);
      this.spool.set(file, here + part.size);
      return told({ file, received: here + part.size, taken: false, counts: {} });
    });
  }

  take(file: string): Promise<Told> {
    return this.step(`take ${file}`, () => told({ counts: { stored: 7 } }));
  }

  close(): Promise<Verdict> {
    return this.step("close", () => ({ counts: {}, series: [] }));
  }
}

let keeper: Keeper;
let queue: Queue;
let states: string[];

beforeEach(() => {
  vi.useFakeTimers();
  keeper = new Keeper();
  states = [];
  queue = new Queue(keeper, 100 << 20, () => states.push(queue.phase));
});

afterEach(() => {
  vi.useRealTimers();
});

const ended = async (): Promise<void> => {
  for (let step = 0; step < 400 && queue.sending; step += 1) await vi.advanceTimersByTimeAsync(500);
};

const stateNamed = (name: string): Item["state"] | undefined =>
  queue.items.find((item) => item.said.name === name)?.state;

describe("a batch on its way", () => {
  it("sends every file once, a few at a time, and is closed when all are there", async () => {
    const names = Array.from({ length: 20 }, (_, at) => `neck/${at}`);
    queue.add(names.map((name) => chosen(name)));
    await ended();
    expect(keeper.whole_.sort()).toEqual(names.map((name) => `${name}#0`).sort());
    expect(keeper.most).toBe(3);
    expect(keeper.calls.at(-1)).toBe("close");
    expect(keeper.calls.filter((call) => call === "open")).toHaveLength(1);
    expect(queue.phase).toBe("ended");
    expect([queue.filesDone, queue.bytesSent, queue.bytes]).toEqual([20, 200, 200]);
    expect(queue.counts).toEqual({ stored: 20 });
  });

  it("tells what was kept aside, and goes on", async () => {
    keeper.kept = [{ name: "bad", code: "NOT_DICOM", message: "No.", cure: "Other." }];
    queue.add([chosen("bad"), chosen("good")]);
    await ended();
    expect(stateNamed("bad")).toBe("problem");
    expect(stateNamed("good")).toBe("done");
    expect(queue.counts).toEqual({ kept_aside: 1, stored: 1 });
  });

  it("says where its files come from, also once more are dropped", async () => {
    queue = new Queue(keeper, 100, () => undefined, "north");
    queue.add([chosen("a")]);
    await vi.advanceTimersByTimeAsync(20);
    queue.add([chosen("b")]);
    await ended();
    expect(new Set(keeper.sources)).toEqual(new Set(["north"]));
  });

  it("does not send what is too large", async () => {
    queue = new Queue(keeper, 50, () => undefined);
    queue.add([chosen("huge", 51), chosen("small", 50)]);
    await ended();
    expect(keeper.whole_).toEqual(["small#0"]);
    expect(queue.items[0]?.problems[0]?.code).toBe("TOO_LARGE");
  });

  it("takes more files while it runs", async () => {
    queue.add([chosen("a")]);
    queue.add([chosen("b"), chosen("a")]);
    await ended();
    expect(keeper.whole_).toEqual(["a#0", "b#0", "a#1"]);
  });
});

describe("many small files", () => {
  const names = Array.from({ length: 400 }, (_, at) => `tiny/${at}`);
  const small = (): Chosen[] => names.map((name) => chosen(name));

  it("go several in a request until few are left, each once", async () => {
    keeper.kept = [{ name: "bad", code: "NOT_DICOM", message: "No.", cure: "Other." }];
    queue.add([...small().slice(0, 20), chosen("bad"), ...small().slice(20)]);
    await ended();
    expect(keeper.whole_.sort()).toEqual([...names, "bad"].map((name) => `${name}#0`).sort());
    expect(keeper.calls.filter((call) => call.startsWith("several")).length).toBeGreaterThan(5);
    expect(keeper.calls.filter((call) => call.startsWith("whole")).length).toBeLessThan(120);
    expect(stateNamed("bad")).toBe("problem");
    expect([queue.filesDone, queue.bytesSent]).toEqual([401, 4010]);
  });

  it("leave larger ones alone", async () => {
    queue.add([chosen("large", SMALL_BYTES + 1), ...small()]);
    await ended();
    expect(keeper.calls).toContain("whole large");
    expect(keeper.whole_).toHaveLength(401);
  });

  it("are sent again after a break, none twice and none left", async () => {
    keeper.trouble = [null, new Lost("gone"), null, new Lost("gone")];
    queue.add(small());
    await ended();
    expect(keeper.whole_.sort()).toEqual(names.map((name) => `${name}#0`).sort());
    expect(queue.phase).toBe("ended");
  });

  it("are sent one by one where they are refused together", async () => {
    keeper.trouble = [new Refused(400, "BAD_FILES", "One of them is odd.", "", null)];
    queue.add(small());
    await ended();
    expect(keeper.whole_.sort()).toEqual(names.map((name) => `${name}#0`).sort());
    expect(keeper.calls.filter((call) => call.startsWith("whole")).length).toBeGreaterThan(200);
    expect(queue.counts).toEqual({ stored: 400 });
  });

  it("stop with a batch that has ended", async () => {
    keeper.trouble = [new Refused(409, "BATCH_CLOSED", "It has ended.", "Begin anew.", null)];
    queue.add(small());
    await ended();
    expect(queue.phase).toBe("failed");
    expect(queue.failure?.message).toBe("It has ended.");
  });
});

describe("going on after a break", () => {
  it("tries again by itself, later each time, and loses nothing", async () => {
    keeper.trouble = [new Lost("gone"), new Lost("gone"), new Lost("gone"), new Lost("gone")];
    queue.add(["a", "b", "c", "d"].map((name) => chosen(name)));
    await vi.advanceTimersByTimeAsync(10);
    expect(queue.halt?.kind).toBe("lost");
    expect(keeper.whole_).toEqual([]);
    await ended();
    expect(keeper.whole_.sort()).toEqual(["a#0", "b#0", "c#0", "d#0"]);
    expect(queue.halt).toBeNull();
  });

  it("waits for who signs in again", async () => {
    keeper.trouble = [new SignedOut("You are signed out.")];
    queue.add([chosen("a")]);
    await vi.advanceTimersByTimeAsync(10);
    expect(queue.halt).toMatchObject({ kind: "signed_out", message: "You are signed out." });
    await ended();
    expect(keeper.whole_).toEqual(["a#0"]);
  });

  it("sends a large file in pieces, and after a break only the rest", async () => {
    const size = 3 * PIECE_BYTES + 7;
    keeper.trouble = [null, null, new Lost("gone")];
    queue.add([chosen("study.zip", size)]);
    await ended();
    expect(keeper.calls.filter((call) => call.startsWith("piece"))).toEqual([
      "piece 0",
      `piece ${PIECE_BYTES}`,
      `piece ${2 * PIECE_BYTES}`,
      `piece ${3 * PIECE_BYTES}`,
    ]);
    expect(keeper.spool.get("study.zip")).toBe(size);
    expect(queue.counts).toEqual({ stored: 7 });
  });

  it("goes on from where the server is when that is elsewhere", async () => {
    const size = 2 * PIECE_BYTES;
    queue.add([chosen("study.zip", size)]);
    await vi.advanceTimersByTimeAsync(6);
    keeper.spool.set("study.zip", PIECE_BYTES); // Of a request whose answer was lost.
    await ended();
    expect(keeper.spool.get("study.zip")).toBe(size);
    expect(stateNamed("study.zip")).toBe("done");
  });

  it("pauses between files and goes on", async () => {
    queue.add(Array.from({ length: 9 }, (_, at) => chosen(`${at}`)));
    queue.pause();
    await vi.advanceTimersByTimeAsync(60_000);
    const before = keeper.whole_.length;
    expect(before).toBeLessThanOrEqual(3);
    expect(queue.phase).toBe("paused");
    queue.resume();
    await ended();
    expect(keeper.whole_).toHaveLength(9);
  });

  it("pauses a large file between two pieces", async () => {
    queue.add([chosen("study.zip", 3 * PIECE_BYTES)]);
    await vi.advanceTimersByTimeAsync(8);
    queue.pause();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(keeper.spool.get("study.zip") ?? 0).toBeLessThanOrEqual(PIECE_BYTES);
    queue.resume();
    await ended();
    expect(keeper.spool.get("study.zip")).toBe(3 * PIECE_BYTES);
  });

  it("stops when told to, and what came is judged", async () => {
    queue.add(Array.from({ length: 9 }, (_, at) => chosen(`${at}`)));
    queue.add([chosen("study.zip", 3 * PIECE_BYTES)]);
    await vi.advanceTimersByTimeAsync(2);
    queue.cancel();
    await ended();
    expect(queue.phase).toBe("ended");
    expect(keeper.calls.at(-1)).toBe("close");
    expect(keeper.whole_.length).toBeLessThan(9);
    expect(keeper.calls).not.toContain("take study.zip");
    expect(stateNamed("study.zip")).toBe("problem");
  });

  it("does not go on with a batch that is another's or has ended", async () => {
    keeper.trouble = [new Refused(409, "BATCH_CLOSED", "It has ended.", "Begin anew.", null)];
    queue.add(Array.from({ length: 9 }, (_, at) => chosen(`${at}`)));
    await ended();
    expect(queue.phase).toBe("failed");
    expect(queue.failure?.message).toBe("It has ended.");
    expect(keeper.calls).not.toContain("close");
  });
});

describe("the same folder dropped again", () => {
  it("sends only what is missing, into the batch of before", async () => {
    queue.add(
      [chosen("n/0"), chosen("n/1"), chosen("n/2", 10, 6)],
      batch([row("n/0", 1), row("n/1", 0), row("n/2", 1)]),
    );
    await ended();
    expect(keeper.whole_.sort()).toEqual(["n/1#0", "n/2#0"]);
    expect([...keeper.receipts]).toEqual(["of before"]);
    expect(stateNamed("n/0")).toBe("here");
  });

  it("sends again what cannot be told apart", async () => {
    queue.add([chosen("IM1"), chosen("IM1")], batch([row("IM1", 1)]));
    await ended();
    expect(keeper.whole_.sort()).toEqual(["IM1#0", "IM1#1"]);
  });

  it("is known by its files", () => {
    // As the server reckons it: SHA-256 of name, size, time and copy.
    expect(keyOf({ name: "né/0", size: 10, modified: 5, copy: 1 })).toBe(
      "01e9fcaca84b17a9054a747514ff47f242ad10c27d97c6ed83761001d99cc0cd",
    );
    const before = batch([row("n/0", 1), row("n/1", 0)]);
    expect(overlap([chosen("n/0"), chosen("n/1"), chosen("n/9")], before)).toBe(2);
    expect(overlap([chosen("n/0", 11)], before)).toBe(0);
  });
});

describe("words", () => {
  it("tell sizes, times and outcomes", () => {
    expect([12, 2048, 5 << 20, 300 << 20, 3 * 2 ** 30].map(bytes)).toEqual([
      "12 B",
      "2 KiB",
      "5.0 MiB",
      "300 MiB",
      "3.0 GiB",
    ]);
    expect(timeLeft(100, 0)).toBe("");
    expect(timeLeft(100, 100)).toBe("a few seconds left");
    expect(timeLeft(3200, 100)).toBe("about 35 s left");
    expect(timeLeft(60_000, 100)).toBe("about 10 min left");
    expect(outcome({ kept_aside: 2, stored: 1200 })).toBe("1,200 stored, 2 kept aside");
  });

  it("tell the state of a file", () => {
    const item = { said: { size: 200 }, sent: 50, counts: {}, state: "sending" } as unknown as Item;
    expect(stateOf(item)).toBe("25 %");
    expect(stateOf({ ...item, state: "done", counts: { already_here: 1 } })).toBe("already here");
    expect(stateOf({ ...item, state: "done", counts: { stored: 412 } })).toBe("412 stored");
  });
});
