// The core of a node: holes its rim closes, in a slice or in space, and a centre of low density
// that a rim with a gap all but closes.

import type { Voxel } from "../contract";
import { type Block, neighbours } from "./block";

/** Looks from a voxel within its slice, and how many of them must end at the node. */
const LOOKS = 16;
const LEAST_ENDING = 14;
/** A centre behind a gap is fluid or tissue: fat and air flow in through a gap from outside. */
const CORE_LOW_HU = -20;

/** The node with its core. */
export function filled({ own, open, density, size }: Block): Uint8Array {
  const result = own.slice();
  const add = (holes: Uint8Array, wanted: (at: number) => boolean) => {
    for (let at = 0; at < result.length; at += 1) {
      if (holes[at] && open[at] && wanted(at)) result[at] = 1;
    }
  };
  add(surrounded(own, size), (at) => (density[at] as number) >= CORE_LOW_HU);
  add(holesOf(result, size), () => true);
  add(holesInSlices(result, size), () => true);
  return result;
}

/** Where the node is seen on nearly every side: behind a rim with a gap, not in a hollow. */
function surrounded(own: Uint8Array, [, rows, columns]: Voxel): Uint8Array {
  const looks = Array.from({ length: LOOKS }, (_, look) => {
    const angle = (2 * Math.PI * look) / LOOKS;
    const longest = Math.max(Math.abs(Math.sin(angle)), Math.abs(Math.cos(angle)));
    return [Math.sin(angle) / longest, Math.cos(angle) / longest] as const;
  });
  const found = new Uint8Array(own.length);
  const ends = (slice: number, row: number, column: number, [down, right]: readonly number[]) => {
    let [y, x] = [row, column];
    for (;;) {
      y += down as number;
      x += right as number;
      const [r, c] = [Math.round(y), Math.round(x)];
      if (r < 0 || c < 0 || r >= rows || c >= columns) return false;
      if (own[(slice * rows + r) * columns + c]) return true;
    }
  };
  for (let at = 0; at < own.length; at += 1) {
    if (own[at]) continue;
    const slice = Math.floor(at / (rows * columns));
    const row = Math.floor(at / columns) - slice * rows;
    const column = at % columns;
    let missed = 0;
    for (const look of looks) {
      if (!ends(slice, row, column, look)) missed += 1;
      if (missed > LOOKS - LEAST_ENDING) break;
    }
    if (missed <= LOOKS - LEAST_ENDING) found[at] = 1;
  }
  return found;
}

/** What no way through the outside reaches from the block's faces. */
function holesOf(solid: Uint8Array, size: Voxel): Uint8Array {
  return unreached(solid, size, false);
}

/** The same within each slice. */
function holesInSlices(solid: Uint8Array, size: Voxel): Uint8Array {
  return unreached(solid, size, true);
}

function unreached(solid: Uint8Array, size: Voxel, flat: boolean): Uint8Array {
  const [slices, rows, columns] = size;
  const area = rows * columns;
  const holes = new Uint8Array(solid.length);
  for (let at = 0; at < solid.length; at += 1) holes[at] = solid[at] ? 0 : 1;
  const front: number[] = [];
  const reach = (at: number) => {
    if (!holes[at]) return;
    holes[at] = 0;
    front.push(at);
  };
  for (let at = 0; at < solid.length; at += 1) {
    const inSlice = at % area;
    const row = Math.floor(inSlice / columns);
    const column = inSlice % columns;
    const edge = row === 0 || row === rows - 1 || column === 0 || column === columns - 1;
    if (edge || (!flat && (at < area || at >= (slices - 1) * area))) reach(at);
  }
  for (let at = front.pop(); at !== undefined; at = front.pop()) {
    const slice = Math.floor(at / area);
    neighbours(at, size, (next) => {
      if (!flat || Math.floor(next / area) === slice) reach(next);
    });
  }
  return holes;
}
