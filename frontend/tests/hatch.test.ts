import { describe, expect, it } from "vitest";
import { runsIn, stripesOf, voxelAt } from "../viewer/appearance/hatch";
import { Mask } from "../viewer/mask";
import { unpackMask } from "../viewer/packed";
import * as example from "./example";

const mask = new Mask([3, 4, 5], example.MANIFEST, unpackMask(example.packedBytes()));

describe("stripes over the nodes", () => {
  it("cover every voxel of a slice, in every plane, and nothing else", () => {
    const sizes = { axial: 3, coronal: 4, sagittal: 5 } as const;
    for (const plane of ["axial", "coronal", "sagittal"] as const) {
      const covered = new Map<string, number>();
      for (let at = 0; at < sizes[plane]; at += 1) {
        for (const { label, line, from, length } of runsIn(mask, plane, at)) {
          for (let place = from; place < from + length; place += 1) {
            covered.set(voxelAt(plane, at, line, place).join(), label);
          }
        }
      }
      for (let z = 0; z < 3; z += 1) {
        for (let y = 0; y < 4; y += 1) {
          for (let x = 0; x < 5; x += 1) {
            expect(covered.get(`${z},${y},${x}`) ?? 0).toBe(mask.labelAt(z, y, x));
          }
        }
      }
    }
  });

  it("differ between neighbours in the list", () => {
    for (let label = 1; label < 40; label += 1) {
      expect(stripesOf(label)).not.toBe(stripesOf(label + 1));
    }
  });
});
