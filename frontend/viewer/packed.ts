// Reads the binary container a mask travels in (see backend/imaging/masks.py, pack_mask).

export interface PackedMask {
  geometry: string;
  /** Slices, rows, columns. */
  shape: [number, number, number];
  labels: [number, string][];
  slices: Map<number, Uint16Array>;
}

interface Header {
  geometry: string;
  shape: [number, number, number];
  labels: [number, string][];
  slices: { index: number; sha256: string }[];
}

export interface PackedReader {
  geometry: string;
  shape: [number, number, number];
  labels: [number, string][];
  /** One plane at a time, as it lies in the answer: to be read, or copied before it is written. */
  slices(): Generator<{ index: number; plane: Uint16Array }>;
}

/** Throws when the bytes are cut off or of another size than their header says. */
export function readPacked(data: ArrayBuffer): PackedReader {
  if (data.byteLength < 4) throw new Error("The mask is shorter than its header length.");
  const length = new DataView(data).getUint32(0, true);
  if (length > data.byteLength - 4) throw new Error("The mask's header is cut off.");
  const text = new TextDecoder("ascii").decode(new Uint8Array(data, 4, length));
  const header = JSON.parse(text) as Header;
  const [, rows, columns] = header.shape;
  const size = rows * columns;
  if (data.byteLength !== 4 + length + 2 * size * header.slices.length) {
    throw new Error("The mask has other than the bytes its header names.");
  }
  return {
    geometry: header.geometry,
    shape: header.shape,
    labels: header.labels,
    *slices() {
      let begin = 4 + length; // A multiple of eight: the header is padded.
      for (const { index } of header.slices) {
        yield { index, plane: planeAt(data, begin, size) };
        begin += 2 * size;
      }
    },
  };
}

function planeAt(data: ArrayBuffer, begin: number, size: number): Uint16Array {
  if (begin % 2 === 0) return new Uint16Array(data, begin, size);
  return new Uint16Array(data.slice(begin, begin + 2 * size));
}

export function unpackMask(data: ArrayBuffer): PackedMask {
  const { geometry, shape, labels, slices } = readPacked(data);
  const planes = new Map<number, Uint16Array>();
  for (const { index, plane } of slices()) planes.set(index, plane);
  return { geometry, shape, labels, slices: planes };
}
