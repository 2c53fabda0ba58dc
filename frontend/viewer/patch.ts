// Changes of voxels: per slice a bounding box and runs of absolute new values, so that applying
// one twice is applying it once.

import type { Box, Run } from "./contract";

export interface SlicePatch {
  index: number;
  box: Box;
  runs: Run[];
}

export interface Patch {
  /** Node UUIDs; a run's value k > 0 means nodes[k - 1]. */
  nodes: string[];
  /** Ascending by slice index, each at most once. */
  slices: SlicePatch[];
}

/**
 * Box and runs of everything that differs between two planes of `columns` columns, or null.
 * `nameOf` names a new value: its place in the patch's nodes plus one, or 0 for background.
 * Nothing is looked for outside of `within`.
 */
export function diffPlane(
  before: ArrayLike<number>,
  after: ArrayLike<number>,
  columns: number,
  nameOf: (value: number) => number,
  within?: Box,
): { box: Box; runs: Run[] } | null {
  const box = boxOfDifference(before, after, columns, (value) => value, within);
  if (!box) return null;
  const [r0, c0, r1, c1] = box;
  const width = c1 - c0;
  const runs: Run[] = [];
  let last: Run | null = null;
  for (let row = r0; row < r1; row += 1) {
    for (let column = c0; column < c1; column += 1) {
      const at = row * columns + column;
      if (before[at] === after[at]) continue;
      const offset = (row - r0) * width + (column - c0);
      const value = nameOf(after[at] ?? 0);
      if (last && last[2] === value && last[0] + last[1] === offset) last[1] += 1;
      else {
        last = [offset, 1, value];
        runs.push(last);
      }
    }
  }
  return { box, runs };
}

/** What encloses all places where `shown(before)` is not `after`. */
export function boxOfDifference(
  before: ArrayLike<number>,
  after: ArrayLike<number>,
  columns: number,
  shown: (value: number) => number,
  within: Box = [0, 0, after.length / columns, columns],
): Box | null {
  const [top, left, bottom, right] = within;
  let [r0, c0, r1, c1] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, -1, -1];
  for (let row = top; row < bottom; row += 1) {
    const end = row * columns + right;
    for (let at = row * columns + left; at < end; at += 1) {
      if (shown(before[at] ?? 0) === after[at]) continue;
      const column = at - row * columns;
      if (row < r0) r0 = row;
      r1 = row;
      if (column < c0) c0 = column;
      if (column > c1) c1 = column;
    }
  }
  return r1 < 0 ? null : [r0, c0, r1 + 1, c1 + 1];
}

/** Calls `write(position in the plane, value)` for every voxel a slice of a patch names. */
export function eachVoxel(
  { box, runs }: { box: Box; runs: Run[] },
  columns: number,
  write: (at: number, value: number) => void,
): void {
  const [r0, c0, , c1] = box;
  const width = c1 - c0;
  for (const [offset, length, value] of runs) {
    for (let step = offset; step < offset + length; step += 1) {
      const row = r0 + Math.floor(step / width);
      write(row * columns + c0 + (step % width), value);
    }
  }
}

/**
 * The patch that brings back what `patch` is about to overwrite.
 * `nodeAt(slice, position)` is the node there now, or null for background.
 */
export function inversePatch(
  patch: Patch,
  columns: number,
  nodeAt: (index: number, at: number) => string | null,
): Patch {
  const nodes: string[] = [];
  const place = (node: string | null) => {
    if (node === null) return 0;
    const known = nodes.indexOf(node);
    return known >= 0 ? known + 1 : nodes.push(node);
  };
  const slices = patch.slices.map(({ index, box, runs }) => {
    const [r0, c0, , c1] = box;
    const width = c1 - c0;
    const inverse: Run[] = [];
    let last: Run | null = null;
    eachVoxel({ box, runs }, columns, (at) => {
      const row = Math.floor(at / columns);
      const offset = (row - r0) * width + (at - row * columns - c0);
      const value = place(nodeAt(index, at));
      if (last && last[2] === value && last[0] + last[1] === offset) last[1] += 1;
      else {
        last = [offset, 1, value];
        inverse.push(last);
      }
    });
    return { index, box, runs: inverse };
  });
  return { nodes, slices };
}
