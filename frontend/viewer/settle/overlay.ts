// Outlines, hatching and legend over one viewport, drawn as vectors: they cost the image nothing
// and can be told apart by dash and hatch as well as by colour.

import type { Plane, Voxel } from "../contract";
import { text, write } from "../html";
import type { Point2 } from "../ohif";
import { AXIS } from "../views";
import type { Box3, Polygon, Solid } from "./layers";
import { cut, outlines } from "./layers";
import type { StageViews } from "./views";

export type InkKind = "x" | "y" | "ai" | "agreed" | "preview" | "ignored" | "redraw";

/** Outlines of one kind. */
export interface Ink {
  kind: InkKind;
  solids: readonly Solid[];
  strength: "faint" | "calm" | "strong";
  /** Written beside each outline. */
  numberOf?: (solid: Solid) => number;
}

export interface LegendRow {
  swatch: InkKind | "only-x" | "only-y" | "absent" | "limit";
  words: string;
  /** Said in a fainter tone. */
  aside?: string;
}

export interface Scene {
  inks: Ink[];
  /** Voxels that only one of the two has, hatched. */
  only: { x: Solid | null; y: Solid | null };
  /** Crossed out: a resolution leaves nothing here. */
  crossed: Box3 | null;
  /** As far as the brush reaches. */
  limit: Box3 | null;
  legend: LegendRow[];
}

/** Okabe and Ito's orange, sky blue and purple; teal for what is agreed, white for what would be. */
export const INK_COLOURS: Record<InkKind, string> = {
  x: "#e69f00",
  y: "#56b4e9",
  ai: "#e08bbb",
  agreed: "#57c7b4",
  preview: "#fff",
  ignored: "#fff",
  redraw: "#fff",
};
const DASHES: Partial<Record<InkKind, string>> = { y: "7 4", ai: "0.1 10", ignored: "0.1 6" };
const DOTTED = new Set<InkKind>(["ai", "ignored"]);
const WIDTHS: Record<Ink["strength"], number> = { faint: 1, calm: 1.5, strong: 2.25 };
const BOLD = new Set<InkKind>(["ignored"]);
const BOLD_WIDTH = 3.5;
const READERS = new Set<InkKind>(["x", "y"]);
/** Wide enough to be seen on both sides of a reader's outline on top of it. */
const UNDER = new Set<InkKind>(["preview", "redraw"]);
const UNDER_WIDTH = 6.5;
/** Beads, seen on both sides of a reader's outline on top of them. */
const AI_WIDTH = 6;

const NAMESPACE = "http://www.w3.org/2000/svg";
const FULL = "position:absolute;inset:0;width:100%;height:100%;pointer-events:none;overflow:hidden";
const FONT = "font:600 11px system-ui,sans-serif;font-variant-numeric:tabular-nums";
const LEGEND = `position:absolute;left:6px;top:6px;pointer-events:none;display:grid;gap:2px;
  padding:3px 7px 3px 5px;border-radius:4px;background:rgb(10 13 14/.62);
  font:12px/16px system-ui,sans-serif;color:#e8eef0`;
const PLACE = `position:absolute;right:22px;bottom:8px;pointer-events:none;
  font:12px/16px system-ui,sans-serif;font-variant-numeric:tabular-nums;color:#c6d4ee;
  text-shadow:0 0 3px #000,0 0 3px #000`;

type Map2 = (point: readonly [number, number]) => Point2;

export class Overlay {
  private readonly svg = document.createElementNS(NAMESPACE, "svg");
  private readonly hand = document.createElementNS(NAMESPACE, "svg");
  private readonly legend = document.createElement("div");
  private readonly place = document.createElement("div");
  private drawn = "";

