import { beforeEach, describe, expect, it } from "vitest";
import { ApiError, type ReadingApi } from "../viewer/api";
import type { Change, ChangeResult, NodeRecord } from "../viewer/contract";
import { Mask } from "../viewer/mask";
import { unpackMask } from "../viewer/packed";
import { Session } from "../viewer/session";
import { MemoryShelf } from "../viewer/shelf";
import * as example from "./example";

/** A server that keeps the contract, in memory. */
class Server {
  detail = example.readingDetail();
  mask = new Mask([3, 4, 5], example.MANIFEST, unpackMask(example.packedBytes()));
  changes: Change[] = [];
  answers = new Map<string, ChangeResult>();
  holder: string | null = null;

  get api(): ReadingApi {
    return {
      detail: async () => structuredClone({ ...this.detail, head: this.mask.head }),
      volume: async () => unpackMask(example.packedBytes()),
      lease: async (client: string, takeOver: boolean) => {
        if (this.holder && this.holder !== client && !takeOver) {
          throw new ApiError(409, { error: "LEASE_HELD", message: "Held.", holder: "Ada" });
        }
        this.holder = client;
        return { lease: client };
      },
      changes: async (lease: string, changes: Change[]) => {
        const known = changes.map(({ id }) => this.answers.get(id));
        if (known.every((answer) => answer !== undefined)) return { results: known };
        if (lease !== this.holder) {
          throw new ApiError(409, { error: "LEASE_LOST", message: "Lost.", holder: "Ada" });
        }
        return { results: changes.map((change) => this.take(change)) };
      },
    } as unknown as ReadingApi;
  }

  private take(change: Change): ChangeResult {
    if (change.base !== this.mask.head)
      throw new ApiError(409, { error: "HEAD_MOVED", message: "Moved." });
    const body = change.kind === "undo" ? change.inverse : change;
    const nodes: NodeRecord[] = [];
    if (body.kind === "voxels") {
      const slices = body.slices.map(({ sop, ...rest }) => ({
        ...rest,
        index: Number(sop.slice(2)),
      }));
      this.mask.apply({ nodes: body.nodes, slices });
    } else {
      this.mask.advance();
      const node = this.detail.nodes.find(({ uuid }) => uuid === body.node);
      if (node && body.kind === "decision") {
        Object.assign(node, { decision: body.decision, reason: body.reason ?? null });
        nodes.push(structuredClone(node));
      }
    }
    this.changes.push(change);
    const answer = { id: change.id, head: this.mask.head, nodes, checks: [], can_submit: true };
    this.answers.set(change.id, answer);
    return answer;
  }
}

let server: Server;
let shelf: MemoryShelf;

beforeEach(() => {
  server = new Server();
  shelf = new MemoryShelf();
});

async function opened(client = "tab 1"): Promise<Session> {
  const session = new Session(server.api, shelf, client);
  await session.open();
  await session.outbox.idle();
  return session;
}

