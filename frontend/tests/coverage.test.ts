import { describe, expect, it } from "vitest";
import { gapsOf, nearestUnseen, numberOf, sliceAt, slicesOf, topOf } from "../viewer/coverage/map";

describe("the coverage bar", () => {
  it("leaves a gap wherever no slice was seen", () => {
    expect(
      gapsOf(
        [
          [2, 4],
          [8, 8],
        ],
        10,
      ),
    ).toEqual([
      [0, 1],
      [5, 7],
      [9, 9],
    ]);
    expect(gapsOf([[0, 9]], 10)).toEqual([]);
    expect(gapsOf([], 3)).toEqual([[0, 2]]);
  });

  it("leads to the unseen slice nearest to where one is", () => {
    expect(
      nearestUnseen(
        [
          [2, 4],
          [8, 8],
        ],
        10,
        4,
      ),
    ).toBe(5);
    expect(
      nearestUnseen(
        [
          [2, 4],
          [8, 8],
        ],
        10,
        2,
      ),
    ).toBe(1);
    expect(nearestUnseen([[2, 4]], 10, 7)).toBe(7);
    expect(nearestUnseen([[0, 9]], 10, 4)).toBeNull();
  });

  it("has the head at the top of the axial bar, and the front and the right of the others", () => {
    expect(topOf("axial", 9, 10)).toBe(0);
    expect(topOf("axial", 0, 10)).toBeCloseTo(0.9);
    expect(topOf("coronal", 0, 10)).toBe(0);
    for (const plane of ["axial", "coronal", "sagittal"] as const) {
      for (let slice = 0; slice < 10; slice += 1) {
        expect(sliceAt(plane, topOf(plane, slice, 10) + 0.05, 10)).toBe(slice);
      }
    }
    expect(sliceAt("axial", -0.2, 10)).toBe(9);
    expect(sliceAt("sagittal", 1.3, 10)).toBe(9);
  });

  it("numbers axial slices from the skull base down, as reports do, and the others from the front and the right", () => {
    expect(numberOf("axial", 9, 10)).toBe(1);
    expect(numberOf("axial", 0, 10)).toBe(10);
    expect([numberOf("coronal", 0, 10), numberOf("sagittal", 9, 10)]).toEqual([1, 10]);
  });

  it("counts slices, rows and columns for the three planes", () => {
    expect(
      ["axial", "coronal", "sagittal"].map((plane) => slicesOf(plane as "axial", [5, 6, 7])),
    ).toEqual([5, 6, 7]);
  });
});
