import { describe, expect, it } from "vitest";
import { ApiError, Unreachable } from "../viewer/api";
import type { Change, ChangeResult } from "../viewer/contract";
import { type Courier, type Entry, Outbox } from "../viewer/outbox";
import { MemoryShelf } from "../viewer/shelf";

const entry = (id: string): Entry => ({
  change: { id, base: "b", kind: "doubt", node: "n", value: true },
  head: `head of ${id}`,
});

const answer = ({ id }: Change): ChangeResult => ({
  id,
  head: `head of ${id}`,
  nodes: [],
  checks: [],
  can_submit: false,
});

class Line implements Courier {
  sent: string[][] = [];
  states: string[] = [];
  agreed: boolean[] = [];
  refusals: string[] = [];
  flying = 0;
  most = 0;
  outbox: Outbox | null = null;

  constructor(private readonly replies: (() => Error | null)[] = []) {}

  async send(changes: Change[]): Promise<ChangeResult[]> {
    this.flying += 1;
    this.most = Math.max(this.most, this.flying);
    await Promise.resolve();
    this.flying -= 1;
    this.sent.push(changes.map(({ id }) => id));
    const error = this.replies.shift()?.() ?? null;
    if (error) throw error;
    return changes.map(answer);
  }

  delivered(_results: ChangeResult[], agreed: boolean): void {
    this.agreed.push(agreed);
  }

  refused(error: ApiError): void {
    this.refusals.push(error.code);
  }

  changed(): void {
    this.states.push(this.outbox?.state ?? "");
  }
}

function open(line: Line, shelf = new MemoryShelf()) {
  const pauses: number[] = [];
  const outbox = new Outbox(shelf, line, async (ms) => {
    pauses.push(ms);
  });
  line.outbox = outbox;
  return { outbox, shelf, pauses };
}

const refusal = (status: number, error: string) => new ApiError(status, { error, message: "No." });

describe("the outbox", () => {
  it("sends in order, one request in flight", async () => {
    const line = new Line();
    const { outbox, shelf } = open(line);
    for (const id of ["1", "2", "3", "4"]) outbox.add(entry(id));
    await outbox.idle();
    expect(line.sent.flat()).toEqual(["1", "2", "3", "4"]);
    expect(line.most).toBe(1);
    expect(outbox.state).toBe("saved");
    expect(await shelf.all()).toEqual([]);
  });

  it("gives an entry to the line, then completes it, then to the disk, in one breath", async () => {
    const shelf = new MemoryShelf();
    const line = new Line();
    const { outbox } = open(line, shelf);
    const happened: string[] = [];
    const [send, add] = [line.send.bind(line), shelf.add.bind(shelf)];
    line.send = (changes) => {
      happened.push("sent");
      return send(changes);
    };
    shelf.add = (kept) => {
      happened.push(`kept with ${kept.head}`);
      return add(kept);
    };
    const painted = { ...entry("1"), head: "" };
    outbox.add(painted, () => {
      painted.head = "head of 1";
    });
    expect(happened).toEqual(["sent", "kept with head of 1"]);
    await outbox.idle();
    expect(line.agreed).toEqual([true]);
  });

  it("keeps an entry on the disk whose completion fails", async () => {
    const shelf = new MemoryShelf();
    const { outbox } = open(new Line([() => new Unreachable("down")]), shelf);
    const fail = () => {
      throw new Error("no head");
    };
    expect(() => outbox.add(entry("1"), fail)).toThrow("no head");
    expect((await shelf.all()).map(({ change }) => change.id)).toEqual(["1"]);
  });

  it("waits as long as the server asks", async () => {
    const line = new Line([() => new Unreachable("too often", 40_000)]);
    const { outbox, pauses } = open(line);
    outbox.add(entry("1"));
    await outbox.idle();
    expect(pauses).toEqual([40_000]);
    expect(outbox.state).toBe("saved");
  });

  it("tries again with growing pauses while the line is down, and drops nothing", async () => {
    const down = () => new Unreachable("down");
    const line = new Line([down, down, down]);
    const { outbox, pauses } = open(line);
    outbox.add(entry("1"));
    outbox.add(entry("2"));
    await outbox.idle();
    expect(pauses).toEqual([500, 1000, 2000]);
    expect(line.states).toContain("offline");
    expect(line.sent.at(-1)).toEqual(["1", "2"]);
    expect(outbox.waiting).toEqual([]);
  });

  it("keeps everything while signed out and goes on after", async () => {
    const line = new Line([() => refusal(403, "NOT_SIGNED_IN")]);
    const { outbox } = open(line);
    outbox.add(entry("1"));
    await outbox.idle();
    expect(line.states).toContain("signed_out");
    expect(line.refusals).toEqual([]);
    expect(outbox.state).toBe("saved");
  });

  it("stands still at a refusal, with the changes kept", async () => {
    const line = new Line([() => refusal(409, "LEASE_LOST")]);
    const { outbox, shelf } = open(line);
    outbox.add(entry("1"));
    await outbox.idle();
    outbox.add(entry("2"));
    await outbox.idle();
    expect(line.refusals).toEqual(["LEASE_LOST"]);
    expect(line.sent).toHaveLength(1);
    expect(await shelf.all()).toHaveLength(2);
    outbox.resume();
    await outbox.idle();
    expect(line.sent.at(-1)).toEqual(["1", "2"]);
  });

  it("says so when the server's head is another", async () => {
    const line = new Line();
    const { outbox } = open(line);
    outbox.add({ ...entry("1"), head: "another" });
    await outbox.idle();
    expect(line.agreed).toEqual([false]);
    expect(outbox.state).toBe("stopped");
  });

  it("finds what an earlier page left, in the order it was made", async () => {
    const shelf = new MemoryShelf();
    await shelf.add(entry("1"));
    await shelf.add(entry("2"));
    const line = new Line();
    const { outbox } = open(line, shelf);
    await outbox.restore();
    expect(outbox.waiting.map(({ change }) => change.id)).toEqual(["1", "2"]);
    outbox.start();
    await outbox.idle();
    expect(line.sent).toEqual([["1", "2"]]);
  });

  it("keeps what is added while the disk is read, and drops what another tab delivered", async () => {
    const shelf = new MemoryShelf();
    const line = new Line();
    const { outbox } = open(line, shelf);
    outbox.stop();
    outbox.add(entry("1"));
    outbox.add(entry("2"));
    const reading = outbox.restore();
    outbox.add(entry("3"));
    await reading;
    expect(outbox.waiting.map(({ change }) => change.id)).toEqual(["1", "2", "3"]);
    await shelf.remove(["1", "2"]);
    await outbox.restore();
    expect(outbox.waiting.map(({ change }) => change.id)).toEqual(["3"]);
  });

  it("sends what is added at the very moment the queue runs empty", async () => {
    const line = new Line();
    const { outbox } = open(line);
    outbox.start();
    outbox.add(entry("1"));
    await outbox.idle();
    expect(line.sent).toEqual([["1"]]);
  });

  it("sends what the disk refuses to keep", async () => {
    const shelf = new MemoryShelf();
    shelf.add = () => Promise.reject(new Error("the disk is full"));
    const line = new Line();
    const { outbox } = open(line, shelf);
    outbox.add(entry("1"));
    await outbox.idle();
    expect(line.sent).toEqual([["1"]]);
    expect(outbox.state).toBe("saved");
  });
});
