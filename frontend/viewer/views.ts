// The three planes: where they stand, moving them to a node, windows, and what has been seen.

import type { Plane, ViewPlace, Voxel } from "./contract";
import { paceDrawing } from "./drawing";
import type { Geometry } from "./geometry";
import { AXIAL, CORONAL, SAGITTAL } from "./layout";
import { type Camera, cornerstone, type Host, type Point2, type Viewport } from "./ohif";

export const WINDOWS = {
  soft: { label: "Soft tissue", width: 350, centre: 60 },
  narrow: { label: "Narrow", width: 200, centre: 80 },
  bone: { label: "Bone", width: 2000, centre: 400 },
  lung: { label: "Lung", width: 1500, centre: -600 },
} as const;
export type WindowName = keyof typeof WINDOWS;
/** Which values are shown from black to white (HU). */
export interface Voi {
  width: number;
  centre: number;
}

/** Viewports and the plane each shows; the first of a plane speaks for it. */
export type Planes = Readonly<Record<string, Plane>>;
/** What the host makes of our first window (350/60), by DICOM's own formula. */
const HOSTS = { lower: -115, upper: 234 };
/** Nobody sees a window that differs by less. */
const HARDLY_HU = 1;
const READING: Planes = { [AXIAL]: "axial", [CORONAL]: "coronal", [SAGITTAL]: "sagittal" };
/** The grid's axis that a plane steps along. */
export const AXIS: Record<Plane, 0 | 1 | 2> = { axial: 0, coronal: 1, sagittal: 2 };

/** Announces "moved" (detail: viewport, plane and slice), "drawn" (detail: viewport) and "window". */
export class Views extends EventTarget {
  geometry: Geometry | null = null;
  window: WindowName = "soft";
  /** The window shown last, by a key or by a hand. */
  private kept: Voi = WINDOWS.soft;
  /** The planes stand where no reader looked for them: nothing counts as seen. */
  private away: Voxel | null = null;
  protected readonly ids: string[];
  private readonly heard = new WeakSet<Element>();
  /** Has the planes drawn again that rest while a stroke is drawn. */
  private wake: (draw: boolean) => void = () => {};

  constructor(
    private readonly host: Host,
    readonly planes: Planes = READING,
  ) {
    super();
    this.ids = Object.keys(planes);
  }

  private get services() {
    return this.host.servicesManager.services;
  }

  viewport(id: string): Viewport | null {
    try {
      return this.services.cornerstoneViewportService.getCornerstoneViewport(id);
    } catch {
      return null;
    }
  }

  /** The plane an event happened on. */
  elementUnder(path: EventTarget[]): HTMLElement | null {
    if (path.some(covers)) return null;
    const elements = this.ids.flatMap((id) => this.viewport(id)?.element ?? []);
    return elements.find((element) => path.includes(element)) ?? null;
  }

  viewportUnder(path: EventTarget[]): Viewport | null {
    if (path.some(covers)) return null;
    const found = this.ids.flatMap((id) => this.viewport(id) ?? []);
    return found.find(({ element }) => path.includes(element)) ?? null;
  }

  get ready(): boolean {
    return this.ids.every((id) => this.viewport(id));
  }

  /** Hears a viewport's camera; safe to call again. */
  attach(id: string): void {
    const viewport = this.viewport(id);
    if (!viewport || this.heard.has(viewport.element)) return;
    this.heard.add(viewport.element);
    paceDrawing(this.host);
    const { CAMERA_MODIFIED, IMAGE_RENDERED, VOI_MODIFIED } = cornerstone().Enums.Events;
    viewport.element.addEventListener(CAMERA_MODIFIED ?? "", () => this.moved(id));
    viewport.element.addEventListener(VOI_MODIFIED ?? "", () => this.shaded(id));
    viewport.element.addEventListener(IMAGE_RENDERED ?? "", () => {
      this.dispatchEvent(new CustomEvent("drawn", { detail: id }));
    });
    this.moved(id);
  }

