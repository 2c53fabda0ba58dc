import { describe, expect, it } from "vitest";
import { manifestHash } from "../viewer/manifest";
import { Mask } from "../viewer/mask";
import { unpackMask } from "../viewer/packed";
import * as example from "./example";

const mask = () => new Mask([3, 4, 5], example.MANIFEST, unpackMask(example.packedBytes()));

describe("the name of a mask", () => {
  it("is the one the server gives, empty or filled", () => {
    expect(manifestHash(example.MANIFEST)).toBe(example.HEAD);
    expect(manifestHash({ ...example.MANIFEST, labels: [], slices: [] })).toBe(example.EMPTY_HEAD);
  });

  it("does not depend on the order in which labels and slices were collected", () => {
    const { labels, slices } = example.MANIFEST;
    const shuffled = { labels: [...labels].reverse(), slices: [...slices].reverse() };
    expect(manifestHash({ ...example.MANIFEST, ...shuffled })).toBe(example.HEAD);
  });
});

describe("the packed container", () => {
  it("gives labels, shape and slices as the server packed them", () => {
    const packed = unpackMask(example.packedBytes());
    expect(packed.shape).toEqual([3, 4, 5]);
    expect(packed.labels).toEqual(example.MANIFEST.labels);
    expect([...packed.slices.keys()]).toEqual([0, 2]);
    expect(packed.slices.get(2)?.[0]).toBe(300);
  });

  it("is refused when cut off", () => {
    const bytes = example.packedBytes();
    expect(() => unpackMask(bytes.slice(0, 3))).toThrow();
    expect(() => unpackMask(bytes.slice(0, 40))).toThrow("cut off");
    expect(() => unpackMask(bytes.slice(0, bytes.byteLength - 2))).toThrow("bytes");
  });
});

describe("a mask in the browser", () => {
  it("moves to the head the server will move to", () => {
    const own = mask();
    expect(own.head).toBe(example.HEAD);
    expect(own.apply(example.PATCH)).toEqual([0, 2]);
    expect([...(own.plane(0) ?? [])]).toEqual(example.SLICE_0_AFTER);
    expect(own.head).toBe(example.PATCHED);
    own.advance();
    expect(own.head).toBe(example.DECIDED);
  });

  it("is named when it is asked for, though nobody asked in between", () => {
    const own = mask();
    own.apply(example.PATCH);
    own.advance();
    expect(own.head).toBe(example.DECIDED);
    expect(manifestHash(own.manifest)).toBe(example.DECIDED);
  });

  it("gives a new node one number more than any node ever had", () => {
    const own = mask();
    expect(own.nextLabel).toBe(301);
    own.apply(example.PATCH);
    expect(own.numberOf(example.NEW)).toBe(301);
    expect(own.labelAt(0, 2, 3)).toBe(301);
  });

  it("comes back voxel for voxel by the inverse", () => {
    const own = mask();
    const before = [0, 2].map((index) => [...(own.plane(index) ?? [])]);
    const inverse = own.inverseOf(example.PATCH);
    own.apply(example.PATCH);
    own.apply(inverse);
    expect([0, 2].map((index) => [...(own.plane(index) ?? [])])).toEqual(before);
  });

  it("keeps no slice that has become empty", () => {
    const own = mask();
    own.apply({ nodes: [], slices: [{ index: 0, box: [0, 0, 4, 5], runs: [[0, 20, 0]] }] });
    expect(own.filledSlices).toEqual([2]);
  });

  it("refuses a manifest without its voxels", () => {
    expect(() => new Mask([3, 4, 5], example.MANIFEST, null)).toThrow("missing");
  });
});