  constructor(
    private readonly views: StageViews,
    private readonly id: string,
  ) {
    this.svg.setAttribute("style", `${FULL};${FONT}`);
    this.svg.setAttribute("aria-hidden", "true");
    this.svg.dataset.testid = "outlines";
    this.hand.setAttribute("style", FULL);
    this.hand.setAttribute("aria-hidden", "true");
    this.legend.setAttribute("style", LEGEND);
    this.legend.dataset.testid = "legend";
    this.place.setAttribute("style", PLACE);
    this.place.dataset.testid = "slice";
  }

  private get plane(): Plane {
    return this.views.planes[this.id] ?? "axial";
  }

  /** `shape` is the whole grid's: slices, rows, columns. */
  draw(scene: Scene, shape: Voxel): void {
    const element = this.views.viewport(this.id)?.element;
    if (!element) return;
    for (const layer of [this.svg, this.hand, this.legend, this.place]) {
      if (layer.parentNode !== element) element.append(layer);
    }
    write(this.place, this.placeWords(shape));
    this.legend.style.display = scene.legend.length ? "grid" : "none";
    write(this.legend, scene.legend.map(legendHtml).join(""));
    const html = this.html(scene);
    if (html === this.drawn) return;
    this.drawn = html;
    this.svg.innerHTML = html;
  }

  /** The brush under the pointer; null takes it away. */
  brush(at: Point2 | null, radiusPx = 0): void {
    const [x, y] = at ?? [0, 0];
    this.hand.innerHTML = at
      ? `<circle cx="${x}" cy="${y}" r="${radiusPx}" fill="none" stroke="#000" stroke-opacity=".6" stroke-width="3"/>
         <circle cx="${x}" cy="${y}" r="${radiusPx}" fill="none" stroke="#fff" stroke-width="1.2"/>`
      : "";
  }

  remove(): void {
    for (const layer of [this.svg, this.hand, this.legend, this.place]) layer.remove();
  }

  /** Axial slices are counted from the skull base down, as in every report. */
  private placeWords(shape: Voxel): string {
    const index = this.views.sliceIn(this.id);
    const axis = AXIS[this.plane];
    const among = shape[axis];
    if (index === null || index < 0 || index >= among) return "";
    return `slice ${axis === 0 ? among - index : index + 1}/${among}`;
  }

  private html({ inks, only, crossed, limit }: Scene): string {
    const index = this.views.sliceIn(this.id);
    const place = index === null ? null : this.mapping(index);
    if (index === null || !place) return "";
    const parts = [defs(this.id, place([0, 0]))];
    for (const side of ["x", "y"] as const) {
      const solid = only[side];
      const d = solid ? this.path(solid, index, place) : "";
      if (d) parts.push(`<path data-ink="only-${side}" d="${d}" fill="url(#${side}-${this.id})"/>`);
    }
    if (limit) parts.push(this.limitHtml(limit, index, place));
    // The dark edge of a reader's outline lies below all that must show on both sides of it.
    for (const ink of inks) if (READERS.has(ink.kind)) parts.push(this.haloHtml(ink, index, place));
    for (const ink of inks) parts.push(this.inkHtml(ink, index, place));
    if (crossed) parts.push(this.crossHtml(crossed, index, place));
    return parts.join("");
  }

  private haloHtml({ kind, solids, strength }: Ink, index: number, place: Map2): string {
    const d = solids.map((solid) => this.path(solid, index, place)).join("");
    if (!d || strength === "faint" || kind === "ai") return "";
    return `<path d="${d}" fill="none" stroke-linejoin="round" stroke="#000" stroke-opacity=".6" stroke-width="${widthOf(kind, strength) + 2}"/>`;
  }

