// Voxels of the reading's grid ↔ positions in the patient, and images by SOP Instance UID.

import type { ReadingDetail, Voxel } from "./contract";
import { cornerstone, type DisplaySet, type Point3 } from "./ohif";

interface PlaneModule {
  rowCosines: Point3;
  columnCosines: Point3;
  imagePositionPatient: Point3;
  rowPixelSpacing: number;
  columnPixelSpacing: number;
}

export function sopOf(imageId: string): string | undefined {
  const { metaData } = cornerstone();
  const instance = metaData.get("instance", imageId) ?? metaData.get("sopCommonModule", imageId);
  return (instance?.SOPInstanceUID ?? instance?.sopInstanceUID) as string | undefined;
}

const dot = (a: Point3, b: Point3) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const minus = (a: Point3, b: Point3): Point3 => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
const triple = (values: ArrayLike<number>): Point3 => [
  values[0] ?? 0,
  values[1] ?? 0,
  values[2] ?? 0,
];

export class Geometry {
  private readonly origin: Point3;
  private readonly perRow: Point3;
  private readonly perColumn: Point3;
  private readonly perSlice: Point3;

  /** Throws when the images on screen are not those of the reading's grid. */
  constructor(grid: ReadingDetail["grid"], displaySet: DisplaySet) {
    const images = new Map((displaySet.imageIds ?? []).map((id) => [sopOf(id), id]));
    const first = planeOf(images.get(grid.sop_uids[0]));
    const last = planeOf(images.get(grid.sop_uids[grid.sop_uids.length - 1]));
    this.origin = triple(first.imagePositionPatient);
    this.perColumn = scale(triple(first.rowCosines), first.columnPixelSpacing);
    this.perRow = scale(triple(first.columnCosines), first.rowPixelSpacing);
    const steps = Math.max(1, grid.sop_uids.length - 1);
    const whole = minus(triple(last.imagePositionPatient), this.origin);
    this.perSlice = grid.sop_uids.length > 1 ? scale(whole, 1 / steps) : [0, 0, grid.spacing_mm[0]];
  }

  /** Which way columns and rows run, of length one. */
  get directions(): [Point3, Point3] {
    return [unit(this.perColumn), unit(this.perRow)];
  }

  world([slice, row, column]: Voxel): Point3 {
    const at = (axis: 0 | 1 | 2) =>
      this.origin[axis] +
      this.perSlice[axis] * slice +
      this.perRow[axis] * row +
      this.perColumn[axis] * column;
    return [at(0), at(1), at(2)];
  }

  /** Fractional; the axes of a judged grid are orthogonal. */
  voxel(world: Point3): Voxel {
    const from = minus(triple(world), this.origin);
    const along = (axis: Point3) => dot(from, axis) / dot(axis, axis);
    return [along(this.perSlice), along(this.perRow), along(this.perColumn)];
  }
}

function planeOf(imageId: string | undefined): PlaneModule {
  const plane = imageId && cornerstone().metaData.get("imagePlaneModule", imageId);
  if (!plane) throw new Error("The images on screen are not those of this reading.");
  return plane as unknown as PlaneModule;
}

function scale(vector: Point3, by: number): Point3 {
  return [vector[0] * by, vector[1] * by, vector[2] * by];
}

function unit(vector: Point3): Point3 {
  return scale(vector, 1 / Math.hypot(...vector));
}
