// The slices of the reading's volume as they lie in cornerstone's cache, in Hounsfield units.

import { sopOf } from "../geometry";
import { cornerstone, type DisplaySet } from "../ohif";
import type { SliceReader } from "./cut";

interface CachedImage {
  slope?: number;
  intercept?: number;
  preScale?: { scaled?: boolean };
  voxelManager?: { getScalarData(): ArrayLike<number> };
}

/** Slices ascending along the grid, as the grid names them. */
export function sliceReader(displaySet: DisplaySet, sops: readonly string[]): SliceReader {
  const ids = new Map((displaySet.imageIds ?? []).map((id) => [sopOf(id), id]));
  const known = new Map<number, ArrayLike<number>>();
  return (slice) => {
    const index = Math.round(slice);
    const ready = known.get(index);
    if (ready) return ready;
    const id = ids.get(sops[index] ?? "");
    const image = id ? (cornerstone().cache.getImage(id) as CachedImage | undefined) : undefined;
    const values = image?.voxelManager?.getScalarData();
    if (!image || !values) return null;
    const hu = inHounsfield(values, image);
    known.set(index, hu);
    return hu;
  };
}

/** The host scales images of a volume as it loads them; others are scaled here. */
function inHounsfield(values: ArrayLike<number>, image: CachedImage): ArrayLike<number> {
  const { slope = 1, intercept = 0, preScale } = image;
  if (preScale?.scaled || (slope === 1 && intercept === 0)) return values;
  return Float32Array.from(values, (value) => value * slope + intercept);
}
