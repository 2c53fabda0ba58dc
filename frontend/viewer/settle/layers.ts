// Label maps as the settling screen needs them: of every node only its own box of voxels, with
// what two readers' shapes have in common or not, and outlines to draw.

import type { Plane } from "../contract";
import { readPacked } from "../packed";

/** First slice, row, column, then the ends; half-open. */
export type Box3 = readonly [number, number, number, number, number, number];

export interface Solid {
  /** Its number in the label map, and the cluster it belongs to. */
  label: number;
  cluster: number;
  box: Box3;
  /** One byte per voxel of the box: slices, then rows, then columns. */
  data: Uint8Array;
}

/** A cut through a solid. Its first row is `origin[0]` of the plane's grid, its first column `origin[1]`. */
export interface Cut {
  origin: readonly [number, number];
  rows: number;
  columns: number;
  data: Uint8Array;
}

/** Closed, in the plane's grid: whole numbers are voxel centres. */
export type Polygon = (readonly [number, number])[];

const sizeOf = ([z0, r0, c0, z1, r1, c1]: Box3) => [z1 - z0, r1 - r0, c1 - c0] as const;

/** Every node of a packed mask whose label names a cluster. */
export function solidsOf(packed: ArrayBuffer): Solid[] {
  const { labels, shape, slices } = readPacked(packed);
  const clusters = new Map(
    labels.flatMap(([label, cluster]) => (cluster ? [[label, Number(cluster)] as const] : [])),
  );
  const boxes = new Map<number, number[]>();
  for (const { index, plane } of slices()) {
    eachLabelled(plane, (at, label) => {
      if (!clusters.has(label)) return;
      const row = Math.floor(at / shape[2]);
      const column = at - row * shape[2];
      const box = boxes.get(label);
      if (!box) boxes.set(label, [index, row, column, index + 1, row + 1, column + 1]);
      else widen(box, index, row, column);
    });
  }
  const solids = new Map<number, Solid>();
  for (const [label, found] of boxes) {
    const box = found as unknown as Box3;
    const [slabs, rows, columns] = sizeOf(box);
    const data = new Uint8Array(slabs * rows * columns);
    solids.set(label, { label, cluster: clusters.get(label) ?? 0, box, data });
  }
  for (const { index, plane } of slices()) {
    for (const solid of solids.values()) fill(solid, index, plane, shape[2]);
  }
  return [...solids.values()].sort((a, b) => a.label - b.label);
}

function eachLabelled(plane: Uint16Array, visit: (at: number, label: number) => void): void {
  const words = new BigUint64Array(plane.buffer, plane.byteOffset, plane.length >> 2);
  for (let word = 0; word < words.length; word += 1) {
    if (words[word] === 0n) continue;
    for (let at = 4 * word; at < 4 * word + 4; at += 1) {
      const label = plane[at] ?? 0;
      if (label) visit(at, label);
    }
  }
  for (let at = 4 * words.length; at < plane.length; at += 1) {
    const label = plane[at] ?? 0;
    if (label) visit(at, label);
  }
}

function widen(box: number[], ...voxel: number[]): void {
  voxel.forEach((value, axis) => {
    if (value < (box[axis] ?? 0)) box[axis] = value;
    if (value >= (box[axis + 3] ?? 0)) box[axis + 3] = value + 1;
  });
}

function fill({ label, box, data }: Solid, index: number, plane: Uint16Array, across: number) {
  const [z0, r0, c0, z1] = box;
  if (index < z0 || index >= z1) return;
  const [, rows, columns] = sizeOf(box);
  for (let row = 0; row < rows; row += 1) {
    const from = (r0 + row) * across + c0;
    const to = ((index - z0) * rows + row) * columns;
    for (let column = 0; column < columns; column += 1) {
      if (plane[from + column] === label) data[to + column] = 1;
    }
  }
}

