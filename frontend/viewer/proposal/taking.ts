// The change that takes a difference: the reader's nodes of it become the proposal's.

import type { Mask } from "../mask";
import { diffPlane, type Patch } from "../patch";
import { type Voxels, voxelsOf } from "../prompt/shape";
import type { Difference } from "./contract";

/**
 * Voxels of other nodes stay theirs; `free` are label numbers whose voxels may be taken. A node
 * that nothing of the proposal becomes loses its voxels. Null where nothing would change.
 */
export function takingDifference(
  difference: Difference,
  mask: Mask,
  sops: string[],
  newId: () => string,
  free: ReadonlySet<number>,
): Patch | null {
  const nodes = difference.nodes.map(({ onto }) => onto ?? newId());
  const leaving = difference.present.map(({ uuid }) => uuid).filter((own) => !nodes.includes(own));
  const places = [...nodes, ...leaving];
  /** Label number → place in the patch; the nodes that leave have one too. */
  const own = new Map<number, number>();
  for (const [place, node] of places.entries()) {
    const number = mask.numberOf(node);
    if (number !== undefined) own.set(number, place + 1);
  }
  const shapes = difference.nodes.map(({ slices }) => voxelsOf(slices, sops, mask.columns));
  const patch: Patch = { nodes, slices: [] };
  for (let index = 0; index < sops.length; index += 1) {
    const plane = mask.plane(index);
    const wanted = wantedAt(shapes, index);
    if (!wanted.size && !plane?.some((label) => own.has(label))) continue;
    const before = new Uint8Array(mask.rows * mask.columns);
    for (const [at, label] of plane?.entries() ?? []) before[at] = own.get(label) ?? 0;
    const after = new Uint8Array(before.length);
    for (const [at, place] of wanted) {
      const label = plane?.[at] ?? 0;
      if (label === 0 || own.has(label) || free.has(label)) after[at] = place;
    }
    const change = diffPlane(before, after, mask.columns, (place) => place);
    if (change) patch.slices.push({ index, ...change });
  }
  return patch.slices.length ? patch : null;
}

/** Position in a slice → place of the proposed node that wants it. */
function wantedAt(shapes: Voxels[], index: number): Map<number, number> {
  const wanted = new Map<number, number>();
  for (const [place, voxels] of shapes.entries()) {
    for (const at of voxels.get(index) ?? []) wanted.set(at, place + 1);
  }
  return wanted;
}
