import { beforeEach, describe, expect, it } from "vitest";
import type { ReadingApi } from "../viewer/api";
import type { Body, Box, ManifestRecord } from "../viewer/contract";
import { Mask } from "../viewer/mask";
import { DenseNumbers, FULL, MOST_NODES } from "../viewer/numbers";
import type { Patch } from "../viewer/patch";
import { Session } from "../viewer/session";
import { MemoryShelf } from "../viewer/shelf";
import { readingDetail } from "./example";

type SplitBody = Extract<Body, { kind: "split" }>;

const SHAPE: [number, number, number] = [2, 20, 20];
const BARE: ManifestRecord = {
  geometry: "0".repeat(64),
  labels: [],
  parents: [],
  slices: [],
  version: 1,
};
const names = (count: number) => Array.from({ length: count }, (_, place) => `node ${place}`);

/** One voxel of a slice for each node, one after another. */
function dots(nodes: string[], index = 0, first = 0): Patch {
  const runs = nodes.map((_, place) => [first + place, 1, place + 1] as [number, number, number]);
  return { nodes, slices: [{ index, box: [0, 0, 20, 20], runs }] };
}

function erased(at: number): Patch {
  return { nodes: [], slices: [{ index: 0, box: [0, 0, 20, 20], runs: [[at, 1, 0]] }] };
}

describe("numbers on screen", () => {
  let living: Set<string>;
  let held: string[];
  let numbers: DenseNumbers;

  beforeEach(() => {
    living = new Set(names(MOST_NODES));
    held = [];
    numbers = new DenseNumbers(
      () => living,
      () => held,
    );
    for (const node of names(MOST_NODES)) numbers.of(node);
  });

  it("are 1 to 255, each of one node", () => {
    expect(new Set(numbers.all.map(([, number]) => number)).size).toBe(MOST_NODES);
    expect(numbers.all.every(([, number]) => number >= 1 && number <= 255)).toBe(true);
  });

  it("are given on once their node is gone, and no other changes", () => {
    const before = new Map(numbers.all);
    living.delete("node 7");
    expect(numbers.of("late")).toBe(before.get("node 7"));
    for (const [node, number] of before)
      if (living.has(node)) expect(numbers.of(node)).toBe(number);
  });

  it("stay with the node in the reader's hand that has no voxels yet", () => {
    held = ["node 7"];
    for (const node of ["node 7", "node 8"]) living.delete(node);
    const [drawn, gone] = [numbers.of("node 7"), numbers.of("node 8")];
    expect(numbers.of("late")).toBe(gone);
    expect(numbers.of("node 7")).toBe(drawn);
  });

  it("run out where all live, without an end of the program", () => {
    expect(numbers.of("late")).toBe(0);
  });
});

describe("a mask", () => {
  it("knows who has voxels, now and after a change", () => {
    const mask = new Mask(SHAPE, BARE, null);
    mask.apply(dots(["a", "b", "c"]));
    expect([...mask.living].sort()).toEqual([1, 2, 3]);
    mask.apply(erased(1));
    expect([...mask.living].sort()).toEqual([1, 3]);
    expect(mask.livingAfter(dots(["d", "b"], 1))).toBe(4);
    expect(mask.livingAfter(dots(["d"], 0, 2))).toBe(2);
    expect([...mask.living].sort()).toEqual([1, 3]);
  });
});

describe("a reading with as many nodes as can be shown", () => {
  async function opened(count: number): Promise<Session> {
    const mask = new Mask(SHAPE, BARE, null);
    mask.apply(dots(names(count)));
    const { head, manifest } = mask;
    const slices = new Map([[0, mask.plane(0)]]);
    const detail = { ...readingDetail(), nodes: [], head, manifest };
    detail.grid = { ...detail.grid, shape: SHAPE, sop_uids: ["1.0", "1.1"] };
    const api = {
      detail: async () => structuredClone(detail),
      volume: async () => ({ labels: manifest.labels, shape: SHAPE, slices }),
      lease: async (client: string) => ({ lease: client }),
      changes: () => new Promise(() => {}),
    } as unknown as ReadingApi;
    const session = new Session(api, new MemoryShelf(), "tab");
    await session.open();
    return session;
  }

  it("takes the last one and refuses the next, in words, with nothing changed", async () => {
    const session = await opened(MOST_NODES - 1);
    expect(session.begin()).not.toBeNull();
    expect(session.paint(dots(["last"], 1))).toBe(true);
    session.select(null);
    const before = [...(session.mask?.labels ?? [])];
    expect(session.begin()).toBeNull();
    expect(session.notice).toBe(FULL);
    session.notice = "";
    expect(session.paint(dots(["one more"], 1, 5))).toBe(false);
    expect(session.notice).toBe(FULL);
    expect(session.mask?.labels).toEqual(before);
    expect(session.mask?.labelAt(1, 0, 5)).toBe(0);
    expect(session.paint(dots(["node 3"], 1, 5))).toBe(true);
  });

  it("refuses the second part of a cut, and takes back as ever", async () => {
    const session = await opened(MOST_NODES - 1);
    session.paint(erased(0));
    session.paint(dots(["new", "newer"], 1));
    const cut = (box: Box): SplitBody => ({
      kind: "split",
      node: "node 1",
      part: "part",
      slices: [{ sop: "1.1", box, runs: [[0, 1, 1]] }],
    });
    expect(session.make(cut([5, 5, 6, 6]), { kind: "doubt", node: "node 1", value: false })).toBe(
      false,
    );
    expect(session.notice).toBe(FULL);
    session.undo();
    session.undo();
    expect(session.mask?.labelAt(0, 0, 0)).toBe(1);
  });

  it("goes on when nodes are gone, however many there were", async () => {
    const session = await opened(MOST_NODES);
    for (let turn = 0; turn < 20; turn += 1) {
      expect(session.paint(erased(turn))).toBe(true);
      expect(session.begin()).not.toBeNull();
      expect(session.paint(dots([`turn ${turn}`], 1, turn))).toBe(true);
    }
    expect(session.mask?.living.size).toBe(MOST_NODES);
    expect(session.mask?.labels.length).toBe(MOST_NODES + 20);
    expect(session.paint(dots([`over`], 1, 100))).toBe(false);
  });

  it("exchanges one for another, and takes that back", async () => {
    const session = await opened(MOST_NODES);
    expect(session.paint(dots(["other"], 0, 3))).toBe(true);
    session.undo();
    expect(session.mask?.labelAt(0, 0, 3)).toBe(4);
  });

  it("opens one with more in words, and writes nothing", async () => {
    const session = await opened(MOST_NODES + 3);
    expect(session.notice).toContain("258 nodes");
    expect(session.notice).toContain("coordinator");
    expect(session.writable).toBe(false);
    expect(session.paint(erased(0))).toBe(false);
  });
});
