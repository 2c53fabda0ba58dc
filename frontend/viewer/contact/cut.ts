// A square picture cut from the volume around a voxel, in one plane, at a scale in millimetres;
// and the outline of one label in it. Pure: slices come from whoever has them.

import type { Voxel } from "../contract";

export type CutPlane = "axial" | "coronal";
/** Hounsfield units of a slice (rows × columns), or null while it is not here. */
export type SliceReader = (slice: number) => ArrayLike<number> | null;

export interface Cut {
  plane: CutPlane;
  centre: Voxel;
  /** Slices, rows, columns. */
  shape: Voxel;
  /** Between slices, rows, columns. */
  spacingMm: Voxel;
  /** Edge of the square in the patient and on screen. */
  edgeMm: number;
  edgePx: number;
}

export interface Window {
  centre: number;
  width: number;
}

const AIR_HU = -1024;

/** Where voxel indices lie on the picture: px = offset + index × scale, across and down. */
export function placeOf({ plane, centre, spacingMm, edgeMm, edgePx }: Cut) {
  const perMm = edgePx / edgeMm;
  const down: 0 | 1 = plane === "axial" ? 1 : 0;
  // The head is up: slices run against the picture's rows.
  const sign = plane === "axial" ? 1 : -1;
  const [scaleX, scaleY] = [spacingMm[2] * perMm, sign * spacingMm[down] * perMm];
  return {
    scaleX,
    scaleY,
    offsetX: edgePx / 2 - centre[2] * scaleX,
    offsetY: edgePx / 2 - centre[down] * scaleY,
    down,
  };
}

/**
 * Grey values (RGBA) of the picture, interpolated; false where a slice it needs is not here yet.
 */
export function paintCut(
  cut: Cut,
  { centre, width }: Window,
  slice: SliceReader,
  into: Uint8ClampedArray,
): boolean {
  const { shape, edgePx, plane } = cut;
  const { scaleX, scaleY, offsetX, offsetY } = placeOf(cut);
  const columns = shape[2];
  const low = centre - width / 2;
  const fixed = plane === "axial" ? slice(cut.centre[0]) : null;
  if (plane === "axial" && !fixed) return false;
  const row = Math.round(cut.centre[1]);
  for (let y = 0; y < edgePx; y += 1) {
    const v = (y + 0.5 - offsetY) / scaleY;
    const v0 = Math.floor(v);
    const share = v - v0;
    const limit = plane === "axial" ? shape[1] : shape[0];
    const inside = v >= -0.5 && v <= limit - 0.5;
    const [near, far] = [clamp(v0, limit), clamp(v0 + 1, limit)];
    const a = inside ? (fixed ?? slice(near)) : null;
    const b = inside ? (fixed ?? slice(far)) : null;
    if (inside && (!a || !b)) return false;
    const [atA, atB] = fixed ? [near * columns, far * columns] : [row * columns, row * columns];
    for (let x = 0; x < edgePx; x += 1) {
      const u = (x + 0.5 - offsetX) / scaleX;
      let hu = AIR_HU;
      if (a && b && u >= -0.5 && u <= columns - 0.5) {
        const u0 = Math.floor(u);
        const [left, right] = [clamp(u0, columns), clamp(u0 + 1, columns)];
        const across = u - u0;
        const top = mix(a[atA + left] ?? AIR_HU, a[atA + right] ?? AIR_HU, across);
        const below = mix(b[atB + left] ?? AIR_HU, b[atB + right] ?? AIR_HU, across);
        hu = mix(top, below, share);
      }
      const at = 4 * (y * edgePx + x);
      const grey = (255 * (hu - low)) / width;
      into[at] = grey;
      into[at + 1] = grey;
      into[at + 2] = grey;
      into[at + 3] = 255;
    }
  }
  return true;
}

/** Line segments (x0, y0, x1, y1 in px) around the voxels that `is` says are the node's. */
export function outlineOf(
  cut: Cut,
  is: (slice: number, row: number, column: number) => boolean,
): number[] {
  const { shape, centre, edgePx, plane } = cut;
  const { scaleX, scaleY, offsetX, offsetY, down } = placeOf(cut);
  const range = (offset: number, scale: number, limit: number) => {
    const [a, b] = [(0 - offset) / scale, (edgePx - offset) / scale] as const;
    const [first, last] = [Math.floor(Math.min(a, b)), Math.ceil(Math.max(a, b))];
    return [Math.max(0, first), Math.min(limit - 1, last)] as const;
  };
  const [u0, u1] = range(offsetX, scaleX, shape[2]);
  const [v0, v1] = range(offsetY, scaleY, shape[down]);
  const inside = (v: number, u: number) =>
    plane === "axial" ? is(Math.round(centre[0]), v, u) : is(v, Math.round(centre[1]), u);
  const x = (u: number) => offsetX + u * scaleX;
  const y = (v: number) => offsetY + v * scaleY;
  const lines: number[] = [];
  for (let v = v0; v <= v1; v += 1) {
    for (let u = u0; u <= u1; u += 1) {
      if (!inside(v, u)) continue;
      const [left, right, top, bottom] = [x(u - 0.5), x(u + 0.5), y(v - 0.5), y(v + 0.5)];
      if (!inside(v, u - 1)) lines.push(left, top, left, bottom);
      if (!inside(v, u + 1)) lines.push(right, top, right, bottom);
      if (!inside(v - 1, u)) lines.push(left, top, right, top);
      if (!inside(v + 1, u)) lines.push(left, bottom, right, bottom);
    }
  }
  return lines;
}

const clamp = (value: number, limit: number) => Math.min(limit - 1, Math.max(0, value));
const mix = (a: number, b: number, share: number) => a + (b - a) * share;
