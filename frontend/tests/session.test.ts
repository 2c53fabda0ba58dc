import { beforeEach, describe, expect, it } from "vitest";
import { ApiError, type ReadingApi, Unreachable } from "../viewer/api";
import type { Change, ChangeResult, NodeRecord, ReadingDetail } from "../viewer/contract";
import { Mask } from "../viewer/mask";
import { unpackMask } from "../viewer/packed";
import { headerHtml } from "../viewer/panel/header";
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
  /** What it answers who asks to write. */
  refuses: ApiError | null = null;
  /** Heads whose voxels were asked for. */
  readonly asked: string[] = [];

  detailed = async () => this.whole();

  whole(): ReadingDetail {
    const { head, manifest } = this.mask;
    return structuredClone({ ...this.detail, head, manifest, labels: manifest.labels });
  }

  get api(): ReadingApi {
    return {
      detail: () => this.detailed(),
      volume: async (head: string) => {
        this.asked.push(head);
        const filled = this.mask.filledSlices.map((index) => [index, this.mask.plane(index)]);
        return { ...unpackMask(example.packedBytes()), slices: new Map(filled as never) };
      },
      lease: async (client: string, takeOver: boolean) => {
        if (this.refuses) throw this.refuses;
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
      const named = "node" in body ? body.node : null;
      const node = this.detail.nodes.find(({ uuid }) => uuid === named);
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

  it("asks for a new mask's voxels with the rest, and repaints the slices that have any", async () => {
    const { mask } = server;
    server.mask = new Mask([3, 4, 5], { ...example.MANIFEST, slices: [], labels: [] }, null);
    const session = await opened();
    expect(server.asked).toEqual([]);
    const repainted: unknown[] = [];
    session.addEventListener("voxels", (event) => repainted.push((event as CustomEvent).detail));
    server.mask = mask;
    let answer = () => {};
    server.detailed = () =>
      new Promise((resolve) => {
        answer = () => resolve(server.whole());
      });
    const payload = { mask: mask.head, nodes: 2, offered: false };
    session.hear({ type: "mask_ready", audience: "", seq: 1, payload });
    await Promise.resolve();
    expect(server.asked).toEqual([mask.head]);
    answer();
    await session.sync();
    expect(server.asked).toEqual([mask.head]);
    expect(session.mask?.head).toBe(mask.head);
    expect(repainted).toEqual([mask.filledSlices]);
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

  describe("with changes kept aside", () => {
    let session: Session;
    let kept: string[];
    const onDisk = async () => (await shelf.all()).map(({ change }) => change.id);

    beforeEach(async () => {
      session = await opened();
      server.mask.advance();
      session.decide(example.A, "accepted");
      await session.outbox.idle();
      await expect.poll(() => session.saveState).toBe("conflict");
      kept = await onDisk();
    });

    /** Another tab writes now, and this one has heard of it. */
    async function writesElsewhere(): Promise<void> {
      server.holder = "tab 2";
      server.detail.lease = { mine: false, holder: "Ada", id: "tab 2" };
      const payload = { client: "tab 2" };
      session.hear({ type: "lease.taken", audience: "", seq: 1, payload });
      await expect.poll(() => session.leaseId).toBeNull();
    }

    it("continues here before it applies them again, and says so", async () => {
      await writesElsewhere();
      expect(headerHtml(session)).toContain("Ada writes this reading elsewhere.");
      expect(headerHtml(session)).toContain("Continue here and apply mine again");
      await session.applyAgain();
      await session.outbox.idle();
      expect(server.holder).toBe("tab 1");
      expect(server.changes).toHaveLength(1);
      expect(session.node(example.A)?.decision).toBe("accepted");
      expect(session.saveState).toBe("saved");
      expect(await onDisk()).toEqual([]);
    });

    it("keeps them where the reading cannot be taken up here", async () => {
      await writesElsewhere();
      server.refuses = new ApiError(409, { error: "LEASE_HELD", message: "Held.", holder: "Bo" });
      await session.applyAgain();
      expect(session.setAside.map(({ change }) => change.id)).toEqual(kept);
      expect(await onDisk()).toEqual(kept);
      expect(headerHtml(session)).toContain("Bo writes this reading elsewhere.");
    });

    it("keeps them where the reading was signed meanwhile, also for a later page", async () => {
      server.detail.state = "submitted";
      await session.applyAgain();
      expect(session.setAside.map(({ change }) => change.id)).toEqual(kept);
      expect(await onDisk()).toEqual(kept);
      expect(headerHtml(session)).toContain("This reading takes no more changes.");
      expect(headerHtml(session)).not.toContain("apply-again");
      server.detail.state = "open";
      const later = await opened();
      expect(later.setAside.map(({ change }) => change.id)).toEqual(kept);
    });

    it("keeps them while the server cannot be reached", async () => {
      server.detailed = async () => {
        throw new Unreachable("The server cannot be reached.");
      };
      await session.applyAgain();
      expect(session.notice).toBe("The server cannot be reached.");
      expect(await onDisk()).toEqual(kept);
    });

    it("does not make anew what turns out to have arrived", async () => {
      const [arrived] = session.setAside;
      if (!arrived) throw new Error("Nothing was kept aside.");
      server.mask = new Mask([3, 4, 5], example.MANIFEST, unpackMask(example.packedBytes()));
      server.mask.advance();
      expect(server.mask.head).toBe(arrived.head);
      const { head } = arrived;
      server.answers.set(arrived.change.id, {
        id: arrived.change.id,
        head,
        nodes: [],
        checks: [],
        can_submit: false,
      });
      await session.applyAgain();
      await session.outbox.idle();
      expect(server.changes).toEqual([]);
      expect(session.setAside).toEqual([]);
    });
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

  it("knows what arrived for its own also where truth was on its way when it took it up", async () => {
    server.holder = "tab 2";
    const session = await opened();
    const change: Change = {
      id: "x",
      base: example.HEAD,
      kind: "doubt",
      node: example.A,
      value: true,
    };
    server.mask.advance();
    const { head } = server.mask;
    server.answers.set("x", { id: "x", head, nodes: [], checks: [], can_submit: false });
    await shelf.add({ change, head });
    const release = session.hold();
    session.hear({ type: "change.applied", audience: "", seq: 1, payload: { head } });
    await new Promise((resolve) => setTimeout(resolve));
    const going = session.continueHere();
    await new Promise((resolve) => setTimeout(resolve));
    expect(session.outbox.waiting).toHaveLength(1);
    expect(session.writable).toBe(false);
    release();
    await going;
    await session.outbox.idle();
    expect(session.saveState).toBe("saved");
    expect(session.writable).toBe(true);
    expect(server.changes).toEqual([]);
    expect(await shelf.all()).toEqual([]);
  });

  it("shows arriving truth only once the stroke that is being drawn was taken", async () => {
    const session = await opened();
    const painted: unknown[] = [];
    session.addEventListener("voxels", (event) => painted.push((event as CustomEvent).detail));
    const release = session.hold();
    const arriving = session.sync();
    await new Promise((resolve) => setTimeout(resolve));
    expect(painted).toEqual([]);
    session.paint(example.PATCH);
    release();
    await arriving;
    await session.outbox.idle();
    expect(session.mask?.labelAt(0, 2, 3)).toBe(301);
    expect(session.saveState).toBe("saved");
    expect(server.mask.head).toBe(session.mask?.head);
  });

  it("never shows truth older than an answer it has heard", async () => {
    const session = await opened();
    const old = server.whole();
    let asked = 0;
    server.detailed = async () => {
      asked += 1;
      if (asked > 1) return server.whole();
      session.decide(example.A, "accepted");
      await session.outbox.idle();
      return old;
    };
    await session.sync();
    expect(asked).toBe(2);
    expect(session.node(example.A)?.decision).toBe("accepted");
    expect(session.mask?.head).toBe(server.mask.head);
  });

  it("goes on where a closed tab left, without asking", async () => {
    server.holder = "tab 1";
    server.detail.lease = { mine: false, holder: "Ada", id: "lease 1" };
    const session = new Session(server.api, shelf, "tab 2", {
      took: () => {},
      left: () => {},
      isAbandoned: async (lease) => lease === "lease 1",
    });
    await session.open();
    expect(session.writable).toBe(true);
    expect(server.holder).toBe("tab 2");
  });

  it("leaves another tab's unsent changes to that tab", async () => {
    await shelf.add({
      change: { id: "x", base: example.HEAD, kind: "doubt", node: example.A, value: true },
      head: "of the other tab",
    });
    server.holder = "tab 2";
    const session = await opened();
    expect(session.saveState).toBe("read_only");
    expect(session.outbox.waiting).toEqual([]);
    expect(await shelf.all()).toHaveLength(1);
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
