import { describe, expect, it } from "vitest";
import { typedAxes } from "../viewer/panel/by_hand";

function typed(long: string, short: string): FormData {
  const form = new FormData();
  form.set("long", long);
  form.set("short", short);
  return form;
}

describe("axes that are typed", () => {
  it("are millimetres; the short one may be left out", () => {
    expect(typedAxes(typed("14.5", "9"))).toEqual({ long: 14.5, short: 9 });
    expect(typedAxes(typed("14.5", ""))).toEqual({ long: 14.5, short: null });
  });

  it("are refused without a long one, or where that is the shorter", () => {
    expect(typedAxes(typed("", "9"))).toBeNull();
    expect(typedAxes(typed("8.9", "9"))).toBeNull();
  });
});
