import { beforeEach, describe, expect, it } from "vitest";
import { ApiError, Unreachable } from "../viewer/api";
import { SettleSession } from "../viewer/settle/consensus";
import type { Act, Resolution } from "../viewer/settle/contract";
import { MemoryShelf } from "../viewer/shelf";
import { Server, type Who } from "./settle_server";

let server: Server;

beforeEach(() => {
  server = new Server();
});

async function opened(who: Who = "r1", shelf = new MemoryShelf<Act>()): Promise<SettleSession> {
  const session = new SettleSession(server.api(who), shelf);
  await session.open();
  await session.outbox.idle();
  return session;
}

function propose(
  session: SettleSession,
  id: string,
  resolution: Resolution,
  rationale = "so",
): void {
  const seen = session.discrepancy(id)?.version ?? -1;
  session.act({ kind: "propose", discrepancy: id, seen, resolution, rationale });
}

const clusters = (session: SettleSession) => session.rows.map(({ found }) => found.cluster);
const news = (session: SettleSession, id: string, version: number) =>
  session.hear({
    type: "discrepancy.changed",
    audience: "consensus:c",
    seq: 1,
    payload: { discrepancy: id, version, state: "proposed" },
  });
const calm = () => new Promise((resolve) => setTimeout(resolve, 0));

describe("a consensus open in a tab", () => {
  it("lists what is open first, then what waits, what rules decided last", async () => {
    server.act("r2", {
      kind: "propose",
      id: "a",
      discrepancy: "d1",
      seen: 0,
      resolution: "Y",
      rationale: ".",
    });
    server.act("r1", {
      kind: "propose",
      id: "b",
      discrepancy: "d2",
      seen: 0,
      resolution: "X",
      rationale: ".",
    });
    const session = await opened();
    expect(session.rows.map(({ place }) => [place.id, place.group])).toEqual([
      ["d4", "open"],
      ["d1", "answer"],
      ["d2", "waiting"],
      ["d3", "settled"],
      ["d5", "ignored"],
    ]);
  });

  it("shows a verb at once and has it saved", async () => {
    const session = await opened();
    propose(session, "d1", "X");
    expect(session.discrepancy("d1")).toMatchObject({
      state: "proposed",
      saving: true,
      version: 1,
    });
    await session.outbox.idle();
    expect(session.discrepancy("d1")).toMatchObject({ saving: false, version: 1 });
    expect(session.saveState).toBe("saved");
    expect(server.held[0]?.proposal).toMatchObject({ by: "r1", resolution: "X" });
  });

  it("keeps a second thought on its way in order, each having seen the one before", async () => {
    const session = await opened();
    propose(session, "d1", "X");
    propose(session, "d1", "Y");
    await session.outbox.idle();
    expect(server.held[0]?.steps.map(({ resolution }) => resolution)).toEqual(["X", "Y"]);
    expect(session.overtaken.size).toBe(0);
  });

  it("keeps a verb while the line is down and sends the very same when it is back", async () => {
    const down = () => new Unreachable("down");
    server.troubles = [down];
    const shelf = new MemoryShelf<Act>();
    const session = await opened("r1", shelf);
    propose(session, "d1", "X");
    await calm();
    expect(session.saveState).toBe("offline");
    expect(session.outbox.waiting).toHaveLength(1);
    expect(await shelf.all()).toHaveLength(1);
    session.outbox.start();
    await session.outbox.idle();
    expect(session.saveState).toBe("saved");
    expect(server.acts).toHaveLength(1);
  });

  it("counts an act once whose answer was lost", async () => {
    server.losses = [() => new Unreachable("cut off")];
    const session = await opened();
    propose(session, "d1", "X");
    await calm();
    await session.sync();
    expect(session.discrepancy("d1")).toMatchObject({ version: 1, saving: true });
    session.outbox.start();
    await session.outbox.idle();
    expect(server.acts).toHaveLength(1);
    expect(session.discrepancy("d1")).toMatchObject({ version: 1, saving: false });
    expect(session.overtaken.size).toBe(0);
  });

  it("sends what an earlier page could not", async () => {
    const shelf = new MemoryShelf<Act>();
    const change: Act = { kind: "defer", id: "x", discrepancy: "d1", seen: 0, rationale: "hard" };
    await shelf.add({ change, head: "" });
    await opened("r1", shelf);
    expect(server.held[0]?.state).toBe("deferred");
    expect(await shelf.all()).toEqual([]);
  });
});

