import { beforeEach, describe, expect, it, vi } from "vitest";
import { adopt, mine } from "../viewer/keys/bindings";
import { SettleSession } from "../viewer/settle/consensus";
import type { Act, Evidence } from "../viewer/settle/contract";
import { Desk } from "../viewer/settle/desk";
import { actionOf, KEYS, keyFor, type Phase, SETTLE_KEYS } from "../viewer/settle/keys";
import { headerHtml } from "../viewer/settle/panel/header";
import { editHtml, labelVerbsHtml } from "../viewer/settle/panel/nodes";
import { placeHtml } from "../viewer/settle/panel/place";
import { settleLines } from "../viewer/settle/panel/rows";
import { hereHtml, verbsHtml } from "../viewer/settle/panel/say";
import { summaryHtml } from "../viewer/settle/panel/sign";
import { Telling } from "../viewer/settle/presence";
import type { Shape } from "../viewer/settle/stage";
import { MemoryShelf } from "../viewer/shelf";
import { Server, type Who } from "./settle_server";
import { Stage } from "./settle_stage";

let server: Server;
let stage: Stage;

beforeEach(() => {
  adopt({});
  server = new Server();
  stage = new Stage();
});

async function opened(who: Who = "r1"): Promise<Desk> {
  const session = new SettleSession(server.api(who), new MemoryShelf<Act>());
  await session.open();
  const desk = new Desk(session, stage);
  session.addEventListener("change", () => desk.follow());
  desk.begin();
  await Promise.resolve();
  return desk;
}

/** A key as the listener would take it. */
function press(desk: Desk, ...strokes: string[]): void {
  for (const stroke of strokes) {
    const action = actionOf(stroke, desk.phase);
    if (action) desk.run(action, stroke);
  }
}

function settled(): void {
  for (const id of ["d1", "d2", "d4"]) {
    server.act("r2", {
      kind: "propose",
      id,
      discrepancy: id,
      seen: 0,
      resolution: "X",
      rationale: ".",
    });
    server.act("r1", { kind: "agree", id: `a${id}`, discrepancy: id, seen: 1, step: id });
  }
}

describe("the keys", () => {
  it("mean one thing in each phase", () => {
    const phases: Phase[] = ["settle", "redraw", "say", "label", "pick", "sign"];
    for (const phase of phases) {
      const strokes = KEYS.filter((key) => key.in.includes(phase)).flatMap(({ keys }) => keys);
      expect(new Set(strokes).size, phase).toBe(strokes.length);
    }
  });

  it("mean the same in every phase of one screen, Esc and Enter aside", () => {
    const screens: Phase[][] = [
      ["settle", "redraw", "say"],
      ["label", "pick"],
    ];
    const meaning: Record<string, string> = { fromX: "X", takeX: "X", fromY: "Y", takeY: "Y" };
    meaning.fromUnion = meaning.union = "union";
    for (const screen of screens) {
      const found = new Map<string, Set<string>>();
      for (const key of KEYS.filter(({ in: phases }) =>
        screen.some((one) => phases.includes(one)),
      )) {
        for (const stroke of key.keys) {
          const known = found.get(stroke) ?? new Set();
          found.set(stroke, known.add(meaning[key.action] ?? key.action));
        }
      }
      const twice = [...found].filter(([stroke, all]) => all.size > 1 && stroke !== "enter");
      expect(twice).toEqual([]);
    }
  });

  it("decide under the left hand", () => {
    const left = new Set("123456qwertasdfgzxcvb");
    for (const key of KEYS.filter(({ group }) => group === "Settle")) {
      expect(left.has((key.keys[0] ?? "").replace("shift+", "")), key.action).toBe(true);
    }
  });
});

