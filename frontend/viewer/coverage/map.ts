// Which slices of a plane were seen and which not, as stripes along a bar. Pure.

import type { Plane } from "../contract";

export type Range = [number, number];

/** Where a bar's top lies: slices ascend towards the head, rows run from the front, columns from the right. */
export const ENDS: Readonly<Record<Plane, readonly [string, string]>> = {
  axial: ["H", "F"],
  coronal: ["A", "P"],
  sagittal: ["R", "L"],
};
export const PLANES: readonly Plane[] = ["axial", "coronal", "sagittal"];

/** How many slices a plane has on a grid (slices, rows, columns). */
export function slicesOf(plane: Plane, shape: readonly [number, number, number]): number {
  return shape[PLANES.indexOf(plane)] ?? 0;
}

/** What is missing of ranges that are ascending, inclusive and merged. */
export function gapsOf(seen: readonly Range[], total: number): Range[] {
  const gaps: Range[] = [];
  let next = 0;
  for (const [from, to] of seen) {
    if (from > next) gaps.push([next, from - 1]);
    next = to + 1;
  }
  if (next < total) gaps.push([next, total - 1]);
  return gaps;
}

/** The slice next to `from` that was not seen; the nearer side first. Null when all were. */
export function nearestUnseen(seen: readonly Range[], total: number, from: number): number | null {
  let best: number | null = null;
  for (const [first, last] of gapsOf(seen, total)) {
    const candidate = Math.min(last, Math.max(first, from));
    if (best === null || Math.abs(candidate - from) < Math.abs(best - from)) best = candidate;
  }
  return best;
}

/** Share of the way down the bar at which a slice begins; axial slices count from below. */
export function topOf(plane: Plane, slice: number, total: number): number {
  return plane === "axial" ? 1 - (slice + 1) / total : slice / total;
}

/** The number of a slice for people: axial ones from the skull base down, as in every report. */
export function numberOf(plane: Plane, slice: number, total: number): number {
  return plane === "axial" ? total - slice : slice + 1;
}

/** The slice under a share of the way down the bar. */
export function sliceAt(plane: Plane, share: number, total: number): number {
  const along = plane === "axial" ? 1 - share : share;
  return Math.min(total - 1, Math.max(0, Math.floor(along * total)));
}
