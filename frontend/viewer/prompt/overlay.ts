// The proposal over the three planes, hatched because it is not part of the mask; the clicks; and
// one line that says what happens and which keys matter now.

import type { Plane, ReadingDetail, Voxel } from "../contract";
import { text } from "../html";
import { AXIAL } from "../layout";
import type { Point2 } from "../ohif";
import type { Views } from "../views";
import type { Prompting } from "./prompting";
import { ACROSS, type Corner, loops, type Voxels, voxelsOf } from "./shape";
import { millilitres, unsureWords } from "./words";

const NAMESPACE = "http://www.w3.org/2000/svg";
const ACCENT = "#57c7b4";
const AGAINST = "#e8a33d";
const STYLE =
  "position:absolute;inset:0;width:100%;height:100%;pointer-events:none;overflow:hidden";
const LINE = `position:absolute;left:50%;bottom:34px;transform:translateX(-50%);pointer-events:none;
  width:max-content;max-width:calc(100% - 32px);padding:6px 12px;border-radius:6px;background:rgba(13,18,20,.88);
  border:1px solid rgba(87,199,180,.35);color:#e6ecee;font:500 12.5px/1.45 system-ui,sans-serif;
  font-variant-numeric:tabular-nums;text-align:center`;
/** A wait below this is not spoken of. */
const PATIENCE_MS = 1000;

export class PromptOverlay {
  private readonly layers = new Map<string, SVGSVGElement>();
  private readonly line = document.createElement("div");
  private readonly drawn = new Map<string, string>();
  private shape: { of: unknown; voxels: Voxels } | null = null;
  private ticking: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly prompting: Prompting,
    private readonly views: Views,
    private readonly detail: () => ReadingDetail | null,
  ) {
    this.line.setAttribute("style", LINE);
    this.line.dataset.testid = "prompt-line";
    this.line.setAttribute("role", "status");
  }

  draw(): void {
    for (const [id, plane] of Object.entries(this.views.planes)) this.drawPlane(id, plane);
    this.drawLine();
    this.tick();
  }

  drawPlane(id: string, plane: Plane): void {
    const element = this.views.viewport(id)?.element;
    if (!element) return;
    const html = this.prompting.active ? this.planeHtml(id, plane) : "";
    if (html === (this.drawn.get(id) ?? "")) return;
    this.drawn.set(id, html);
    const layer = this.layer(id);
    if (layer.parentNode !== element) element.append(layer);
    layer.innerHTML = html;
  }

  remove(): void {
    clearTimeout(this.ticking);
    for (const layer of this.layers.values()) layer.remove();
    this.line.remove();
  }

  private layer(id: string): SVGSVGElement {
    const known = this.layers.get(id);
    if (known) return known;
    const made = document.createElementNS(NAMESPACE, "svg");
    made.setAttribute("style", STYLE);
    made.setAttribute("aria-hidden", "true");
    made.dataset.testid = "prompt-overlay";
    this.layers.set(id, made);
    return made;
  }

  private planeHtml(id: string, plane: Plane): string {
    const slice = this.views.sliceIn(id);
    const toCanvas = slice === null ? null : this.affine(id, plane, slice);
    if (!toCanvas || slice === null) return "";
    const path = this.loopsAt(plane, slice)
      .map((loop) => `M${loop.map((corner) => toCanvas(corner).join(",")).join("L")}Z`)
      .join("");
    const hatch = `hatch-${id}`;
    const [first, second, along] = ACROSS[plane];
    const marks = this.prompting.clicks
      .filter(({ at }) => Math.abs(at[along] - slice) <= (plane === "axial" ? 0 : 1))
      .map(({ at, within }) => markHtml(toCanvas([at[first], at[second]]), within));
    if (!path && marks.length === 0) return "";
    return `<defs><pattern id="${hatch}" width="7" height="7" patternUnits="userSpaceOnUse"
        patternTransform="rotate(45)"><path d="M0 0V7" stroke="${ACCENT}" stroke-width="2"
        stroke-opacity=".55"/></pattern></defs>
      <path d="${path}" fill="url(#${hatch})" fill-rule="evenodd" stroke="#000" stroke-opacity=".55"
        stroke-width="3.5" stroke-linejoin="round"/>
      <path d="${path}" fill="none" stroke="${ACCENT}" stroke-width="1.6" stroke-dasharray="5 3"
        stroke-linejoin="round" data-testid="prompt-shape"/>${marks.join("")}`;
  }

  private loopsAt(plane: Plane, slice: number): Corner[][] {
    const { proposal } = this.prompting;
    const detail = this.detail();
    if (!proposal || !detail) return [];
    const columns = detail.grid.shape[2];
    if (this.shape?.of !== proposal) {
      const voxels = voxelsOf(proposal.slices, detail.grid.sop_uids, columns);
      this.shape = { of: proposal, voxels };
    }
    return loops(this.shape.voxels, columns, plane, slice);
  }

  /** From corners of a plane to the canvas: the planes are flat, three points tell it all. */
  private affine(id: string, plane: Plane, slice: number): ((corner: Corner) => Point2) | null {
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

  private drawLine(): void {
    const element = this.views.viewport(AXIAL)?.element;
    if (!this.prompting.active || !element) {
      this.line.remove();
      return;
    }
    if (this.line.parentNode !== element) element.append(this.line);
    const html = this.lineHtml();
    if (this.line.innerHTML !== html) this.line.innerHTML = html;
  }

  private lineHtml(): string {
    const { prompting } = this;
    const keys = (words: string) => `<span style="color:#93a3a8">${words}</span>`;
    const waited = performance.now() - prompting.askedAt;
    if (prompting.waiting) {
      if (waited < PATIENCE_MS) return prompting.proposal ? this.shapeHtml() : "Looking …";
      return `Looking … ${(waited / 1000).toFixed(1)} s ${keys("Esc drops it")}`;
    }
    if (prompting.failure) {
      const again = prompting.clicks.length ? keys("Enter asks again · Esc drops") : "";
      return `<span style="color:${AGAINST}">${text(prompting.failure)}</span> ${again}`;
    }
    if (prompting.proposal) return this.shapeHtml();
    return `Click into the missed node ${keys("on the selected node it refines that · Esc ends")}`;
  }

  private shapeHtml(): string {
    const { proposal, node } = this.prompting;
    const detail = this.detail();
    if (!proposal || !detail) return "";
    const size = millilitres(proposal.voxels, detail.grid.spacing_mm);
    const unsure = proposal.unsure.length
      ? `<br><span style="color:${AGAINST}">${text(unsureWords(proposal.unsure))}</span>`
      : "";
    return `<b>${node ? "Refined" : "Proposed"}</b> ${size} · likely overlap ${Math.round(proposal.confidence * 100)} %
      <span style="color:#93a3a8">Enter takes · click adds · Shift+click removes · Z back · Esc drops</span>${unsure}`;
  }

  /** While an answer is waited for, its timer runs. */
  private tick(): void {
    clearTimeout(this.ticking);
    if (!this.prompting.waiting) return;
    this.ticking = setTimeout(() => {
      this.drawLine();
      this.tick();
    }, 100);
  }
}

function markHtml([x, y]: Point2, within: boolean): string {
  const cross = within ? `M${x - 4} ${y}h8M${x} ${y - 4}v8` : `M${x - 4} ${y}h8`;
  return `<circle cx="${x}" cy="${y}" r="7" fill="rgba(13,18,20,.6)" stroke="${within ? ACCENT : AGAINST}"
    stroke-width="1.5"/><path d="${cross}" stroke="${within ? ACCENT : AGAINST}" stroke-width="1.8"/>`;
}
