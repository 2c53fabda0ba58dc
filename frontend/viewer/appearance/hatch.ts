// Which stripes tell nodes apart where colours do not, and where a plane has runs of one label.
// Pure.

import type { Plane, Voxel } from "../contract";
import type { Mask } from "../mask";

/** Directions of stripes, as lines of an 8 × 8 cell; neighbours in the list get different ones. */
export const STRIPES: readonly (readonly [number, number, number, number][])[] = [
  [
    [0, 8, 8, 0],
    [-2, 2, 2, -2],
    [6, 10, 10, 6],
  ],
  [
    [0, 0, 8, 8],
    [-2, 6, 2, 10],
    [6, -2, 10, 2],
  ],
  [[0, 4, 8, 4]],
  [[4, 0, 4, 8]],
  [
    [0, 4, 8, 4],
    [4, 0, 4, 8],
  ],
];

export function stripesOf(label: number): number {
  return (label - 1) % STRIPES.length;
}

/** One label along a row of a plane: where it begins and how many voxels it has. */
export interface LabelRun {
  label: number;
  /** Row of the picture: a row of the grid (axial) or a slice. */
  line: number;
  from: number;
  length: number;
}

/** The labels of one slice of a plane, as runs along its rows. */
export function runsIn(mask: Mask, plane: Plane, at: number): LabelRun[] {
  const [lines, length] =
    plane === "axial"
      ? [mask.rows, mask.columns]
      : [mask.slices, plane === "coronal" ? mask.columns : mask.rows];
  const runs: LabelRun[] = [];
  for (let line = 0; line < lines; line += 1) {
    const labels = mask.plane(plane === "axial" ? at : line);
    if (!labels) continue;
    const begin =
      plane === "axial" ? line * mask.columns : plane === "coronal" ? at * mask.columns : at;
    const step = plane === "sagittal" ? mask.columns : 1;
    let run: LabelRun | null = null;
    for (let place = 0; place < length; place += 1) {
      const label = labels[begin + place * step] ?? 0;
      if (run && run.label === label) run.length += 1;
      else {
        run = label ? { label, line, from: place, length: 1 } : null;
        if (run) runs.push(run);
      }
    }
  }
  return runs;
}

/** The voxel at a place of a line of a plane's slice. */
export function voxelAt(plane: Plane, at: number, line: number, place: number): Voxel {
  if (plane === "axial") return [at, line, place];
  return plane === "coronal" ? [line, at, place] : [line, place, at];
}
