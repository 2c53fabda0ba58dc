// Changes as they travel (slices named by their images) and as they act on the mask.

import type { Body, Change, ChangeBody, SliceChange } from "./contract";
import type { Mask } from "./mask";
import type { Patch } from "./patch";
import { takenOver } from "./split/lineage";

/** A patch as a change, its slices named by SOP Instance UID. */
export function voxelBody(patch: Patch, sops: string[]): Extract<Body, { kind: "voxels" }> {
  return { kind: "voxels", nodes: patch.nodes, slices: slicesOf(patch, sops) };
}

/** Moves the mask as the server will; returns the slices it changed. */
export function moveMask(mask: Mask, body: ChangeBody, sops: string[]): number[] {
  const effect = body.kind === "undo" ? body.inverse : body;
  if (effect.kind === "voxels") return mask.apply(patchFrom(effect.nodes, effect.slices, sops));
  if (effect.kind === "split") return mask.apply(patchFrom([effect.part], effect.slices, sops));
  if (effect.kind === "merge") return mask.apply(takenOver(mask, effect.node, effect.merged));
  mask.advance();
  return [];
}

/** Slices named by SOP Instance UID as a patch of the grid. */
export function patchFrom(nodes: string[], named: SliceChange[], sops: string[]): Patch {
  const slices = named.map(({ sop, box, runs }) => ({ index: sops.indexOf(sop), box, runs }));
  return { nodes, slices };
}

/** The shape of a patch, its slices named by SOP Instance UID. */
export function slicesOf(patch: Patch, sops: string[]): SliceChange[] {
  return patch.slices.map(({ index, box, runs }) => ({ sop: sops[index] ?? "", box, runs }));
}

export function bodyOf(change: Change): ChangeBody {
  const { id: _id, base: _base, ...body } = change;
  return body as ChangeBody;
}