  private inkHtml(ink: Ink, index: number, place: Map2): string {
    const { kind, solids, strength } = ink;
    const d = solids.map((solid) => this.path(solid, index, place)).join("");
    if (!d) return "";
    const width = widthOf(kind, strength);
    const line = `d="${d}" fill="none" stroke-linejoin="round"`;
    const halo = READERS.has(kind) ? "" : this.haloHtml(ink, index, place);
    const fill = kind === "redraw" ? `<path d="${d}" fill="#57c7b4" fill-opacity=".18"/>` : "";
    return `<g data-ink="${kind}" data-strength="${strength}" ${strength === "faint" ? 'opacity=".55"' : ""}>
      ${fill}${halo}<path ${line} stroke="${INK_COLOURS[kind]}" stroke-width="${width}"${dashHtml(kind)}/>
      ${this.numbersHtml(ink, index, place)}</g>`;
  }

  private numbersHtml({ kind, solids, numberOf }: Ink, index: number, place: Map2): string {
    if (!numberOf) return "";
    return solids
      .map((solid) => {
        const points = polygonsOf(solid, this.plane, index).flat().map(place);
        if (!points.length) return "";
        const right = points.reduce((best, point) => (point[0] > best[0] ? point : best));
        return `<text x="${fixed(right[0] + 4)}" y="${fixed(right[1])}" dy=".35em" fill="${INK_COLOURS[kind]}"
          stroke="#000" stroke-width="3" paint-order="stroke">${numberOf(solid)}</text>`;
      })
      .join("");
  }

  private limitHtml(box: Box3, index: number, place: Map2): string {
    const [from, to, ends] = this.rectangle(box);
    if (index < ends[0] || index >= ends[1]) return "";
    const [a, b] = [place(from), place(to)];
    return `<rect data-ink="limit" x="${fixed(Math.min(a[0], b[0]))}" y="${fixed(Math.min(a[1], b[1]))}"
      width="${fixed(Math.abs(b[0] - a[0]))}" height="${fixed(Math.abs(b[1] - a[1]))}"
      fill="none" stroke="#57c7b4" stroke-opacity=".45" stroke-width="1" stroke-dasharray="3 5"/>`;
  }

  private crossHtml(box: Box3, index: number, place: Map2): string {
    const [from, to, ends] = this.rectangle(box);
    if (index < ends[0] || index >= ends[1]) return "";
    const [a, b] = [place(from), place(to)];
    const d = `M${spot(a)}L${spot(b)}M${spot([a[0], b[1]])}L${spot([b[0], a[1]])}`;
    return `<g data-ink="absent"><path d="${d}" stroke="#000" stroke-opacity=".6" stroke-width="${BOLD_WIDTH + 2}"/>
      <path d="${d}" stroke="#fff" stroke-width="${BOLD_WIDTH}"/></g>`;
  }

  /** A box as this plane sees it: two corners, and from which index to which it reaches. */
  private rectangle(box: Box3): [Point2, Point2, Point2] {
    const [z0, r0, c0, z1, r1, c1] = box;
    const edges = {
      axial: [r0, c0, r1, c1],
      coronal: [z0, c0, z1, c1],
      sagittal: [z0, r0, z1, r1],
    };
    const through = { axial: [z0, z1], coronal: [r0, r1], sagittal: [c0, c1] }[this.plane];
    const [a, b, c, d] = edges[this.plane].map((edge) => edge - 0.5) as [
      number,
      number,
      number,
      number,
    ];
    return [[a, b], [c, d], through as Point2];
  }

  private path(solid: Solid, index: number, place: Map2): string {
    return polygonsOf(solid, this.plane, index)
      .map((polygon) => `M${polygon.map((point) => spot(place(point))).join("L")}Z`)
      .join("");
  }

  /** The plane's grid to canvas pixels: an affine map, found from three points. */
  private mapping(index: number): Map2 | null {
    const voxel = (a: number, b: number): Voxel =>
      ({ axial: [index, a, b], coronal: [a, index, b], sagittal: [a, b, index] })[
        this.plane
      ] as Voxel;
    const [o, u, v] = [voxel(0, 0), voxel(1, 0), voxel(0, 1)].map((at) =>
      this.views.canvasPoint(this.id, at),
    );
    if (!o || !u || !v) return null;
    return ([a, b]) => [
      o[0] + a * (u[0] - o[0]) + b * (v[0] - o[0]),
      o[1] + a * (u[1] - o[1]) + b * (v[1] - o[1]),
    ];
  }
}

