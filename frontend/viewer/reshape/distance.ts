// Exact Euclidean distances in a block of unequal spacing: one pass of parabolas per axis
// (Felzenszwalb and Huttenlocher).

import type { Voxel } from "../contract";

/** Larger than any squared distance in a block, and safe to add to. */
const FAR = 1e15;

/**
 * Millimetres from every voxel's centre to the nearest voxel where `seeds` is `value`;
 * `Infinity` where there is none.
 */
export function distanceTo(
  seeds: Uint8Array,
  value: 0 | 1,
  [slices, rows, columns]: Voxel,
  [sliceMm, rowMm, columnMm]: Voxel,
): Float32Array {
  const squared = new Float64Array(seeds.length);
  for (let at = 0; at < seeds.length; at += 1) squared[at] = seeds[at] === value ? 0 : FAR;
  const area = rows * columns;
  const sweep = new Sweep(Math.max(slices, rows, columns));
  for (let line = 0; line < slices * rows; line += 1) {
    sweep.along(squared, line * columns, 1, columns, columnMm);
  }
  for (let slice = 0; slice < slices; slice += 1) {
    for (let column = 0; column < columns; column += 1) {
      sweep.along(squared, slice * area + column, columns, rows, rowMm);
    }
  }
  if (slices > 1) {
    for (let at = 0; at < area; at += 1) sweep.along(squared, at, area, slices, sliceMm);
  }
  const distance = new Float32Array(seeds.length);
  for (let at = 0; at < distance.length; at += 1) {
    const found = squared[at] as number;
    distance[at] = found >= FAR / 2 ? Infinity : Math.sqrt(found);
  }
  return distance;
}

/** Negative inside the voxels, positive outside; zero lies between two voxel centres. */
export function signedDistance(voxels: Uint8Array, size: Voxel, spacing: Voxel): Float32Array {
  const outside = distanceTo(voxels, 1, size, spacing);
  const inside = distanceTo(voxels, 0, size, spacing);
  const half = Math.min(...spacing) / 2;
  for (let at = 0; at < outside.length; at += 1) {
    outside[at] = voxels[at] ? half - (inside[at] as number) : (outside[at] as number) - half;
  }
  return outside;
}

class Sweep {
  private readonly values: Float64Array;
  private readonly apexes: Int32Array;
  private readonly borders: Float64Array;

  constructor(longest: number) {
    this.values = new Float64Array(longest);
    this.apexes = new Int32Array(longest);
    this.borders = new Float64Array(longest + 1);
  }

  /** The lower envelope of the parabolas that stand on one line of the block. */
  along(field: Float64Array, start: number, step: number, length: number, mm: number): void {
    const { values, apexes, borders } = this;
    let filled = false;
    for (let place = 0; place < length; place += 1) {
      const value = field[start + place * step] as number;
      values[place] = value;
      if (value < FAR) filled = true;
    }
    if (!filled) return;
    const unit = mm * mm;
    let last = -1;
    for (let place = 0; place < length; place += 1) {
      const height = (values[place] as number) + unit * place * place;
      if ((values[place] as number) >= FAR) continue;
      let border = -Infinity;
      while (last >= 0) {
        const apex = apexes[last] as number;
        const under = (values[apex] as number) + unit * apex * apex;
        border = (height - under) / (2 * unit * (place - apex));
        if (border > (borders[last] as number)) break;
        last -= 1;
        border = -Infinity;
      }
      last += 1;
      apexes[last] = place;
      borders[last] = border;
    }
    borders[last + 1] = Infinity;
    let under = 0;
    for (let place = 0; place < length; place += 1) {
      while ((borders[under + 1] as number) < place) under += 1;
      const apex = apexes[under] as number;
      const away = place - apex;
      field[start + place * step] = (values[apex] as number) + unit * away * away;
    }
  }
}
