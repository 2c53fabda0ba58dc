// A break is offered, never forced: one line after long reading without one. It counts from case
// to case, for as long as the page stays. Announces "change".

const MINUTE_MS = 60_000;
export const LONG_MS = 50 * MINUTE_MS;
/** Hands that rest so long have had their break. */
export const REST_MS = 5 * MINUTE_MS;

export class Breaks extends EventTarget {
  offered = false;
  private begun: number | null = null;
  private last = 0;

  /** The reader's hands did something, at this many milliseconds. */
  sign(now: number): void {
    if (this.begun === null || now - this.last >= REST_MS) this.begin(now);
    this.last = now;
    if (!this.offered && now - (this.begun ?? now) >= LONG_MS) {
      this.offered = true;
      this.dispatchEvent(new Event("change"));
    }
  }

  /** Not now: it is offered again after as long. */
  later(): void {
    this.begin(this.last);
  }

  private begin(now: number): void {
    this.begun = now;
    if (!this.offered) return;
    this.offered = false;
    this.dispatchEvent(new Event("change"));
  }
}

export const breaks = new Breaks();
