// A read-only window for browser tests: what the stage shows, and where.

import type { Plane, Voxel } from "../contract";
import type { Stage } from "./images";
import type { Kind } from "./volumes";

export function exposeStage(stage: Stage): void {
  const { views } = stage;
  const hook = {
    get ready() {
      return stage.isReady && stage.loading.complete;
    },
    get loading() {
      return stage.loading;
    },
    /** The slice as it is counted on screen. */
    placeIn: (id: string) =>
      views.viewport(id)?.element.querySelector('[data-testid="slice"]')?.textContent ?? "",
    get selected() {
      return stage.selected;
    },
    get layout() {
      return stage.layoutNow;
    },
    get phase() {
      return stage.phase;
    },
    get tool() {
      return stage.toolNow;
    },
    get window() {
      return stage.windowNow;
    },
    get focus() {
      return views.focus;
    },
    get shownIds() {
      return views.shownIds;
    },
    get shownMs() {
      return views.shownMs;
    },
    get shape() {
      return stage.redraw.shape();
    },
    /** The slice (row, column) that one viewport shows, and its zoom. */
    sliceIn: (id: string) => views.sliceIn(id),
    zoomOf: (id: string) => views.viewport(id)?.getCamera().parallelScale ?? null,
    /** Lowest and highest value that are told apart in a viewport. */
    windowOf: (id: string) => views.viewport(id)?.getProperties().voiRange ?? null,
    get mapped() {
      return stage.mapNow;
    },
    /** Kinds of outlines drawn in a viewport, with how strong each is. */
    inks: (id: string) =>
      [...(views.viewport(id)?.element.querySelectorAll("[data-ink]") ?? [])].map((ink) => {
        const { ink: kind, strength = "" } = (ink as SVGElement).dataset;
        return { kind, strength };
      }),
    legend: (id: string) =>
      views.viewport(id)?.element.querySelector<HTMLElement>('[data-testid="legend"]')
        ?.textContent ?? "",
    has: (kind: Kind, cluster: number, [slice, row, column]: Voxel) =>
      (stage.volumes?.of(kind, cluster) ?? []).some(({ box: [z0, r0, c0, z1, r1, c1], data }) => {
        if (slice < z0 || slice >= z1 || row < r0 || row >= r1 || column < c0 || column >= c1) {
          return false;
        }
        return data[((slice - z0) * (r1 - r0) + row - r0) * (c1 - c0) + column - c0] === 1;
      }),
    canvasPoint: (plane: Plane, slice: number, row: number, column: number) =>
      views.pagePoint(plane, [slice, row, column]),
  };
  Object.defineProperty(window, "__concordStage", {
    value: Object.freeze(hook),
    configurable: true,
  });
}