describe("a person's own keys", () => {
  it("start the action here, stand on its button, and are kept under a name of this screen", async () => {
    adopt({ accept: ["k"], ...SETTLE_KEYS.withKey("takeX", "j") });
    expect([actionOf("j", "settle"), actionOf("1", "settle")]).toEqual(["takeX", undefined]);
    expect(mine()).toEqual({ accept: ["k"], "settle.takeX": ["j"] });
    const desk = await opened();
    expect(verbsHtml(desk)).toContain("<kbd>J</kbd><span>X");
  });

  it("are taken only from what may be meant at the same moment", () => {
    adopt(SETTLE_KEYS.withKey("takeX", "2"));
    expect(keyFor("takeX")).toBe("2");
    expect(SETTLE_KEYS.keysOf("takeY")).toEqual(["y"]);
    expect(SETTLE_KEYS.keysOf("fromY")).toEqual(["2"]);
    expect(SETTLE_KEYS.keysOf("nonMetastatic")).toEqual(["2"]);
    adopt(SETTLE_KEYS.withKey("overlay", "b"));
    expect(SETTLE_KEYS.keysOf("brush")).toEqual([]);
  });

  it("leave the letters of the evidence alone, and other screens' keys when all are reset", async () => {
    adopt({ accept: ["k"] });
    const desk = await opened();
    desk.remap.choose("necrosis");
    expect(desk.remap.take("z")).toBe(true);
    expect(desk.remap.notice).toContain("stays so");
    adopt({ ...mine(), ...SETTLE_KEYS.withKey("union", "k") });
    expect(SETTLE_KEYS.withoutAll()).toEqual({ accept: ["k"] });
    press(desk, "?");
    expect([desk.helpOpen, desk.remap.action]).toEqual([true, null]);
  });
});

describe("two at one screen", () => {
  it("lay out what waits for the other, in full, who agrees to it and to nothing newer", async () => {
    const desk = await opened();
    press(desk, "shift+a");
    expect(desk.session.notice).toBe("Nothing of yours waits for the other reader.");
    for (const why of ["Follows <the> border", "Seen on all planes"]) {
      press(desk, "1");
      desk.settling.send(why);
    }
    await desk.session.outbox.idle();
    desk.settling.goTo("d1");
    expect(verbsHtml(desk)).toContain("The other reader agrees here to all 2");
    press(desk, "shift+a");
    const html = hereHtml(desk);
    expect(html).toContain("<b>1</b> X’s shape <q>Follows &lt;the&gt; border</q>");
    expect(html).toContain("<b>2</b> X’s shape <q>Seen on all planes</q>");
    await desk.settling.agreeHere("r2", "secret");
    expect(desk.settling.here).toBeNull();
    expect(server.held.slice(0, 2).map(({ state }) => state)).toEqual(["resolved", "resolved"]);
    expect(new Set(server.answers.keys()).size).toBe(4);
    expect(desk.session.notice).toMatch(/^1: the other reader agreed on X’s shape/);
  });

  it("is left with Esc, and by looking elsewhere", async () => {
    const desk = await opened();
    press(desk, "1");
    desk.settling.send("Follows the border");
    await desk.session.outbox.idle();
    press(desk, "shift+a", "escape");
    expect(desk.settling.here).toBeNull();
    press(desk, "shift+a", "s");
    expect(hereHtml(desk)).toBe("");
  });
});

describe("the map", () => {
  it("is one key away and back, and gives way to the outlines", async () => {
    const desk = await opened();
    press(desk, "m");
    expect([stage.mapNow, stage.layoutNow]).toEqual([true, "overlay"]);
    press(desk, "o");
    expect([stage.mapNow, stage.layoutNow]).toEqual([false, "overlay"]);
    press(desk, "o");
    expect(stage.layoutNow).toBe("side_by_side");
  });
});

