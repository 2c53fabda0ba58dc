// Where a reader was, to the pixel: kept by the server with what was seen, brought back by the
// next opening, on whichever machine.

import type { Hatching } from "./appearance/hatching";
import type { BesideRoom } from "./beside/enter";
import type { Resume, ViewPlace } from "./contract";
import type { Labelmap } from "./labelmap";
import { FILTERS, ORDERS } from "./order";
import type { Offering } from "./proposal/offering";
import type { Session } from "./session";
import type { ToolName, Tools } from "./tools";
import { type Views, type Voi, WINDOWS } from "./views";

/**
 * Crosshairs begin anew, for taking them up moves the other planes; and so does the brush that takes
 * a node's own densities, which it has from images that are still to come.
 */
const TOOLS: readonly ToolName[] = [
  "window",
  "pan",
  "zoom",
  "brush",
  "eraser",
  "sphere",
  "scissors",
  "reshape",
];
const LOOKING: readonly ToolName[] = ["window", "pan", "zoom"];
/** Finer than a screen shows; so that standing still is no news. */
const DECIMALS = 100;

export interface Place {
  labelmap: Labelmap;
  hatching: Hatching;
  session: Session;
  views: Views;
  tools: Tools;
  offering: Offering;
  beside: BesideRoom;
}

export function placeOf(place: Place): Resume {
  const { session, views, tools, labelmap, hatching, offering } = place;
  const { beside } = place.beside;
  return {
    node: session.selected,
    window: views.window,
    ...(views.windowed ? { voi: whole(views.voi) } : {}),
    tool: tools.active,
    brush_mm: tools.brushMm,
    order: session.order,
    filter: session.filter,
    look: {
      outline: labelmap.outlineOnly,
      fill: labelmap.fillAlpha,
      stripes: hatching.shown,
      hide_rejected: labelmap.hideRejected,
    },
    ...(beside.kept ? { beside: beside.kept } : {}),
    ...(offering.kept ? { left: offering.kept } : {}),
    ...(views.focus ? { focus: views.focus } : {}),
    views: Object.fromEntries(views.standing().map(([id, place]) => [id, rounded(place)])),
  };
}

/** Brings back what was kept, as far as it can be meant; true when the views stand as they did. */
export function restorePlace(place: Place, kept: Resume): boolean {
  const { session, views, tools } = place;
  restoreLook(place, kept.look ?? {});
  const { window = "", tool = "", order = "", filter = "", brush_mm } = kept;
  views.show(isOf(WINDOWS, window) ? window : "soft");
  if (isVoi(kept.voi)) views.grey(kept.voi);
  if (isOf(ORDERS, order)) session.list({ order });
  if (isOf(FILTERS, filter)) session.list({ filter });
  const node = session.node(kept.node ?? null);
  if (node) session.select(node.uuid);
  if (typeof brush_mm === "number") tools.resize(brush_mm - tools.brushMm);
  const held = TOOLS.find((name) => name === tool);
  if (held && (LOOKING.includes(held) || (node && session.writable))) tools.use(held);
  place.beside.beside.restore(kept.beside);
  return views.stand(kept.views ?? {});
}

function restoreLook({ labelmap, hatching }: Place, look: NonNullable<Resume["look"]>): void {
  if (typeof look.fill === "number") labelmap.fill(look.fill - labelmap.fillAlpha);
  labelmap.outlineOnly = look.outline === true;
  labelmap.hideRejected = look.hide_rejected === true;
  labelmap.applyStyle();
  labelmap.colour();
  hatching.shown = look.stripes === true;
}

function isOf<T extends object>(table: T, name: string): name is keyof T & string {
  return Object.hasOwn(table, name);
}

function isVoi(voi: Resume["voi"]): voi is Voi {
  return Number.isFinite(voi?.width) && Number.isFinite(voi?.centre) && (voi?.width ?? 0) > 0;
}

function whole({ width, centre }: Voi): Voi {
  return { width: Math.round(width), centre: Math.round(centre) };
}

function rounded({ at, scale }: ViewPlace): ViewPlace {
  const round = (value: number) => Math.round(value * DECIMALS) / DECIMALS;
  return { at: [round(at[0]), round(at[1]), round(at[2])], scale: round(scale) };
}
