// How a series is drawn: beside the images in a range of its own, or as heat over them. Both windows
// of a reading draw by these.

import type { Point3 } from "../ohif";
import type { BesideSeries } from "./contract";
import { type Range, usualRange } from "./paint";
import type { Layer } from "./picture";
import { type DisplayVolume, SUV } from "./volume";

/** The uptake shown white (SUVbw); more than this looks the same. */
export const HIGHEST_SUV = 10;

const ranges = new WeakMap<DisplayVolume, Range>();

/** The range a volume is shown in, but for CT, which follows the reader's window. */
export function rangeOf(volume: DisplayVolume): Range {
  let found = ranges.get(volume);
  if (!found) {
    found =
      volume.unit === SUV
        ? { low: 0, high: HIGHEST_SUV }
        : usualRange(volume.stored, volume.header.rescale[0] ?? [1, 0]);
    ranges.set(volume, found);
  }
  return found;
}

/** What lies beside, alone; CT in the window given. */
export function besideLayer(
  { kind, modality }: BesideSeries,
  volume: DisplayVolume,
  offset: Point3,
  window: Range,
): Layer {
  if (kind === "pet") return { volume, offset, range: rangeOf(volume), heat: 1 };
  return { volume, offset, range: modality === "CT" ? window : rangeOf(volume) };
}

/** PET over the images. */
export function heatLayer(volume: DisplayVolume, offset: Point3, opacity: number): Layer {
  return { volume, offset, range: rangeOf(volume), heat: opacity };
}
