// Outlines, hatching and legend over one viewport, drawn as vectors: they cost the image nothing
// and can be told apart by dash and hatch as well as by colour.

import type { Plane, Voxel } from "../contract";
import { numberOf } from "../coverage/map";
import { write } from "../html";
import type { Point2 } from "../ohif";
import { AXIS } from "../views";
import {
  BOLD_WIDTH,
  dashHtml,
  defs,
  fixed,
  INK_COLOURS,
  type InkKind,
  type Strength,
  widthOf,
} from "./inks";
import type { Box3, Polygon, Solid } from "./layers";
import { cut, outlines } from "./layers";
import { type LegendRow, legendHtml } from "./legend";
import { colourOf, type Drawn } from "./map";
import type { StageViews } from "./views";

/** Outlines of one kind. */
export interface Ink {
  kind: InkKind;
  solids: readonly Solid[];
  strength: Strength;
  /** Written beside each outline. */
  numberOf?: (solid: Solid) => number;
}

export interface Scene {
  inks: Ink[];
  /** Voxels that only one of the two has, hatched. */
  only: { x: Solid | null; y: Solid | null };
  /** The map: voxels by how many drew them, filled. */
  drawn: readonly Drawn[];
  /** The cluster that is looked at, of the map. */
  selected?: number | null;
  /** Crossed out: a resolution leaves nothing here. */
  crossed: Box3 | null;
  /** As far as the brush reaches. */
  limit: Box3 | null;
  legend: LegendRow[];
}

const READERS = new Set<InkKind>(["x", "y"]);
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

  private placeWords(shape: Voxel): string {
    const index = this.views.sliceIn(this.id);
    const axis = AXIS[this.plane];
    const among = shape[axis];
    if (index === null || index < 0 || index >= among) return "";
    return `slice ${numberOf(this.plane, index, among)}/${among}`;
  }

  private html({ inks, only, drawn, selected = null, crossed, limit }: Scene): string {
    const index = this.views.sliceIn(this.id);
    const place = index === null ? null : this.mapping(index);
    if (index === null || !place) return "";
    const parts = [defs(this.id, place([0, 0]), drawn)];
    for (const level of drawn) parts.push(this.levelHtml(level, selected, index, place));
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

  /** Of the map; clusters that are not looked at stand back, with their numbers. */
  private levelHtml(level: Drawn, selected: number | null, index: number, place: Map2): string {
    const { count, among } = level;
    return [false, true]
      .map((own) => {
        const solids = level.solids.filter(({ cluster }) => (cluster === selected) === own);
        const d = solids.map((solid) => this.path(solid, index, place)).join("");
        if (!d) return "";
        const numberOf = ({ cluster }: Solid) => cluster;
        const numbers = own ? "" : this.numbersHtml({ solids, numberOf }, "#e8eef0", index, place);
        return `<g data-ink="drawn-${count}" data-strength="${own ? "strong" : "faint"}" ${own ? "" : 'opacity=".6"'}>
          <path d="${d}" fill="url(#drawn-${count}-${this.id})" fill-rule="evenodd" stroke="#000" stroke-opacity=".6" stroke-width="3"/>
          <path d="${d}" fill="none" stroke="${colourOf({ count, among })}" stroke-width="1.4"/>${numbers}</g>`;
      })
      .join("");
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
      ${this.numbersHtml(ink, INK_COLOURS[kind], index, place)}</g>`;
  }

  private numbersHtml(
    { solids, numberOf }: Pick<Ink, "solids" | "numberOf">,
    colour: string,
    index: number,
    place: Map2,
  ): string {
    if (!numberOf) return "";
    return solids
      .map((solid) => {
        const points = polygonsOf(solid, this.plane, index).flat().map(place);
        if (!points.length) return "";
        const right = points.reduce((best, point) => (point[0] > best[0] ? point : best));
        return `<text x="${fixed(right[0] + 4)}" y="${fixed(right[1])}" dy=".35em" fill="${colour}"
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

const spot = ([x, y]: Point2) => `${fixed(x)} ${fixed(y)}`;