describe("who else is there", () => {
  const other = { who: "other", phase: "settle", discrepancy: "d4", node: null } as const;

  it("is said in the head, ringed in the list, and moves nothing", async () => {
    const desk = await opened();
    const before = desk.session.rows.map(({ place }) => place.id);
    desk.session.hear({ type: "presence", audience: "", seq: 0, payload: { present: [other] } });
    expect(headerHtml(desk.session, "")).toContain("The other reader looks at 4");
    const lines = settleLines(desk.session, new Set());
    expect(lines.filter(({ html }) => html.includes("looks here")).map(({ key }) => key)).toEqual([
      "d4",
    ]);
    expect(desk.session.selected).toBe("d1");
    expect(stage.shown).toBe(1);
    expect(desk.session.notice).toBe("");
    expect(desk.session.rows.map(({ place }) => place.id)).toEqual(before);
    desk.session.see([]);
    expect(headerHtml(desk.session, "")).not.toContain("other reader");
  });

  it("is joined on one key, and never with a shape in the hand", async () => {
    const desk = await opened();
    press(desk, "shift+d");
    expect(desk.session.notice).toBe("Nobody else is here.");
    desk.session.see([other]);
    press(desk, "r");
    stage.stroke();
    desk.run("join");
    expect(desk.session.selected).toBe("d1");
    stage.redraw.end();
    press(desk, "shift+d");
    expect(desk.session.selected).toBe("d4");
    expect(placeHtml(desk)).toContain("the other reader is here, too");
  });

  it("learns where this person looks, and no more often than eyes move", async () => {
    vi.useFakeTimers();
    try {
      const told: unknown[] = [];
      const telling = new Telling((message) => told.push(message.looking));
      const desk = await opened();
      telling.at(desk.whereabouts);
      telling.at(desk.whereabouts);
      press(desk, "s");
      telling.at(desk.whereabouts);
      press(desk, "s");
      telling.at(desk.whereabouts);
      expect(told).toHaveLength(1);
      vi.advanceTimersByTime(1000);
      expect(told).toEqual([
        { phase: "settle", discrepancy: "d1", node: null },
        { phase: "settle", discrepancy: "d4", node: null },
      ]);
      telling.stop();
    } finally {
      vi.useRealTimers();
    }
  });
});

