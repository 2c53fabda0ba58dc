import { describe, expect, it } from "vitest";
import type { Solid } from "../viewer/settle/layers";
import { byHowMany, colourOf, drawnBy, volumeOf, wordsOf } from "../viewer/settle/map";
import { compose, type Wish } from "../viewer/settle/scene";

/** Columns of one slice and row, from one to another. */
function bar(cluster: number, from: number, to: number): Solid {
  const data = new Uint8Array(to - from).fill(1);
  return { label: cluster, cluster, box: [5, 7, from, 6, 8, to], data };
}

/** Columns of a solid's only row that it holds. */
function columns({ box, data }: Solid): number[] {
  return [...data].flatMap((value, at) => (value ? [box[2] + at] : []));
}

const solids = {
  x: [bar(1, 0, 6), bar(2, 20, 24)],
  y: [bar(1, 2, 8)],
  ai: [bar(1, 4, 10)],
  agreed: [],
  ignored: [],
};

describe("the disagreement map", () => {
  it("takes a cluster apart by how many drew each voxel", () => {
    const [one, two, three] = byHowMany([[bar(1, 0, 6)], [bar(1, 2, 8)], [bar(1, 4, 10)]]);
    expect(one && columns(one)).toEqual([0, 1, 8, 9]);
    expect(two && columns(two)).toEqual([2, 3, 6, 7]);
    expect(three && columns(three)).toEqual([4, 5]);
  });

  it("counts nobody twice for two nodes that lie over each other", () => {
    const [one, two] = byHowMany([[bar(1, 0, 4), bar(1, 2, 6)], []]);
    expect(one && columns(one)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(two).toBeNull();
  });

  it("shows every cluster, and counts the AI only where it is shown", () => {
    const without = drawnBy(solids, false);
    expect(without.map(({ among }) => among)).toEqual([2, 2]);
    expect(without[0]?.solids.map(({ cluster }) => cluster)).toEqual([1, 2]);
    expect(without[1]?.solids.map(columns)).toEqual([[2, 3, 4, 5]]);
    expect(drawnBy(solids, true).map(({ among }) => among)).toEqual([3, 3, 3]);
    expect(drawnBy(solids, false)).toBe(without);
  });

  it("says how much so many drew", () => {
    const [one, both] = drawnBy(solids, false);
    expect(one && volumeOf(one, 1, 0.5)).toBe(2);
    expect(both && volumeOf(both, 2, 0.5)).toBe(0);
    expect(wordsOf({ count: 1, among: 3 })).toBe("1 of 3 drew it");
    expect(wordsOf({ count: 2, among: 2 })).toBe("both drew it");
    expect(wordsOf({ count: 3, among: 3 })).toBe("all 3 drew it");
  });

  it("is drawn in place of whose outline it is, and never over a shape in the hand", () => {
    const wish: Wish = {
      layout: "overlay",
      phase: "settle",
      selected: 1,
      cluster: null,
      preview: null,
      step: null,
      redrawn: null,
      decided: false,
      difference: true,
      ai: false,
      map: true,
    };
    const beside = { showAi: true, voxelMm3: 1000, drawing: null };
    const scene = compose("concord-axial-x", wish, solids, beside);
    expect(scene.inks).toEqual([]);
    expect(scene.only).toEqual({ x: null, y: null });
    expect(scene.drawn.map(({ count }) => count)).toEqual([1, 2]);
    const words = scene.legend.map(({ words: said, aside }) => `${said} ${aside}`.trim());
    expect(words).toEqual([
      "1 of 2 drew it 4.00 ml",
      "both drew it 4.00 ml",
      "X and Y are counted",
    ]);
    const drawing = compose("concord-axial-x", wish, solids, { ...beside, drawing: bar(1, 0, 2) });
    expect(drawing.drawn).toEqual([]);
    expect(compose("concord-axial-x", { ...wish, map: false }, solids, beside).drawn).toEqual([]);
  });
});

type Rgb = [number, number, number];
/** Machado, Oliveira and Fernandes 2009, complete dichromacy, on linear light. */
const SIGHT: Record<string, number[][]> = {
  usual: [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  protan: [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  deutan: [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
  tritan: [
    [1.255528, -0.076749, -0.178779],
    [-0.078411, 0.930809, 0.147602],
    [0.004733, 0.691367, 0.3039],
  ],
};

function linear(hex: string): Rgb {
  return [1, 3, 5].map((at) => {
    const value = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  }) as Rgb;
}

const dot = (row: readonly number[], [r, g, b]: Rgb) =>
  (row[0] ?? 0) * r + (row[1] ?? 0) * g + (row[2] ?? 0) * b;

/** CIE L*a*b* of a colour as somebody sees it. */
function seen(hex: string, sight: number[][]): Rgb {
  const rgb = sight.map((row) => Math.min(1, Math.max(0, dot(row, linear(hex))))) as Rgb;
  const [x, y, z] = [
    dot([0.4124, 0.3576, 0.1805], rgb) / 0.9505,
    dot([0.2126, 0.7152, 0.0722], rgb),
    dot([0.0193, 0.1192, 0.9505], rgb) / 1.089,
  ].map((t) => (t > 0.008856 ? Math.cbrt(t) : 7.787 * t + 16 / 116)) as Rgb;
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

describe("the map's colours", () => {
  it("are told apart with any colour vision", () => {
    const colours = [1, 2, 3].map((count) => colourOf({ count, among: 3 }));
    for (const [name, sight] of Object.entries(SIGHT)) {
      const found = colours.map((colour) => seen(colour, sight));
      for (const [a, b] of [
        [0, 1],
        [0, 2],
        [1, 2],
      ] as const) {
        const apart = Math.hypot(
          ...[0, 1, 2].map((at) => (found[a]?.[at] ?? 0) - (found[b]?.[at] ?? 0)),
        );
        expect(apart, `${name}: ${colours[a]} and ${colours[b]}`).toBeGreaterThan(40);
      }
    }
  });
});
