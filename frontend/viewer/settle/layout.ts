// The viewports of the settling screen. All are made once; a layout only moves them, so that
// changing it loads and blinks nothing.

import type { Plane } from "../contract";
import { type Place, protocol, viewport } from "../layout";
import type { Planes } from "../views";
import type { StageLayout } from "./stage";

export const PROTOCOL = "concord-settling";
export const AXIAL_X = "concord-axial-x";
export const AXIAL_Y = "concord-axial-y";
export const CORONAL_X = "concord-coronal-x";
export const CORONAL_Y = "concord-coronal-y";
export const SAGITTAL = "concord-settle-sagittal";

export const PLANES: Planes = {
  [AXIAL_X]: "axial",
  [AXIAL_Y]: "axial",
  [CORONAL_X]: "coronal",
  [CORONAL_Y]: "coronal",
  [SAGITTAL]: "sagittal",
};

/** Viewports that always stand at the same place. */
export const LINKED: Readonly<Record<string, string>> = {
  [AXIAL_X]: AXIAL_Y,
  [AXIAL_Y]: AXIAL_X,
  [CORONAL_X]: CORONAL_Y,
  [CORONAL_Y]: CORONAL_X,
};

const ROW = 0.62;
const PLACES: Record<StageLayout, Readonly<Record<string, Place>>> = {
  side_by_side: {
    [AXIAL_X]: { x: 0, y: 0, width: 0.5, height: ROW },
    [AXIAL_Y]: { x: 0.5, y: 0, width: 0.5, height: ROW },
    [CORONAL_X]: { x: 0, y: ROW, width: 0.5, height: 1 - ROW },
    [CORONAL_Y]: { x: 0.5, y: ROW, width: 0.5, height: 1 - ROW },
  },
  overlay: {
    [AXIAL_X]: { x: 0, y: 0, width: 0.62, height: 1 },
    [CORONAL_X]: { x: 0.62, y: 0, width: 0.38, height: 0.5 },
    [SAGITTAL]: { x: 0.62, y: 0.5, width: 0.38, height: 0.5 },
  },
};

/** Whose outlines a viewport shows side by side; overlaid, each shows both. */
export function sidesOf(id: string, layout: StageLayout): readonly ("x" | "y")[] {
  if (layout === "overlay") return ["x", "y"];
  return id === AXIAL_Y || id === CORONAL_Y ? ["y"] : ["x"];
}

export function isShown(id: string, layout: StageLayout): boolean {
  return id in PLACES[layout];
}

export function settlingProtocol() {
  const { side_by_side: first } = PLACES;
  const hidden = { x: 0, y: ROW, width: 0.5, height: 1 - ROW };
  return protocol({
    id: PROTOCOL,
    name: "Settling",
    stage: "X and Y",
    rows: 2,
    columns: 3,
    places: Object.keys(PLANES).map((id) => first[id] ?? hidden),
    viewports: Object.entries(PLANES).map(([id, plane]: [string, Plane]) => viewport(id, plane)),
  });
}

const percent = (share: number) => `${100 * share}%`;

/** Where the host's panes stand in each layout, chosen by an attribute of the page. */
export function placesCss(): string {
  return (Object.keys(PLACES) as StageLayout[])
    .flatMap((layout) =>
      Object.keys(PLANES).map((id) => {
        const place = PLACES[layout][id];
        const pane = `[data-settle-layout="${layout}"] div:has(> div > [data-cy="viewport-pane"] [data-viewportid="${id}"])`;
        if (!place) return `${pane} { visibility: hidden; pointer-events: none; }`;
        const { x, y, width, height } = place;
        return `${pane} { left: ${percent(x)} !important; top: ${percent(y)} !important;
          width: ${percent(width)} !important; height: ${percent(height)} !important;
          border: 0 solid hsl(var(--input)) !important;
          border-width: 0 ${x + width < 1 ? 1 : 0}px ${y + height < 1 ? 1 : 0}px 0 !important; }`;
      }),
    )
    .join("\n");
}
