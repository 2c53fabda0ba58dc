import { describe, expect, it } from "vitest";
import { type Cut, outlineOf, paintCut, placeOf } from "../viewer/contact/cut";
import { gridOf, stepFrom, WORDS_PX } from "../viewer/contact/grid";

const cut: Cut = {
  plane: "axial",
  centre: [1, 4, 5],
  shape: [4, 8, 10],
  spacingMm: [2, 1, 1],
  edgeMm: 4,
  edgePx: 8,
};
const SOFT = { centre: 50, width: 100 };
/** HU 10 per column, 1000 more per slice. */
const slice = (z: number) =>
  Array.from({ length: 80 }, (_, at) => 10 * (at % 10) + 1000 * (Math.round(z) - 1));

describe("a picture of the contact sheet", () => {
  it("shows the voxel it is centred on in its middle, at the asked scale", () => {
    const { scaleX, scaleY, offsetX, offsetY } = placeOf(cut);
    expect([scaleX, scaleY]).toEqual([2, 2]);
    expect([offsetX + 5 * scaleX, offsetY + 4 * scaleY]).toEqual([4, 4]);
  });

  it("interpolates grey values in the window", () => {
    const into = new Uint8ClampedArray(4 * 64);
    expect(paintCut(cut, SOFT, slice, into)).toBe(true);
    // Middle of pixel 4 lies a quarter voxel right of column 5: 52.5 HU of 0 to 100.
    expect(into[4 * (4 * 8 + 4)]).toBe(Math.round(255 * 0.525));
    expect(into[3]).toBe(255);
  });

  it("has the head up in the coronal picture", () => {
    const into = new Uint8ClampedArray(4 * 64);
    expect(paintCut({ ...cut, plane: "coronal" }, SOFT, slice, into)).toBe(true);
    expect(into[4 * 4]).toBe(255);
    expect(into[4 * (7 * 8 + 4)]).toBe(0);
  });

  it("waits for slices that are not here", () => {
    const into = new Uint8ClampedArray(4 * 64);
    expect(paintCut(cut, SOFT, () => null, into)).toBe(false);
    const some = (z: number) => (z === 1 ? slice(z) : null);
    expect(paintCut(cut, SOFT, some, into)).toBe(true);
    expect(paintCut({ ...cut, plane: "coronal" }, SOFT, some, into)).toBe(false);
  });

  it("outlines the node along the edges of its voxels", () => {
    const lines = outlineOf(cut, (z, y, x) => z === 1 && y === 4 && x >= 5 && x <= 6);
    expect(lines.length / 4).toBe(6);
    expect(Math.min(...lines.filter((_, at) => at % 2 === 0))).toBe(3);
    expect(Math.max(...lines.filter((_, at) => at % 2 === 0))).toBe(7);
  });
});

describe("the grid of tiles", () => {
  it("fits all nodes of a case on the screens people have", () => {
    for (const [width, height] of [
      [900, 590],
      [1530, 950],
      [690, 1720],
    ] as const) {
      for (const count of [1, 7, 13, 30]) {
        const { columns, edge, scrolls } = gridOf(count, width, height);
        expect(scrolls).toBe(false);
        expect(columns * 2 * edge + (columns - 1) * 10).toBeLessThanOrEqual(width);
        const rows = Math.ceil(count / columns);
        expect(rows * (edge + WORDS_PX) + (rows - 1) * 10).toBeLessThanOrEqual(height);
      }
    }
  });

  it("scrolls rather than show what nobody can read", () => {
    expect(gridOf(255, 900, 590)).toMatchObject({ edge: 64, scrolls: true });
  });

  it("is walked with the arrows, and its edges hold", () => {
    expect(stepFrom(4, "up", 3, 8)).toBe(1);
    expect(stepFrom(1, "up", 3, 8)).toBe(1);
    expect(stepFrom(6, "down", 3, 8)).toBe(6);
    expect(stepFrom(6, "right", 3, 8)).toBe(7);
    expect(stepFrom(7, "right", 3, 8)).toBe(7);
  });
});
