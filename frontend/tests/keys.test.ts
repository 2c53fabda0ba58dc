import { beforeEach, describe, expect, it } from "vitest";
import { KEYS } from "../viewer/keys";
import {
  actionOf,
  adopt,
  keyFor,
  keysOf,
  type Own,
  READING_KEYS,
  strokeWords,
  withKey,
  withoutOwn,
} from "../viewer/keys/bindings";
import { Remap } from "../viewer/keys/remap";

beforeEach(() => adopt({}));

describe("the table of keys", () => {
  it("gives no key to two actions", () => {
    const strokes = KEYS.flatMap(({ keys }) => keys);
    expect(new Set(strokes).size).toBe(strokes.length);
  });

  it("names keys as they stand on the board", () => {
    expect(["escape", "shift+e", "ctrl+z", "space", "+", "]"].map(strokeWords)).toEqual([
      "Esc",
      "⇧E",
      "Ctrl Z",
      "Space",
      "+",
      "]",
    ]);
  });

  it("follows the reader's own keys, on the buttons too", () => {
    expect(actionOf("a")).toBe("accept");
    adopt(withKey("accept", "j"));
    expect([actionOf("a"), actionOf("j"), keyFor("accept")]).toEqual([undefined, "accept", "J"]);
  });

  it("takes a key from whoever had it, and leaves that one its others", () => {
    adopt(withKey("accept", "w"));
    expect(actionOf("w")).toBe("accept");
    expect(keysOf("previous")).toEqual(["arrowup"]);
  });

  it("brings built-in keys back unless somebody else has them now", () => {
    adopt(withKey("accept", "j"));
    adopt(withKey("doubt", "a"));
    adopt(withoutOwn("accept"));
    expect(keysOf("accept")).toEqual([]);
    adopt(withoutOwn("doubt"));
    adopt(withoutOwn("accept"));
    expect(keysOf("accept")).toEqual(["a"]);
  });
});

describe("giving an action another key", () => {
  function remap(fails = false) {
    const saved: Own[] = [];
    const made = new Remap(READING_KEYS, async (keys) => {
      if (fails) throw new Error("The server cannot be reached.");
      adopt(keys);
      saved.push(keys);
    });
    return { made, saved };
  }

  it("names the conflict, and takes the key over when it is pressed once more", async () => {
    const { made, saved } = remap();
    made.choose("accept");
    expect(made.take("d")).toBe(true);
    expect(made.notice).toContain("Next undecided node");
    expect(saved).toEqual([]);
    made.take("d");
    await Promise.resolve();
    expect(saved).toEqual([{ accept: ["d"], nextUndecided: [] }]);
    expect(made.notice).toContain("lost it");
    expect(made.action).toBeNull();
  });

  it("waits through held keys alone, refuses the browser's, and is left with Esc", () => {
    const { made, saved } = remap();
    made.choose("accept");
    for (const stroke of ["shift", "control", "ctrl+control", "tab"]) made.take(stroke);
    expect(made.notice).toContain("belongs to the browser");
    expect(made.action).toBe("accept");
    made.take("escape");
    expect([made.action, saved.length, made.take("x")]).toEqual([null, 0, false]);
  });

  it("says when keys could not be saved", async () => {
    const { made } = remap(true);
    made.choose("accept");
    made.take("j");
    await Promise.resolve();
    await Promise.resolve();
    expect(made.notice).toContain("stay as they were");
    expect(keysOf("accept")).toEqual(["a"]);
  });
});
