// The selected node's long and short axis as the server measured them, drawn over the axial plane
// on the slice they lie on.

import type { Voxel } from "./contract";
import { text } from "./html";
import { AXIAL } from "./layout";
import type { Point2 } from "./ohif";
import type { Session } from "./session";
import type { Views } from "./views";

const NAMESPACE = "http://www.w3.org/2000/svg";
const STYLE = `position:absolute;inset:0;width:100%;height:100%;pointer-events:none;overflow:hidden;
  font:600 11px system-ui,sans-serif;font-variant-numeric:tabular-nums`;
/** From the end of an axis to its number. */
const GAP_PX = 9;

export class Axes {
  shown = true;
  private readonly svg = document.createElementNS(NAMESPACE, "svg");
  private drawn = "";

  constructor(
    private readonly session: Session,
    private readonly views: Views,
  ) {
    this.svg.setAttribute("style", STYLE);
    this.svg.dataset.testid = "axes";
    this.svg.setAttribute("aria-hidden", "true");
  }

  draw(): void {
    const element = this.views.viewport(AXIAL)?.element;
    if (element && this.svg.parentNode !== element) element.append(this.svg);
    const html = this.shown ? this.html() : "";
    if (html === this.drawn) return;
    this.drawn = html;
    this.svg.innerHTML = html;
  }

  private html(): string {
    const node = this.session.node(this.session.selected);
    const measures = node && !node.stale && !node.empty ? node.measures : null;
    const ends = measures?.endpoints_vox;
    if (!ends || this.views.slice("axial") !== measures.slice_index) return "";
    return (
      this.axisHtml(ends.long, measures.lad_text) + this.axisHtml(ends.short, measures.sad_text)
    );
  }

  private axisHtml([from, to]: readonly [Voxel, Voxel], words: string): string {
    const ends = [this.views.canvasPoint(AXIAL, from), this.views.canvasPoint(AXIAL, to)];
    const [a, b] = ends as [Point2 | null, Point2 | null];
    if (!a || !b) return "";
    const length = Math.hypot(b[0] - a[0], b[1] - a[1]) || 1;
    const along = [(b[0] - a[0]) / length, (b[1] - a[1]) / length] as const;
    const [x, y] = [b[0] + GAP_PX * along[0], b[1] + GAP_PX * along[1]];
    const anchor = Math.abs(along[0]) < 0.4 ? "middle" : along[0] > 0 ? "start" : "end";
    const place = `x1="${a[0]}" y1="${a[1]}" x2="${b[0]}" y2="${b[1]}"`;
    return `<line ${place} stroke="#000" stroke-opacity=".5" stroke-width="3"/>
      <line ${place} stroke="#fff" stroke-width="1"/>
      <text x="${x}" y="${y}" dy=".35em" text-anchor="${anchor}" fill="#fff" stroke="#000"
        stroke-width="3" paint-order="stroke">${text(words)}</text>`;
  }
}
