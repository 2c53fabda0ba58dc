// A shape that neither reader drew: brush and eraser on voxels of our own, in one plane at a time
// and no farther than a margin around the cluster.

import type { Plane, Voxel } from "../contract";
import { Clay, type Grid, widened } from "./clay";
import { type Box3, boxAround, type Solid } from "./layers";
import type { Redraw, RedrawStart, Shape, StageCluster } from "./stage";

const SMALLEST_BRUSH_MM = 1;
const LARGEST_BRUSH_MM = 30;

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
