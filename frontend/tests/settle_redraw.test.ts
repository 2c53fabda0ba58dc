import { beforeEach, describe, expect, it, vi } from "vitest";
import type { Voxel } from "../viewer/contract";
import { Clay, widened } from "../viewer/settle/clay";
import type { Solid } from "../viewer/settle/layers";
import { RedrawDesk } from "../viewer/settle/redraw";

const GRID = {
  shape: [20, 64, 64] as Voxel,
  spacing_mm: [3, 1, 1] as Voxel,
  sop_uids: Array.from({ length: 20 }, (_, index) => `1.${index}`),
  geometry: "",
};
const CLUSTER = { number: 4, box: [5, 30, 30, 7, 32, 32], x: null, y: null };
const X: Solid = {
  label: 1,
  cluster: 4,
  box: [5, 30, 30, 6, 31, 32],
  data: Uint8Array.from([1, 1]),
};
const Y: Solid = { label: 1, cluster: 4, box: [6, 31, 31, 7, 32, 32], data: Uint8Array.from([1]) };

function voxels(desk: RedrawDesk): string[] {
  return (desk.shape()?.slices ?? []).flatMap(({ sop, box: [r0, c0, , c1], runs }) =>
    runs.flatMap(([offset, length, value]) =>
      Array.from({ length }, (_, step) => {
        const at = offset + step;
        const width = c1 - c0;
        return `${sop} ${r0 + Math.floor(at / width)} ${c0 + (at % width)} ${value}`;
      }),
    ),
  );
}

describe("a shape begins", () => {
  let desk: RedrawDesk;
  beforeEach(() => {
    vi.stubGlobal("document", { documentElement: { toggleAttribute: () => true } });
    desk = new RedrawDesk({
      grid: () => GRID,
      solids: (side) => (side === "x" ? [X] : [Y]),
      under: () => null,
      point: () => {},
      painted: () => {},
    });
  });

  it("as X, as Y, as both, or as nothing", () => {
    desk.begin(CLUSTER, "x");
    expect(voxels(desk)).toEqual(["1.5 30 30 1", "1.5 30 31 1"]);
    desk.begin(CLUSTER, "y");
    expect(voxels(desk)).toEqual(["1.6 31 31 1"]);
    desk.begin(CLUSTER, "union");
    expect(voxels(desk)).toEqual(["1.5 30 30 1", "1.5 30 31 1", "1.6 31 31 1"]);
    desk.begin(CLUSTER, "empty");
    expect(desk.shape()).toBeNull();
  });

  it("with the brush in the hand, and ends with it put away", () => {
    const heard = vi.fn();
    desk.changed(heard);
    desk.begin(CLUSTER, "x");
    expect([desk.cluster, desk.tool, heard.mock.calls.length]).toEqual([4, "brush", 1]);
    desk.end();
    expect([desk.cluster, desk.tool, desk.shape()]).toEqual([null, null, null]);
    expect(heard).toHaveBeenCalledTimes(2);
  });

  it("with no brush while nothing is redrawn", () => {
    desk.use("brush");
    expect(desk.tool).toBeNull();
  });

  it("and reaches no farther than a margin, nor beyond the images", () => {
    expect(widened([5, 30, 30, 7, 32, 32], GRID)).toEqual([1, 18, 18, 11, 44, 44]);
    expect(widened([0, 2, 60, 20, 4, 64], GRID)).toEqual([0, 0, 48, 20, 16, 64]);
  });
});

describe("the brush", () => {
  let clay: Clay;
  const count = () => clay.data.reduce((sum, value) => sum + value, 0);
  beforeEach(() => {
    clay = new Clay([4, 20, 20, 8, 40, 40], GRID.spacing_mm, [X]);
  });

  it("paints a disc in one slice of its plane", () => {
    const at: Voxel = [5, 30, 25];
    expect(clay.drag("axial", [at, at], 2, 1)).toBe(true);
    expect(count()).toBe(2 + 13);
    const found = clay.shape(GRID.sop_uids);
    expect(found?.slices.map(({ sop }) => sop)).toEqual(["1.5"]);
    expect(found?.slices[0]?.box).toEqual([28, 23, 33, 32]);
  });

  it("measures in millimetres: across thick slices it is narrow", () => {
    clay.drag(
      "sagittal",
      [
        [5, 30, 25],
        [5, 30, 25],
      ],
      3,
      1,
    );
    const sops = clay.shape(GRID.sop_uids)?.slices.map(({ sop }) => sop);
    expect(sops).toEqual(["1.4", "1.5", "1.6"]);
  });

  it("leaves no gap along a fast stroke", () => {
    clay.drag(
      "axial",
      [
        [6, 24, 22],
        [6, 24, 37],
      ],
      1,
      1,
    );
    const [slice] = clay.shape(GRID.sop_uids)?.slices.filter(({ sop }) => sop === "1.6") ?? [];
    expect(slice?.box).toEqual([23, 21, 26, 39]);
  });

  it("always takes the voxel under the pointer, however small it is", () => {
    clay.drag(
      "axial",
      [
        [4, 22.4, 22.4],
        [4, 22.4, 22.4],
      ],
      0.1,
      1,
    );
    expect(count()).toBe(3);
  });

  it("paints nothing outside its box", () => {
    expect(
      clay.drag(
        "axial",
        [
          [9, 30, 30],
          [9, 30, 30],
        ],
        3,
        1,
      ),
    ).toBe(false);
    clay.drag(
      "axial",
      [
        [5, 20, 20],
        [5, 20, 20],
      ],
      3,
      1,
    );
    expect(clay.shape(GRID.sop_uids)?.slices[0]?.box.slice(0, 2)).toEqual([20, 20]);
  });

  it("erases, and takes strokes back one by one", () => {
    clay.begin();
    clay.drag(
      "axial",
      [
        [5, 25, 25],
        [5, 25, 25],
      ],
      2,
      1,
    );
    clay.drag(
      "axial",
      [
        [5, 25, 25],
        [5, 25, 28],
      ],
      2,
      1,
    );
    expect(clay.finish()).toBe(true);
    clay.begin();
    clay.drag(
      "axial",
      [
        [5, 30, 30],
        [5, 30, 30],
      ],
      4,
      0,
    );
    clay.finish();
    clay.begin();
    expect(clay.finish()).toBe(false);
    expect(clay.undo()).toBe(true);
    expect(clay.shape(GRID.sop_uids)?.slices[0]?.box).toEqual([23, 23, 31, 32]);
    expect(clay.undo()).toBe(true);
    expect([count(), clay.undo(), clay.undoable]).toEqual([2, false, false]);
  });
});