describe("settling by keys", () => {
  it("begins at the first that waits, in the list and in the images", async () => {
    const desk = await opened();
    expect(desk.session.selected).toBe("d1");
    expect(stage.shown).toBe(1);
  });

  it("proposes with a reason and goes on to the next that waits", async () => {
    const desk = await opened();
    press(desk, "1");
    expect(stage.previewed).toBe("X");
    desk.settling.send("");
    expect(desk.session.notice).toMatch(/^Say why/);
    desk.settling.send("  Follows the border best ");
    expect(desk.session.selected).toBe("d2");
    await desk.session.outbox.idle();
    expect(server.acts[0]).toMatchObject({
      kind: "propose",
      discrepancy: "d1",
      seen: 0,
      resolution: "X",
      rationale: "Follows the border best",
    });
  });

  it("agrees where it chooses what the other already proposes, and shows it", async () => {
    server.act("r2", {
      kind: "propose",
      id: "p",
      discrepancy: "d1",
      seen: 0,
      resolution: "Y",
      rationale: ".",
    });
    const desk = await opened();
    desk.settling.goTo("d1");
    expect(stage.previewed).toBe("Y");
    press(desk, "2");
    expect(desk.settling.choice).toMatchObject({ verb: "agree", step: "p" });
    desk.settling.send("");
    await desk.session.outbox.idle();
    expect(server.held[0]).toMatchObject({ state: "resolved", resolution: "Y" });
    expect(desk.session.overtaken.size).toBe(0);
  });

  it("refuses what makes no sense there, with a sentence", async () => {
    const desk = await opened();
    desk.settling.goTo("d2");
    press(desk, "2");
    expect(desk.settling.choice).toBeNull();
    expect(desk.session.notice).toMatch(/Y has nothing here/);
    press(desk, "4");
    expect(desk.session.notice).toBe("Only X has it.");
    server.show_ai = false;
    await desk.session.sync();
    press(desk, "3");
    expect(desk.settling.choice).toBeNull();
  });

  it("keeps what was written when it looks elsewhere", async () => {
    const desk = await opened();
    press(desk, "1");
    desk.settling.drafts.set("d1", "half a thought");
    press(desk, "escape", "s", "w", "1");
    expect(desk.settling.draft("d1")).toBe("half a thought");
  });

  it("sends nothing unseen over what the other did while this one wrote", async () => {
    const desk = await opened();
    press(desk, "1");
    server.act("r2", {
      kind: "propose",
      id: "p",
      discrepancy: "d1",
      seen: 0,
      resolution: "Y",
      rationale: "look",
    });
    await desk.session.sync();
    desk.settling.send("mine");
    expect(server.acts).toHaveLength(1);
    expect(desk.session.overtaken.get("d:d1")).toMatchObject({
      since: [{ by: "other", resolution: "Y" }],
      rationale: "mine",
    });
    desk.settling.send("mine");
    await desk.session.outbox.idle();
    expect(server.held[0]?.proposal).toMatchObject({
      by: "r1",
      resolution: "X",
      rationale: "mine",
    });
  });

  it("ends a verb that is no longer possible, and keeps its words", async () => {
    server.act("r1", {
      kind: "propose",
      id: "p",
      discrepancy: "d1",
      seen: 0,
      resolution: "X",
      rationale: ".",
    });
    const desk = await opened();
    desk.settling.goTo("d1");
    press(desk, "4");
    desk.settling.drafts.set("d1", "better so");
    server.act("r2", { kind: "agree", id: "q", discrepancy: "d1", seen: 1, step: "p" });
    await desk.session.sync();
    expect(desk.settling.choice).toBeNull();
    expect(desk.session.overtaken.get("d:d1")).toMatchObject({
      what: "union",
      rationale: "better so",
      since: [{ action: "agree" }],
    });
  });

  it("agrees to what stands now, and never with words meant for something else", async () => {
    const propose = (id: string, seen: number, resolution: "X" | "Y") =>
      server.act("r2", {
        kind: "propose",
        id,
        discrepancy: "d1",
        seen,
        resolution,
        rationale: "look",
      });
    propose("p", 0, "X");
    const desk = await opened();
    desk.settling.goTo("d1");
    press(desk, "2");
    desk.settling.drafts.set("d1", "Y follows the border");
    press(desk, "escape", "a");
    expect(desk.settling.draft("d1", "agree")).toBe("");
    propose("q", 1, "Y");
    await desk.session.sync();
    desk.settling.send("");
    expect(desk.settling.choice).toMatchObject({ verb: "agree", resolution: "Y", step: "q" });
    expect(desk.settling.draft("d1")).toBe("Y follows the border");
  });

  it("redraws: a shape in the hand is not lost by looking elsewhere", async () => {
    const desk = await opened();
    press(desk, "r");
    expect(desk.phase).toBe("redraw");
    press(desk, "enter");
    expect(desk.session.notice).toMatch(/Nothing is drawn/);
    stage.stroke();
    desk.settling.goTo("d2");
    expect(desk.session.selected).toBe("d1");
    press(desk, "enter");
    expect(desk.settling.choice).toMatchObject({ verb: "propose", resolution: "redrawn" });
    desk.settling.send("Neither follows the border");
    await desk.session.outbox.idle();
    expect(server.acts[0]).toMatchObject({
      resolution: "redrawn",
      shape: { slices: [{ sop: "1.0" }] },
    });
    expect(stage.redraw.cluster).toBeNull();
  });

  it("sends the shape on screen, also what was painted while its reason was written", async () => {
    const desk = await opened();
    press(desk, "r");
    stage.stroke();
    press(desk, "enter");
    expect(desk.phase).toBe("say");
    press(desk, "2", "6");
    expect(desk.settling.choice).toMatchObject({ resolution: "redrawn" });
    const more: Shape = { slices: [{ sop: "1.1", box: [0, 0, 1, 1], runs: [[0, 1, 1]] }] };
    stage.redraw.shape = () => more;
    desk.settling.send("Wider");
    await desk.session.outbox.idle();
    expect(server.acts[0]).toMatchObject({ shape: more });
  });

  it("decides on nothing before every slice is there, and says how far they are", async () => {
    server.act("r2", {
      kind: "propose",
      id: "p",
      discrepancy: "d1",
      seen: 0,
      resolution: "Y",
      rationale: ".",
    });
    const desk = await opened();
    desk.settling.goTo("d1");
    stage.loading = { complete: false, percent: 34, lost: 0 };
    press(desk, "1");
    press(desk, "a");
    press(desk, "r");
    expect([desk.settling.choice, stage.redraw.cluster]).toEqual([null, null]);
    expect(desk.session.notice).toMatch(/34 %/);
    expect(desk.session.alarm).toBe(true);
    expect(headerHtml(desk.session, "", stage.loading)).toContain("images-coming");
    expect(verbsHtml(desk)).toMatch(/verb-agree[^>]*disabled/);
    stage.loading = { complete: false, percent: 99, lost: 2 };
    press(desk, "1");
    expect(desk.session.notice).toMatch(/2 slices could not be loaded/);
    stage.loading = { complete: true, percent: 100, lost: 0 };
    press(desk, "1");
    expect(desk.settling.choice).toMatchObject({ resolution: "X" });
  });

  it("offers the AI's shape only where the AI has one", async () => {
    const desk = await opened();
    stage.sizes = {};
    press(desk, "3");
    expect(desk.settling.choice).toBeNull();
    expect(desk.session.notice).toBe("The AI has nothing here.");
    expect(verbsHtml(desk)).toMatch(/verb-takeAI[^>]*disabled/);
  });

  it("gives the adjudicator what was deferred, and nothing else", async () => {
    server.act("r1", { kind: "defer", id: "d", discrepancy: "d4", seen: 0, rationale: "hard" });
    const desk = await opened("adj");
    expect(desk.session.selected).toBe("d4");
    press(desk, "c");
    expect(desk.settling.choice).toMatchObject({ verb: "resolve", resolution: "indeterminate" });
    desk.settling.send("Streaks");
    await desk.session.outbox.idle();
    expect(server.held[3]?.state).toBe("indeterminate");
    desk.settling.goTo("d1");
    press(desk, "1");
    expect(desk.settling.choice).toBeNull();
  });

  it("lets an observer look at everything and do nothing", async () => {
    const desk = await opened("aud");
    expect(desk.session.saveState).toBe("closed");
    press(desk, "s", "1", "a", "f");
    expect(desk.settling.choice).toBeNull();
    expect(desk.session.selected).toBe("d2");
  });
});