export function boxAround(boxes: readonly Box3[]): Box3 | null {
  const [first, ...rest] = boxes;
  if (!first) return null;
  const around = [...first];
  for (const box of rest) {
    for (const axis of [0, 1, 2] as const) {
      around[axis] = Math.min(around[axis] ?? 0, box[axis]);
      around[axis + 3] = Math.max(around[axis + 3] ?? 0, box[(axis + 3) as 3 | 4 | 5]);
    }
  }
  return around as unknown as Box3;
}

/** Writes a solid's voxels into the data of another box; what lies outside is left out. */
export function stamp({ box, data }: Pick<Solid, "box" | "data">, target: Box3, into: Uint8Array) {
  const [slabs, rows, columns] = sizeOf(box);
  const [tSlabs, tRows, tColumns] = sizeOf(target);
  const [dz, dr, dc] = [box[0] - target[0], box[1] - target[1], box[2] - target[2]];
  for (let slab = 0; slab < slabs; slab += 1) {
    if (slab + dz < 0 || slab + dz >= tSlabs) continue;
    for (let row = 0; row < rows; row += 1) {
      if (row + dr < 0 || row + dr >= tRows) continue;
      for (let column = 0; column < columns; column += 1) {
        if (column + dc < 0 || column + dc >= tColumns) continue;
        if (data[(slab * rows + row) * columns + column]) {
          into[((slab + dz) * tRows + row + dr) * tColumns + column + dc] = 1;
        }
      }
    }
  }
}

/** One solid of the voxels for which `keep` says so of (in a, in b); null when there are none. */
export function combine(
  a: readonly Solid[],
  b: readonly Solid[],
  keep: (inA: boolean, inB: boolean) => boolean,
): Solid | null {
  const box = boxAround([...a, ...b].map((solid) => solid.box));
  const cluster = (a[0] ?? b[0])?.cluster;
  if (!box || cluster === undefined) return null;
  const [slabs, rows, columns] = sizeOf(box);
  const [inA, inB] = [0, 1].map(() => new Uint8Array(slabs * rows * columns));
  if (!inA || !inB) return null;
  for (const solid of a) stamp(solid, box, inA);
  for (const solid of b) stamp(solid, box, inB);
  const data = inA.map((value, at) => (keep(value === 1, inB[at] === 1) ? 1 : 0));
  return data.includes(1) ? { label: cluster, cluster, box, data } : null;
}

/** Where a plane cuts a solid; null where it passes by. */
export function cut({ box, data }: Pick<Solid, "box" | "data">, plane: Plane, index: number) {
  const axis = { axial: 0, coronal: 1, sagittal: 2 }[plane] as 0 | 1 | 2;
  if (index < box[axis] || index >= box[(axis + 3) as 3 | 4 | 5]) return null;
  const [slabs, rows, columns] = sizeOf(box);
  const at = index - box[axis];
  if (plane === "axial") {
    const size = rows * columns;
    const own = data.subarray(at * size, (at + 1) * size);
    return { origin: [box[1], box[2]], rows, columns, data: own } satisfies Cut;
  }
  const across = plane === "coronal" ? columns : rows;
  const own = new Uint8Array(slabs * across);
  for (let slab = 0; slab < slabs; slab += 1) {
    for (let step = 0; step < across; step += 1) {
      const [row, column] = plane === "coronal" ? [at, step] : [step, at];
      own[slab * across + step] = data[(slab * rows + row) * columns + column] ?? 0;
    }
  }
  const second = plane === "coronal" ? box[2] : box[1];
  return { origin: [box[0], second], rows: slabs, columns: across, data: own } satisfies Cut;
}

