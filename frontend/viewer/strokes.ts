// The reader's hand on the images. A stroke lasts from the press until what it changed is taken;
// keys pressed and truth arriving meanwhile wait for its end.

/** Farther than the host's double click reaches, so that it gives a waiting dab to the brush. */
const NUDGE_PX = 1000;

export interface Hand {
  /** The plane under a press when a painting tool is held, else null. */
  planeUnder(path: EventTarget[]): HTMLElement | null;
  /** A stroke begins; returns what ends it, once it is taken. */
  begin(path: EventTarget[]): () => void;
  /** Makes one change of what the stroke painted. */
  take(): void;
}

export class Strokes {
  private plane: HTMLElement | null = null;
  private pressed = false;
  private dirty = false;
  private end: (() => void) | null = null;
  private readonly queue: (() => void)[] = [];

  constructor(private readonly hand: Hand) {}

  get drawing(): boolean {
    return this.end !== null;
  }

  /** Does it now, or right after the stroke that is being drawn. */
  afterwards(act: () => void): void {
    if (this.drawing) this.queue.push(act);
    else act();
  }

  /** Something painted on the labelmap. */
  painted(): void {
    this.dirty = true;
    if (!this.pressed) setTimeout(() => this.take());
  }

  press(path: EventTarget[]): void {
    if (this.drawing) this.lift();
    this.pressed = true;
    this.plane = this.hand.planeUnder(path);
    if (this.plane) this.end = this.hand.begin(path);
  }

  /** Safe to call for every sign that the hand has left. */
  lift(at: { clientX: number; clientY: number } = { clientX: 0, clientY: 0 }): void {
    if (!this.pressed) return;
    this.pressed = false;
    const { plane } = this;
    if (plane && !this.dirty) {
      const clientX = at.clientX + NUDGE_PX;
      plane.dispatchEvent(new MouseEvent("mousemove", { clientX, clientY: at.clientY }));
    }
    this.take();
    this.plane = null;
    const { end } = this;
    this.end = null;
    end?.();
    for (const act of this.queue.splice(0)) act();
  }

  private take(): void {
    if (!this.dirty || this.pressed) return;
    this.dirty = false;
    this.hand.take();
  }

  /** Listens to the pointer; returns the end of it, which takes what is still to be taken. */
  listen(): () => void {
    const events = new AbortController();
    const { signal } = events;
    const capture = { signal, capture: true };
    window.addEventListener("pointerdown", (event) => this.press(event.composedPath()), capture);
    // The host ends its stroke on the document; the window hears of it after.
    window.addEventListener("mouseup", (event) => this.lift(event), { signal });
    for (const type of ["pointerup", "pointercancel"] as const) {
      window.addEventListener(type, (event) => setTimeout(() => this.lift(event)), capture);
    }
    window.addEventListener("blur", () => setTimeout(() => this.lift()), { signal });
    window.addEventListener(
      "pointermove",
      (event) => event.buttons === 0 && this.lift(event),
      capture,
    );
    return () => {
      events.abort();
      this.pressed = false;
      this.take();
      this.end?.();
      this.end = null;
    };
  }
}
