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
  private readonly resting = new Map<Viewport, Viewport["render"]>();

  constructor(host: Host) {
    super(host, PLANES);
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

  /** Hidden planes keep their place and are not drawn until they are shown again. */
  arrange(layout: StageLayout): void {
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
    const { clientWidth: width, clientHeight: height } = viewport.element;
    const step = (axis: 0 | 1 | 2) => position[axis] + target[axis] - from[axis];
    viewport.setCamera({
      focalPoint: target,
      position: [step(0), step(1), step(2)],
      parallelScale: halfMm * Math.max(1, height / Math.max(1, width)),
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
