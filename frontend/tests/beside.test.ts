import { describe, expect, it } from "vitest";
import { coarser, cutOf, pixelOf, reslice } from "../viewer/beside/cut";
import { paintGrey, paintHeat } from "../viewer/beside/paint";
import { DisplayVolume, parseVolume } from "../viewer/beside/volume";

const header = {
  grid: {
    shape: [3, 4, 5] as [number, number, number],
    spacing_mm: [2, 1, 1] as [number, number, number],
    origin_mm: [10, 20, 30] as [number, number, number],
    row_direction: [1, 0, 0] as [number, number, number],
    column_direction: [0, 1, 0] as [number, number, number],
    normal: [0, 0, 1] as [number, number, number],
    sop_uids: ["1", "2", "3"],
  },
  rescale: [
    [1, 0],
    [2, 0],
    [1, 100],
  ] as [number, number][],
  facts: { modality: "PT", unit: "SUVbw", words: "" },
};
const stored = new Int16Array(60).map((_, i) => i);

function body(): ArrayBuffer {
  const text = new TextEncoder().encode(JSON.stringify(header));
  const made = new Uint8Array(4 + text.length + 120);
  new DataView(made.buffer).setUint32(0, text.length, true);
  made.set(text, 4);
  made.set(new Uint8Array(stored.buffer), 4 + text.length);
  return made.buffer;
}

describe("a volume", () => {
  const volume = new DisplayVolume(header, stored);

  it("is read from the server's answer, and refused when it is cut short", () => {
    expect(parseVolume(body()).stored).toEqual(stored);
    expect(() => parseVolume(body().slice(0, -2))).toThrow();
  });

  it("knows every voxel by its position, with the scale of its slice", () => {
    expect(volume.voxel([12, 23, 32])).toEqual([1, 3, 2]);
    expect(volume.world([1, 3, 2])).toEqual([12, 23, 32]);
    expect(volume.at(0, 3, 2)).toBe(17);
    expect(volume.at(1, 3, 2)).toBe(2 * 37);
    expect(volume.at(2, 3, 2)).toBe(57 + 100);
  });

  it("tells what lies between voxels, and nothing outside", () => {
    expect(volume.at(0, 0.5, 0.5)).toBe(3);
    expect(volume.at(0.5, 0, 0)).toBe((0 + 40) / 2);
    expect(volume.at(-0.6, 0, 0)).toBeNaN();
    expect(volume.at(0, 0, 4.6)).toBeNaN();
    expect(volume.at(0, 0, 4.4)).toBe(4);
  });
});

describe("a cut", () => {
  const volume = new DisplayVolume(header, stored);
  // Axial as the viewer looks: from the feet, the front up.
  const camera = {
    focalPoint: [12, 21.5, 30] as [number, number, number],
    viewPlaneNormal: [0, 0, -1] as [number, number, number],
    viewUp: [0, -1, 0] as [number, number, number],
    parallelScale: 2,
  };

  it("shows the slice pixel by pixel, right side on the left", () => {
    const cut = cutOf(camera, 5, 4);
    expect([...reslice(volume, cut)]).toEqual([...stored.slice(0, 20)]);
    expect(pixelOf(cut, [13, 22, 99])).toEqual([3, 2]);
  });

  it("on fewer pixels shows the same place", () => {
    const cut = coarser(cutOf(camera, 4, 4), 2);
    expect([cut.width, cut.height]).toEqual([2, 2]);
    expect(reslice(volume, cut)[0]).toBeCloseTo(3.5);
  });
});

describe("paint", () => {
  it("is grey within the window and black where there is no image", () => {
    const into = new Uint8ClampedArray(12);
    paintGrey(new Float32Array([-200, 60, Number.NaN]), { low: -115, high: 235 }, into);
    expect([into[0], into[4], into[8], into[11]]).toEqual([0, 128, 0, 255]);
  });

  it("is clear at the low end, and more is brighter", () => {
    const into = new Uint8ClampedArray(16);
    paintHeat(new Float32Array([0, 2, 6, 10]), { low: 0, high: 10 }, 0.5, into);
    expect(into[3]).toBe(0);
    const light = [4, 8, 12].map(
      (at) => (into[at] ?? 0) + (into[at + 1] ?? 0) + (into[at + 2] ?? 0),
    );
    expect(light).toEqual([...light].sort((a, b) => a - b));
    expect(into[15]).toBe(128);
  });
});
