// The vessel test: while the key is held the planes turn along the selected node's long axis. The
// axial view cuts across it and plays through it, back and forth; the other two lie along it and
// turn around it. A tube goes on; a node ends. Released, everything is as before.

import type { Axes } from "../axes";
import type { Plane } from "../contract";
import type { Camera, Point3 } from "../ohif";
import type { Session } from "../session";
import type { Views } from "../views";
import { dot, type LongAxis, longAxis, plus, swing, turned, upright } from "./axis";

/** Beyond the node's ends, where a tube goes on, mm. */
const BEYOND_MM = 14;
const PERIOD_S = 3.2;
const TURN_PER_S = Math.PI / 5;
/** Half the height of the views meanwhile, mm. */
const CLOSE_MM = 42;
const MOST_POINTS = 4000;

/** Announces "change". */
export class VesselTest extends EventTarget {
  private frame = 0;
  private kept: Map<string, Camera> | null = null;
  private axesShown = true;

  constructor(
    private readonly session: Session,
    private readonly views: Views,
    private readonly axes: Axes,
  ) {
    super();
  }

  get running(): boolean {
    return this.kept !== null;
  }

  start(): void {
    if (this.running) return;
    const axis = this.axisOf(this.session.selected);
    if (!axis) return;
    this.kept = new Map(this.views.cameras());
    this.views.paused = true;
    this.axesShown = this.axes.shown;
    this.axes.shown = false;
    this.axes.draw();
    const began = performance.now();
    const play = () => {
      this.show(axis, (performance.now() - began) / 1000);
      this.frame = requestAnimationFrame(play);
    };
    play();
    this.dispatchEvent(new Event("change"));
  }

  /** Safe to call at any time. */
  stop(): void {
    cancelAnimationFrame(this.frame);
    if (!this.kept) return;
    for (const [id, camera] of this.kept) this.views.aim(id, camera);
    this.kept = null;
    this.views.paused = false;
    this.axes.shown = this.axesShown;
    this.axes.draw();
    this.dispatchEvent(new Event("change"));
  }

  private axisOf(uuid: string | null): LongAxis | null {
    const { mask } = this.session;
    const { geometry } = this.views;
    const box = this.session.node(uuid)?.measures?.box_vox;
    const label = uuid ? mask?.numberOf(uuid) : undefined;
    if (!mask || !geometry || !box || !label) return null;
    const points: Point3[] = [];
    const count = (box[3] - box[0]) * (box[4] - box[1]) * (box[5] - box[2]);
    const step = Math.max(1, Math.ceil(count / (MOST_POINTS * 8)));
    let at = 0;
    for (let z = box[0]; z < box[3]; z += 1) {
      for (let y = box[1]; y < box[4]; y += 1) {
        for (let x = box[2]; x < box[5]; x += 1) {
          at += 1;
          if (at % step === 0 && mask.labelAt(z, y, x) === label)
            points.push(geometry.world([z, y, x]));
        }
      }
    }
    return longAxis(points);
  }

  private show({ centre, along, reachMm }: LongAxis, seconds: number): void {
    if (!this.kept) return;
    const offset = swing(seconds, PERIOD_S) * (reachMm + BEYOND_MM);
    for (const [id, camera] of this.kept) {
      const plane = this.views.planes[id];
      if (!plane) continue;
      const distance = Math.hypot(...plus(camera.position, camera.focalPoint, -1));
      const focalPoint = plane === "axial" ? plus(centre, along, offset) : centre;
      const { viewPlaneNormal, viewUp } = directionsOf(plane, camera, along, seconds);
      const position = plus(focalPoint, viewPlaneNormal, distance);
      const parallelScale = Math.min(camera.parallelScale, CLOSE_MM);
      this.views.aim(id, { focalPoint, position, viewPlaneNormal, viewUp, parallelScale });
    }
  }
}

/** Across the axis in the axial view, along it and turning in the others. */
function directionsOf(plane: Plane, camera: Camera, axis: Point3, seconds: number) {
  const forth = (to: Point3): Point3 => (dot(axis, to) < 0 ? [-axis[0], -axis[1], -axis[2]] : axis);
  if (plane === "axial") {
    const viewPlaneNormal = forth(camera.viewPlaneNormal);
    return { viewPlaneNormal, viewUp: upright(camera.viewUp, viewPlaneNormal) };
  }
  const viewUp = forth(camera.viewUp);
  const first = upright(camera.viewPlaneNormal, viewUp);
  return { viewPlaneNormal: turned(first, viewUp, TURN_PER_S * seconds), viewUp };
}
