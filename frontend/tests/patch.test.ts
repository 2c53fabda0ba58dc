import { describe, expect, it } from "vitest";
import { diffPlane, eachVoxel } from "../viewer/patch";
import { rangesOf } from "../viewer/seen";

const COLUMNS = 6;

function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return state / 2147483648;
  };
}

describe("the difference of two planes", () => {
  it("is nothing when they are equal", () => {
    const plane = new Uint8Array(24).fill(3);
    expect(diffPlane(plane, plane, COLUMNS, (value) => value)).toBeNull();
  });

  it("is the tightest box and runs of the new values only", () => {
    const before = new Uint8Array(24);
    const after = Uint8Array.from(before);
    after.set([1, 1], 8);
    after[15] = 1;
    expect(diffPlane(before, after, COLUMNS, (value) => value)).toEqual({
      box: [1, 2, 3, 4],
      runs: [
        [0, 2, 1],
        [3, 1, 1],
      ],
    });
  });

  it("turns any plane into any other", () => {
    const next = random(7);
    for (let round = 0; round < 200; round += 1) {
      const before = Uint8Array.from({ length: 24 }, () => Math.floor(next() * 3));
      const after = before.map((value) => (next() < 0.3 ? Math.floor(next() * 3) : value));
      const change = diffPlane(before, after, COLUMNS, (value) => value);
      const result = Uint8Array.from(before);
      if (change) eachVoxel(change, COLUMNS, (at, value) => (result[at] = value));
      expect(result).toEqual(after);
    }
  });

  it("has runs that ascend without overlap, as the server asks", () => {
    const next = random(11);
    const before = new Uint8Array(24);
    const after = before.map(() => Math.floor(next() * 2));
    const change = diffPlane(before, after, COLUMNS, (value) => value);
    let end = 0;
    for (const [offset, length] of change?.runs ?? []) {
      expect(offset).toBeGreaterThanOrEqual(end);
      end = offset + length;
    }
  });
});

describe("slices seen", () => {
  it("are ascending, merged, both ends included", () => {
    expect(rangesOf([5, 1, 2, 3, 9, 8])).toEqual([
      [1, 3],
      [5, 5],
      [8, 9],
    ]);
  });
});