  /**
   * The host sets each view's first window once more, some hundred milliseconds after its images
   * are there: what was shown by then comes back.
   */
  private shaded(id: string): void {
    const range = this.viewport(id)?.getProperties().voiRange;
    if (range?.lower === HOSTS.lower && range.upper === HOSTS.upper) {
      if (this.kept !== WINDOWS.soft) this.grey(this.kept);
      return;
    }
    if (id !== this.ids[0]) return;
    if (this.windowed) this.kept = this.voi;
    this.dispatchEvent(new Event("window"));
  }

  private moved(id: string): void {
    const plane = this.planes[id];
    const slice = this.sliceIn(id);
    if (!plane || slice === null || this.paused) return;
    this.dispatchEvent(new CustomEvent("moved", { detail: { id, plane, slice } }));
  }

  slice(plane: Plane): number | null {
    const id = this.firstOf(plane);
    return id ? this.sliceIn(id) : null;
  }

  /** The slice (row, column) of the grid that a viewport shows. */
  sliceIn(id: string): number | null {
    const viewport = this.viewport(id);
    const plane = this.planes[id];
    if (!viewport || !plane || !this.geometry) return null;
    return Math.round(this.geometry.voxel(viewport.getCamera().focalPoint)[AXIS[plane]]);
  }

  private firstOf(plane: Plane): string | undefined {
    return this.ids.find((id) => this.planes[id] === plane);
  }

  get paused(): boolean {
    return this.away !== null;
  }

  set paused(paused: boolean) {
    this.away = paused ? (this.focus ?? [0, 0, 0]) : null;
  }

  /** Where every view stands, and how near. */
  standing(): [string, ViewPlace][] {
    return this.cameras().map(
      ([
        id,
        {
          focalPoint: [x, y, z],
          parallelScale: scale,
        },
      ]) => [id, { at: [x, y, z], scale }],
    );
  }

  /** Puts every view where it stood; false where one is not known. */
  stand(places: Readonly<Record<string, ViewPlace>>): boolean {
    const views = this.cameras();
    if (!views.every(([id]) => isPlace(places[id]))) return false;
    for (const [id, { focalPoint: from, position }] of views) {
      const { at, scale } = places[id] as ViewPlace;
      const step = [at[0] - from[0], at[1] - from[1], at[2] - from[2]] as const;
      this.aim(id, {
        focalPoint: at,
        position: [position[0] + step[0], position[1] + step[1], position[2] + step[2]],
        parallelScale: scale,
      });
    }
    return true;
  }

  /** Every view with its camera. */
  cameras(): [string, Camera][] {
    return this.ids.flatMap((id) => {
      const viewport = this.viewport(id);
      return viewport ? [[id, viewport.getCamera()] as [string, Camera]] : [];
    });
  }

  aim(id: string, camera: Partial<Camera>): void {
    const viewport = this.viewport(id);
    viewport?.setCamera(camera);
    viewport?.render();
  }

  /** The voxel all three planes look at. */
  get focus(): Voxel | null {
    if (this.away) return this.away;
    const [slice, row, column] = [
      this.slice("axial"),
      this.slice("coronal"),
      this.slice("sagittal"),
    ];
    return slice === null || row === null || column === null ? null : [slice, row, column];
  }

  /** Centres a voxel in every plane, or in all but one: slice and pan, zoom untouched. */
  centre(voxel: Voxel, except?: string): void {
    const target = this.geometry?.world(voxel);
    if (!target) return;
    for (const id of this.ids) {
      const viewport = this.viewport(id);
      if (!viewport || id === except) continue;
      const { focalPoint: from, position } = viewport.getCamera();
      const step = [target[0] - from[0], target[1] - from[1], target[2] - from[2]] as const;
      viewport.setCamera({
        focalPoint: target,
        position: [position[0] + step[0], position[1] + step[1], position[2] + step[2]],
      });
      viewport.render();
    }
  }

  /**
   * While a stroke lasts only the plane under the hand is drawn; the others follow once `later` is
   * kept that its end is given. Returns the end.
   */
  drawOnly(under: EventTarget[]): (later?: Promise<unknown>) => void {
    this.wake(false); // A stroke right after another.
    const resting = this.ids
      .flatMap((id) => this.viewport(id) ?? [])
      .filter(({ element }) => !under.includes(element));
    const renders = resting.map((viewport) => viewport.render);
    for (const viewport of resting) viewport.render = () => {};
    const wake = (draw: boolean) => {
      if (this.wake !== wake) return;
      this.wake = () => {};
      resting.forEach((viewport, place) => {
        viewport.render = renders[place] ?? viewport.render;
        if (draw) viewport.render();
      });
    };
    this.wake = wake;
    return (later) => {
      if (later) void later.then(() => wake(true));
      else wake(true);
    };
  }

