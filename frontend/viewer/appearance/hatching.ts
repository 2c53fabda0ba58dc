// Nodes filled with stripes of a direction of their own, over every plane: for eyes that tell
// directions better than colours.

import { shownColour } from "../colours";
import type { Plane } from "../contract";
import type { Session } from "../session";
import type { Views } from "../views";
import { runsIn, STRIPES, stripesOf, voxelAt } from "./hatch";

const CELL_PX = 8;

export class Hatching {
  shown = false;
  private readonly sheets = new Map<string, HTMLCanvasElement>();
  private readonly patterns = new Map<string, CanvasPattern | null>();

  constructor(
    private readonly session: Session,
    private readonly views: Views,
    private readonly hides: (node: string) => boolean,
  ) {}

  draw(viewportId?: string): void {
    for (const [id, plane] of Object.entries(this.views.planes)) {
      if (!viewportId || id === viewportId) this.drawOver(id, plane);
    }
  }

  private drawOver(id: string, plane: Plane): void {
    const sheet = this.sheets.get(id);
    if (!this.shown || this.views.paused) {
      sheet?.remove();
      return;
    }
    const element = this.views.viewport(id)?.element;
    const at = this.views.sliceIn(id);
    const { mask } = this.session;
    if (!element || at === null || !mask) return;
    const canvas = sheet ?? document.createElement("canvas");
    this.sheets.set(id, canvas);
    if (canvas.parentNode !== element) {
      canvas.setAttribute("aria-hidden", "true");
      canvas.dataset.testid = `hatching-${plane}`;
      canvas.style.cssText = "position:absolute;inset:0;width:100%;height:100%;pointer-events:none";
      element.append(canvas);
    }
    canvas.width = element.clientWidth;
    canvas.height = element.clientHeight;
    const pen = canvas.getContext("2d");
    const [origin, right, below] = [
      [0, 0],
      [0, 1],
      [1, 0],
    ].map(([line, place]) => this.views.canvasPoint(id, voxelAt(plane, at, line ?? 0, place ?? 0)));
    if (!pen || !origin || !right || !below) return;
    const [acrossX, downY] = [right[0] - origin[0], below[1] - origin[1]];
    const rejected = new Set(
      this.session.nodes
        .filter(({ decision }) => decision === "rejected")
        .map(({ label }) => label),
    );
    for (const { label, line, from, length } of runsIn(mask, plane, at)) {
      const node = mask.nodeOf(label);
      if (!node || this.hides(node)) continue;
      pen.fillStyle = this.pattern(pen, label, rejected.has(label)) ?? "transparent";
      const x = origin[0] + (from - 0.5) * acrossX;
      const y = origin[1] + (line - 0.5) * downY;
      pen.fillRect(x, y, length * acrossX, downY);
    }
  }

  private pattern(pen: CanvasRenderingContext2D, label: number, rejected: boolean) {
    const name = `${label} ${rejected}`;
    const known = this.patterns.get(name);
    if (known !== undefined) return known;
    const cell = document.createElement("canvas");
    cell.width = cell.height = CELL_PX;
    const ink = cell.getContext("2d");
    const [red, green, blue] = shownColour(label, rejected);
    if (ink) {
      ink.strokeStyle = `rgba(${red},${green},${blue},.85)`;
      ink.lineWidth = 1.2;
      for (const [x0, y0, x1, y1] of STRIPES[stripesOf(label)] ?? []) {
        ink.beginPath();
        ink.moveTo(x0, y0);
        ink.lineTo(x1, y1);
        ink.stroke();
      }
    }
    const made = pen.createPattern(cell, "repeat");
    this.patterns.set(name, made);
    return made;
  }
}
