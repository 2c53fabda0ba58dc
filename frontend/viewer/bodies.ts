// Changes as they travel (slices named by their images) and as they act on the mask.

import type { Body, Change, ChangeBody, SliceChange } from "./contract";
import type { Mask } from "./mask";
import { MOST_NODES } from "./numbers";
import type { Patch } from "./patch";
import { takenOver } from "./split/lineage";

/** A patch as a change, its slices named by SOP Instance UID. */
export function voxelBody(patch: Patch, sops: string[]): Extract<Body, { kind: "voxels" }> {
  return { kind: "voxels", nodes: patch.nodes, slices: slicesOf(patch, sops) };
}

/** Moves the mask as the server will; returns the slices it changed. */
export function moveMask(mask: Mask, body: ChangeBody, sops: string[]): number[] {
  const effect = effectOf(body);
  const patch =
    effect.kind === "merge" ? takenOver(mask, effect.node, effect.merged) : drawnBy(effect, sops);
  if (patch) return mask.apply(patch);
  mask.advance();
  return [];
}

/** More nodes would have voxels after a change than the viewer has numbers for. */
export function crowds(mask: Mask, body: ChangeBody, sops: string[]): boolean {
  const patch = drawnBy(effectOf(body), sops);
  if (!patch || mask.labels.length + patch.nodes.length <= MOST_NODES) return false;
  return mask.livingAfter(patch) > MOST_NODES;
}

function effectOf(body: ChangeBody): Body {
  return body.kind === "undo" ? body.inverse : body;
}

/** The voxels that a change says outright; null where it says none. */
function drawnBy(effect: Body, sops: string[]): Patch | null {
  if (effect.kind === "voxels") return patchFrom(effect.nodes, effect.slices, sops);
  if (effect.kind === "split") return patchFrom([effect.part], effect.slices, sops);
  return null;
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
