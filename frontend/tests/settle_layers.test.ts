import { describe, expect, it } from "vitest";
import {
  type Box3,
  boxAround,
  combine,
  cut,
  largestCuts,
  outlines,
  type Polygon,
  type Solid,
  solidsOf,
} from "../viewer/settle/layers";

/** A packed mask of small planes, some at odd addresses. */
function packed(
  shape: [number, number, number],
  labels: [number, string][],
  slices: Record<number, number[]>,
): ArrayBuffer {
  const header = new TextEncoder().encode(
    JSON.stringify({
      geometry: "g",
      labels,
      shape,
      slices: Object.keys(slices).map((index) => ({ index: Number(index), sha256: "" })),
    }),
  );
  const size = shape[1] * shape[2];
  const data = new Uint8Array(4 + header.length + 2 * size * Object.keys(slices).length);
  new DataView(data.buffer).setUint32(0, header.length, true);
  data.set(header, 4);
  Object.values(slices).forEach((plane, place) => {
    data.set(new Uint8Array(Uint16Array.from(plane).buffer), 4 + header.length + 2 * size * place);
  });
  return data.buffer;
}

function solid(box: Box3, data: number[], cluster = 1): Solid {
  return { label: 1, cluster, box, data: Uint8Array.from(data) };
}

/** Twice the area inside, from the polygon's corners. */
function area(polygon: Polygon): number {
  return polygon.reduce((sum, [r, c], at) => {
    const [nextR, nextC] = polygon[(at + 1) % polygon.length] ?? [0, 0];
    return sum + c * nextR - nextC * r;
  }, 0);
}

describe("a packed mask", () => {
  const bytes = packed(
    [3, 3, 5],
    [
      [7, "4"],
      [300, "5"],
      [9, ""],
    ],
    {
      0: [0, 7, 7, 0, 0, 0, 0, 7, 0, 9, 0, 0, 0, 0, 300],
      2: [0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0],
    },
  );

  it("becomes one box of voxels per node that belongs to a cluster", () => {
    expect(solidsOf(bytes)).toEqual([
      {
        label: 7,
        cluster: 4,
        box: [0, 0, 1, 3, 2, 3],
        data: Uint8Array.from([1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0]),
      },
      { label: 300, cluster: 5, box: [0, 2, 4, 1, 3, 5], data: Uint8Array.from([1]) },
    ]);
  });

  it("without voxels has no nodes", () => {
    expect(solidsOf(packed([2, 2, 2], [[1, "1"]], {}))).toEqual([]);
  });
});

describe("two readers' shapes", () => {
  const x = solid([0, 0, 0, 1, 2, 2], [1, 1, 1, 0]);
  const y = solid([0, 0, 1, 1, 2, 3], [1, 1, 0, 1]);

  it("have a union, a shared part and parts of one alone", () => {
    expect(combine([x], [y], (a, b) => a || b)?.data).toEqual(Uint8Array.from([1, 1, 1, 1, 0, 1]));
    expect(combine([x], [y], (a, b) => a && b)?.data).toEqual(Uint8Array.from([0, 1, 0, 0, 0, 0]));
    expect(combine([x], [y], (a, b) => a && !b)?.data).toEqual(Uint8Array.from([1, 0, 0, 1, 0, 0]));
  });

  it("may share nothing, or be one-sided", () => {
    expect(combine([x], [], (a, b) => a && b)).toBeNull();
    expect(combine([], [], (a, b) => a || b)).toBeNull();
    expect(combine([], [y], (a, b) => a || b)?.box).toEqual(y.box);
  });

  it("lie in a box around both", () => {
    expect(boxAround([x.box, y.box])).toEqual([0, 0, 0, 1, 2, 3]);
  });
});

