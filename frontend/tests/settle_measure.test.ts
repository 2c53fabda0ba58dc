import { describe, expect, it } from "vitest";
import type { Voxel } from "../viewer/contract";
import { Arrival } from "../viewer/settle/arrival";
import { Clay } from "../viewer/settle/clay";
import type { Box3, Solid } from "../viewer/settle/layers";
import { sizeOf } from "../viewer/settle/measure";

function solid(rows: string[], slices = 1): Solid {
  const plane = rows.join("").replaceAll(".", "0");
  const data = Uint8Array.from(plane.repeat(slices), Number);
  const box: Box3 = [3, 20, 30, 3 + slices, 20 + rows.length, 30 + (rows[0]?.length ?? 0)];
  return { label: 1, cluster: 1, box, data };
}

const ELLIPSE = [
  ".....111.....",
  "..111111111..",
  ".11111111111.",
  "1111111111111",
  "1111111111111",
  "1111111111111",
  ".11111111111.",
  "..111111111..",
  ".....111.....",
];

/** Expected values: backend.imaging.axes.region_axes on the same masks. */
const REGIONS: [string, string[], Voxel, number, number][] = [
  ["one voxel", ["1"], [2, 0.5, 0.5], 0.5, 0.5],
  [
    "a block",
    Array.from({ length: 12 }, () => "1111111"),
    [1, 0.5, 0.7],
    7.366138744281158,
    6.562559972177759,
  ],
  ["an ellipse", ELLIPSE, [1, 0.6, 0.8], 10.469001862641921, 5.43582789021792],
  ["two voxels at a corner", ["1.", ".1"], [1, 1, 1], 2.23606797749979, 0.7453559924999299],
];

describe("a shape measured in the browser", () => {
  it.each(REGIONS)("is what the server measures: %s", (_, rows, spacing, long, short) => {
    const found = sizeOf([solid(rows)], spacing);
    expect(found?.long_mm).toBeCloseTo(long, 9);
    expect(found?.short_mm).toBeCloseTo(short, 9);
  });

  it("takes the slice region with the longest long axis, and the volume of all", () => {
    const both = [solid(["1..1111"]), { ...solid(["11"]), box: [4, 20, 30, 5, 21, 32] as Box3 }];
    expect(sizeOf(both, [3, 1, 1])).toEqual({ long_mm: 4, short_mm: 1, volume_mm3: 21 });
  });

  it("is nothing where there is nothing", () => {
    expect(sizeOf([], [1, 1, 1])).toBeNull();
    expect(sizeOf([solid(["..."])], [1, 1, 1])).toBeNull();
  });

  it("is measured again after every stroke and undo", () => {
    const clay = new Clay([3, 20, 30, 4, 40, 50], [1, 1, 1], [solid(["11"])]);
    const shape = { label: 1, cluster: 1, box: clay.box, data: clay.data };
    expect(sizeOf([shape], [1, 1, 1])?.long_mm).toBe(2);
    clay.begin();
    clay.drag(
      "axial",
      [
        [3, 20, 30],
        [3, 20, 38],
      ],
      0.4,
      1,
    );
    clay.finish();
    expect(sizeOf([shape], [1, 1, 1])?.long_mm).toBe(9);
    clay.undo();
    expect(sizeOf([shape], [1, 1, 1])?.long_mm).toBe(2);
  });
});

describe("the images", () => {
  it("are there when every slice is, and not while one is missing", () => {
    const volume = {
      loadStatus: { loaded: false },
      framesLoaded: 3,
      framesProcessed: 3,
      totalNumFrames: 10,
    };
    const arrival = new Arrival(() => [volume]);
    expect([arrival.complete, arrival.percent, arrival.lost]).toEqual([false, 30, 0]);
    Object.assign(volume, { framesLoaded: 9, framesProcessed: 10 });
    volume.loadStatus.loaded = true;
    expect([arrival.complete, arrival.lost]).toEqual([false, 1]);
    volume.framesLoaded = 10;
    expect([arrival.complete, arrival.percent, arrival.lost]).toEqual([true, 100, 0]);
  });

  it("are not there before a viewport has any", () => {
    expect(new Arrival(() => []).complete).toBe(false);
  });
});
