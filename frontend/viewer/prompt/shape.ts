// A proposal's voxels: where they are, how a plane cuts them, and the change that takes them.

import type { Plane, SliceChange, Voxel } from "../contract";
import type { Mask } from "../mask";
import { diffPlane, eachVoxel, type Patch } from "../patch";
import type { Proposal } from "./contract";

/** A corner of a voxel's face in a plane: its two in-plane numbers, half a voxel off centres. */
export type Corner = readonly [number, number];

/** The two axes of the grid a plane shows, and the one it steps along. */
export const ACROSS: Record<Plane, readonly [0 | 1 | 2, 0 | 1 | 2, 0 | 1 | 2]> = {
  axial: [1, 2, 0],
  coronal: [0, 2, 1],
  sagittal: [0, 1, 2],
};

/** Positions in the plane, by slice index. */
export type Voxels = ReadonlyMap<number, ReadonlySet<number>>;

export function voxelsOf(slices: SliceChange[], sops: string[], columns: number): Voxels {
  const found = new Map<number, Set<number>>();
  for (const slice of slices) {
    const inside = new Set<number>();
    eachVoxel(slice, columns, (at, value) => value === 1 && inside.add(at));
    found.set(sops.indexOf(slice.sop), inside);
  }
  return found;
}

export function has(voxels: Voxels, [slice, row, column]: Voxel, columns: number): boolean {
  return voxels.get(slice)?.has(row * columns + column) ?? false;
}

/** The border of what a plane cuts, as closed loops of corners. */
export function loops(voxels: Voxels, columns: number, plane: Plane, index: number): Corner[][] {
  const [first, second] = ACROSS[plane];
  const cells = new Set<string>();
  const each = (voxel: Voxel) => cells.add(`${voxel[first]} ${voxel[second]}`);
  for (const [slice, inside] of voxels) {
    if (plane === "axial" && slice !== index) continue;
    for (const at of inside) {
      const voxel: Voxel = [slice, Math.floor(at / columns), at % columns];
      if (voxel[ACROSS[plane][2]] === index) each(voxel);
    }
  }
  return chained(edgesOf(cells));
}

/** Directed edges around every cell, the cell on the right hand; shared ones cancel out. */
function edgesOf(cells: Set<string>): Map<string, Corner[]> {
  const edges = new Map<string, Corner[]>();
  for (const cell of cells) {
    const [a, b] = cell.split(" ").map(Number) as [number, number];
    const side = (next: string, from: Corner, to: Corner) => {
      if (cells.has(next)) return;
      const key = from.join(" ");
      edges.set(key, [...(edges.get(key) ?? []), to]);
    };
    side(`${a - 1} ${b}`, [a - 0.5, b - 0.5], [a - 0.5, b + 0.5]);
    side(`${a} ${b + 1}`, [a - 0.5, b + 0.5], [a + 0.5, b + 0.5]);
    side(`${a + 1} ${b}`, [a + 0.5, b + 0.5], [a + 0.5, b - 0.5]);
    side(`${a} ${b - 1}`, [a + 0.5, b - 0.5], [a - 0.5, b - 0.5]);
  }
  return edges;
}

function chained(edges: Map<string, Corner[]>): Corner[][] {
  const found: Corner[][] = [];
  for (const start of edges.keys()) {
    while (edges.get(start)?.length) {
      const loop: Corner[] = [];
      let at = start;
      for (;;) {
        const next = edges.get(at)?.pop();
        if (!next) break;
        loop.push(next);
        at = next.join(" ");
      }
      if (loop.length) found.push(loop);
    }
  }
  return found;
}

/**
 * The change that takes a proposal: onto a new node, or so that `node` becomes it.
 * Voxels of other nodes stay theirs; `free` are label numbers whose voxels may be taken.
 */
export function taking(
  proposal: Proposal,
  mask: Mask,
  sops: string[],
  node: string,
  free: ReadonlySet<number>,
): Patch | null {
  const voxels = voxelsOf(proposal.slices, sops, mask.columns);
  const own = mask.numberOf(node);
  if (own === undefined && isFree(voxels, mask, free)) {
    const slices = proposal.slices.map(({ sop, box, runs }) => ({
      index: sops.indexOf(sop),
      box,
      runs,
    }));
    return slices.length ? { nodes: [node], slices } : null;
  }
  const patch: Patch = { nodes: [node], slices: [] };
  const size = mask.rows * mask.columns;
  for (let index = 0; index < sops.length; index += 1) {
    const wanted = voxels.get(index);
    const plane = mask.plane(index);
    if (!wanted && !(own && plane?.includes(own))) continue;
    const before = new Uint8Array(size);
    const after = new Uint8Array(size);
    for (let at = 0; at < size; at += 1) {
      const label = plane?.[at] ?? 0;
      if (own && label === own) before[at] = 1;
      const open = label === 0 || label === own || free.has(label);
      if (open && wanted?.has(at)) after[at] = 1;
    }
    const change = diffPlane(before, after, mask.columns, (value) => value);
    if (change) patch.slices.push({ index, ...change });
  }
  return patch.slices.length ? patch : null;
}

function isFree(voxels: Voxels, mask: Mask, free: ReadonlySet<number>): boolean {
  for (const [index, inside] of voxels) {
    const plane = mask.plane(index);
    if (!plane) continue;
    for (const at of inside) if (plane[at] && !free.has(plane[at])) return false;
  }
  return true;
}
