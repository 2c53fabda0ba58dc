// What the reader marked beside the nodes, drawn over the axial plane: parts that cannot be read,
// hatched, and axes measured by hand, dashed.

import type { Box, ManualAxis, RegionRecord, SliceChange, Voxel } from "../contract";
import { text } from "../html";
import { AXIAL } from "../layout";
import type { Session } from "../session";
import type { Views } from "../views";
import { NOT_ASSESSABLE } from "../words";

const NAMESPACE = "http://www.w3.org/2000/svg";
const STYLE = `position:absolute;inset:0;width:100%;height:100%;pointer-events:none;overflow:hidden;
  font:600 11px system-ui,sans-serif;font-variant-numeric:tabular-nums`;
const INK = "#f0c674";
const HATCH = `<defs><pattern id="concord-hatch" width="9" height="9" patternUnits="userSpaceOnUse"
  patternTransform="rotate(45)"><path d="M0 0v9" stroke="${INK}" stroke-width="1.4"/></pattern></defs>`;
/** Below the words that stand in the corner of the plane. */
const LEAST_X = 12;
const LEAST_Y = 64;

export class Marks {
  private readonly svg = document.createElementNS(NAMESPACE, "svg");
  private drawn = "";

  constructor(
    private readonly session: Session,
    private readonly views: Views,
  ) {
    this.svg.setAttribute("style", STYLE);
    this.svg.dataset.testid = "marks";
    this.svg.setAttribute("aria-hidden", "true");
  }

  draw(): void {
    const element = this.views.viewport(AXIAL)?.element;
    if (element && this.svg.parentNode !== element) element.append(this.svg);
    const slice = this.views.slice("axial");
    const html = slice === null ? "" : this.regionsHtml(slice) + this.caliperHtml(slice);
    if (html === this.drawn) return;
    this.drawn = html;
    this.svg.innerHTML = html;
  }

  private regionsHtml(slice: number): string {
    const sop = this.session.sops[slice];
    const found = this.session.regions.flatMap((region) =>
      region.slices
        .filter((part) => part.sop === sop)
        .map((part) => this.partHtml(slice, region, part)),
    );
    return found.length ? HATCH + found.join("") : "";
  }

  private partHtml(slice: number, { reason }: RegionRecord, { box, runs }: SliceChange): string {
    const shapes = boxesOf(box, runs).map(([top, left, bottom, right]) => {
      const corners = [
        [top, left],
        [top, right],
        [bottom, right],
        [bottom, left],
      ] as const;
      const points = corners.map(([row, column]) => {
        return this.point([slice, row - 0.5, column - 0.5]).join(",");
      });
      return `<polygon points="${points.join(" ")}" fill="url(#concord-hatch)" fill-opacity=".4"/>`;
    });
    const [x, y] = this.point([slice, box[0], box[1]]);
    const words = `cannot be read: ${NOT_ASSESSABLE[reason || "other"]}`;
    return `${shapes.join("")}<text x="${Math.max(LEAST_X, x + 8)}" y="${Math.max(LEAST_Y, y + 18)}"
      fill="${INK}" stroke="#000" stroke-width="3" paint-order="stroke">${text(words)}</text>`;
  }

  private caliperHtml(slice: number): string {
    const manual = this.session.node(this.session.selected)?.manual;
    return [manual?.long, manual?.short].map((axis) => this.axisHtml(slice, axis)).join("");
  }

  private axisHtml(slice: number, axis: ManualAxis | null | undefined): string {
    const ends = axis?.ends_vox;
    if (!axis || !ends || ends.some((end) => Math.abs(end[0] - slice) > 0.5)) return "";
    const [a, b] = [this.point(ends[0]), this.point(ends[1])];
    return `<line x1="${a[0]}" y1="${a[1]}" x2="${b[0]}" y2="${b[1]}" stroke="${INK}"
      stroke-width="1.3" stroke-dasharray="4 3"/>
      <text x="${a[0] - 6}" y="${a[1] - 6}" text-anchor="end" fill="${INK}" stroke="#000"
      stroke-width="3" paint-order="stroke">${text(axis.text)} by hand</text>`;
  }

  private point(voxel: Voxel): [number, number] {
    const found = this.views.canvasPoint(AXIAL, voxel);
    return found ? [Math.round(found[0] * 10) / 10, Math.round(found[1] * 10) / 10] : [0, 0];
  }
}

/** A whole box, or a box for every run. */
function boxesOf(box: Box, runs: SliceChange["runs"]): Box[] {
  const [r0, c0, r1, c1] = box;
  const width = c1 - c0;
  if (runs.length === 1 && runs[0]?.[1] === width * (r1 - r0)) return [box];
  return runs.map(([offset, length]) => {
    const [row, column] = [r0 + Math.floor(offset / width), c0 + (offset % width)];
    return [row, column, row + 1, column + length];
  });
}