describe("labelling by keys", () => {
  it("sets a plain label with one key and goes on", async () => {
    settled();
    const desk = await opened();
    expect(desk.tab).toBe("label");
    expect(stage.phase).toBe("agreed");
    press(desk, "2");
    expect(desk.session.node).toBe(2);
    await desk.session.outbox.idle();
    expect(server.nodes[0]?.label?.value).toBe("non_metastatic");
  });

  it("sets metastatic with evidence only, and never by itself", async () => {
    settled();
    const desk = await opened();
    expect(desk.labelling.suggested()).toBe(true);
    press(desk, "a");
    expect(desk.phase).toBe("pick");
    press(desk, "enter");
    expect(desk.session.notice).toMatch(/rests on evidence/);
    expect(desk.session.alarm).toBe(true);
    press(desk, "1", "2", "e");
    expect([desk.labelling.edit?.value, desk.labelling.edit?.evidence.size]).toEqual([
      "metastatic",
      0,
    ]);
    press(desk, "z", "enter");
    await desk.session.outbox.idle();
    expect(server.acts.at(-1)).toMatchObject({ value: "metastatic", evidence: ["e1"], seen: 0 });
    expect(server.nodes[1]?.label).toBeNull();
  });

  it("asks why evidence of the patient holds for this node", async () => {
    settled();
    const desk = await opened();
    press(desk, "1", "x", "enter");
    expect(desk.session.notice).toMatch(/not of this very node/);
    if (desk.labelling.edit) desk.labelling.edit.rationale = "The only node there";
    press(desk, "enter");
    await desk.session.outbox.idle();
    expect(server.acts.at(-1)).toMatchObject({
      evidence: ["e2"],
      rationale: "The only node there",
    });
  });

  it("enters central necrosis on the slice in view", async () => {
    settled();
    const desk = await opened();
    press(desk, "n");
    await desk.labelling.enterNecrosis(desk.labelling.landmark?.text ?? "");
    expect(desk.labelling.edit?.evidence.size).toBe(1);
    press(desk, "enter");
    await desk.session.outbox.idle();
    expect(server.nodes[0]?.label?.rests_on_necrosis_alone).toBe(true);
  });

  it("asks what keeps a node from being assessed", async () => {
    settled();
    const desk = await opened();
    press(desk, "4");
    desk.labelling.save();
    expect(desk.session.notice).toMatch(/keeps it from/);
    if (desk.labelling.edit) desk.labelling.edit.reason = "streaks";
    desk.labelling.save();
    await desk.session.outbox.idle();
    expect(server.acts.at(-1)).toMatchObject({ value: "not_assessable", reason: "streaks" });
  });

  it("leaves a node to the adjudicator, who alone labels it then", async () => {
    settled();
    const desk = await opened();
    press(desk, "f");
    desk.labelling.save();
    expect(desk.session.notice).toMatch(/^Say why/);
    if (desk.labelling.edit) desk.labelling.edit.rationale = "too hard";
    desk.labelling.save();
    await desk.session.outbox.idle();
    expect(server.acts.at(-1)).toMatchObject({
      kind: "defer_label",
      node: 1,
      rationale: "too hard",
    });
    expect(desk.session.node).toBe(2);
    press(desk, "w", "2");
    expect(desk.session.notice).toMatch(/can no longer be changed/);
    const adjudicator = await opened("adj");
    expect(adjudicator.session.node).toBe(1);
    press(adjudicator, "3");
    await adjudicator.session.outbox.idle();
    expect(server.nodes[0]?.label?.value).toBe("indeterminate");
  });

  it("leads to the signature once every node is labelled", async () => {
    settled();
    const desk = await opened();
    press(desk, "2", "2", "2");
    await desk.session.outbox.idle();
    await new Promise((resolve) => setTimeout(resolve, 0));
    expect(desk.session.detail?.state).toBe("ready");
    press(desk, "d");
    expect(desk.tab).toBe("sign");
    await desk.session.sign("right", "h4sh");
    await desk.session.sign("right", "h4sh", "r2");
    expect(desk.session.detail?.state).toBe("published");
  });
});

