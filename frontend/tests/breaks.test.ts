import { describe, expect, it } from "vitest";
import { Breaks, LONG_MS, REST_MS } from "../viewer/breaks";

/** Hands at work from one moment to another. */
function read(breaks: Breaks, from: number, to: number): void {
  for (let now = from; now <= to; now += REST_MS / 5) breaks.sign(now);
}

describe("a break", () => {
  it("is offered after long reading, and again only after as long", () => {
    const breaks = new Breaks();
    read(breaks, 0, LONG_MS - 1);
    expect(breaks.offered).toBe(false);
    read(breaks, LONG_MS, LONG_MS + REST_MS);
    expect(breaks.offered).toBe(true);
    breaks.later();
    expect(breaks.offered).toBe(false);
    read(breaks, LONG_MS + REST_MS, 2 * LONG_MS);
    expect(breaks.offered).toBe(false);
    read(breaks, 2 * LONG_MS, 2 * LONG_MS + 2 * REST_MS);
    expect(breaks.offered).toBe(true);
  });

  it("is had by hands that rest, whether it was offered or not", () => {
    const breaks = new Breaks();
    read(breaks, 0, LONG_MS);
    breaks.sign(LONG_MS + 2 * REST_MS);
    expect(breaks.offered).toBe(false);
    read(breaks, LONG_MS + 2 * REST_MS, 2 * LONG_MS);
    breaks.sign(2 * LONG_MS + 2 * REST_MS);
    read(breaks, 2 * LONG_MS + 2 * REST_MS, 3 * LONG_MS);
    expect(breaks.offered).toBe(false);
  });
});