const kept = new WeakMap<Uint8Array, Map<string, Polygon[]>>();

/** Outlines of a solid in a plane, kept as long as its voxels are. */
function polygonsOf(solid: Solid, plane: Plane, index: number): Polygon[] {
  let known = kept.get(solid.data);
  if (!known) {
    known = new Map();
    kept.set(solid.data, known);
  }
  const name = `${plane} ${index}`;
  let found = known.get(name);
  if (!found) {
    const through = cut(solid, plane, index);
    found = through ? outlines(through) : [];
    known.set(name, found);
  }
  return found;
}

/** To be called when voxels were painted: what was kept of them is no longer true. */
export function repainted(data: Uint8Array): void {
  kept.delete(data);
}

function widthOf(kind: InkKind, strength: Ink["strength"]): number {
  if (strength === "faint") return WIDTHS.faint;
  if (UNDER.has(kind)) return UNDER_WIDTH;
  if (kind === "ai") return AI_WIDTH;
  return BOLD.has(kind) ? BOLD_WIDTH : WIDTHS[strength];
}

function dashHtml(kind: InkKind): string {
  const dash = DASHES[kind];
  if (!dash) return "";
  return ` stroke-dasharray="${dash}" stroke-linecap="${DOTTED.has(kind) ? "round" : "butt"}"`;
}

const fixed = (value: number) => value.toFixed(1);
const spot = ([x, y]: Point2) => `${fixed(x)} ${fixed(y)}`;

/** Hatching that stays with the image: X leans one way, Y the other. */
function defs(id: string, [x, y]: Point2): string {
  const pattern = (side: "x" | "y", angle: number) =>
    `<pattern id="${side}-${id}" width="6" height="6" patternUnits="userSpaceOnUse"
      patternTransform="translate(${fixed(x)} ${fixed(y)}) rotate(${angle})">
      <rect width="6" height="6" fill="${INK_COLOURS[side]}" fill-opacity=".16"/>
      <path d="M0 0V6" stroke="${INK_COLOURS[side]}" stroke-width="2.4" stroke-opacity=".85"/></pattern>`;
  return `<defs>${pattern("x", 45)}${pattern("y", -45)}</defs>`;
}

function legendHtml({ swatch, words, aside }: LegendRow): string {
  const rest = aside ? ` <span style="color:#9fb0b5">${text(aside)}</span>` : "";
  return `<span style="display:flex;align-items:center;gap:7px" data-swatch="${swatch}">${swatchHtml(swatch)}<span>${text(words)}${rest}</span></span>`;
}

function swatchHtml(swatch: LegendRow["swatch"]): string {
  const box = `<svg width="24" height="10" viewBox="0 0 24 10" aria-hidden="true" style="flex:none">`;
  if (swatch === "only-x" || swatch === "only-y") {
    const side = swatch === "only-x" ? "x" : "y";
    const lean = side === "x" ? "M1 9L9 1M8 9L16 1M15 9L23 1" : "M1 1L9 9M8 1L16 9M15 1L23 9";
    return `${box}<path d="${lean}" stroke="${INK_COLOURS[side]}" stroke-width="2"/></svg>`;
  }
  if (swatch === "absent") {
    return `${box}<path d="M8 1L16 9M8 9L16 1" stroke="#fff" stroke-width="2.5"/></svg>`;
  }
  if (swatch === "limit") {
    return `${box}<path d="M1 5H23" stroke="#57c7b4" stroke-opacity=".8" stroke-dasharray="3 5"/></svg>`;
  }
  const width = widthOf(swatch, "strong");
  return `${box}<path d="M1 5H23" stroke="${INK_COLOURS[swatch]}" stroke-width="${width}"${dashHtml(swatch)}/></svg>`;
}
