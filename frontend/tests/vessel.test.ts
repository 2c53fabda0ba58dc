import { describe, expect, it } from "vitest";
import type { Point3 } from "../viewer/ohif";
import { cross, dot, longAxis, swing, turned, unit, upright } from "../viewer/vessel/axis";

const close = (a: Point3, b: Point3) =>
  expect(Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2])).toBeCloseTo(0, 5);

describe("the long axis of a node", () => {
  it("runs along a tube, whichever way it lies", () => {
    for (const along of [[1, 0, 0], [0, 0, 1], unit([1, 2, -2])] as Point3[]) {
      const side = upright([0.2, 0.9, 0.1], along);
      const points: Point3[] = [];
      for (let t = -10; t <= 10; t += 1) {
        for (const off of [-1, 1])
          points.push([
            5 + t * along[0] + off * side[0],
            t * along[1] + off * side[1],
            t * along[2] + off * side[2],
          ]);
      }
      const found = longAxis(points);
      expect(Math.abs(dot(found?.along ?? [0, 0, 0], along))).toBeCloseTo(1, 5);
      close(found?.centre ?? [0, 0, 0], [5, 0, 0]);
      expect(found?.reachMm).toBeCloseTo(10, 5);
    }
  });

  it("is not known of a single voxel", () => {
    expect(longAxis([[1, 2, 3]])).toBeNull();
  });
});

describe("planes along it", () => {
  it("stay at right angles while they turn", () => {
    const axis = unit([1, 1, 3]);
    const normal = upright([0, 1, 0], axis);
    for (const angle of [0, 0.5, 2, 6]) {
      const now = turned(normal, axis, angle);
      expect(dot(now, axis)).toBeCloseTo(0, 6);
      expect(dot(now, normal)).toBeCloseTo(Math.cos(angle), 6);
      expect(Math.hypot(...cross(now, axis))).toBeCloseTo(1, 6);
    }
  });

  it("find another upright where the wished one lies along the axis", () => {
    expect(dot(upright([0, 0, 2], [0, 0, 1]), [0, 0, 1])).toBeCloseTo(0, 6);
  });

  it("swing from the middle to both ends and back", () => {
    expect([0, 1, 2, 3].map((second) => swing(second, 4)).map((x) => Math.round(x) + 0)).toEqual([
      0, 1, 0, -1,
    ]);
  });
});
