import { describe, expect, it } from "vitest";
import { eachVoxel } from "../viewer/patch";
import { enclosed, type Outline } from "../viewer/split/area";

/** The slice as text, a row a line. */
function drawn(outline: Outline, rows = 6, columns = 8): string[] {
  const found = enclosed(outline, rows, columns);
  const plane = Array.from({ length: rows * columns }, () => ".");
  if (found) eachVoxel(found, columns, (at) => plane.splice(at, 1, "#"));
  return Array.from({ length: rows }, (_, row) =>
    plane.slice(row * columns, (row + 1) * columns).join(""),
  );
}

describe("what a line drawn freely encloses", () => {
  it("is every voxel whose middle lies within", () => {
    const triangle: Outline = [
      [0.5, 1.5],
      [4.5, 1.5],
      [4.5, 5.6],
    ];
    expect(drawn(triangle)).toEqual([
      "........",
      "..#.....",
      "..##....",
      "..###...",
      "..####..",
      "........",
    ]);
  });

  it("leaves out what the line goes round twice, as two runs of a row", () => {
    const u: Outline = [
      [0.5, 0.5],
      [4.5, 0.5],
      [4.5, 6.5],
      [0.5, 6.5],
      [0.5, 4.5],
      [3.5, 4.5],
      [3.5, 2.5],
      [0.5, 2.5],
    ];
    expect(drawn(u)).toEqual([
      "........",
      ".##..##.",
      ".##..##.",
      ".##..##.",
      ".######.",
      "........",
    ]);
  });

  it("ends at the edge of the slice, and is nothing between the voxels", () => {
    const beyond: Outline = [
      [-9, 5.5],
      [-9, 40],
      [1.5, 40],
      [1.5, 5.5],
    ];
    expect(drawn(beyond)).toEqual([
      "......##",
      "......##",
      "........",
      "........",
      "........",
      "........",
    ]);
    const between: Outline = [
      [1.2, 1.2],
      [1.2, 1.8],
      [1.8, 1.8],
    ];
    expect(enclosed(between, 6, 8)).toBeNull();
  });
});
