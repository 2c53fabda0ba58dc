// Hold shift and drag on an image, or take the reshape tool and drag: the selected node's surface
// follows the hand, away from its middle or towards it. Escape lets it spring back.

import type { Geometry } from "../geometry";
import type { Point3, Viewport } from "../ohif";
import type { Pull, Shaping } from "./shaping";

const MODIFIERS = new Set(["Shift", "Control", "Alt", "Meta"]);
const BADGE = `position:fixed;z-index:50;pointer-events:none;padding:2px 7px;border-radius:4px;
  background:rgba(15,19,21,.86);color:#e6ecec;font:600 12px system-ui,sans-serif;
  font-variant-numeric:tabular-nums;white-space:nowrap`;

export interface Field {
  /** The viewport under the pointer; null elsewhere. */
  viewportUnder(path: EventTarget[]): Viewport | null;
  geometry(): Geometry | null;
  /** The reshape tool is held, so that shift need not be. */
  held(): boolean;
  /** A gesture begins: truth waits. Returns what ends that. */
  hold(): () => void;
}

interface Drag {
  pull: Pull;
  viewport: Viewport;
  middle: Point3;
  from: number;
  mm: number;
  release: () => void;
}

export class Gesture {
  private drag: Drag | null = null;
  private frame = 0;
  private readonly badge = document.createElement("div");
  /** Another tool has shift and the left button for itself. */
  paused = false;
  /** How long the steps took, for the benchmark. */
  readonly steps: number[] = [];

  constructor(
    private readonly shaping: Shaping,
    private readonly field: Field,
  ) {
    this.badge.setAttribute("style", BADGE);
    this.badge.dataset.testid = "reshape-badge";
  }

  get active(): boolean {
    return this.drag !== null;
  }

  /** Hears pointer and keys before anyone else; returns the end of it. */
  listen(): () => void {
    const events = new AbortController();
    const options = { signal: events.signal, capture: true };
    window.addEventListener("pointerdown", (event) => this.press(event), options);
    window.addEventListener("pointermove", (event) => this.move(event), options);
    window.addEventListener("pointerup", () => this.end(), options);
    window.addEventListener("pointercancel", () => this.end(), options);
    window.addEventListener("blur", () => this.end(), options);
    window.addEventListener("keydown", (event) => this.key(event), options);
    // The host draws and turns on mouse events; a gesture is not its business.
    for (const type of ["mousedown", "mousemove", "mouseup", "wheel"] as const) {
      window.addEventListener(type, (event) => this.active && event.stopPropagation(), options);
    }
    return () => {
      this.cancel();
      events.abort();
    };
  }

  private press(event: PointerEvent): void {
    if (this.drag) this.end();
    if (event.button !== 0 || event.ctrlKey || event.altKey || event.metaKey) return;
    if (this.paused || (!event.shiftKey && !this.field.held())) return;
    const viewport = this.field.viewportUnder(event.composedPath());
    const geometry = this.field.geometry();
    if (!viewport || !geometry) return;
    event.stopImmediatePropagation();
    const pull = this.shaping.pull();
    if (!pull) return;
    const middle = geometry.world(middleOf(pull));
    const from = distance(viewport, middle, event);
    this.drag = { pull, viewport, middle, from, mm: 0, release: this.field.hold() };
  }

  private move(event: PointerEvent): void {
    const { drag } = this;
    if (!drag) return;
    event.stopImmediatePropagation();
    if (event.buttons === 0) {
      this.end();
      return;
    }
    drag.mm = distance(drag.viewport, drag.middle, event) - drag.from;
    this.badge.style.left = `${event.clientX + 16}px`;
    this.badge.style.top = `${event.clientY - 26}px`;
    this.frame ||= requestAnimationFrame(() => this.step());
  }

  private step(): void {
    this.frame = 0;
    const { drag } = this;
    if (!drag) return;
    const begun = performance.now();
    drag.pull.to(drag.mm);
    this.steps.push(performance.now() - begun);
    const sign = drag.mm < 0 ? "−" : "+";
    const volume = (drag.pull.volumeMm3 / 1000).toFixed(2);
    this.badge.textContent = `${sign}${Math.abs(drag.mm).toFixed(1)} mm · ${volume} ml`;
    if (!this.badge.isConnected) document.body.append(this.badge);
  }

  private key(event: KeyboardEvent): void {
    if (!this.drag || MODIFIERS.has(event.key)) return;
    if (event.key === "Escape") {
      event.preventDefault();
      event.stopImmediatePropagation();
      this.cancel();
    } else {
      this.end();
    }
  }

  /** What is on screen becomes the node. */
  private end(): void {
    if (!this.drag) return;
    cancelAnimationFrame(this.frame);
    this.step();
    const { drag } = this;
    this.drag = null;
    this.badge.remove();
    this.shaping.keep(drag.pull);
    drag.release();
  }

  private cancel(): void {
    const { drag } = this;
    if (!drag) return;
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    drag.pull.to(0);
    this.drag = null;
    this.badge.remove();
    drag.release();
  }
}

/** The middle of the node, as a voxel of the grid. */
function middleOf({ block }: Pull): [number, number, number] {
  const [, rows, columns] = block.size;
  const sums = [0, 0, 0] as [number, number, number];
  let count = 0;
  for (let at = 0; at < block.own.length; at += 1) {
    if (!block.own[at]) continue;
    count += 1;
    sums[0] += Math.floor(at / (rows * columns));
    sums[1] += Math.floor(at / columns) % rows;
    sums[2] += at % columns;
  }
  return [
    block.box[0] + sums[0] / count,
    block.box[1] + sums[1] / count,
    block.box[2] + sums[2] / count,
  ];
}

/** Millimetres in the plane from the pointer to a point in the patient. */
function distance(viewport: Viewport, point: Point3, event: PointerEvent): number {
  const { left, top } = viewport.canvas.getBoundingClientRect();
  const hand = viewport.canvasToWorld([event.clientX - left, event.clientY - top]);
  const { viewPlaneNormal: normal } = viewport.getCamera();
  const away = [hand[0] - point[0], hand[1] - point[1], hand[2] - point[2]] as const;
  const deep = away[0] * normal[0] + away[1] * normal[1] + away[2] * normal[2];
  return Math.hypot(
    away[0] - deep * normal[0],
    away[1] - deep * normal[1],
    away[2] - deep * normal[2],
  );
}
