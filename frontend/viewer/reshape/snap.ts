// The edge the images show: between a core that is surely the node and a shell that is surely not,
// the surface settles where the densities change most (watershed of the gradient), and its last
// voxel goes to the side it looks like.

import { type Block, neighbours } from "./block";
import { blurred } from "./density";
import { distanceTo } from "./distance";

/** Deeper than this, or than half the depth of a small node, is surely the node. */
const CORE_MM = 2.5;
/** Farther out than this is surely not. */
const SHELL_MM = 3;
/** Surely fat. */
const FAT_HU = -60;
/** Bone and air must not outshine the edge between tissue and fat. */
const DARKEST_HU = -150;
const BRIGHTEST_HU = 250;
const SIGMA_MM = 0.6;
const LEVELS = 256;
/** A look at a side reaches this many voxels in the slice. */
const LOOK = 3;
/** The ridge of a blurred gradient lies within so many voxels of the edge. */
const EDGE_ROUNDS = 4;

const [UNKNOWN, INSIDE, OUTSIDE] = [0, 1, 2] as const;

/** How far around the node a block must reach for `snapped`. */
export const SNAP_MARGIN_MM = SHELL_MM + 2;

export function snapped(block: Block): Uint8Array {
  const clipped = block.density.map((hu) => Math.min(BRIGHTEST_HU, Math.max(DARKEST_HU, hu)));
  const side = markers(block);
  flood(side, block, steepness(blurred(clipped, block.size, block.spacing, SIGMA_MM), block));
  for (let round = 0; round < EDGE_ROUNDS; round += 1) {
    if (!settleEdge(side, block, clipped)) break;
  }
  return Uint8Array.from(side, (value, at) => (value === INSIDE && block.open[at] ? 1 : 0));
}

function markers({ own, open, density, size, spacing }: Block): Uint8Array {
  const depth = distanceTo(own, 0, size, spacing);
  const away = distanceTo(own, 1, size, spacing);
  let deepest = 0;
  for (let at = 0; at < own.length; at += 1) {
    if (own[at]) deepest = Math.max(deepest, Math.min(depth[at] as number, 1e3));
  }
  const core = Math.min(CORE_MM, deepest / 2);
  const side = new Uint8Array(own.length);
  for (let at = 0; at < own.length; at += 1) {
    if (own[at]) side[at] = (depth[at] as number) > core ? INSIDE : UNKNOWN;
    else if ((away[at] as number) > SHELL_MM || !open[at]) side[at] = OUTSIDE;
    else if ((density[at] as number) < FAT_HU) side[at] = OUTSIDE;
  }
  return side;
}

/** Steps of equal height from the flattest voxel to the steepest. */
function steepness(smooth: Float32Array, { size, spacing }: Block): Uint8Array {
  const [slices, rows, columns] = size;
  const area = rows * columns;
  const slopes = new Float32Array(smooth.length);
  let steepest = 0;
  let at = 0;
  for (let slice = 0; slice < slices; slice += 1) {
    for (let row = 0; row < rows; row += 1) {
      for (let column = 0; column < columns; column += 1, at += 1) {
        const along = (step: number, place: number, length: number, mm: number) => {
          const before = place > 0 ? step : 0;
          const after = place < length - 1 ? step : 0;
          const steps = (before ? 1 : 0) + (after ? 1 : 0) || 1;
          return ((smooth[at + after] as number) - (smooth[at - before] as number)) / (steps * mm);
        };
        const slope = Math.hypot(
          along(1, column, columns, spacing[2]),
          along(columns, row, rows, spacing[1]),
          along(area, slice, slices, spacing[0]),
        );
        slopes[at] = slope;
        steepest = Math.max(steepest, slope);
      }
    }
  }
  const unit = steepest > 0 ? (LEVELS - 1) / steepest : 0;
  return Uint8Array.from(slopes, (slope) => Math.round(unit * slope));
}

/** Both sides spread over flat ground first and meet on the ridge between them (Meyer). */
function flood(side: Uint8Array, { size }: Block, height: Uint8Array): void {
  const levels: number[][] = Array.from({ length: LEVELS }, () => []);
  let level = 0;
  const spread = (at: number) =>
    neighbours(at, size, (next) => {
      if (side[next] !== UNKNOWN) return;
      side[next] = side[at] as number;
      levels[Math.max(level, height[next] as number)]?.push(next);
    });
  const known = [...side.keys()].filter((at) => side[at] !== UNKNOWN);
  for (const at of known) spread(at);
  for (; level < LEVELS; level += 1) {
    const here = levels[level] as number[];
    for (let place = 0; place < here.length; place += 1) spread(here[place] as number);
  }
}

/** Every voxel at the edge goes to the side whose mean nearby it is closer to; true if any went. */
function settleEdge(side: Uint8Array, block: Block, density: Float32Array): boolean {
  const { size, open } = block;
  const edge = new Uint8Array(side.length);
  for (let at = 0; at < side.length; at += 1) {
    neighbours(at, size, (next) => {
      if (side[next] !== side[at]) edge[at] = 1;
    });
  }
  const verdicts = [...edge.keys()]
    .filter((at) => edge[at])
    .map((at) => [at, verdict(at, side, edge, block, density)] as const);
  let moved = false;
  for (const [at, found] of verdicts) {
    if (!open[at] || side[at] === found) continue;
    side[at] = found;
    moved = true;
  }
  return moved;
}

function verdict(
  at: number,
  side: Uint8Array,
  edge: Uint8Array,
  { size }: Block,
  density: Float32Array,
): number {
  const [slices, rows, columns] = size;
  const area = rows * columns;
  const slice = Math.floor(at / area);
  const row = Math.floor((at % area) / columns);
  const column = at % columns;
  const sums = [0, 0, 0];
  const counts = [0, 0, 0];
  for (let s = Math.max(0, slice - 1); s <= Math.min(slices - 1, slice + 1); s += 1) {
    for (let r = Math.max(0, row - LOOK); r <= Math.min(rows - 1, row + LOOK); r += 1) {
      for (let c = Math.max(0, column - LOOK); c <= Math.min(columns - 1, column + LOOK); c += 1) {
        const there = s * area + r * columns + c;
        if (edge[there]) continue;
        const which = side[there] as number;
        sums[which] = (sums[which] as number) + (density[there] as number);
        counts[which] = (counts[which] as number) + 1;
      }
    }
  }
  const [inside, outside] = [counts[INSIDE] as number, counts[OUTSIDE] as number];
  if (!inside || !outside) return side[at] as number;
  const within = Math.abs((density[at] as number) - (sums[INSIDE] as number) / inside);
  const without = Math.abs((density[at] as number) - (sums[OUTSIDE] as number) / outside);
  return within <= without ? INSIDE : OUTSIDE;
}
