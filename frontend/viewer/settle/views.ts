// The planes of the settling screen: X's and Y's move as one, and those a layout hides rest.

import type { Plane, Voxel } from "../contract";
import { cornerstone, type Host, type ImageVolume, type Viewport } from "../ohif";
import { AXIS, Views } from "../views";
import { type Box3, combine, largestCuts, type Solid } from "./layers";
import { isShown, LINKED, PLANES } from "./layout";
import type { StageLayout } from "./stage";

/** Camera values closer than this, in millimetres, are the same. */
const SAME_MM = 1e-3;
/** At least this much is seen around the middle of a cluster. */
const LEAST_HALF_MM = 32;
/** A large cluster fills about half of its plane. */
const ROOM_AROUND = 0.95;

export class StageViews extends Views {
  /** From the last fit until every plane was drawn, in milliseconds; null meanwhile. */
  shownMs: number | null = null;
  private began = 0;
  private waiting = new Set<string>();
  private following = false;
  private readonly slimness = new Map<string, number>();
  private readonly resting = new Map<Viewport, Viewport["render"]>();

  constructor(private readonly ohif: Host) {
    super(ohif, PLANES);
    this.addEventListener("moved", (event) => {
      this.follow((event as CustomEvent<{ id: string }>).detail.id);
    });
    this.addEventListener("drawn", (event) => {
      const last = this.waiting.delete((event as CustomEvent<string>).detail);
      if (last && !this.waiting.size) this.shownMs = performance.now() - this.began;
    });
  }

  get shownIds(): string[] {
    return this.ids.filter((id) => {
      const viewport = this.viewport(id);
      return viewport && !this.resting.has(viewport);
    });
  }

  /** The volumes that the planes cut: one, where they show one series. */
  get volumes(): ImageVolume[] {
    const { cache } = cornerstone();
    const ids = this.ids.flatMap((id) => this.viewport(id)?.getAllVolumeIds?.() ?? []);
    return [...new Set(ids)].flatMap((id) => cache.getVolume(id) ?? []);
  }

  private get service() {
    return this.ohif.servicesManager.services.cornerstoneViewportService;
  }

  /**
   * The host resizes every viewport for every other, four times each and a moment too late, when
   * the images have been stretched already. Here it is once and at once. Returns the end.
   */
  resizeLightly(): () => void {
    const { service } = this;
    const own = service.resize;
    service.resize = () => this.resize();
    return () => {
      service.resize = own;
    };
  }

  /** What was fitted to a plane's shorter side stays fitted. */
  private resize(): void {
    this.service.getRenderingEngine()?.resize(true, true);
    for (const id of this.ids) {
      const viewport = this.viewport(id);
      if (!viewport) continue;
      const slimness = slimnessOf(viewport);
      const before = this.slimness.get(id) ?? slimness;
      this.slimness.set(id, slimness);
      if (before === slimness) continue;
      const { parallelScale } = viewport.getCamera();
      viewport.setCamera({ parallelScale: (parallelScale * slimness) / before });
      viewport.render();
    }
  }

  /** Hidden planes keep their place and are not drawn until they are shown again. */
  arrange(layout: StageLayout, atOnce: boolean): void {
    if (atOnce) this.resize();
    for (const id of this.ids) {
      const viewport = this.viewport(id);
      if (!viewport) continue;
      const render = this.resting.get(viewport);
      if (!isShown(id, layout) && !render) {
        this.resting.set(viewport, viewport.render);
        viewport.render = () => {};
      } else if (isShown(id, layout) && render) {
        this.resting.delete(viewport);
        viewport.render = render;
        render.call(viewport);
      }
    }
  }

  /** Centres a box in every plane, each where the solids' area is largest. */
  fit(solids: readonly Solid[], box: Box3, spacing: Voxel): void {
    this.began = performance.now();
    this.shownMs = null;
    this.waiting = new Set(this.shownIds);
    const whole = combine(solids, [], (inside) => inside);
    const [z0, r0, c0, z1, r1, c1] = box;
    const middle: Voxel = [(z0 + z1 - 1) / 2, (r0 + r1 - 1) / 2, (c0 + c1 - 1) / 2];
    const best = whole ? largestCuts(whole) : (middle.map(Math.round) as Voxel);
    const extents = [(z1 - z0) * spacing[0], (r1 - r0) * spacing[1], (c1 - c0) * spacing[2]];
    const halfMm = Math.max(LEAST_HALF_MM, ROOM_AROUND * Math.max(...extents));
    for (const id of this.ids) {
      const axis = AXIS[this.planes[id] ?? "axial"];
      const target: Voxel = [...middle];
      target[axis] = best[axis];
      this.look(id, target, halfMm);
    }
  }

  /** Looks at a voxel; half the viewport's shorter side is `halfMm` wide. */
  private look(id: string, voxel: Voxel, halfMm: number): void {
    const viewport = this.viewport(id);
    const target = this.geometry?.world(voxel);
    if (!viewport || !target) return;
    const { focalPoint: from, position } = viewport.getCamera();
    const step = (axis: 0 | 1 | 2) => position[axis] + target[axis] - from[axis];
    viewport.setCamera({
      focalPoint: target,
      position: [step(0), step(1), step(2)],
      parallelScale: halfMm * slimnessOf(viewport),
    });
    viewport.render();
  }

  /** Canvas pixels per millimetre. */
  scale(id: string): number {
    const viewport = this.viewport(id);
    if (!viewport) return 1;
    return viewport.element.clientHeight / (2 * viewport.getCamera().parallelScale);
  }

  /** The shown plane under the pointer, and the fractional voxel there. */
  under(event: MouseEvent): { id: string; plane: Plane; voxel: Voxel } | null {
    const path = event.composedPath();
    for (const id of this.shownIds) {
      const viewport = this.viewport(id);
      const plane = this.planes[id];
      if (!viewport || !plane || !this.geometry) continue;
      // Moves merged into one event have no path of their own.
      if (event.type !== "pointermove" && !path.includes(viewport.element)) continue;
      const { left, top, width, height } = viewport.element.getBoundingClientRect();
      const [x, y] = [event.clientX - left, event.clientY - top];
      if (x < 0 || y < 0 || x > width || y > height) continue;
      return { id, plane, voxel: this.geometry.voxel(viewport.canvasToWorld([x, y])) };
    }
    return null;
  }

  private follow(id: string): void {
    const other = LINKED[id];
    const leader = this.viewport(id);
    const follower = other && this.viewport(other);
    if (this.following || !leader || !follower) return;
    const { focalPoint, position, parallelScale } = leader.getCamera();
    const now = follower.getCamera();
    const apart = [
      ...focalPoint.map((value, axis) => value - (now.focalPoint[axis] ?? 0)),
      parallelScale - now.parallelScale,
    ];
    if (apart.every((distance) => Math.abs(distance) < SAME_MM)) return;
    this.following = true;
    follower.setCamera({ focalPoint, position, parallelScale });
    follower.render();
    this.following = false;
  }
}

/** Height over width, of what is higher than wide. */
function slimnessOf({ element }: Viewport): number {
  return Math.max(1, element.clientHeight / Math.max(1, element.clientWidth));
}
