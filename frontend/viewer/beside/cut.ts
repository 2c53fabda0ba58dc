// A plane through a volume, pixel by pixel: where it lies, and what the volume holds there. Pure.

import type { Camera, Point3 } from "../ohif";
import type { DisplayVolume } from "./volume";

export interface Cut {
  width: number;
  height: number;
  /** Where the middle of the first pixel lies (LPS mm); one pixel to the right; one down. */
  corner: Point3;
  across: Point3;
  down: Point3;
}

type Looking = Pick<Camera, "focalPoint" | "viewPlaneNormal" | "viewUp" | "parallelScale">;

/** What a camera sees on so many pixels; half its height is `parallelScale` millimetres. */
export function cutOf(camera: Looking, width: number, height: number): Cut {
  const { focalPoint, viewPlaneNormal: normal, viewUp: up, parallelScale } = camera;
  const mm = (2 * parallelScale) / height;
  const right = cross(up, normal);
  const across = times(right, mm);
  const down = times(up, -mm);
  const corner = plus(
    focalPoint,
    plus(times(across, -(width - 1) / 2), times(down, -(height - 1) / 2)),
  );
  return { width, height, corner, across, down };
}

/** The same plane elsewhere. */
export function moved(cut: Cut, by: Point3): Cut {
  return { ...cut, corner: plus(cut.corner, by) };
}

/** On fewer pixels: each stands for `by` × `by` of the old ones. */
export function coarser(cut: Cut, by: number): Cut {
  const more = (by - 1) / 2;
  return {
    width: Math.ceil(cut.width / by),
    height: Math.ceil(cut.height / by),
    corner: plus(cut.corner, plus(times(cut.across, more), times(cut.down, more))),
    across: times(cut.across, by),
    down: times(cut.down, by),
  };
}

/** The values of a volume on a plane, row by row; NaN outside it. */
export function reslice(volume: DisplayVolume, cut: Cut): Float32Array {
  const out = new Float32Array(cut.width * cut.height);
  const across = volume.step(cut.across);
  const down = volume.step(cut.down);
  const start = volume.voxel(cut.corner);
  for (let y = 0; y < cut.height; y += 1) {
    let slice = start[0] + y * down[0];
    let row = start[1] + y * down[1];
    let column = start[2] + y * down[2];
    for (let x = 0, i = y * cut.width; x < cut.width; x += 1, i += 1) {
      out[i] = volume.at(slice, row, column);
      slice += across[0];
      row += across[1];
      column += across[2];
    }
  }
  return out;
}

/** Which pixel of a plane a position falls on, as far as it lies in it. */
export function pixelOf(cut: Cut, at: Point3): [number, number] {
  const from = plus(at, times(cut.corner, -1));
  const along = (axis: Point3) => dot(from, axis) / dot(axis, axis);
  return [along(cut.across), along(cut.down)];
}

function dot(a: Point3, b: Point3): number {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

export function plus(a: Point3, b: Point3): Point3 {
  return [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
}

export function times(a: Point3, by: number): Point3 {
  return [a[0] * by, a[1] * by, a[2] * by];
}

function cross(a: Point3, b: Point3): Point3 {
  return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
}
