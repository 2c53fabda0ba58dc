// Reads an `application/x-concord-volume` answer as it arrives: a header, then slice after slice
// of stored values, little-endian int16.

import { headerLength, LENGTH_BYTES, parseHeader, type VolumeHeader } from "../volume_answer";

interface Facts {
  /** Slices of the grid in the order they come. */
  order: number[];
  /** All are stored values, and every slope is 1. */
  stored: boolean;
}

export type StreamHeader = VolumeHeader<Facts>;

export interface Slice {
  values: Int16Array<ArrayBuffer>;
  low: number;
  high: number;
}

const LOWEST = -32768;
const HIGHEST = 32767;

interface Source {
  read(): Promise<{ done: boolean; value?: Uint8Array }>;
  cancel(): Promise<void>;
}

export class SliceStream {
  private rest = new Uint8Array(0);

  constructor(private readonly source: Source) {}

  /** Throws when the answer ends before. */
  async header(): Promise<StreamHeader> {
    const length = headerLength(await this.take(LENGTH_BYTES));
    return parseHeader(await this.take(length));
  }

  /** The next slice, with `intercept` added, and its lowest and highest value. */
  async slice(count: number, intercept: number): Promise<Slice> {
    const values = new Int16Array((await this.take(2 * count)).buffer);
    let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (let at = 0; at < values.length; at += 1) {
      // Padding at the end of the range stays there, as on the server.
      const value = Math.max(LOWEST, Math.min(HIGHEST, (values[at] as number) + intercept));
      values[at] = value;
      if (value < low) low = value;
      if (value > high) high = value;
    }
    return { values, low, high };
  }

  /** The rest is not wanted. */
  close(): Promise<void> {
    return this.source.cancel();
  }

  private async take(size: number): Promise<Uint8Array<ArrayBuffer>> {
    const whole = new Uint8Array(size);
    let filled = 0;
    while (filled < size) {
      if (this.rest.length === 0) {
        const { done, value } = await this.source.read();
        if (done || !value) throw new Error("The images ended before their last slice.");
        this.rest = value as Uint8Array<ArrayBuffer>;
      }
      const part = this.rest.subarray(0, size - filled);
      whole.set(part, filled);
      filled += part.length;
      this.rest = this.rest.subarray(part.length);
    }
    return whole;
  }
}
