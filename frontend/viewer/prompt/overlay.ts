// The proposal over the three planes, hatched because it is not part of the mask; the clicks; and
// one line that says what happens and which keys matter now.

import type { Plane, ReadingDetail } from "../contract";
import { text } from "../html";
import { keyFor } from "../keys";
import type { Point2 } from "../ohif";
import type { Views } from "../views";
import { ACCENT, AGAINST, HatchedLayers, hatchedHtml, pathOf, type ToCanvas } from "./hatched";
import { ProposalLine } from "./line";
import type { Prompting } from "./prompting";
import { ACROSS, type Voxels, voxelsOf } from "./shape";
import { millilitres, unsureWords } from "./words";

/** A wait below this is not spoken of. */
const PATIENCE_MS = 1000;

export class PromptOverlay {
  private readonly layers: HatchedLayers;
  private readonly line: ProposalLine;
  private shape: { of: unknown; voxels: Voxels } | null = null;
  private ticking: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly prompting: Prompting,
    private readonly views: Views,
    private readonly detail: () => ReadingDetail | null,
  ) {
    this.layers = new HatchedLayers(views, "prompt-overlay");
    this.line = new ProposalLine(views, "prompt-line");
  }

  draw(): void {
    for (const [id, plane] of Object.entries(this.views.planes)) this.drawPlane(id, plane);
    this.drawLine();
    this.tick();
  }

  drawPlane(id: string, plane: Plane): void {
    this.layers.write(id, this.prompting.active ? this.planeHtml(id, plane) : "");
  }

  remove(): void {
    clearTimeout(this.ticking);
    this.layers.remove();
    this.line.remove();
  }

  private planeHtml(id: string, plane: Plane): string {
    const slice = this.views.sliceIn(id);
    const toCanvas = slice === null ? null : this.layers.affine(id, plane, slice);
    if (!toCanvas || slice === null) return "";
    const path = this.pathAt(plane, slice, toCanvas);
    const [first, second, along] = ACROSS[plane];
    const marks = this.prompting.clicks
      .filter(({ at }) => Math.abs(at[along] - slice) <= (plane === "axial" ? 0 : 1))
      .map(({ at, within }) => markHtml(toCanvas([at[first], at[second]]), within));
    if (!path && marks.length === 0) return "";
    return `${hatchedHtml(`hatch-${id}`, path, "prompt-shape")}${marks.join("")}`;
  }

  private pathAt(plane: Plane, slice: number, toCanvas: ToCanvas): string {
    const { proposal } = this.prompting;
    const detail = this.detail();
    if (!proposal || !detail) return "";
    const columns = detail.grid.shape[2];
    if (this.shape?.of !== proposal) {
      const voxels = voxelsOf(proposal.slices, detail.grid.sop_uids, columns);
      this.shape = { of: proposal, voxels };
    }
    return pathOf(this.shape.voxels, columns, plane, slice, toCanvas);
  }

  private drawLine(): void {
    this.line.say(this.prompting.active ? this.lineHtml() : "");
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
      <br><span style="color:#93a3a8">Enter takes · click adds · ⇧ click removes · ${keyFor("undo")} back · Esc drops</span>${unsure}`;
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
