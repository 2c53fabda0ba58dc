// The head of an `application/x-concord-volume` answer: its length (uint32, little-endian), then
// JSON. After it come slices of int16, little-endian.

import type { Point3 } from "./ohif";

/** So many bytes tell how long the header is. */
export const LENGTH_BYTES = 4;

/** Where the slices lie (LPS, mm). */
export interface VolumeGrid {
  /** Slices, rows, columns. */
  shape: [number, number, number];
  spacing_mm: [number, number, number];
  origin_mm: Point3;
  row_direction: Point3;
  column_direction: Point3;
  normal: Point3;
  sop_uids: string[];
}

export interface VolumeHeader<Facts> {
  grid: VolumeGrid;
  /** Slope and intercept of each slice, in grid order. */
  rescale: [number, number][];
  facts: Facts;
}

/** Of bytes that begin with it. */
export function headerLength(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset, LENGTH_BYTES).getUint32(0, true);
}

/** Throws where the bytes are no JSON. */
export function parseHeader<Facts>(bytes: Uint8Array): VolumeHeader<Facts> {
  return JSON.parse(new TextDecoder().decode(bytes)) as VolumeHeader<Facts>;
}
