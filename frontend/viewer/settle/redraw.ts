// A shape that neither reader drew: brush and eraser on voxels of our own, in one plane at a time
// and no farther than a margin around the cluster.

import type { Plane, ReadingDetail, Voxel } from "../contract";
import type { Point2 } from "../ohif";
import { diffPlane } from "../patch";
import { AXIS } from "../views";
import { type Box3, boxAround, type Solid, stamp } from "./layers";
import { repainted } from "./overlay";
import type { Redraw, RedrawStart, Shape, StageCluster } from "./stage";

/** How far from the cluster a new shape may reach. */
const MARGIN_MM = 12;
const SMALLEST_BRUSH_MM = 1;
const LARGEST_BRUSH_MM = 30;
const UNDO_STEPS = 100;

type Grid = ReadingDetail["grid"];

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
    if (changed) repainted(this.data);
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
    if (stroke) repainted(this.data);
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

/** What the desk needs of the stage. */
export interface Bench {
  grid(): Grid | null;
  solids(side: "x" | "y", cluster: number): readonly Solid[];
  /** The viewport under the pointer, what it shows, and the voxel there. */
  under(event: PointerEvent | MouseEvent): { id: string; plane: Plane; voxel: Voxel } | null;
  /** Brush circle in a viewport; null everywhere takes it away. */
  point(at: PointerEvent | null): void;
  /** Voxels were painted: outlines are to be drawn again. */
  painted(): void;
}

/** Announces "change" after strokes, undos, begin and end, and "tool". */
export class RedrawDesk extends EventTarget implements Redraw {
  tool: "brush" | "eraser" | null = null;
  brushMm = 3;
  clay: Clay | null = null;
  cluster: number | null = null;
  private last: { id: string; plane: Plane; voxel: Voxel } | null = null;

  constructor(private readonly bench: Bench) {
    super();
  }

  get undoable(): boolean {
    return this.clay?.undoable ?? false;
  }

  /** The shape as the outlines are drawn. */
  get solid(): Solid | null {
    const { clay, cluster } = this;
    if (!clay || cluster === null) return null;
    return { label: cluster, cluster, box: clay.box, data: clay.data };
  }

  begin(cluster: StageCluster, from: RedrawStart): void {
    const grid = this.bench.grid();
    if (!grid) return;
    const both = (["x", "y"] as const).flatMap((side) => this.bench.solids(side, cluster.number));
    const sides =
      from === "union" ? both : from === "empty" ? [] : this.bench.solids(from, cluster.number);
    const given = cluster.box as unknown as Box3;
    const around = boxAround([given, ...both.map(({ box }) => box)]) ?? given;
    this.clay = new Clay(widened(around, grid), grid.spacing_mm, sides);
    this.cluster = cluster.number;
    this.use("brush");
    this.tell();
  }

  use(tool: "brush" | "eraser" | null): void {
    const held = this.clay ? tool : null;
    if (held === this.tool) return;
    this.lift();
    this.tool = held;
    if (!held) this.bench.point(null);
    document.documentElement.toggleAttribute("data-settle-brush", held !== null);
    this.dispatchEvent(new Event("tool"));
  }

  resize(stepMm: number): void {
    const size = this.brushMm + stepMm;
    this.brushMm = Math.min(LARGEST_BRUSH_MM, Math.max(SMALLEST_BRUSH_MM, size));
    this.dispatchEvent(new Event("tool"));
  }

  shape(): Shape | null {
    return this.clay?.shape(this.bench.grid()?.sop_uids ?? []) ?? null;
  }

  changed(listener: () => void): () => void {
    this.addEventListener("change", listener);
    return () => this.removeEventListener("change", listener);
  }

  undo(): void {
    this.lift();
    if (this.clay?.undo()) this.tell();
  }

  end(): void {
    if (!this.clay) return;
    this.use(null);
    this.clay = null;
    this.cluster = null;
    this.tell();
  }

  /** Hears the pointer until the returned end: the left button is the brush's, the rest is not. */
  listen(): () => void {
    const events = new AbortController();
    const capture = { signal: events.signal, capture: true };
    window.addEventListener("pointerdown", (event) => this.press(event), capture);
    window.addEventListener("mousedown", (event) => this.keepFromHost(event), capture);
    window.addEventListener("dblclick", (event) => this.keepFromHost(event), capture);
    window.addEventListener("pointermove", (event) => this.move(event), capture);
    for (const type of ["pointerup", "pointercancel", "blur"] as const) {
      window.addEventListener(type, () => this.lift(), capture);
    }
    window.addEventListener("wheel", (event) => this.turn(event), { ...capture, passive: false });
    return () => {
      events.abort();
      this.end();
    };
  }

  private keepFromHost(event: MouseEvent): void {
    if (!this.tool || event.button !== 0 || !this.bench.under(event)) return;
    event.stopImmediatePropagation();
    event.preventDefault();
  }

  private press(event: PointerEvent): void {
    if (!this.tool || event.button !== 0) return;
    const at = this.bench.under(event);
    if (!at || !this.clay) return;
    event.stopImmediatePropagation();
    this.clay.begin();
    this.last = at;
    this.paint(at);
  }

  private move(event: PointerEvent): void {
    if (!this.tool) return;
    this.bench.point(event);
    if (event.buttons % 2 === 0) this.lift();
    if (!this.last) return;
    for (const step of event.getCoalescedEvents?.() ?? []) {
      const at = this.bench.under(step);
      if (at) this.paint(at);
    }
    const at = this.bench.under(event);
    if (at) this.paint(at);
  }

  private paint(at: { id: string; plane: Plane; voxel: Voxel }): void {
    const from = this.last?.id === at.id ? this.last.voxel : at.voxel;
    this.last = at;
    const value = this.tool === "eraser" ? 0 : 1;
    if (this.clay?.drag(at.plane, [from, at.voxel], this.brushMm, value)) this.bench.painted();
  }

  private lift(): void {
    if (!this.last) return;
    this.last = null;
    if (this.clay?.finish()) this.tell();
  }

  /** Alt and wheel: the size of the brush. The plain wheel scrolls. */
  private turn(event: WheelEvent): void {
    if (!this.tool || !event.altKey || !this.bench.under(event)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    this.resize(event.deltaY < 0 ? 1 : -1);
    this.bench.point(event as unknown as PointerEvent);
  }

  private tell(): void {
    this.bench.painted();
    this.dispatchEvent(new Event("change"));
  }
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
