// Changes as they travel (slices named by their images) and as they act on the mask.

import type { Body, Change, ChangeBody } from "./contract";
import type { Mask } from "./mask";
import type { Patch } from "./patch";

/** A patch as a change, its slices named by SOP Instance UID. */
export function voxelBody(patch: Patch, sops: string[]): Body {
  const slices = patch.slices.map(({ index, box, runs }) => ({
    sop: sops[index] ?? "",
    box,
    runs,
  }));
  return { kind: "voxels", nodes: patch.nodes, slices };
}

/** Moves the mask as the server will; returns the slices it changed. */
export function moveMask(mask: Mask, body: ChangeBody, sops: string[]): number[] {
  const effect = body.kind === "undo" ? body.inverse : body;
  if (effect.kind !== "voxels") {
    mask.advance();
    return [];
  }
  const slices = effect.slices.map(({ sop, box, runs }) => ({
    index: sops.indexOf(sop),
    box,
    runs,
  }));
  return mask.apply({ nodes: effect.nodes, slices });
}

export function bodyOf(change: Change): ChangeBody {
  const { id: _id, base: _base, ...body } = change;
  return body as ChangeBody;
}
