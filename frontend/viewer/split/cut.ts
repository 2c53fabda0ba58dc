// Cutting a node in two: along a line drawn across it, or between two seeds. Pure.

import type { Voxel } from "../contract";
import { type Block, countOf, neighbours } from "../reshape/block";

/**
 * The smaller of the two parts into which a plane cuts a node; null where it misses the node.
 * The plane holds the line from `from` to `to` and runs along the grid's `axis`, which is the one
 * the reader looks along. Places are voxels of the grid.
 */
export function cutByLine(
  block: Block,
  from: Voxel,
  to: Voxel,
  axis: 0 | 1 | 2,
): Uint8Array | null {
  const [u, v] = ([0, 1, 2] as const).filter((other) => other !== axis) as [0 | 1 | 2, 0 | 1 | 2];
  const mm = (voxel: Voxel, along: 0 | 1 | 2) => voxel[along] * block.spacing[along];
  const [du, dv] = [mm(to, u) - mm(from, u), mm(to, v) - mm(from, v)];
  if (du === 0 && dv === 0) return null;
  return smaller(block, (voxel) => {
    const [eu, ev] = [mm(voxel, u) - mm(from, u), mm(voxel, v) - mm(from, v)];
    return du * ev - dv * eu >= 0;
  });
}

/**
 * The smaller of two parts of a node: every voxel goes to the seed it is nearer to on a way within
 * the node. Null where a seed is not in the node, or both are the same voxel.
 */
export function cutBySeeds(block: Block, first: Voxel, second: Voxel): Uint8Array | null {
  const [a, b] = [indexOf(block, first), indexOf(block, second)];
  if (a === null || b === null || a === b) return null;
  const side = new Uint8Array(block.own.length);
  let front: number[] = [a, b];
  [side[a], side[b]] = [1, 2];
  while (front.length) {
    const next: number[] = [];
    for (const at of front) {
      neighbours(at, block.size, (there) => {
        if (!block.own[there] || side[there]) return;
        side[there] = side[at] as number;
        next.push(there);
      });
    }
    front = next;
  }
  let at = 0;
  return smaller(block, () => side[at++] === 1);
}

function smaller(block: Block, isFirst: (voxel: Voxel) => boolean): Uint8Array | null {
  const { own, size, box } = block;
  const first = new Uint8Array(own.length);
  const [, rows, columns] = size;
  for (let at = 0; at < own.length; at += 1) {
    const slice = Math.floor(at / (rows * columns));
    const row = Math.floor(at / columns) % rows;
    const inFirst = isFirst([box[0] + slice, box[1] + row, box[2] + (at % columns)]);
    first[at] = own[at] && inFirst ? 1 : 0;
  }
  const [whole, part] = [countOf(own), countOf(first)];
  if (part === 0 || part === whole) return null;
  return 2 * part <= whole ? first : first.map((value, at) => (own[at] && !value ? 1 : 0));
}

function indexOf({ own, box, size }: Block, voxel: Voxel): number | null {
  const [slice, row, column] = voxel.map(
    (place, axis) => Math.round(place) - (box[axis] as number),
  );
  if (slice === undefined || row === undefined || column === undefined) return null;
  const inside = [slice, row, column].every(
    (place, axis) => place >= 0 && place < (size[axis] as number),
  );
  const at = (slice * size[1] + row) * size[2] + column;
  return inside && own[at] ? at : null;
}
