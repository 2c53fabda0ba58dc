// The selected node's long and short axis as the server measured them, drawn in every plane as far
// as they lie in the slice it shows: whole lines with their numbers, single ends as dots, and a
// caption where a plane only cuts through.

import type { Measures, Plane, Voxel } from "./contract";
import { text } from "./html";
import { type InPlane, inPlane } from "./in_plane";
import type { Point2 } from "./ohif";
import type { Session } from "./session";
import { AXIS, type Views } from "./views";

const NAMESPACE = "http://www.w3.org/2000/svg";
const STYLE = `position:absolute;inset:0;width:100%;height:100%;pointer-events:none;overflow:hidden;
  font:600 11px system-ui,sans-serif;font-variant-numeric:tabular-nums`;
/** From the end of an axis to its number. */
const GAP_PX = 9;
/** How wide a letter of a caption is, about; and how wide the bar of slices with its number. */
const LETTER_PX = 6.5;
const BAR_PX = 96;

export class Axes {
  shown = true;
  private readonly sheets = new Map<string, { svg: SVGSVGElement; drawn: string }>();

  constructor(
    private readonly session: Session,
    private readonly views: Views,
  ) {}

  /** Draws over every plane, or over the one viewport that was drawn. */
  draw(viewportId?: string): void {
    for (const [id, plane] of Object.entries(this.views.planes)) {
      if (viewportId && id !== viewportId) continue;
      const element = this.views.viewport(id)?.element;
      if (!element) continue;
      const sheet = this.sheetOf(id, plane);
      if (sheet.svg.parentNode !== element) element.append(sheet.svg);
      const html = this.shown ? this.html(id, plane) : "";
      if (html === sheet.drawn) continue;
      sheet.drawn = html;
      sheet.svg.innerHTML = html;
    }
  }

  private sheetOf(id: string, plane: Plane) {
    let sheet = this.sheets.get(id);
    if (!sheet) {
      const svg = document.createElementNS(NAMESPACE, "svg");
      svg.setAttribute("style", STYLE);
      svg.dataset.testid = plane === "axial" ? "axes" : `axes-${plane}`;
      svg.setAttribute("aria-hidden", "true");
      sheet = { svg, drawn: "" };
      this.sheets.set(id, sheet);
    }
    return sheet;
  }

  private html(id: string, plane: Plane): string {
    const node = this.session.node(this.session.selected);
    const measures = node && !node.stale && !node.empty ? node.measures : null;
    const ends = measures?.endpoints_vox;
    const at = this.views.sliceIn(id);
    if (!measures || !ends || at === null) return "";
    const [long, short] = [
      inPlane(ends.long, AXIS[plane], at),
      inPlane(ends.short, AXIS[plane], at),
    ];
    const lines = [
      long && this.lineHtml(id, long, measures.lad_text),
      short && this.lineHtml(id, short, nearWords(measures)),
    ];
    const cut = [long, short].find((axis) => axis && !axis.whole);
    return lines.filter(Boolean).join("") + (cut ? this.captionHtml(id, cut, measures) : "");
  }

  private lineHtml(id: string, axis: InPlane, words: string): string {
    const [a, b] = axis.part.map((voxel) => this.views.canvasPoint(id, voxel));
    if (!a || !b) return "";
    const place = `x1="${a[0]}" y1="${a[1]}" x2="${b[0]}" y2="${b[1]}" stroke-linecap="round"`;
    const line = `<line ${place} stroke="#000" stroke-opacity=".5" stroke-width="3"/>
      <line ${place} stroke="#fff" stroke-width="${axis.whole ? 1 : 1.5}"/>`;
    const dots = axis.ends.map((voxel) => this.dotHtml(id, voxel)).join("");
    return line + dots + (axis.whole ? numberHtml(a, b, words) : "");
  }

  private dotHtml(id: string, voxel: Voxel): string {
    const point = this.views.canvasPoint(id, voxel);
    if (!point) return "";
    return `<circle cx="${point[0]}" cy="${point[1]}" r="2" fill="#fff" stroke="#000" stroke-opacity=".6"/>`;
  }

  /** Long × short beside the place where a plane cuts through the axes. */
  private captionHtml(id: string, axis: InPlane, measures: Measures): string {
    const ends = axis.part.map((voxel) => this.views.canvasPoint(id, voxel)?.[0] ?? 0);
    const y = this.views.canvasPoint(id, axis.part[1])?.[1];
    if (y === undefined) return "";
    const words = `${measures.lad_text} × ${nearWords(measures)} mm`;
    const width = this.views.viewport(id)?.element.clientWidth ?? 0;
    const right = Math.max(...ends) + 2 * GAP_PX;
    const fits = right + words.length * LETTER_PX < width - BAR_PX;
    const [x, anchor] = fits ? [right, "start"] : [Math.min(...ends) - 2 * GAP_PX, "end"];
    return `<text x="${x}" y="${y}" dy=".35em" text-anchor="${anchor}" fill="#fff" fill-opacity=".85"
      stroke="#000" stroke-width="3" paint-order="stroke">${text(words)}</text>`;
  }
}

/** The short axis; near a threshold it says which. */
function nearWords({ sad_text, near_mm }: Measures): string {
  return near_mm ? `${sad_text} (≈ ${near_mm})` : sad_text;
}

function numberHtml(a: Point2, b: Point2, words: string): string {
  const length = Math.hypot(b[0] - a[0], b[1] - a[1]) || 1;
  const along = [(b[0] - a[0]) / length, (b[1] - a[1]) / length] as const;
  const [x, y] = [b[0] + GAP_PX * along[0], b[1] + GAP_PX * along[1]];
  const anchor = Math.abs(along[0]) < 0.4 ? "middle" : along[0] > 0 ? "start" : "end";
  return `<text x="${x}" y="${y}" dy=".35em" text-anchor="${anchor}" fill="#fff" stroke="#000"
    stroke-width="3" paint-order="stroke">${text(words)}</text>`;
}
