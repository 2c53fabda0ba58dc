// Shapes over the planes, hatched because they are no part of the mask.

import type { Plane, Voxel } from "../contract";
import type { Point2 } from "../ohif";
import type { Views } from "../views";
import { ACROSS, type Corner, loops, type Voxels } from "./shape";

export const ACCENT = "#57c7b4";
export const AGAINST = "#e8a33d";
const NAMESPACE = "http://www.w3.org/2000/svg";
const STYLE =
  "position:absolute;inset:0;width:100%;height:100%;pointer-events:none;overflow:hidden";

/** From corners of a plane to its canvas. */
export type ToCanvas = (corner: Corner) => Point2;

/** One layer a view, written only where it differs. */
export class HatchedLayers {
  private readonly layers = new Map<string, SVGSVGElement>();
  private readonly drawn = new Map<string, string>();

  constructor(
    private readonly views: Views,
    private readonly testid: string,
  ) {}

  write(id: string, html: string): void {
    const element = this.views.viewport(id)?.element;
    if (!element || html === (this.drawn.get(id) ?? "")) return;
    this.drawn.set(id, html);
    const layer = this.layer(id);
    if (layer.parentNode !== element) element.append(layer);
    layer.innerHTML = html;
  }

  remove(): void {
    for (const layer of this.layers.values()) layer.remove();
  }

  /** The planes are flat: three points tell it all. */
  affine(id: string, plane: Plane, slice: number): ToCanvas | null {
    const [first, second, along] = ACROSS[plane];
    const at = (a: number, b: number) => {
      const voxel: Voxel = [0, 0, 0];
      [voxel[first], voxel[second], voxel[along]] = [a, b, slice];
      return this.views.canvasPoint(id, voxel);
    };
    const [origin, one, two] = [at(0, 0), at(1, 0), at(0, 1)];
    if (!origin || !one || !two) return null;
    const round = (value: number) => Math.round(value * 10) / 10;
    return ([a, b]) => [
      round(origin[0] + a * (one[0] - origin[0]) + b * (two[0] - origin[0])),
      round(origin[1] + a * (one[1] - origin[1]) + b * (two[1] - origin[1])),
    ];
  }

  private layer(id: string): SVGSVGElement {
    const known = this.layers.get(id);
    if (known) return known;
    const made = document.createElementNS(NAMESPACE, "svg");
    made.setAttribute("style", STYLE);
    made.setAttribute("aria-hidden", "true");
    made.dataset.testid = this.testid;
    this.layers.set(id, made);
    return made;
  }
}

/** What a plane cuts of some voxels, as the path of an SVG; "" for nothing. */
export function pathOf(
  voxels: Voxels,
  columns: number,
  plane: Plane,
  slice: number,
  toCanvas: ToCanvas,
): string {
  return loops(voxels, columns, plane, slice)
    .map((loop) => `M${loop.map((corner) => toCanvas(corner).join(",")).join("L")}Z`)
    .join("");
}

/** A hatched shape with a dashed border; `name` is its own in the document. */
export function hatchedHtml(name: string, path: string, testid: string, colour = ACCENT): string {
  return `<defs><pattern id="${name}" width="7" height="7" patternUnits="userSpaceOnUse"
        patternTransform="rotate(45)"><path d="M0 0V7" stroke="${colour}" stroke-width="2"
        stroke-opacity=".55"/></pattern></defs>
      <path d="${path}" fill="url(#${name})" fill-rule="evenodd" stroke="#000" stroke-opacity=".55"
        stroke-width="3.5" stroke-linejoin="round"/>
      <path d="${path}" fill="none" stroke="${colour}" stroke-width="1.6" stroke-dasharray="5 3"
        stroke-linejoin="round" data-testid="${testid}"/>`;
}
