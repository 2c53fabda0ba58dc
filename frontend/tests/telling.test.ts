import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Telling } from "../viewer/incidental/telling";

const WORDS = "A nodule in the lung";

describe("an incidental finding", () => {
  const sent: { id: string; words: string; slice: number | null }[] = [];
  let answers: (() => Response)[] = [];

  beforeEach(() => {
    sent.length = 0;
    answers = [];
    vi.stubGlobal("window", globalThis);
    vi.stubGlobal("document", { cookie: "" });
    vi.stubGlobal("fetch", async (_path: string, options?: RequestInit) => {
      const body = JSON.parse(String(options?.body));
      sent.push(body);
      return answers.shift()?.() ?? Response.json({ ...body, reported_at: "", taken_up_at: null });
    });
  });

  afterEach(() => vi.unstubAllGlobals());

  it("is told with the slice on screen, and the next one is another", async () => {
    const telling = new Telling("1", () => 7);
    await telling.tell(WORDS);
    await telling.tell("Another");
    expect(sent.map(({ words, slice }) => [words, slice])).toEqual([
      [WORDS, 7],
      ["Another", 7],
    ]);
    expect(new Set(sent.map(({ id }) => id)).size).toBe(2);
    expect(telling.told.map(({ words }) => words)).toEqual([WORDS, "Another"]);
    expect(telling.words).toBe("");
  });

  it("keeps its words and its name while it cannot be told", async () => {
    const telling = new Telling("1", () => null);
    answers = [() => Response.json({ error: "X", message: "Not now." }, { status: 503 })];
    await telling.tell(WORDS);
    expect([telling.words, telling.told, telling.sending]).toEqual([WORDS, [], false]);
    expect(telling.failure).not.toBe("");
    await telling.tell(telling.words);
    expect(new Set(sent.map(({ id }) => id)).size).toBe(1);
    expect([telling.failure, telling.told.length]).toEqual(["", 1]);
  });

  it("needs words", async () => {
    await new Telling("1", () => null).tell("  ");
    expect(sent).toEqual([]);
  });
});
