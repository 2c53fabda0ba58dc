// What a node is made of: its densities, calmed, and the band a node may grow through.

import type { Voxel } from "../contract";

export interface Band {
  low: number;
  high: number;
}

/** Fat on a CT; half way from it to the node lies the node's edge. */
const FAT_HU = -100;
/** Above it lies bone, whatever the node looks like. */
const BONE_HU = 300;
/** Below it a voxel is more fat than tissue, whatever the node looks like. */
const LOWEST_HU = -50;
/** A node's own spread reaches at least this far above its middle. */
const LEAST_ABOVE_HU = 70;
/** How far beyond its brightest voxels a node may go. */
const BEYOND_HU = 40;

/**
 * The densities a node on a CT may grow through: from half way to fat, up to a little more than
 * its own brightest voxels, never bone.
 */
export function bandOf(density: Float32Array, own: Uint8Array): Band {
  const inside = density.filter((_, at) => own[at] === 1).sort();
  const share = (part: number) => inside[Math.floor(part * (inside.length - 1))] ?? 0;
  const middle = share(0.5);
  const brightest = Math.max(middle + LEAST_ABOVE_HU, share(0.95) + BEYOND_HU);
  return {
    low: Math.max(LOWEST_HU, (FAT_HU + middle) / 2),
    high: Math.min(BONE_HU, brightest),
  };
}

/** Mean of every voxel and its neighbours in the slice: noise must not stop a growing node. */
export function calmed(density: Float32Array, [slices, rows, columns]: Voxel): Float32Array {
  const along = new Float32Array(density.length);
  const mean = new Float32Array(density.length);
  for (let line = 0; line < slices * rows; line += 1) {
    const start = line * columns;
    for (let column = 0; column < columns; column += 1) {
      const at = start + column;
      const left = column > 0 ? at - 1 : at;
      const right = column < columns - 1 ? at + 1 : at;
      along[at] =
        ((density[left] as number) + (density[at] as number) + (density[right] as number)) / 3;
    }
  }
  for (let slice = 0; slice < slices; slice += 1) {
    for (let row = 0; row < rows; row += 1) {
      const start = (slice * rows + row) * columns;
      const above = row > 0 ? -columns : 0;
      const below = row < rows - 1 ? columns : 0;
      for (let at = start; at < start + columns; at += 1) {
        mean[at] =
          ((along[at + above] as number) + (along[at] as number) + (along[at + below] as number)) /
          3;
      }
    }
  }
  return mean;
}

/** Gaussian of `sigmaMm` along all three axes; the block's faces repeat themselves. */
export function blurred(
  field: Float32Array,
  [slices, rows, columns]: Voxel,
  [sliceMm, rowMm, columnMm]: Voxel,
  sigmaMm: number,
): Float32Array {
  const area = rows * columns;
  let from = field;
  for (const [step, length, mm] of [
    [1, columns, columnMm],
    [columns, rows, rowMm],
    [area, slices, sliceMm],
  ] as const) {
    const weights = gaussian(sigmaMm / mm);
    const reach = (weights.length - 1) / 2;
    if (reach === 0 || length === 1) continue;
    const to = new Float32Array(from.length);
    for (let at = 0; at < from.length; at += 1) {
      const place = Math.floor(at / step) % length;
      let sum = 0;
      for (let shift = -reach; shift <= reach; shift += 1) {
        const there = Math.min(length - 1, Math.max(0, place + shift));
        sum += (weights[shift + reach] as number) * (from[at + (there - place) * step] as number);
      }
      to[at] = sum;
    }
    from = to;
  }
  return from === field ? field.slice() : from;
}

function gaussian(sigma: number): number[] {
  const reach = Math.ceil(2.5 * sigma - 0.5);
  if (reach < 1) return [1];
  const weights = [];
  for (let at = -reach; at <= reach; at += 1) weights.push(Math.exp((-at * at) / (2 * sigma ** 2)));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}
