// The difference that is looked at, over the three planes: what the proposal has is hatched beside
// what the reader has; and one line that says what it is and which keys matter now.

import type { Plane, ReadingDetail } from "../contract";
import { text } from "../html";
import { keyFor } from "../keys";
import { AGAINST, HatchedLayers, hatchedHtml, pathOf } from "../prompt/hatched";
import { ProposalLine } from "../prompt/line";
import { type Voxels, voxelsOf } from "../prompt/shape";
import type { Session } from "../session";
import type { Views } from "../views";
import type { Difference } from "./contract";
import type { Offering } from "./offering";
import { axisWords, editedWords, KINDS, partsWords, presentWords, volumeWords } from "./words";

export class ProposalOverlay {
  private readonly layers: HatchedLayers;
  private readonly line: ProposalLine;
  private shape: { of: Difference; voxels: Voxels } | null = null;

  constructor(
    private readonly offering: Offering,
    private readonly views: Views,
    private readonly session: Session,
  ) {
    this.layers = new HatchedLayers(views, "proposal-overlay");
    this.line = new ProposalLine(views, "proposal-line");
  }

  draw(): void {
    for (const [id, plane] of Object.entries(this.views.planes)) this.drawPlane(id, plane);
    const { current } = this.offering;
    this.line.say(current ? this.lineHtml(current) : "");
  }

  drawPlane(id: string, plane: Plane): void {
    this.layers.write(id, this.planeHtml(id, plane));
  }

  remove(): void {
    this.layers.remove();
    this.line.remove();
  }

  private planeHtml(id: string, plane: Plane): string {
    const { current } = this.offering;
    const { detail } = this.session;
    const slice = this.views.sliceIn(id);
    const toCanvas = slice === null ? null : this.layers.affine(id, plane, slice);
    if (!current || !detail || slice === null || !toCanvas) return "";
    const path = pathOf(this.voxels(current, detail), detail.grid.shape[2], plane, slice, toCanvas);
    const colour = current.kind === "gone" ? AGAINST : undefined;
    return path && hatchedHtml(`newer-${id}`, path, "proposal-shape", colour);
  }

  /** What the proposal has; where it has nothing, what the reader would lose. */
  private voxels(current: Difference, detail: ReadingDetail): Voxels {
    if (this.shape?.of === current) return this.shape.voxels;
    const columns = detail.grid.shape[2];
    const found = new Map<number, Set<number>>();
    for (const { slices } of current.nodes) {
      for (const [index, inside] of voxelsOf(slices, detail.grid.sop_uids, columns)) {
        found.set(index, new Set([...(found.get(index) ?? []), ...inside]));
      }
    }
    if (current.kind === "gone") this.addPresent(current, found);
    this.shape = { of: current, voxels: found };
    return found;
  }

  private addPresent({ present }: Difference, found: Map<number, Set<number>>): void {
    const { mask } = this.session;
    const numbers = new Set(present.map(({ uuid }) => mask?.numberOf(uuid)));
    for (const index of mask?.filledSlices ?? []) {
      const inside = new Set<number>();
      for (const [at, label] of mask?.plane(index)?.entries() ?? []) {
        if (label && numbers.has(label)) inside.add(at);
      }
      if (inside.size) found.set(index, inside);
    }
  }

  private lineHtml(current: Difference): string {
    const { waiting, at } = this.offering;
    const place = waiting.findIndex(({ key }) => key === at) + 1;
    const parts = [
      `<b>${KINDS[current.kind]}</b> ${text(presentWords(current))}`,
      text(partsWords(current)),
      text(axisWords(current)),
      text(volumeWords(current)),
      current.kind === "changed" ? `Dice ${current.dice.toFixed(2)}` : "",
    ];
    const edited = editedWords(current);
    const takes = current.kind === "gone" ? "Enter rejects it (other)" : "Enter takes";
    const keys = `${takes} · Esc leaves · ${keyFor("previous")} ${keyFor("next")} step · ${keyFor("newer")} closes`;
    return `${parts.filter((part) => part.trim()).join(" · ")}${edited ? ` · <span style="color:${AGAINST}">${edited}</span>` : ""}
      <br><span style="color:#93a3a8">${place} of ${waiting.length} · ${keys}</span>`;
  }
}
