import { beforeEach, describe, expect, it } from "vitest";
import { moveMask, slicesOf, voxelBody } from "../viewer/bodies";
import type { Body, Change, Voxel } from "../viewer/contract";
import { Mask } from "../viewer/mask";
import { unpackMask } from "../viewer/packed";
import { project, projectRegions } from "../viewer/projection";
import { type Block, countOf } from "../viewer/reshape/block";
import { cutByLine, cutBySeeds } from "../viewer/split/cut";
import { takenOver, voxelsOf } from "../viewer/split/lineage";
import * as example from "./example";

const SOPS = ["1.0", "1.1", "1.2"];
let mask: Mask;

beforeEach(() => {
  mask = new Mask([3, 4, 5], example.MANIFEST, unpackMask(example.packedBytes()));
});

const planes = () => [0, 1, 2].map((index) => [...(mask.plane(index) ?? [])]);

describe("a merge", () => {
  it("gives every voxel to the one that keeps its name, and is taken back voxel for voxel", () => {
    const before = planes();
    const [a, b] = [voxelsOf(mask, example.A), voxelsOf(mask, example.B)];
    const back = voxelBody(mask.inverseOf(takenOver(mask, example.A, example.B)), SOPS);
    moveMask(mask, { kind: "merge", node: example.A, merged: example.B }, SOPS);
    expect([voxelsOf(mask, example.A), voxelsOf(mask, example.B)]).toEqual([a + b, 0]);
    moveMask(mask, { kind: "undo", undoes: "x", inverse: back }, SOPS);
    expect(planes()).toEqual(before);
  });

  it("makes the version that the same voxels as a stroke would make", () => {
    const twin = new Mask([3, 4, 5], example.MANIFEST, unpackMask(example.packedBytes()));
    twin.apply(takenOver(twin, example.A, example.B));
    moveMask(mask, { kind: "merge", node: example.A, merged: example.B }, SOPS);
    expect(mask.head).toBe(twin.head);
  });
});

describe("a split", () => {
  const shape = {
    nodes: [example.NEW],
    slices: [{ index: 0, box: [1, 1, 2, 2], runs: [[0, 1, 1]] }],
  };

  it("gives the part the next number, and no number is used twice", () => {
    const patch = structuredClone(shape) as never as Parameters<typeof slicesOf>[0];
    const body: Body = {
      kind: "split",
      node: example.A,
      part: example.NEW,
      slices: slicesOf(patch, SOPS),
    };
    const back = voxelBody(mask.inverseOf(patch), SOPS);
    moveMask(mask, body, SOPS);
    expect(mask.numberOf(example.NEW)).toBe(301);
    moveMask(mask, { kind: "undo", undoes: "x", inverse: back }, SOPS);
    expect(mask.nextLabel).toBe(302);
  });
});

describe("what is shown before the server answers", () => {
  const confirmed = new Map(
    [example.nodeRecord(example.A, 1), example.nodeRecord(example.B, 2)].map((n) => [n.uuid, n]),
  );
  const shown = (...bodies: object[]) =>
    project(
      confirmed,
      bodies.map((body) => body as Change),
      () => 9,
    );

  it("of a split is a new node with its parent", () => {
    const nodes = shown({ kind: "split", node: example.A, part: example.NEW, slices: [] });
    expect(nodes.get(example.NEW)).toMatchObject({ origin: "split", parents: [example.A] });
    expect(nodes.get(example.A)).toMatchObject({ decision: "reshaped", stale: true });
  });

  it("of a merge is one node less, and of its undo both again", () => {
    const merge = { kind: "merge", node: example.A, merged: example.B };
    expect(shown(merge).get(example.B)).toMatchObject({ decision: "merged", empty: true });
    const inverse = { kind: "voxels", nodes: [example.A, example.B], slices: [] };
    const back = shown(merge, { kind: "undo", undoes: "x", inverse });
    expect(back.get(example.B)).toMatchObject({ decision: "reshaped", merged_into: null });
  });

  it("of regions follows changes and their undo", () => {
    const slices = [{ sop: "1.0", box: [0, 0, 1, 1], runs: [[0, 1, 1]] }];
    const mark = { kind: "region", region: "r", reason: "streaks", slices } as never as Change;
    const gone = { kind: "region", region: "r", reason: "", slices: [] };
    expect([...projectRegions(new Map(), [mark]).keys()]).toEqual(["r"]);
    const undo = { kind: "undo", undoes: "x", inverse: gone } as never as Change;
    expect(projectRegions(new Map(), [mark, undo]).size).toBe(0);
  });
});

describe("a cut", () => {
  /** Two bells of unequal size and a bar between them, along the columns. */
  function dumbbell(): Block {
    const size: Voxel = [9, 9, 30];
    const own = new Uint8Array(9 * 9 * 30);
    for (let at = 0; at < own.length; at += 1) {
      const [z, y, x] = [Math.floor(at / 270) - 4, (Math.floor(at / 30) % 9) - 4, at % 30];
      const left = Math.hypot(z, y, x - 5) <= 4;
      const right = Math.hypot(z, y, x - 22) <= 3;
      own[at] = left || right || (z === 0 && y === 0 && x > 5 && x < 22) ? 1 : 0;
    }
    const box = [100, 200, 300, 109, 209, 330] as const;
    const rest = {
      open: new Uint8Array(own.length).fill(1),
      density: new Float32Array(own.length),
    };
    return { box, size, spacing: [2, 1, 1], own, ...rest };
  }

  it("along a line gives the smaller bell", () => {
    const block = dumbbell();
    const part = cutByLine(block, [104, 195, 314], [104, 215, 314], 0);
    expect(part?.[(4 * 9 + 4) * 30 + 22]).toBe(1);
    expect(part?.[(4 * 9 + 4) * 30 + 5]).toBe(0);
    expect(2 * countOf(part as Uint8Array)).toBeLessThan(countOf(block.own));
  });

  it("between two seeds gives the smaller bell, whichever was clicked first", () => {
    const block = dumbbell();
    const one = cutBySeeds(block, [104, 204, 305], [104, 204, 322]);
    const other = cutBySeeds(block, [104, 204, 322], [104, 204, 305]);
    for (const part of [one, other]) {
      expect(part?.[(4 * 9 + 4) * 30 + 22]).toBe(1);
      expect(part?.[(4 * 9 + 4) * 30 + 5]).toBe(0);
    }
  });

  it("beside the node, or with a seed outside it, is none", () => {
    const block = dumbbell();
    expect(cutByLine(block, [104, 190, 300], [104, 190, 330], 0)).toBeNull();
    expect(cutByLine(block, [104, 204, 310], [104, 204, 310], 0)).toBeNull();
    expect(cutBySeeds(block, [104, 204, 305], [104, 200, 329])).toBeNull();
    expect(cutBySeeds(block, [104, 204, 305], [104, 204, 305])).toBeNull();
  });
});
