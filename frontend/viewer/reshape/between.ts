// Slices left out between drawn ones: the shape goes over from one to the next
// (shape-based interpolation of signed distances, carried along with the middle of the shape).

import type { Point2 } from "../ohif";
import type { Block } from "./block";
import { signedDistance } from "./distance";

/** The node with the empty slices between its slices drawn. */
export function bridged({ own, open, size, spacing }: Block): Uint8Array {
  const [slices, rows, columns] = size;
  const area = rows * columns;
  const result = own.slice();
  const plane = (slice: number) => own.subarray(slice * area, (slice + 1) * area);
  const drawn = [...Array(slices).keys()].filter((slice) => plane(slice).includes(1));
  for (let place = 0; place + 1 < drawn.length; place += 1) {
    const [from, to] = [drawn[place] as number, drawn[place + 1] as number];
    if (to - from < 2) continue;
    const [first, last] = [from, to].map((slice) => ({
      depth: signedDistance(plane(slice), [1, rows, columns], [1e6, spacing[1], spacing[2]]),
      middle: middleOf(plane(slice), columns),
    })) as [Shape, Shape];
    for (let slice = from + 1; slice < to; slice += 1) {
      const share = (slice - from) / (to - from);
      const middle: Point2 = [0, 1].map(
        (axis) =>
          (1 - share) * (first.middle[axis] as number) + share * (last.middle[axis] as number),
      ) as Point2;
      for (let row = 0; row < rows; row += 1) {
        for (let column = 0; column < columns; column += 1) {
          const at = slice * area + row * columns + column;
          if (!open[at]) continue;
          const here: Point2 = [row - middle[0], column - middle[1]];
          const depth =
            (1 - share) * depthAt(first, here, rows, columns) +
            share * depthAt(last, here, rows, columns);
          if (depth <= 0) result[at] = 1;
        }
      }
    }
  }
  return result;
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
