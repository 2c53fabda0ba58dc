// Voxels that can be painted: a box of them around one cluster, and strokes that can be undone.

import type { Plane, ReadingDetail, Voxel } from "../contract";
import type { Point2 } from "../ohif";
import { diffPlane } from "../patch";
import { AXIS } from "../views";
import { type Box3, type Solid, stamp } from "./layers";
import { unmeasured } from "./measure";
import { repainted } from "./overlay";
import type { Shape } from "./stage";

/** How far from the cluster a new shape may reach. */
const MARGIN_MM = 12;
const UNDO_STEPS = 100;

export type Grid = ReadingDetail["grid"];

/** Voxels within a box that can be painted and taken back. */
export class Clay {
  readonly data: Uint8Array;
  private readonly strokes: number[][] = [];
  private stroke: number[] | null = null;

  constructor(
    readonly box: Box3,
    private readonly spacing: Voxel,
    start: readonly Solid[],
  ) {
    const [z0, r0, c0, z1, r1, c1] = box;
    this.data = new Uint8Array((z1 - z0) * (r1 - r0) * (c1 - c0));
    for (const solid of start) stamp(solid, box, this.data);
  }

  get undoable(): boolean {
    return this.strokes.length > 0;
  }

  begin(): void {
    this.stroke = [];
  }

  /** Paints from one point of a plane to another; true when a voxel changed. */
  drag(plane: Plane, [from, to]: readonly [Voxel, Voxel], radiusMm: number, value: 0 | 1): boolean {
    const fixed = AXIS[plane];
    const [u, v] = ([0, 1, 2] as const).filter((axis) => axis !== fixed) as [0 | 1 | 2, 0 | 1 | 2];
    const index = Math.round(to[fixed]);
    if (index < this.box[fixed] || index >= this.end(fixed)) return false;
    const mm = (voxel: Voxel): Point2 => [voxel[u] * this.spacing[u], voxel[v] * this.spacing[v]];
    const [a, b] = [mm(from), mm(to)];
    const range = (axis: 0 | 1 | 2, place: 0 | 1) => {
      const reach = radiusMm / this.spacing[axis];
      const ends = [a[place] / this.spacing[axis], b[place] / this.spacing[axis]];
      const first = Math.floor(Math.min(...ends) - reach);
      const last = Math.ceil(Math.max(...ends) + reach);
      return [Math.max(this.box[axis], first), Math.min(this.end(axis) - 1, last)] as const;
    };
    const [[u0, u1], [v0, v1]] = [range(u, 0), range(v, 1)];
    const under = [Math.round(to[u]), Math.round(to[v])];
    let changed = false;
    for (let at = u0; at <= u1; at += 1) {
      for (let beside = v0; beside <= v1; beside += 1) {
        const point: Point2 = [at * this.spacing[u], beside * this.spacing[v]];
        const hit = at === under[0] && beside === under[1];
        if (!hit && distance(point, a, b) > radiusMm) continue;
        const voxel: Voxel = [0, 0, 0];
        voxel[fixed] = index;
        voxel[u] = at;
        voxel[v] = beside;
        if (this.set(voxel, value)) changed = true;
      }
    }
    if (changed) this.forget();
    return changed;
  }

  /** True when the stroke changed anything. */
  finish(): boolean {
    const { stroke } = this;
    this.stroke = null;
    if (!stroke?.length) return false;
    this.strokes.push(stroke);
    if (this.strokes.length > UNDO_STEPS) this.strokes.shift();
    return true;
  }

  undo(): boolean {
    const stroke = this.strokes.pop();
    for (const at of stroke ?? []) this.data[at] = this.data[at] ? 0 : 1;
    if (stroke) this.forget();
    return stroke !== undefined;
  }

  /** Per slice a box of the whole grid and runs of ones. */
  shape(sops: readonly string[]): Shape | null {
    const [z0, r0, c0, z1, r1, c1] = this.box;
    const size = (r1 - r0) * (c1 - c0);
    const nothing = new Uint8Array(size);
    const shape: Shape = { slices: [] };
    for (let index = z0; index < z1; index += 1) {
      const plane = this.data.subarray((index - z0) * size, (index - z0 + 1) * size);
      const found = diffPlane(nothing, plane, c1 - c0, () => 1);
      const sop = sops[index];
      if (!found || !sop) continue;
      const [top, left, bottom, right] = found.box;
      shape.slices.push({
        sop,
        box: [top + r0, left + c0, bottom + r0, right + c0],
        runs: found.runs,
      });
    }
    return shape.slices.length ? shape : null;
  }

  /** Outlines and sizes of the voxels are no longer true. */
  private forget(): void {
    repainted(this.data);
    unmeasured(this.data);
  }

  private end(axis: 0 | 1 | 2): number {
    return this.box[(axis + 3) as 3 | 4 | 5];
  }

  private set([slice, row, column]: Voxel, value: 0 | 1): boolean {
    const [z0, r0, c0, , r1, c1] = this.box;
    const at = ((slice - z0) * (r1 - r0) + row - r0) * (c1 - c0) + column - c0;
    if (this.data[at] === value) return false;
    this.data[at] = value;
    this.stroke?.push(at);
    return true;
  }
}

function distance([x, y]: Point2, [ax, ay]: Point2, [bx, by]: Point2): number {
  const [dx, dy] = [bx - ax, by - ay];
  const length = dx * dx + dy * dy;
  const share = length ? Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / length)) : 0;
  return Math.hypot(x - ax - share * dx, y - ay - share * dy);
}

/** A box and a margin around it, within the grid. */
export function widened(box: Box3, { shape, spacing_mm }: Grid): Box3 {
  const margin = spacing_mm.map((mm) => Math.ceil(MARGIN_MM / mm));
  const first = [0, 1, 2].map((axis) => Math.max(0, (box[axis] ?? 0) - (margin[axis] ?? 0)));
  const last = [0, 1, 2].map((axis) =>
    Math.min(shape[axis] ?? 0, (box[axis + 3] ?? 0) + (margin[axis] ?? 0)),
  );
  return [...first, ...last] as unknown as Box3;
}
