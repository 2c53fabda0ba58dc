// Slices left out between drawn ones: the shape goes over from one to the next
// (shape-based interpolation of signed distances, carried along with the middle of the shape).

import type { Voxel } from "../contract";
import type { Point2 } from "../ohif";
import type { Block } from "./block";
import { signedDistance } from "./distance";

type Axis = 0 | 1 | 2;
const AXES: readonly Axis[] = [0, 1, 2];

/** The node with the empty slices between its slices drawn, in the plane it was drawn in. */
export function bridged({ own, open, size, spacing }: Block): Uint8Array {
  const result = own.slice();
  const axis = leftOutAlong({ own, size });
  if (axis === null) return result;
  const [down, right] = AXES.filter((other) => other !== axis) as [Axis, Axis];
  const [rows, columns] = [size[down], size[right]];
  const places = placesOf(size, axis);
  const plane = (slice: number) => Uint8Array.from(places(slice), (at) => own[at] as number);
  const drawn = drawnAlong(own, size, axis);
  for (let place = 0; place + 1 < drawn.length; place += 1) {
    const [from, to] = [drawn[place] as number, drawn[place + 1] as number];
    if (to - from < 2) continue;
    const [first, last] = [from, to].map((slice) => ({
      depth: signedDistance(plane(slice), [1, rows, columns], [1e6, spacing[down], spacing[right]]),
      middle: middleOf(plane(slice), columns),
    })) as [Shape, Shape];
    for (let slice = from + 1; slice < to; slice += 1) {
      const share = (slice - from) / (to - from);
      const middle: Point2 = [0, 1].map(
        (way) => (1 - share) * (first.middle[way] as number) + share * (last.middle[way] as number),
      ) as Point2;
      for (const [inPlane, at] of places(slice).entries()) {
        if (!open[at]) continue;
        const row = Math.floor(inPlane / columns);
        const here: Point2 = [row - middle[0], inPlane - row * columns - middle[1]];
        const depth =
          (1 - share) * depthAt(first, here, rows, columns) +
          share * depthAt(last, here, rows, columns);
        if (depth <= 0) result[at] = 1;
      }
    }
  }
  return result;
}

/**
 * The axis of the grid along which the node was drawn with slices left out; null where it has none.
 * Two blobs side by side leave a gap across them too: what was drawn slice by slice is thinner.
 */
export function leftOutAlong({ own, size }: Pick<Block, "own" | "size">): Axis | null {
  let [found, thinnest]: [Axis | null, number] = [null, Infinity];
  for (const axis of AXES) {
    const drawn = drawnAlong(own, size, axis);
    const runs = drawn.filter((slice, place) => slice !== (drawn[place - 1] ?? -1) + 1).length;
    const thickness = drawn.length / runs;
    if (runs > 1 && thickness < thinnest) [found, thinnest] = [axis, thickness];
  }
  return found;
}

/** Where along an axis the node has any voxel. */
function drawnAlong(own: Uint8Array, size: Voxel, axis: Axis): number[] {
  const step = stepsOf(size)[axis];
  const drawn = new Set<number>();
  for (let at = own.indexOf(1); at >= 0; at = own.indexOf(1, at + 1)) {
    drawn.add(Math.floor(at / step) % size[axis]);
  }
  return [...drawn].sort((one, other) => one - other);
}

/** The voxels of each slice across an axis, row by row as the slice lies in the block. */
function placesOf(size: Voxel, axis: Axis): (slice: number) => Uint32Array {
  const steps = stepsOf(size);
  const [down, right] = AXES.filter((other) => other !== axis) as [Axis, Axis];
  const first = new Uint32Array(size[down] * size[right]);
  for (let row = 0; row < size[down]; row += 1) {
    for (let column = 0; column < size[right]; column += 1) {
      first[row * size[right] + column] = row * steps[down] + column * steps[right];
    }
  }
  return (slice) => first.map((at) => at + slice * steps[axis]);
}

function stepsOf([, rows, columns]: Voxel): Voxel {
  return [rows * columns, columns, 1];
}

interface Shape {
  depth: Float32Array;
  middle: Point2;
}

/** Depth at a place counted from the shape's middle; far outside beyond the block. */
function depthAt({ depth, middle }: Shape, here: Point2, rows: number, columns: number): number {
  const row = Math.round(middle[0] + here[0]);
  const column = Math.round(middle[1] + here[1]);
  if (row < 0 || column < 0 || row >= rows || column >= columns) return 1e6;
  return depth[row * columns + column] as number;
}

function middleOf(plane: Uint8Array, columns: number): Point2 {
  let [count, rows, along] = [0, 0, 0];
  for (let at = 0; at < plane.length; at += 1) {
    if (!plane[at]) continue;
    count += 1;
    rows += Math.floor(at / columns);
    along += at % columns;
  }
  return [rows / count, along / count];
}
