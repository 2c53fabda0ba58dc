// One thing asked of the reader's hand on the images: a line, a click, or a digit. While it waits,
// the left button is its own; Escape ends it, and so does every key that starts something else.

import type { Voxel } from "../contract";
import type { Geometry } from "../geometry";
import type { Point2, Viewport } from "../ohif";

const NAMESPACE = "http://www.w3.org/2000/svg";
/** Less than this is a click. */
const CLICK_PX = 4;
const HINT = `position:fixed;z-index:50;pointer-events:none;transform:translateX(-50%);padding:5px 12px;
  border-radius:5px;background:rgba(15,19,21,.9);border:1px solid #2a3a3a;color:#e6ecec;
  font:500 13px/1.45 system-ui,sans-serif;width:max-content;text-align:center`;
/** Left free beside the hint, for the bar of slices. */
const BESIDE_PX = 104;
const LINES = "position:fixed;inset:0;width:100%;height:100%;pointer-events:none;z-index:49";

/** What is asked; each answer says whether the asking is over. */
export interface Aim {
  hint: string;
  /** A line drawn from press to release, and the plane it lies in. */
  line?(from: Voxel, to: Voxel, viewport: Viewport): boolean;
  click?(voxel: Voxel, viewport: Viewport): boolean;
  /** A line drawn freely with Shift held, by all the places it went. */
  outline?(along: Voxel[], viewport: Viewport): boolean;
  digit?(number: number): boolean;
  /** Called when it is over, however it ended. */
  ended?(): void;
}

export interface Field {
  viewportUnder(path: EventTarget[]): Viewport | null;
  geometry(): Geometry | null;
  /** Where the hint hangs, in page coordinates, and how wide the plane below it is. */
  place(): { x: number; y: number; width: number };
}

export class Pointing {
  private aim: Aim | null = null;
  private drag: { viewport: Viewport; x: number; y: number; along: Point2[] | null } | null = null;
  private readonly hint = document.createElement("div");
  private readonly svg = document.createElementNS(NAMESPACE, "svg");
  private readonly line = document.createElementNS(NAMESPACE, "polygon");

  constructor(private readonly field: Field) {
    this.hint.setAttribute("style", HINT);
    this.hint.setAttribute("role", "status");
    this.hint.dataset.testid = "pointing-hint";
    this.svg.setAttribute("style", LINES);
    this.line.setAttribute("stroke", "#57c7b4");
    this.line.setAttribute("stroke-width", "1.5");
    this.line.setAttribute("fill", "none");
    this.svg.append(this.line);
  }

  get active(): boolean {
    return this.aim !== null;
  }

  ask(aim: Aim): void {
    this.end();
    this.aim = aim;
    this.say(aim.hint);
  }

  /** Another word to the reader while the same is asked. */
  say(words: string): void {
    const { x, y, width } = this.field.place();
    this.hint.textContent = words;
    this.hint.style.left = `${x}px`;
    this.hint.style.top = `${y}px`;
    this.hint.style.maxWidth = `${width - BESIDE_PX}px`;
    if (!this.hint.isConnected) document.body.append(this.hint);
  }

  end(): void {
    const { aim } = this;
    this.aim = null;
    this.drag = null;
    this.hint.remove();
    this.svg.remove();
    aim?.ended?.();
  }

  /** True when the asking took the digit. */
  digit(number: number): boolean {
    if (!this.aim?.digit) return false;
    if (this.aim.digit(number)) this.end();
    return true;
  }

  listen(): () => void {
    const events = new AbortController();
    const options = { signal: events.signal, capture: true };
    window.addEventListener("pointerdown", (event) => this.press(event), options);
    window.addEventListener("pointermove", (event) => this.move(event), options);
    window.addEventListener("pointerup", (event) => this.lift(event), options);
    for (const type of ["mousedown", "mouseup", "click", "dblclick"] as const) {
      window.addEventListener(type, (event) => this.swallow(event), options);
    }
    return () => {
      this.end();
      events.abort();
    };
  }

  /** The host turns mouse events into tools; a press on an image is ours while we ask. */
  private swallow(event: MouseEvent): void {
    if (!this.active && !this.drag) return;
    if (event.button === 0 && this.field.viewportUnder(event.composedPath())) {
      event.stopPropagation();
    }
  }

  private press(event: PointerEvent): void {
    const { aim } = this;
    if (!aim || event.button !== 0 || (!aim.line && !aim.click)) return;
    const viewport = this.field.viewportUnder(event.composedPath());
    if (!viewport) return;
    event.stopImmediatePropagation();
    const { clientX: x, clientY: y } = event;
    this.drag = { viewport, x, y, along: event.shiftKey && aim.outline ? [[x, y]] : null };
  }

  private move(event: PointerEvent): void {
    const { drag } = this;
    if (!drag) return;
    event.stopImmediatePropagation();
    if (!this.aim?.line) return;
    drag.along?.push([event.clientX, event.clientY]);
    const points = drag.along ?? [
      [drag.x, drag.y],
      [event.clientX, event.clientY],
    ];
    this.line.setAttribute("points", points.map((point) => point.join(",")).join(" "));
    if (!this.svg.isConnected) document.body.append(this.svg);
  }

  private lift(event: PointerEvent): void {
    const { drag, aim } = this;
    this.drag = null;
    this.svg.remove();
    if (!drag || !aim) return;
    event.stopImmediatePropagation();
    const from = this.voxel(drag.viewport, drag.x, drag.y);
    const to = this.voxel(drag.viewport, event.clientX, event.clientY);
    if (!from || !to) return;
    if (drag.along && drag.along.length > 2) {
      const along = drag.along
        .map(([x, y]) => this.voxel(drag.viewport, x, y))
        .filter((voxel) => voxel !== null);
      if (aim.outline?.(along, drag.viewport) && this.aim === aim) this.end();
      return;
    }
    const isLine = Math.hypot(event.clientX - drag.x, event.clientY - drag.y) >= CLICK_PX;
    const over = isLine ? aim.line?.(from, to, drag.viewport) : aim.click?.(from, drag.viewport);
    if (over && this.aim === aim) this.end();
  }

  private voxel(viewport: Viewport, x: number, y: number): Voxel | null {
    const { left, top } = viewport.canvas.getBoundingClientRect();
    return this.field.geometry()?.voxel(viewport.canvasToWorld([x - left, y - top])) ?? null;
  }
}