/** The slice, row and column in which a solid's cut is largest; of equals, the middle one. */
export function largestCuts({ box, data }: Pick<Solid, "box" | "data">): [number, number, number] {
  const [slabs, rows, columns] = sizeOf(box);
  const areas = [slabs, rows, columns].map((length) => new Uint32Array(length));
  const add = (axis: 0 | 1 | 2, at: number) => {
    const own = areas[axis];
    if (own) own[at] = (own[at] ?? 0) + 1;
  };
  for (let at = 0; at < data.length; at += 1) {
    if (!data[at]) continue;
    add(0, Math.floor(at / (rows * columns)));
    add(1, Math.floor(at / columns) % rows);
    add(2, at % columns);
  }
  const [z, r, c] = areas.map((own) => {
    const most = Math.max(...own);
    const equals = [...own.keys()].filter((at) => own[at] === most);
    return equals[equals.length >> 1];
  });
  return [box[0] + (z ?? 0), box[1] + (r ?? 0), box[2] + (c ?? 0)];
}

/**
 * Outlines of a cut, through the middles of the voxel edges that bound it: corners are cut off,
 * so that thin strokes and dashes stay readable. Voxels that touch at a corner are apart.
 */
export function outlines({ origin, rows, columns, data }: Cut): Polygon[] {
  const inside = (row: number, column: number) =>
    row >= 0 && column >= 0 && row < rows && column < columns && data[row * columns + column];
  // Directed edges with the inside on the right, by where they begin: corner → headings.
  const edges = new Map<number, number[]>();
  const corner = (row: number, column: number) => row * (columns + 1) + column;
  const begin = (row: number, column: number, heading: number) => {
    const at = corner(row, column);
    const known = edges.get(at);
    if (known) known.push(heading);
    else edges.set(at, [heading]);
  };
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      if (!inside(row, column)) continue;
      if (!inside(row - 1, column)) begin(row, column, EAST);
      if (!inside(row, column + 1)) begin(row, column + 1, SOUTH);
      if (!inside(row + 1, column)) begin(row + 1, column + 1, WEST);
      if (!inside(row, column - 1)) begin(row + 1, column, NORTH);
    }
  }
  const found: Polygon[] = [];
  for (const [start, headings] of edges) {
    while (headings.length) found.push(trace(start, edges, columns, origin));
  }
  return found;
}

const [EAST, SOUTH, WEST, NORTH] = [0, 1, 2, 3];
const STEP_ROW = [0, 1, 0, -1] as const;
const STEP_COLUMN = [1, 0, -1, 0] as const;

function trace(
  start: number,
  edges: Map<number, number[]>,
  columns: number,
  origin: readonly [number, number],
): Polygon {
  const line: [number, number][] = [];
  let at = start;
  let heading = -1;
  let before = -1;
  do {
    const open = edges.get(at) ?? [];
    // At a corner that two voxels share, turn right: stay with the voxel one is walking around.
    const right = (heading + 1) % 4;
    const chosen = heading >= 0 && open.includes(right) ? open.indexOf(right) : 0;
    heading = open.splice(chosen, 1)[0] ?? 0;
    const row = Math.floor(at / (columns + 1));
    const column = at - row * (columns + 1);
    const [stepRow, stepColumn] = [STEP_ROW[heading] ?? 0, STEP_COLUMN[heading] ?? 0];
    const point: [number, number] = [
      origin[0] + row + stepRow / 2 - 0.5,
      origin[1] + column + stepColumn / 2 - 0.5,
    ];
    // Along a straight edge only its ends are kept.
    const previous = line[line.length - 2];
    if (heading === before && previous && isStraight(previous, line[line.length - 1], point)) {
      line[line.length - 1] = point;
    } else line.push(point);
    before = heading;
    at += stepRow * (columns + 1) + stepColumn;
  } while (at !== start);
  return line;
}

function isStraight(
  a: readonly [number, number],
  b: readonly [number, number] | undefined,
  c: readonly [number, number],
): boolean {
  if (!b) return false;
  return (b[0] - a[0]) * (c[1] - b[1]) === (b[1] - a[1]) * (c[0] - b[0]);
}
