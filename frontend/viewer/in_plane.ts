// What of a line between two voxels lies in the slice that a plane shows. Pure.

import type { Voxel } from "./contract";

/** A slice is one voxel thick: half on either side of its middle. */
const HALF = 0.5;

export interface InPlane {
  /** The part within the slice; both ends alike where the line only crosses it. */
  part: [Voxel, Voxel];
  /** The ends of the whole line that lie in the slice. */
  ends: Voxel[];
  whole: boolean;
}

/** Null when no part of the line lies in slice `at` along the grid's `axis`. */
export function inPlane([from, to]: readonly [Voxel, Voxel], axis: 0 | 1 | 2, at: number) {
  const [a, b] = [from[axis] - at, to[axis] - at];
  const ends = [from, to].filter((end) => Math.abs(end[axis] - at) <= HALF);
  if (Math.max(a, b) < -HALF || Math.min(a, b) > HALF) return null;
  const slope = b - a;
  const reach = (edge: number) => (slope === 0 ? 0 : (edge - a) / slope);
  const [enter, leave] =
    slope === 0 ? [0, 1] : [reach(-HALF), reach(HALF)].sort((one, other) => one - other);
  const along = (t: number): Voxel => {
    const share = Math.min(1, Math.max(0, t));
    const step = (i: 0 | 1 | 2) => from[i] + share * (to[i] - from[i]);
    return [step(0), step(1), step(2)];
  };
  const found: InPlane = {
    part: [along(enter ?? 0), along(leave ?? 1)],
    ends,
    whole: ends.length === 2,
  };
  return found;
}