describe("the other reader, at the same time", () => {
  it("changes a row where it stands", async () => {
    const session = await opened();
    server.act("r2", {
      kind: "propose",
      id: "a",
      discrepancy: "d1",
      seen: 0,
      resolution: "Y",
      rationale: ".",
    });
    news(session, "d1", 1);
    await calm();
    expect(session.discrepancy("d1")).toMatchObject({
      state: "proposed",
      possible: ["propose", "agree", "defer"],
    });
    expect(clusters(session)).toEqual([1, 2, 4, 3, 5]);
    expect(session.disordered).toBe(true);
    expect(session.notice).toBe("1: the other reader proposed Y’s shape.");
    expect(session.unseen.has("d:d1")).toBe(true);
    session.arrange();
    expect(clusters(session)).toEqual([2, 4, 1, 3, 5]);
  });

  it("does not make it ask for what it knows", async () => {
    const session = await opened();
    propose(session, "d1", "X");
    await session.outbox.idle();
    const { asked } = server;
    news(session, "d1", 1);
    await calm();
    expect(server.asked).toBe(asked);
    expect(session.notice).toBe("");
  });

  it("wins: the one who came too late is told what changed, and keeps the rationale", async () => {
    const [one, two] = [await opened("r1"), await opened("r2")];
    propose(one, "d1", "X", "mine is better");
    await one.outbox.idle();
    propose(two, "d1", "Y", "no, mine");
    await two.outbox.idle();
    expect(two.overtaken.get("d:d1")).toMatchObject({
      kind: "propose",
      what: "Y",
      rationale: "no, mine",
      since: [{ action: "propose", by: "other", resolution: "X", rationale: "mine is better" }],
    });
    expect(two.discrepancy("d1")).toMatchObject({
      version: 1,
      possible: ["propose", "agree", "defer"],
    });
    expect(two.saveState).toBe("saved");
    expect(server.held[0]?.proposal?.by).toBe("r1");
    const { place } = two.rows.find(({ found }) => found.id === "d1") ?? {};
    expect(place?.group).toBe("answer");
  });

  it("does not let a second thought slip in where the first came too late", async () => {
    const [one, two] = [await opened("r1"), await opened("r2")];
    propose(one, "d1", "X");
    await one.outbox.idle();
    propose(two, "d1", "Y", "first");
    propose(two, "d1", "union", "second");
    await two.outbox.idle();
    expect(server.held[0]?.steps).toHaveLength(1);
    expect(two.overtaken.get("d:d1")).toMatchObject({ what: "union", rationale: "second" });
  });

  it("ends in both seeing the labels once the last disagreement is settled", async () => {
    const [one, two] = [await opened("r1"), await opened("r2")];
    for (const id of ["d1", "d2", "d4"]) propose(one, id, "X");
    await one.outbox.idle();
    await two.sync();
    for (const id of ["d1", "d2", "d4"]) {
      const { version: seen = 0, proposal } = two.discrepancy(id) ?? {};
      two.act({ kind: "agree", discrepancy: id, seen, step: proposal?.step ?? "" });
    }
    await two.outbox.idle();
    await calm();
    expect(two.detail?.state).toBe("labelling");
    expect(two.nodes.map(({ number }) => number)).toEqual([1, 2, 3]);
  });
});

describe("refusals", () => {
  it("of one act leave the others on their way", async () => {
    server.held[0]?.steps.push({ action: "propose", by: "r2", resolution: "Y", rationale: "" });
    const session = await opened();
    server.held[0]?.steps.push({ action: "propose", by: "r2", resolution: "X", rationale: "" });
    propose(session, "d1", "X");
    propose(session, "d2", "X");
    await session.outbox.idle();
    expect(session.overtaken.has("d:d1")).toBe(true);
    expect(server.held[1]?.state).toBe("proposed");
  });

  it("keep everything while signed out", async () => {
    server.troubles = [() => new ApiError(401, { error: "SIGNED_OUT", message: "Signed out." })];
    const session = await opened();
    propose(session, "d1", "X");
    await calm();
    expect(session.saveState).toBe("signed_out");
    session.outbox.start();
    await session.outbox.idle();
    expect(server.acts).toHaveLength(1);
  });

  it("of a line are no second signature: the same act is asked for again", async () => {
    const session = await opened();
    const clients: string[] = [];
    const broken = [new Unreachable("cut off"), new ApiError(403, { error: "X", message: "No." })];
    session.api.sign = async ({ client }) => {
      clients.push(client);
      throw broken.shift() ?? new Error("done");
    };
    for (let time = 0; time < 3; time += 1) {
      await expect(session.sign("right", "h4sh")).rejects.toThrow();
    }
    expect(clients[1]).toBe(clients[0]);
    expect(clients[2]).not.toBe(clients[0]);
  });

  it("of a label say why, in the server's words", async () => {
    for (const id of ["d1", "d2", "d4"]) {
      server.act("r2", {
        kind: "propose",
        id,
        discrepancy: id,
        seen: 0,
        resolution: "X",
        rationale: ".",
      });
      server.act("r1", { kind: "agree", id: `a${id}`, discrepancy: id, seen: 1, step: id });
    }
    const session = await opened();
    session.act({
      kind: "label",
      node: 1,
      seen: 0,
      value: "metastatic",
      evidence: [],
      rationale: "x",
    });
    expect(session.agreed(1)?.label?.value).toBe("metastatic");
    await session.outbox.idle();
    expect(session.agreed(1)?.label).toBeNull();
    expect(session.overtaken.get("n:1")).toMatchObject({
      message: "Evidence is needed.",
      rationale: "x",
    });
  });
});