describe("a cut", () => {
  const own = solid([10, 20, 30, 12, 23, 32], [1, 0, 1, 1, 0, 0, 0, 1, 0, 1, 0, 1]);

  it("shows what a plane meets, row by row", () => {
    expect(cut(own, "axial", 10)?.data).toEqual(Uint8Array.from([1, 0, 1, 1, 0, 0]));
    expect(cut(own, "coronal", 21)).toEqual({
      origin: [10, 30],
      rows: 2,
      columns: 2,
      data: Uint8Array.from([1, 1, 0, 1]),
    });
    expect(cut(own, "sagittal", 31)).toEqual({
      origin: [10, 20],
      rows: 2,
      columns: 3,
      data: Uint8Array.from([0, 1, 0, 1, 1, 1]),
    });
  });

  it("is none where the plane passes by", () => {
    expect(cut(own, "axial", 9)).toBeNull();
    expect(cut(own, "axial", 12)).toBeNull();
  });

  it("is largest at one slice, row and column", () => {
    expect(largestCuts(own)).toEqual([11, 21, 31]);
    const block = solid([4, 0, 0, 9, 1, 1], [1, 1, 1, 1, 1]);
    expect(largestCuts(block)).toEqual([6, 0, 0]);
  });
});

describe("an outline", () => {
  it("of one voxel joins the middles of its four sides", () => {
    const [polygon, ...others] = outlines({ origin: [5, 6], rows: 1, columns: 1, data: ones(1) });
    expect(others).toEqual([]);
    expect(new Set(polygon?.map(String))).toEqual(new Set(["4.5,6", "5,6.5", "5.5,6", "5,5.5"]));
  });

  it("of a rectangle keeps its sides straight and cuts its corners", () => {
    const [polygon] = outlines({ origin: [0, 0], rows: 3, columns: 4, data: ones(12) });
    expect(polygon).toHaveLength(8);
    expect(Math.abs(area(polygon ?? []))).toBe(2 * (12 - 4 / 8));
  });

  it("of a ring has a hole that runs the other way", () => {
    const data = ones(9);
    data[4] = 0;
    const found = outlines({ origin: [0, 0], rows: 3, columns: 3, data }).map(area);
    expect(found).toHaveLength(2);
    expect(found.map(Math.sign).sort()).toEqual([-1, 1]);
  });

  it("of two voxels that touch at a corner is two", () => {
    const found = outlines({
      origin: [0, 0],
      rows: 2,
      columns: 2,
      data: Uint8Array.from([1, 0, 0, 1]),
    });
    expect(found.map((polygon) => polygon.length)).toEqual([4, 4]);
  });

  it("encloses as much as there are voxels, less the corners", () => {
    let seed = 5;
    const random = () => {
      seed = (seed * 1103515245 + 12345) % 2147483648;
      return seed / 2147483648;
    };
    for (let round = 0; round < 50; round += 1) {
      const data = Uint8Array.from({ length: 63 }, () => (random() < 0.6 ? 1 : 0));
      const whole = outlines({ origin: [0, 0], rows: 7, columns: 9, data }).reduce(
        (sum, polygon) => sum + area(polygon),
        0,
      );
      expect(Math.abs(whole) / 2).toBeCloseTo(expected(data, 7, 9), 6);
    }
  });
});

const ones = (length: number) => new Uint8Array(length).fill(1);

/** Every voxel, less an eighth at each outward corner, and an eighth more at each inward one. */
function expected(data: Uint8Array, rows: number, columns: number): number {
  const at = (r: number, c: number) =>
    r >= 0 && c >= 0 && r < rows && c < columns ? (data[r * columns + c] ?? 0) : 0;
  let sum = data.reduce((count, value) => count + value, 0);
  for (let r = 0; r <= rows; r += 1) {
    for (let c = 0; c <= columns; c += 1) {
      const around = [at(r - 1, c - 1), at(r - 1, c), at(r, c - 1), at(r, c)];
      const count = around.reduce((total, value) => total + value, 0);
      if (count === 1) sum -= 1 / 8;
      else if (count === 3) sum += 1 / 8;
      else if (count === 2 && around[0] === around[3]) sum -= 2 / 8;
    }
  }
  return sum;
}
