// A block of voxels cut from the reading: what is shaped, and what is around it.
// Arrays run slice by slice, row by row, column by column, as the grid does.

import type { Voxel } from "../contract";
import { diffPlane, type Patch } from "../patch";

/** First slice, row and column, and the ends; half-open. */
export type Box3 = readonly [number, number, number, number, number, number];

export interface Block {
  box: Box3;
  /** Slices, rows, columns. */
  size: Voxel;
  /** Millimetres from voxel to voxel along slices, rows, columns. */
  spacing: Voxel;
  /** 1 where the node is. */
  own: Uint8Array;
  /** 1 where the node may be: nothing else lies there. */
  open: Uint8Array;
  /** Density, HU on a CT. */
  density: Float32Array;
}

export interface LabelPlanes {
  readonly rows: number;
  readonly columns: number;
  readonly filledSlices: number[];
  plane(index: number): Uint16Array | undefined;
}

export function sizeOf([z0, r0, c0, z1, r1, c1]: Box3): Voxel {
  return [z1 - z0, r1 - r0, c1 - c0];
}

/** The box of one label, or null where it has no voxel. */
export function boxOf(mask: LabelPlanes, label: number): Box3 | null {
  let [z0, r0, c0, z1, r1, c1] = [Infinity, Infinity, Infinity, -1, -1, -1];
  for (const index of mask.filledSlices) {
    const plane = mask.plane(index);
    const first = plane ? plane.indexOf(label) : -1;
    if (!plane || first < 0) continue;
    const rows = [first, plane.lastIndexOf(label)].map((at) => Math.floor(at / mask.columns));
    const [top, bottom] = rows as [number, number];
    [z0, z1] = [Math.min(z0, index), Math.max(z1, index)];
    [r0, r1] = [Math.min(r0, top), Math.max(r1, bottom)];
    for (let row = top; row <= bottom; row += 1) {
      const line = plane.subarray(row * mask.columns, (row + 1) * mask.columns);
      const left = line.indexOf(label);
      if (left < 0) continue;
      [c0, c1] = [Math.min(c0, left), Math.max(c1, line.lastIndexOf(label))];
    }
  }
  return z1 < 0 ? null : [z0, r0, c0, z1 + 1, r1 + 1, c1 + 1];
}

/** A box with a margin in millimetres around it, within the grid. */
export function widened(box: Box3, marginMm: number, shape: Voxel, spacing: Voxel): Box3 {
  const margin = spacing.map((mm) => Math.ceil(marginMm / mm)) as Voxel;
  return [
    Math.max(0, box[0] - margin[0]),
    Math.max(0, box[1] - margin[1]),
    Math.max(0, box[2] - margin[2]),
    Math.min(shape[0], box[3] + margin[0]),
    Math.min(shape[1], box[4] + margin[1]),
    Math.min(shape[2], box[5] + margin[2]),
  ];
}

/**
 * Cuts a block. `densityOf` gives a whole slice's densities, or null where it is not here yet.
 * `free` lets the node run into its neighbours.
 */
export function cutBlock(
  mask: LabelPlanes,
  label: number,
  box: Box3,
  spacing: Voxel,
  densityOf: (index: number) => ArrayLike<number> | null,
  free = false,
): Block | null {
  const size = sizeOf(box);
  const [slices, rows, columns] = size;
  const count = slices * rows * columns;
  const block: Block = {
    box,
    size,
    spacing,
    own: new Uint8Array(count),
    open: new Uint8Array(count).fill(1),
    density: new Float32Array(count),
  };
  let at = 0;
  for (let slice = 0; slice < slices; slice += 1) {
    const index = box[0] + slice;
    const plane = mask.plane(index);
    const density = densityOf(index);
    if (!density) return null;
    for (let row = 0; row < rows; row += 1) {
      const from = (box[1] + row) * mask.columns + box[2];
      for (let column = 0; column < columns; column += 1, at += 1) {
        const there = plane ? (plane[from + column] as number) : 0;
        block.density[at] = density[from + column] as number;
        if (there === label) block.own[at] = 1;
        else if (there !== 0 && !free) block.open[at] = 0;
      }
    }
  }
  return block;
}

/** What turns the node's voxels of a block into `after`; null where nothing differs. */
export function patchOf({ box, size, own }: Block, after: Uint8Array, node: string): Patch | null {
  const [slices, rows, columns] = size;
  const patch: Patch = { nodes: [node], slices: [] };
  for (let slice = 0; slice < slices; slice += 1) {
    const [from, to] = [slice * rows * columns, (slice + 1) * rows * columns];
    const found = diffPlane(own.subarray(from, to), after.subarray(from, to), columns, (k) => k);
    if (!found) continue;
    const [top, left, bottom, right] = found.box;
    patch.slices.push({
      index: box[0] + slice,
      box: [top + box[1], left + box[2], bottom + box[1], right + box[2]],
      runs: found.runs,
    });
  }
  return patch.slices.length ? patch : null;
}

/** Calls `visit` for the six neighbours of a voxel that lie in the block. */
export function neighbours(
  at: number,
  [slices, rows, columns]: Voxel,
  visit: (neighbour: number) => void,
): void {
  const area = rows * columns;
  const slice = Math.floor(at / area);
  const row = Math.floor((at - slice * area) / columns);
  const column = at - slice * area - row * columns;
  if (slice > 0) visit(at - area);
  if (slice < slices - 1) visit(at + area);
  if (row > 0) visit(at - columns);
  if (row < rows - 1) visit(at + columns);
  if (column > 0) visit(at - 1);
  if (column < columns - 1) visit(at + 1);
}

export function countOf(voxels: Uint8Array): number {
  let count = 0;
  for (let at = 0; at < voxels.length; at += 1) count += voxels[at] as number;
  return count;
}
