import { expect, test } from "vitest";
import { stepOf, time } from "../pages/curves";

test("an axis has two to five round steps, whatever it measures", () => {
  for (const most of [0.13, 0.9, 1, 2.7, 6, 42, 999, 86_400]) {
    const step = stepOf(most);
    const parts = most / step;
    expect(parts).toBeGreaterThanOrEqual(1.99);
    expect(parts).toBeLessThanOrEqual(5.01);
    expect([1, 2, 5, 10]).toContain(Number((step / 10 ** Math.floor(Math.log10(step))).toFixed(0)));
  }
});

test("processor time is told in the unit that suits it", () => {
  expect([3.2, 42, 600, 10_000].map(time)).toEqual(["3.2 s", "42 s", "10 min", "2.8 h"]);
});
