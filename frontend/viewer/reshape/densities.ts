// The images behind the mask, slice by slice, in the unit they are read in (HU on a CT).

import { sopOf } from "../geometry";
import { cornerstone, type DisplaySet } from "../ohif";

export class Densities {
  private readonly imageIds: (string | undefined)[];

  constructor(sops: readonly string[], displaySet: DisplaySet) {
    const known = new Map((displaySet.imageIds ?? []).map((id) => [sopOf(id), id]));
    this.imageIds = sops.map((sop) => known.get(sop));
  }

  /** Densities of a slice, row by row; null while its image is not here. */
  of(index: number): ArrayLike<number> | null {
    const imageId = this.imageIds[index];
    const image = imageId ? cornerstone().cache.getImage(imageId) : undefined;
    if (!image) return null;
    const stored = image.voxelManager.getScalarData();
    const { slope = 1, intercept = 0, preScale } = image;
    if (preScale?.scaled || (slope === 1 && intercept === 0)) return stored;
    return Float32Array.from(stored, (value) => slope * value + intercept);
  }
}