describe("a reading open in a tab", () => {
  it("shows a decision at once and has it saved", async () => {
    const session = await opened();
    session.decide(example.A, "rejected", "vessel");
    expect(session.node(example.A)).toMatchObject({ decision: "rejected", reason: "vessel" });
    await session.outbox.idle();
    expect(session.saveState).toBe("saved");
    expect(server.mask.head).toBe(session.mask?.head);
  });

  it("chains changes made faster than they are sent", async () => {
    const session = await opened();
    session.decide(example.A, "accepted");
    session.paint(example.PATCH);
    session.decide(example.B, "rejected", "fat");
    await session.outbox.idle();
    expect(server.changes.map(({ kind }) => kind)).toEqual(["decision", "voxels", "decision"]);
    expect(server.mask.head).toBe(session.mask?.head);
  });

  it("takes back voxels and decisions through the same door", async () => {
    const session = await opened();
    const before = [...(session.mask?.plane(0) ?? [])];
    session.paint(example.PATCH);
    session.decide(example.B, "accepted");
    session.undo();
    expect(session.node(example.B)?.decision).toBe("undecided");
    session.undo();
    expect([...(session.mask?.plane(0) ?? [])]).toEqual(before);
    session.redo();
    await session.outbox.idle();
    expect([...(session.mask?.plane(0) ?? [])]).toEqual(example.SLICE_0_AFTER);
    expect(server.mask.head).toBe(session.mask?.head);
    expect(server.changes.map(({ kind }) => kind)).toEqual([
      "voxels",
      "decision",
      "undo",
      "undo",
      "undo",
    ]);
  });

  it("shows a new node before the server has measured it", async () => {
    const session = await opened();
    session.paint(example.PATCH);
    expect(session.node(example.NEW)).toMatchObject({
      decision: "added",
      number: 301,
      stale: true,
    });
  });

  it("lays what an earlier page could not send over the truth", async () => {
    const other = new Mask([3, 4, 5], example.MANIFEST, unpackMask(example.packedBytes()));
    other.advance();
    await shelf.add({
      change: {
        id: "x",
        base: example.HEAD,
        kind: "decision",
        node: example.A,
        decision: "accepted",
      },
      head: other.head,
    });
    const session = await opened();
    expect(server.changes.map(({ id }) => id)).toEqual(["x"]);
    expect(session.node(example.A)?.decision).toBe("accepted");
    expect(session.saveState).toBe("saved");
  });

  it("does not send again what arrived although nobody said so", async () => {
    const reached = new Mask([3, 4, 5], example.MANIFEST, unpackMask(example.packedBytes()));
    reached.advance();
    server.mask.advance();
    server.detail.manifest = { ...example.MANIFEST, parents: [example.HEAD] };
    await shelf.add({
      change: { id: "x", base: example.HEAD, kind: "doubt", node: example.A, value: true },
      head: reached.head,
    });
    server.answers.set("x", {
      id: "x",
      head: reached.head,
      nodes: [],
      checks: [],
      can_submit: false,
    });
    const session = await opened();
    expect(server.changes).toEqual([]);
    expect(await shelf.all()).toEqual([]);
    expect(session.saveState).toBe("saved");
  });

  it("does not take another's decision, which leads to the same head, for its own", async () => {
    server.mask.advance();
    server.detail.manifest = { ...example.MANIFEST, parents: [example.HEAD] };
    await shelf.add({
      change: { id: "x", base: example.HEAD, kind: "doubt", node: example.A, value: true },
      head: server.mask.head,
    });
    const session = await opened();
    expect(session.saveState).toBe("conflict");
    expect(await shelf.all()).toHaveLength(1);
  });

  it("keeps its changes aside when the reading has moved on, and applies them again", async () => {
    const session = await opened();
    server.mask.advance();
    server.detail.manifest = { ...example.MANIFEST, parents: [example.HEAD] };
    session.decide(example.A, "accepted");
    await session.outbox.idle();
    await expect.poll(() => session.saveState).toBe("conflict");
    expect(session.writable).toBe(false);
    expect(await shelf.all()).toHaveLength(1);
    await session.applyAgain();
    await session.outbox.idle();
    expect(session.saveState).toBe("saved");
    expect(session.node(example.A)?.decision).toBe("accepted");
    expect(server.mask.head).toBe(session.mask?.head);
  });

  it("becomes read-only when another tab continues, and may continue here", async () => {
    const session = await opened();
    server.holder = "tab 2";
    session.decide(example.A, "accepted");
    await session.outbox.idle();
    expect(session.saveState).toBe("read_only");
    expect(session.holder).toBe("Ada");
    await session.continueHere();
    await session.outbox.idle();
    expect(session.saveState).toBe("saved");
    expect(server.changes).toHaveLength(1);
  });

  it("does not write where another tab holds the lease", async () => {
    server.holder = "tab 2";
    const session = await opened();
    expect(session.saveState).toBe("read_only");
    session.decide(example.A, "accepted");
    expect(session.paint(example.PATCH)).toBe(false);
    expect(session.node(example.A)?.decision).toBe("undecided");
  });
});
