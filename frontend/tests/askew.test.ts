import { describe, expect, it } from "vitest";
import { lookingAlong } from "../viewer/askew";

const tilt = (12 * Math.PI) / 180;
const down: [number, number, number] = [0, Math.cos(tilt), -Math.sin(tilt)];

describe("how planes look at images", () => {
  it("leaves straight images as they stand, whichever way they run", () => {
    expect(lookingAlong([1, 0, 0], [0, 1, 0])).toBeNull();
    expect(lookingAlong([-1, 0, 0], [0, -1, 0])).toBeNull();
    expect(lookingAlong([1, 0, 0], [0, 0.999999, 0.001])).toBeNull();
  });

  it("looks along the images of a tilted gantry, the head up", () => {
    const looking = lookingAlong([1, 0, 0], down);
    const head = [0, Math.sin(tilt), Math.cos(tilt)];
    for (const [plane, normal, up] of [
      ["axial", head.map((v) => -v), down.map((v) => -v)],
      ["coronal", down.map((v) => -v), head],
      ["sagittal", [1, 0, 0], head],
    ] as const) {
      for (const axis of [0, 1, 2] as const) {
        expect(looking?.[plane].viewPlaneNormal[axis]).toBeCloseTo(normal[axis] ?? 0, 9);
        expect(looking?.[plane].viewUp[axis]).toBeCloseTo(up[axis] ?? 0, 9);
      }
    }
  });

  it("is the same for images that run the other way", () => {
    const turned = lookingAlong([-1, 0, 0], [0, -down[1], -down[2]]);
    expect(JSON.stringify(turned)).toBe(JSON.stringify(lookingAlong([1, 0, 0], down)));
  });
});