describe("the phases", () => {
  it("can be looked back at, X and Y laid out as they were", async () => {
    settled();
    const desk = await opened();
    press(desk, "shift+w");
    expect([desk.tab, stage.phase, stage.layoutNow]).toEqual(["settle", "settle", "side_by_side"]);
    press(desk, "o", "shift+s", "shift+w");
    expect(stage.layoutNow).toBe("overlay");
    press(desk, "1");
    expect(desk.session.notice).toBe("It is decided.");
  });

  it("do not open before their time, and say so", async () => {
    const desk = await opened();
    press(desk, "shift+s");
    expect(desk.tab).toBe("settle");
    expect(desk.session.notice).toMatch(/once every disagreement is settled/);
  });

  it("go back to the labels when a signer objects, with the reason", async () => {
    settled();
    const desk = await opened();
    press(desk, "2", "2", "2");
    await desk.session.outbox.idle();
    await desk.session.sync();
    await desk.session.sign("right", "h4sh");
    await desk.session.object("Node 2 is a vessel");
    expect(desk.session.detail).toMatchObject({
      state: "labelling",
      signing: { objection: "Node 2 is a vessel" },
    });
  });
});

describe("what is shown", () => {
  it("makes taking the shape the one thing to do where it is not in dispute", async () => {
    const found = server.clusters[3];
    if (found) Object.assign(found, { dice: 1 });
    const desk = await opened();
    desk.settling.goTo("d4");
    expect(placeHtml(desk)).toContain("Same shape in both. The impression is settled under Label.");
    const html = verbsHtml(desk);
    expect(html).toContain("Take the shape both drew · 18.3 × 12.1");
    for (const action of ["takeX", "takeY", "union"]) expect(html).not.toContain(`verb-${action}`);
    press(desk, "1");
    expect(desk.settling.choice).toMatchObject({ resolution: "X" });
    desk.settling.goTo("d1");
    expect(placeHtml(desk)).not.toContain("Same shape");
    expect(verbsHtml(desk)).toContain("verb-takeX");
  });

  it("says what each shape would measure, and the shape in the hand", async () => {
    const desk = await opened();
    expect(verbsHtml(desk)).toMatch(/Union<small>15.3 × 9.0/);
    expect(verbsHtml(desk)).toMatch(/>X<small>14.2 × 9.6/);
    expect(placeHtml(desk)).toContain(">AI</th>");
    press(desk, "4");
    expect(placeHtml(desk)).toContain(">Would be</th>");
    press(desk, "escape", "r");
    expect(placeHtml(desk)).not.toContain('data-testid="third"');
    stage.sizes.redrawn = { long_mm: 12, short_mm: 7, volume_mm3: 300 };
    stage.stroke();
    expect(placeHtml(desk)).toMatch(/>Yours<\/th>[\s\S]*12.0 × 7.0[\s\S]*0.30 ml/);
  });

  it("tells a lost race once, and as no success", async () => {
    const desk = await opened();
    press(desk, "6");
    desk.settling.goTo("d2");
    press(desk, "6");
    server.act("r2", {
      kind: "propose",
      id: "p",
      discrepancy: "d2",
      seen: 0,
      resolution: "X",
      rationale: "clear",
    });
    desk.settling.send("nothing there");
    await desk.session.outbox.idle();
    expect(desk.session.notice).toBe(
      "2: not recorded. The other reader proposed first; look again.",
    );
    expect(desk.session.alarm).toBe(true);
    desk.settling.goTo("d2");
    const html = placeHtml(desk);
    expect(html).toContain("Not recorded: the other reader proposed first.");
    expect(html.match(/clear/g)).toHaveLength(1);
    expect(html.match(/data-testid="proposal"/g)).toHaveLength(1);
    expect(html).toContain("nothing there");
  });

  it("shows what each reader decided on the AI's proposal, and why", async () => {
    const [, found] = server.clusters;
    const decisions = {
      x: [{ decision: "accepted", reason: null }],
      y: [{ decision: "rejected", reason: "salivary_gland" }],
    };
    if (found) Object.assign(found, { decisions });
    const desk = await opened();
    desk.settling.goTo("d2");
    expect(placeHtml(desk)).toMatch(/Decision<\/th><td>accepted<\/td><td>rejected: salivary gland/);
  });

  it("keeps a row that moved on where it stands, and says so", async () => {
    const desk = await opened();
    server.act("r2", {
      kind: "propose",
      id: "p",
      discrepancy: "d1",
      seen: 0,
      resolution: "Y",
      rationale: ".",
    });
    await desk.session.sync();
    const html = settleLines(desk.session, new Set()).map((line) => line.html);
    expect(html.filter((one) => one.includes("row-moved"))).toHaveLength(1);
    expect(html[1]).toContain("now: Waiting for your answer");
  });

  it("names evidence by letters, says why it does not count, and what is far from the CT", async () => {
    settled();
    server.evidence[1] = { ...server.evidence[1], days_from_study: 552 } as Evidence;
    server.pet_max_days = 92;
    const desk = await opened();
    press(desk, "1");
    const html = editHtml(desk.labelling.edit, desk);
    expect(html).toMatch(/<kbd>Z<\/kbd>[\s\S]*<kbd>X<\/kbd>/);
    expect(html).toContain("It does not count.");
    expect(html.match(/far-away/g)).toHaveLength(1);
    expect(html).toContain("552 days from this CT");
    expect(html).toContain("Save label");
    expect(labelVerbsHtml(desk)).not.toContain("<kbd>1</kbd>");
    press(desk, "escape");
    expect(labelVerbsHtml(desk)).toContain("<kbd>1</kbd>");
  });

  it("says which version stands while a newer one is made, and no longer once it is published", async () => {
    const desk = await opened();
    const { detail } = desk.session;
    const version = (number: number, state: "published" | "draft", reason: string) => ({
      id: `c${number}`,
      version: number,
      state,
      published_at: null,
      reason,
    });
    if (detail) {
      detail.version = 2;
      detail.versions = [version(1, "published", ""), version(2, "draft", "amended")];
    }
    const stands = "Reopened: amended. Version 1 stays published until this one is.";
    expect(headerHtml(desk.session, "")).toContain(stands);
    if (detail) detail.state = "published";
    expect(headerHtml(desk.session, "")).not.toContain("stays published");
  });

  it("puts signatures into the order of time, each with its zone", async () => {
    settled();
    const desk = await opened();
    press(desk, "2", "2", "2");
    await desk.session.outbox.idle();
    await desk.session.sync();
    const { signing } = desk.session.detail ?? {};
    const signer = (name: string, at: string | null) => ({
      role: "reader",
      name,
      mine: false,
      signed_at: at,
    });
    if (signing) {
      signing.required = [
        signer("Late", "2026-11-21T16:00:00Z"),
        signer("Missing", null),
        signer("Early", "2026-11-21T15:59:00Z"),
      ];
    }
    const html = summaryHtml(desk.session);
    const places = ["Early", "Late", "Missing"].map((name) => html.indexOf(name));
    expect(places).toEqual([...places].sort((a, b) => a - b));
    expect(html).toMatch(/Early<\/b>, 2026-11-21 \d\d:59 \S+/);
  });

  it("says why in numbers, X before Y", async () => {
    const desk = await opened();
    const words = settleLines(desk.session, new Set())
      .map(({ html }) => html)
      .join("\n");
    expect(words).toContain("borders 1.4 mm apart, limit 1.0");
    expect(words).toContain("short axes 9.6 / 11.9 mm, limit 2.0, size class 5–9 / 10–14");
    expect(words).toContain("only X has it, 7.2 mm");
    expect(words).toContain("impression metastatic / non-metastatic");
  });

  it("folds what rules decided until asked", async () => {
    const desk = await opened();
    const rows = (unfolded: string[]) =>
      settleLines(desk.session, new Set(unfolded)).filter(({ kind }) => kind === "row").length;
    expect(rows([])).toBe(3);
    expect(rows(["settled", "ignored"])).toBe(5);
  });

  it("lists every decision and label before it is signed", async () => {
    settled();
    server.act("r1", {
      kind: "label",
      id: "l",
      node: 1,
      seen: 0,
      value: "metastatic",
      evidence: ["e1"],
    });
    const desk = await opened();
    const html = summaryHtml(desk.session);
    expect(html.match(/signed-decision/g)).toHaveLength(3);
    expect(html).toContain("Cluster 2 → node 2");
    expect(html).toContain("Cluster 4 → no node");
    expect(html).toContain("<b>2</b> settled by rule (1 ignored), <b>3</b> by people");
    expect(html.indexOf('data-testid="labels"')).toBeLessThan(html.indexOf("signed-decision"));
    expect(html).toContain("PET of 2026-09-30, 2 days before the CT: positive, node 1.");
    expect(html).toContain("not “proven benign”");
    expect(html).toContain("Node 2 has no label.");
  });

  it("escapes what people wrote", async () => {
    server.act("r2", {
      kind: "propose",
      id: "p",
      discrepancy: "d1",
      seen: 0,
      resolution: "Y",
      rationale: "<img src=x>",
    });
    const desk = await opened();
    desk.settling.goTo("d1");
    expect(placeHtml(desk)).not.toContain("<img");
  });
});
