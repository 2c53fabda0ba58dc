// A bar at the edge of each plane: where the nodes lie along it, which slices were seen, and the
// unseen, which glows. What it shows is what the server recorded and what this session adds.

import { shownColour } from "../colours";
import type { Plane, Voxel } from "../contract";
import type { ShownNode } from "../projection";
import type { Seen } from "../seen";
import type { Session } from "../session";
import { AXIS, type Views } from "../views";
import { ENDS, gapsOf, nearestUnseen, numberOf, PLANES, sliceAt, slicesOf, topOf } from "./map";

const STYLE = `
  .concord-coverage { position: absolute; top: 8px; bottom: 8px; right: 0; width: 30px; z-index: 11; cursor: pointer;
    touch-action: none; font: 600 9px/1 system-ui, sans-serif; color: #97a5aa; text-align: center; }
  .concord-coverage svg { position: absolute; top: 14px; bottom: 14px; left: 0; width: 30px; height: calc(100% - 28px); }
  .concord-coverage b { position: absolute; right: 7px; width: 12px; font-weight: 600; }
  .concord-coverage b:first-child { top: 0; } .concord-coverage b:last-of-type { bottom: 0; }
  .concord-coverage .at { position: absolute; right: 31px; padding: 2px 4px; border-radius: 3px; background: #0f1315cc;
    color: #dbe3e5; font-size: 10.5px; font-variant-numeric: tabular-nums; white-space: nowrap; pointer-events: none; }
  .concord-coverage .unseen { fill: #57c7b4; filter: drop-shadow(0 0 3px #57c7b4); }
  .concord-coverage .seen { fill: #33413f; }
  .concord-coverage .here { fill: #fff; }
  body:has(concord-panel) [aria-label="Image navigation scrollbar"] { display: none; }
`;
/** The bar's own units across; along it, one per slice. */
const [WIDTH, TRACK, NODES] = [30, 14, 7];

export class CoverageBars {
  private readonly bars = new Map<Plane, HTMLElement>();
  private readonly drawn = new Map<Plane, string>();
  private waiting = 0;

  constructor(
    private readonly session: Session,
    private readonly views: Views,
    private readonly seen: Seen,
  ) {}

  /** Draws with the next frame; safe to call for every movement. */
  readonly schedule = (): void => {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      for (const plane of PLANES) this.draw(plane);
    });
  };

  stop(): void {
    cancelAnimationFrame(this.waiting);
    for (const bar of this.bars.values()) bar.remove();
  }

  /** The next slice nobody has looked at: axial first, then the planes beside it. */
  nextUnseen(): { plane: Plane; slice: number } | null {
    for (const plane of PLANES) {
      const from = this.views.slice(plane) ?? 0;
      const slice = nearestUnseen(this.seen.ranges(plane), this.total(plane), from);
      if (slice !== null) return { plane, slice };
    }
    return null;
  }

  private total(plane: Plane): number {
    const { detail } = this.session;
    return detail ? slicesOf(plane, detail.grid.shape) : 0;
  }

  private draw(plane: Plane): void {
    const total = this.total(plane);
    const element = this.views.elementOf(plane);
    if (!total || !element) return;
    const bar = this.barOf(plane);
    if (bar.parentNode !== element) element.append(bar);
    const html = this.html(plane, total);
    if (this.drawn.get(plane) === html) return;
    this.drawn.set(plane, html);
    bar.innerHTML = html;
    const count = this.seen.count(plane);
    bar.setAttribute("aria-label", `${plane}: ${count} of ${total} slices seen`);
    bar.title = `${count} of ${total} ${plane} slices seen; the rest glows`;
    bar.dataset.seen = String(count);
    bar.dataset.total = String(total);
  }

  private barOf(plane: Plane): HTMLElement {
    let bar = this.bars.get(plane);
    if (!bar) {
      if (!document.getElementById("concord-coverage")) {
        const style = document.createElement("style");
        style.id = "concord-coverage";
        style.textContent = STYLE;
        document.head.append(style);
      }
      bar = document.createElement("div");
      bar.className = "concord-coverage";
      bar.dataset.testid = `coverage-${plane}`;
      bar.setAttribute("role", "img");
      this.listen(bar, plane);
      this.bars.set(plane, bar);
    }
    return bar;
  }

  /** Press or drag along the bar goes there; the tools of the image below hear nothing of it. */
  private listen(bar: HTMLElement, plane: Plane): void {
    const go = (event: PointerEvent) => {
      const track = bar.querySelector("svg")?.getBoundingClientRect();
      if (!track?.height) return;
      const share = (event.clientY - track.top) / track.height;
      this.views.scrollTo(plane, sliceAt(plane, share, this.total(plane)));
    };
    bar.addEventListener("pointerdown", (event) => {
      bar.setPointerCapture(event.pointerId);
      go(event);
    });
    bar.addEventListener("pointermove", (event) => event.buttons && go(event));
    for (const type of ["pointerdown", "mousedown", "mousemove", "dblclick", "contextmenu"]) {
      bar.addEventListener(type, (event) => event.stopPropagation());
    }
  }

  private html(plane: Plane, total: number): string {
    const seen = this.seen.ranges(plane);
    const stripe = (kind: string, [from, to]: [number, number]) => {
      const top = topOf(plane, plane === "axial" ? to : from, total) * total;
      return `<rect class="${kind}" x="${TRACK}" width="4" y="${top}" height="${to - from + 1}"/>`;
    };
    const here = this.views.slice(plane);
    const at = here === null ? 0 : topOf(plane, here, total);
    const marks = [
      ...seen.map((range) => stripe("seen", range)),
      ...gapsOf(seen, total).map((range) => stripe("unseen", range)),
      ...this.session.nodes.map((node) => nodeHtml(node, plane, total)),
    ];
    const marker =
      here === null
        ? ""
        : `<rect class="here" x="${TRACK - 3}" width="10" y="${at * total}" height="${Math.max(1, total / 180)}"/>`;
    const [top, bottom] = ENDS[plane];
    const place = `top:calc(14px + ${(at * 100).toFixed(2)}% - ${(28 * at).toFixed(1)}px - 7px)`;
    return `<b>${top}</b><svg viewBox="0 0 ${WIDTH} ${total}" preserveAspectRatio="none" aria-hidden="true">${marks.join("")}${marker}</svg>
      <b>${bottom}</b>${here === null ? "" : `<span class="at" style="${place}">${numberOf(plane, here, total)} / ${total}</span>`}`;
  }
}

/** A node as far as it reaches along the bar. */
function nodeHtml(node: ShownNode, plane: Plane, total: number): string {
  const { measures } = node;
  if (!measures) return "";
  const axis = AXIS[plane];
  const middle = Math.round((measures.centroid_vox as Voxel)[axis]);
  const box = measures.box_vox;
  const [from, to] = box
    ? [box[axis] ?? middle, (box[axis + 3] ?? middle + 1) - 1]
    : [middle, middle];
  const gone = node.decision === "rejected";
  const [red, green, blue] = shownColour(node.label, gone);
  const top = topOf(plane, plane === "axial" ? to : from, total) * total;
  const height = Math.max(to - from + 1, total / 120);
  return `<rect x="${NODES}" width="4" y="${top}" height="${height}" fill="rgb(${red},${green},${blue})" fill-opacity="${gone ? 0.45 : 0.9}"/>`;
}
