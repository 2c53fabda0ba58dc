// The planes of the settling screen: X's and Y's move as one, and those a layout hides rest.

import type { Voxel } from "../contract";
import type { Host, Point2, Viewport } from "../ohif";
import { Views } from "../views";
import { isShown, LINKED, PLANES } from "./layout";
import type { StageLayout } from "./stage";

/** Camera values closer than this, in millimetres, are the same. */
const SAME_MM = 1e-3;

export class StageViews extends Views {
  private following = false;
  private readonly slimness = new Map<string, number>();
  private readonly resting = new Map<Viewport, Viewport["render"]>();

  constructor(private readonly ohif: Host) {
    super(ohif, PLANES);
    this.addEventListener("moved", (event) => {
      this.follow((event as CustomEvent<{ id: string }>).detail.id);
    });
  }

  get shownIds(): string[] {
    return this.ids.filter((id) => {
      const viewport = this.viewport(id);
      return viewport && !this.resting.has(viewport);
    });
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

  /** Looks at a voxel; half the viewport's shorter side is `halfMm` wide. */
  look(id: string, voxel: Voxel, halfMm: number): void {
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

  /** The fractional voxel under a point of a viewport's canvas. */
  voxelAt(id: string, point: Point2): Voxel | null {
    const world = this.viewport(id)?.canvasToWorld(point);
    return world && this.geometry ? this.geometry.voxel(world) : null;
  }

  idOf(element: HTMLElement): string | null {
    return this.ids.find((id) => this.viewport(id)?.element === element) ?? null;
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
