// A series as one volume (`application/x-concord-volume`): header, then slices of int16 in grid
// order, each with its own scale. Positions are LPS in millimetres.

import type { Point3 } from "../ohif";
import { headerLength, LENGTH_BYTES, parseHeader, type VolumeHeader } from "../volume_answer";

/** The unit of a PET's values where the server could tell them as uptake. */
export const SUV = "SUVbw";

interface Facts {
  modality: string;
  unit: string;
  words: string;
}

export class DisplayVolume {
  /** Where positions are (slice, row, column): one row of a matrix each, then what is added. */
  private readonly rows: [Point3, Point3, Point3];

  constructor(
    readonly header: VolumeHeader<Facts>,
    readonly stored: Int16Array,
  ) {
    const { row_direction, column_direction, normal, spacing_mm } = header.grid;
    const [z, y, x] = spacing_mm;
    // Row, column and normal are orthonormal: the inverse is the transpose, scaled.
    this.rows = [
      scaled(normal, 1 / z),
      scaled(column_direction, 1 / y),
      scaled(row_direction, 1 / x),
    ];
  }

  get shape(): [number, number, number] {
    return this.header.grid.shape;
  }

  get unit(): string {
    return this.header.facts.unit;
  }

  /** Fractional slice, row and column of a position. */
  voxel(at: Point3): Point3 {
    const { origin_mm: origin } = this.header.grid;
    return this.step([at[0] - origin[0], at[1] - origin[1], at[2] - origin[2]]);
  }

  /** How far a step in the patient goes along slices, rows and columns. */
  step(by: Point3): Point3 {
    const along = (axis: Point3) => axis[0] * by[0] + axis[1] * by[1] + axis[2] * by[2];
    return [along(this.rows[0]), along(this.rows[1]), along(this.rows[2])];
  }

  /** Where a voxel lies in the patient. */
  world([slice, row, column]: Point3): Point3 {
    const { origin_mm, row_direction, column_direction, normal, spacing_mm } = this.header.grid;
    const [z, y, x] = spacing_mm;
    const at = (i: 0 | 1 | 2) =>
      origin_mm[i] +
      normal[i] * slice * z +
      column_direction[i] * row * y +
      row_direction[i] * column * x;
    return [at(0), at(1), at(2)];
  }

  get middle(): Point3 {
    const [slices, rows, columns] = this.shape;
    return this.world([(slices - 1) / 2, (rows - 1) / 2, (columns - 1) / 2]);
  }

  /** Between the eight voxels around; NaN outside. Takes (slice, row, column). */
  at(slice: number, row: number, column: number): number {
    const [slices, rows, columns] = this.shape;
    if (!(slice >= -0.5 && row >= -0.5 && column >= -0.5)) return Number.NaN;
    if (slice > slices - 0.5 || row > rows - 0.5 || column > columns - 0.5) return Number.NaN;
    const z = clamp(slice, slices - 1);
    const y = clamp(row, rows - 1);
    const x = clamp(column, columns - 1);
    const z0 = Math.floor(z);
    const y0 = Math.floor(y);
    const x0 = Math.floor(x);
    const below = this.inSlice(z0, y0, x0, y - y0, x - x0);
    if (z === z0) return below;
    return below + (z - z0) * (this.inSlice(z0 + 1, y0, x0, y - y0, x - x0) - below);
  }

  private inSlice(z: number, y: number, x: number, dy: number, dx: number): number {
    const [, rows, columns] = this.shape;
    const { stored } = this;
    const a = (z * rows + y) * columns + x;
    const right = x + 1 < columns ? 1 : 0;
    const down = y + 1 < rows ? columns : 0;
    const top = (stored[a] ?? 0) * (1 - dx) + (stored[a + right] ?? 0) * dx;
    const bottom = (stored[a + down] ?? 0) * (1 - dx) + (stored[a + down + right] ?? 0) * dx;
    const [slope, intercept] = this.header.rescale[z] ?? [1, 0];
    return (top * (1 - dy) + bottom * dy) * slope + intercept;
  }
}

/** Throws for a body that is not whole. */
export function parseVolume(body: ArrayBuffer): DisplayVolume {
  const length = headerLength(new Uint8Array(body));
  const header = parseHeader<Facts>(new Uint8Array(body, LENGTH_BYTES, length));
  const start = LENGTH_BYTES + length;
  const stored = start % 2 ? new Int16Array(body.slice(start)) : new Int16Array(body, start);
  const [slices, rows, columns] = header.grid.shape;
  if (stored.length !== slices * rows * columns) {
    throw new Error("The images arrived damaged. Try again.");
  }
  return new DisplayVolume(header, stored);
}

function scaled(vector: Point3, by: number): Point3 {
  return [vector[0] * by, vector[1] * by, vector[2] * by];
}

function clamp(value: number, most: number): number {
  return Math.max(0, Math.min(most, value));
}
