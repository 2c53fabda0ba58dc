import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { anythingUntold, Telling } from "../viewer/incidental/telling";
import { headerHtml } from "../viewer/panel/header";
import type { Session } from "../viewer/session";

const WORDS = "A nodule in the lung";

describe("an incidental finding", () => {
  const sent: { id: string; words: string; slice: number | null }[] = [];
  let answers: (() => Response)[] = [];
  /** What the server holds of this reading. */
  let held: () => unknown[] = () => [];

  beforeEach(() => {
    sent.length = 0;
    answers = [];
    held = () => [];
    vi.stubGlobal("window", globalThis);
    vi.stubGlobal("document", { cookie: "" });
    vi.stubGlobal("fetch", async (_path: string, options?: RequestInit) => {
      if (!options?.body) return Response.json({ findings: held() });
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

  const lost = () => Response.json({}, { status: 502 });
  const whole = `${WORDS}, and one beside it`;

  it("keeps the words that were added to what had arrived unheard", async () => {
    const telling = new Telling("1", () => 7);
    answers = [
      lost,
      // Told in the first words: the id is known.
      () => Response.json({ ...sent[0], reported_at: "", taken_up_at: null }),
    ];
    await telling.tell(WORDS);
    await telling.tell(whole);
    expect(telling.told.map(({ words }) => words)).toEqual([WORDS]);
    expect(telling.words).toBe(whole);
    expect(telling.failure).toContain("is not told yet");
    await telling.tell(telling.words);
    expect(new Set(sent.map(({ id }) => id)).size).toBe(2);
    expect(telling.told.map(({ words }) => words)).toEqual([WORDS, whole]);
    expect([telling.words, telling.failure]).toEqual(["", ""]);
  });

  it("shows what was told where the server refuses other words for it", async () => {
    const telling = new Telling("1", () => 7);
    const refusal = { error: "ALREADY_TOLD", message: "Told already." };
    answers = [lost, () => Response.json(refusal, { status: 409 })];
    held = () => [{ ...sent[0], reported_at: "", taken_up_at: null }];
    await telling.tell(WORDS);
    await telling.tell(whole);
    expect(telling.told.map(({ words }) => words)).toEqual([WORDS]);
    expect([telling.words, telling.sending]).toEqual([whole, false]);
    expect(telling.failure).toContain("is not told yet");
    await telling.tell(telling.words);
    expect(sent[2]).toMatchObject({ words: whole });
    expect(sent[2]?.id).not.toBe(sent[0]?.id);
    expect(telling.words).toBe("");
  });

  it("says which slice was told where only the slice changed since", async () => {
    let slice = 7;
    const telling = new Telling("1", () => slice);
    answers = [lost, () => Response.json({ ...sent[0], reported_at: "", taken_up_at: null })];
    await telling.tell(WORDS);
    slice = 9;
    await telling.tell(WORDS);
    expect(telling.told.map((one) => one.slice)).toEqual([7]);
    expect(telling.words).toBe(WORDS);
    telling.write("");
  });

  it("leaves what is written while it is sent", async () => {
    const telling = new Telling("1", () => 7);
    const telt = telling.tell(WORDS);
    telling.write(whole);
    await telt;
    expect(telling.told.map(({ words }) => words)).toEqual([WORDS]);
    expect(telling.words).toBe(whole);
    expect(telling.failure).toContain("What you wrote since is not told yet.");
    telling.write("");
  });

  it("says outside its sheet that it is not told, also from the next case", () => {
    const bare = { detail: null, outbox: { waiting: [] }, setAside: [], notice: "" };
    const header = (of: Telling) => headerHtml(bare as unknown as Session, false, of.untoldWords);
    const telling = new Telling("1", () => 7);
    expect(header(telling)).not.toContain("not told");
    telling.toggle();
    telling.write(WORDS);
    telling.close();
    expect(anythingUntold()).toBe(true);
    expect(header(telling)).toContain("A finding is not told");
    expect(header(new Telling("2", () => 7))).toContain("A finding of another case is not told");
    const back = new Telling("1", () => 7);
    expect(back.words).toBe(WORDS);
    back.write("");
    expect(anythingUntold()).toBe(false);
  });

  it("is told once its reader has signed in again, unless more was written since", async () => {
    const out = () => Response.json({ error: "SIGNED_OUT", message: "Out." }, { status: 401 });
    const telling = new Telling("1", () => 7);
    answers = [out, out];
    await telling.tell(WORDS);
    expect([telling.words, telling.saveState]).toEqual([WORDS, "signed_out"]);
    expect(telling.failure).toContain("Sign in again, then tell it");
    telling.write(whole);
    telling.outbox.start();
    expect([telling.words, telling.saveState, sent.length]).toEqual([whole, "saved", 1]);
    await telling.tell(whole);
    telling.outbox.start();
    await expect.poll(() => telling.words).toBe("");
    expect(telling.told.map(({ words }) => words)).toEqual([whole]);
    expect(telling.saveState).toBe("saved");
  });
});
