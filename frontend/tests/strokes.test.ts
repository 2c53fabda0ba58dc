import { beforeEach, describe, expect, it, vi } from "vitest";
import { Strokes } from "../viewer/strokes";

let log: string[];
let dab: boolean;
let strokes: Strokes;
const plane = new EventTarget();

beforeEach(() => {
  vi.stubGlobal("MouseEvent", Event);
  log = [];
  dab = false;
  strokes = new Strokes({
    planeUnder: (path) => (path.includes(plane) ? (plane as HTMLElement) : null),
    begin: () => {
      log.push("begin");
      return () => log.push("end");
    },
    take: () => log.push("take"),
  });
});

plane.addEventListener("mousemove", () => {
  log.push("nudge");
  if (dab) strokes.painted();
});

describe("a stroke", () => {
  it("is taken before anything that came while it was drawn", () => {
    strokes.press([plane]);
    strokes.painted();
    strokes.afterwards(() => log.push("key"));
    expect(log).toEqual(["begin"]);
    strokes.lift();
    expect(log).toEqual(["begin", "take", "end", "key"]);
  });

  it("is taken when the hand lifts, not later", () => {
    strokes.press([plane]);
    strokes.painted();
    strokes.lift();
    strokes.afterwards(() => log.push("key"));
    strokes.press([plane]);
    expect(log).toEqual(["begin", "take", "end", "key", "begin"]);
  });

  it("may be a single dab, which the host holds back for a double click", () => {
    dab = true;
    strokes.press([plane]);
    strokes.lift();
    expect(log).toEqual(["begin", "nudge", "take", "end"]);
  });

  it("is taken as the room is left", () => {
    vi.stubGlobal("window", new EventTarget());
    const leave = strokes.listen();
    strokes.press([plane]);
    strokes.painted();
    leave();
    expect(log).toEqual(["begin", "take", "end"]);
  });

  it("ends by itself when the lift was never heard", () => {
    strokes.press([plane]);
    strokes.painted();
    strokes.press([plane]);
    expect(log).toEqual(["begin", "take", "end", "begin"]);
  });

  it("is none outside the planes", () => {
    strokes.press([]);
    strokes.afterwards(() => log.push("key"));
    strokes.lift();
    expect(log).toEqual(["key"]);
  });
});
