// What a split and a merge do to voxels: the same here as on the server.

import type { Mask } from "../mask";
import { diffPlane, type Patch } from "../patch";
import { type Box3, boxOf } from "../reshape/block";

/** Every voxel of one node becomes another's. */
export function takenOver(mask: Mask, node: string, merged: string): Patch {
  const label = mask.numberOf(merged) ?? -1;
  const patch: Patch = { nodes: [node], slices: [] };
  for (const index of mask.filledSlices) {
    const plane = mask.plane(index);
    if (!plane?.includes(label)) continue;
    const theirs = Uint8Array.from(plane, (number) => (number === label ? 1 : 0));
    const found = diffPlane(new Uint8Array(plane.length), theirs, mask.columns, (value) => value);
    if (found) patch.slices.push({ index, ...found });
  }
  return patch;
}

/** How many voxels a node has. */
export function voxelsOf(mask: Mask, node: string): number {
  const label = mask.numberOf(node);
  const box: Box3 | null = label === undefined ? null : boxOf(mask, label);
  let count = 0;
  for (let index = box?.[0] ?? 0; index < (box?.[3] ?? 0); index += 1) {
    for (const number of mask.plane(index) ?? []) if (number === label) count += 1;
  }
  return count;
}
