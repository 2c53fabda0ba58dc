// The pointer while a node is looked for: a press that does not move is a click on the image; one
// that moves stays the window's. Enter takes.

import type { ReadingDetail, Voxel } from "../contract";
import type { Point2 } from "../ohif";
import type { Views } from "../views";
import type { Prompting } from "./prompting";

/** A hand that trembles less than this has not dragged. */
const STILL_PX = 4;

export function listenToPrompts(
  prompting: Prompting,
  views: Views,
  detail: () => ReadingDetail | null,
): () => void {
  const events = new AbortController();
  const capture = { signal: events.signal, capture: true };
  let pressed: { event: PointerEvent; element: HTMLElement } | null = null;
  window.addEventListener(
    "pointerdown",
    (event) => {
      const element = prompting.active ? views.elementUnder(event.composedPath()) : null;
      pressed = element && event.button === 0 ? { event, element } : null;
      // Shift would reshape the selected node.
      if (pressed && event.shiftKey) event.stopImmediatePropagation();
    },
    capture,
  );
  window.addEventListener(
    "pointerup",
    (event) => {
      const from = pressed;
      pressed = null;
      if (!from || !prompting.active) return;
      const { clientX, clientY } = from.event;
      if (Math.hypot(event.clientX - clientX, event.clientY - clientY) > STILL_PX) return;
      const id = Object.keys(views.planes).find(
        (name) => views.viewport(name)?.element === from.element,
      );
      const at = id ? voxelUnder(views, id, [clientX, clientY], detail()) : null;
      if (!at) return;
      // The planes that are not under the hand show the place, where its proposal will be seen.
      if (prompting.clicks.length === 0) views.centre(at, id);
      prompting.click(at, !from.event.shiftKey);
    },
    capture,
  );
  window.addEventListener(
    "keydown",
    (event) => {
      if (event.key !== "Enter" || !prompting.active || event.repeat) return;
      if (prompting.clicks.length === 0) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      if (prompting.failure) prompting.retry();
      else prompting.take();
    },
    capture,
  );
  return () => events.abort();
}

/** The voxel under a point of the page, or null outside the images. */
function voxelUnder(
  views: Views,
  id: string,
  [x, y]: Point2,
  detail: ReadingDetail | null,
): Voxel | null {
  const viewport = views.viewport(id);
  if (!viewport || !views.geometry || !detail) return null;
  const { left, top } = viewport.canvas.getBoundingClientRect();
  const world = viewport.canvasToWorld([x - left, y - top]);
  const at = views.geometry.voxel(world).map(Math.round) as Voxel;
  const inside = at.every((value, axis) => value >= 0 && value < (detail.grid.shape[axis] ?? 0));
  return inside ? at : null;
}
