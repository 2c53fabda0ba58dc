// Which slices were on screen, and for how long the reader was at work: reported every few
// seconds and when the page is hidden.

import type { Plane, Resume } from "./contract";

const REPORT_MS = 5_000;
const FIRST_REPORT_MS = 1_000;
const IDLE_MS = 60_000;

export class Seen {
  private readonly visited: Record<Plane, Set<number>> = {
    axial: new Set(),
    coronal: new Set(),
    sagittal: new Set(),
  };
  private readonly fresh = new Set<Plane>();
  private activeMs = 0;
  private lastSign = performance.now();
  private lastTick = performance.now();
  private lastResume = "";
  private timer = 0;

  constructor(
    private readonly report: (body: object, leaving: boolean) => Promise<void>,
    private readonly resume: () => Resume,
  ) {}

  start(known: Partial<Record<Plane, [number, number][]>>): void {
    for (const plane of ["axial", "coronal", "sagittal"] as const) {
      for (const [from, to] of known[plane] ?? []) {
        for (let slice = from; slice <= to; slice += 1) this.visited[plane].add(slice);
      }
    }
    for (const sign of ["pointermove", "pointerdown", "keydown", "wheel"]) {
      window.addEventListener(sign, this.sign, { passive: true, capture: true });
    }
    document.addEventListener("visibilitychange", this.hidden);
    window.addEventListener("pagehide", this.hidden);
    setTimeout(() => void this.send(false), FIRST_REPORT_MS);
    this.timer = window.setInterval(() => void this.send(false), REPORT_MS);
  }

  stop(): void {
    clearInterval(this.timer);
    for (const sign of ["pointermove", "pointerdown", "keydown", "wheel"]) {
      window.removeEventListener(sign, this.sign, { capture: true });
    }
    document.removeEventListener("visibilitychange", this.hidden);
    window.removeEventListener("pagehide", this.hidden);
    void this.send(true);
  }

  visit(plane: Plane, slice: number): void {
    if (this.visited[plane].has(slice)) return;
    this.visited[plane].add(slice);
    this.fresh.add(plane);
  }

  count(plane: Plane): number {
    return this.visited[plane].size;
  }

  ranges(plane: Plane): [number, number][] {
    return rangesOf(this.visited[plane]);
  }

  private readonly sign = () => {
    this.tick();
    this.lastSign = performance.now();
  };

  private readonly hidden = () => {
    if (document.visibilityState === "hidden") void this.send(true);
  };

  /** Time counts while the last sign of life is less than a minute old. */
  private tick(): void {
    const now = performance.now();
    const awakeUntil = Math.min(now, this.lastSign + IDLE_MS);
    if (awakeUntil > this.lastTick) this.activeMs += awakeUntil - this.lastTick;
    this.lastTick = now;
  }

  /** One request per plane with news; the first also carries time and place. */
  async send(leaving: boolean): Promise<void> {
    this.tick();
    const resume = this.resume();
    const planes = [...this.fresh];
    const moved = JSON.stringify(resume) !== this.lastResume;
    const worked = leaving && this.activeMs >= 1_000;
    if (planes.length === 0 && !moved && !worked) return;
    const seconds = Math.round(this.activeMs / 100) / 10;
    this.fresh.clear();
    this.activeMs = 0;
    this.lastResume = JSON.stringify(resume);
    try {
      for (const [place, plane] of (planes.length ? planes : ["axial" as const]).entries()) {
        await this.report(
          {
            plane,
            ranges: this.ranges(plane),
            active_seconds: place === 0 ? seconds : 0,
            resume,
          },
          leaving,
        );
      }
    } catch {
      for (const plane of planes) this.fresh.add(plane);
      this.activeMs += seconds * 1000;
    }
  }
}

/** Ascending, inclusive, merged. */
export function rangesOf(slices: Iterable<number>): [number, number][] {
  const ranges: [number, number][] = [];
  for (const slice of [...slices].sort((a, b) => a - b)) {
    const last = ranges[ranges.length - 1];
    if (last && slice <= last[1] + 1) last[1] = Math.max(last[1], slice);
    else ranges.push([slice, slice]);
  }
  return ranges;
}