  elementOf(plane: Plane): HTMLElement | null {
    const id = this.firstOf(plane);
    return (id && this.viewport(id)?.element) || null;
  }

  /** Shows one slice of a plane; what its views are centred on within the slice stays. */
  scrollTo(plane: Plane, slice: number): void {
    const { geometry } = this;
    if (!geometry) return;
    for (const id of this.ids.filter((each) => this.planes[each] === plane)) {
      const viewport = this.viewport(id);
      if (!viewport) continue;
      const { focalPoint: from, position } = viewport.getCamera();
      const voxel = geometry.voxel(from);
      voxel[AXIS[plane]] = slice;
      const to = geometry.world(voxel);
      const step = [to[0] - from[0], to[1] - from[1], to[2] - from[2]] as const;
      viewport.setCamera({
        focalPoint: to,
        position: [position[0] + step[0], position[1] + step[1], position[2] + step[2]],
      });
      viewport.render();
    }
  }

  /** A neck fills the axial view, to its narrower edge; the first look of a reading. */
  zoom(parallelScaleMm: number): void {
    for (const id of this.ids) {
      const viewport = this.viewport(id);
      if (!viewport) continue;
      const { clientWidth: width, clientHeight: height } = viewport.element;
      const upright = width > 0 ? Math.max(1, height / width) : 1;
      viewport.setCamera({ parallelScale: parallelScaleMm * upright });
      viewport.render();
    }
  }

  reset(): void {
    for (const id of this.ids) {
      this.viewport(id)?.resetCamera({ resetOrientation: false });
      this.viewport(id)?.render();
    }
    this.show("soft");
  }

  show(name: WindowName): void {
    this.window = name;
    this.grey(WINDOWS[name]);
  }

  /** The window on screen: as named, or what a hand made of it. */
  get voi(): Voi {
    const range = this.viewport(this.ids[0] ?? "")?.getProperties().voiRange;
    if (!range) return WINDOWS[this.window];
    return { width: range.upper - range.lower, centre: (range.upper + range.lower) / 2 };
  }

  /** A hand made another window of the named one. */
  get windowed(): boolean {
    const { voi } = this;
    const { width, centre } = WINDOWS[this.window];
    return Math.abs(voi.width - width) > HARDLY_HU || Math.abs(voi.centre - centre) > HARDLY_HU;
  }

  /** Shows these values in every view. */
  grey(voi: Voi): void {
    const { width, centre } = voi;
    this.kept = voi;
    for (const id of this.ids) {
      const viewport = this.viewport(id);
      const voiRange = { lower: centre - width / 2, upper: centre + width / 2 };
      viewport?.setProperties({ voiRange });
      viewport?.render();
    }
    this.dispatchEvent(new Event("window"));
  }

  /** Page coordinates of a voxel's centre in a plane. */
  pagePoint(plane: Plane, voxel: Voxel): Point2 | null {
    const id = this.firstOf(plane);
    const point = id && this.canvasPoint(id, voxel);
    const canvas = id && this.viewport(id)?.canvas;
    if (!point || !canvas) return null;
    const { left, top } = canvas.getBoundingClientRect();
    return [left + point[0], top + point[1]];
  }

  /** The same within the viewport. */
  canvasPoint(id: string, voxel: Voxel): Point2 | null {
    const viewport = this.viewport(id);
    if (!viewport || !this.geometry) return null;
    return viewport.worldToCanvas(this.geometry.world(voxel));
  }
}

/** Something else lies over the plane there. */
function covers(part: EventTarget): boolean {
  return part instanceof HTMLElement && part.dataset.covers !== undefined;
}

/** What the server kept comes from a browser, perhaps an older one. */
function isPlace(place: ViewPlace | undefined): boolean {
  return (
    place?.at?.length === 3 && [...place.at, place.scale].every(Number.isFinite) && place.scale > 0
  );
}
