// What can be done about the selected disagreement, and the line in which its reason is written.

import { text } from "../../html";
import type { Discrepancy, Resolution } from "../contract";
import type { Desk } from "../desk";
import type { ShownDiscrepancy } from "../projection";
import { type Choice, whyNot } from "../settling";
import { loadingWords, phrases, RESOLUTIONS, resolutionWords, sameShape } from "../words";
import { inBrackets, kbdHtml } from "./kbd";
import { phraseHtml } from "./nodes";
import { axes, sizeWords } from "./place";

interface Button {
  action: string;
  word: string;
  long: string;
  /** Why not; "" where it can be done. */
  refusal: string;
  pressed: boolean;
  size?: string;
  style?: string;
}

const ACTIONS: Record<Resolution, string> = {
  X: "takeX",
  Y: "takeY",
  AI: "takeAI",
  union: "union",
  intersection: "intersection",
  redrawn: "redraw",
  absent: "absent",
  indeterminate: "indeterminate",
};
const SHAPES: readonly Resolution[] = ["X", "Y", "AI", "union", "intersection", "redrawn"];
const PRESENCE: readonly Resolution[] = ["absent", "indeterminate"];

/** What can be done, by what it is about: the other's proposal, the shape, whether it is there. */
export function verbsHtml(desk: Desk): string {
  const { session } = desk;
  const { detail } = session;
  const found = session.discrepancy();
  if (!detail || !found || session.readOnly) return "";
  if (desk.phase === "redraw") return redrawHtml(desk);
  if (desk.phase === "say") return backHtml();
  if (desk.settling.here) return leaveHereHtml();
  if (!found.possible.length) return `<p class="verb-words">${whyNot(found)}</p>`;
  const parts = [
    answerHtml(desk, found),
    shapesHtml(desk, found),
    groupHtml(
      "Presence",
      "two",
      PRESENCE.flatMap((one) => takeOf(desk, found, one)),
    ),
    found.possible.includes("defer") ? groupHtml("Pass on", "one", [deferOf(desk)]) : "",
    offersHere(found) ? groupHtml("Here", "one", [hereOf(desk)]) : "",
  ];
  return `<div data-testid="verbs" role="group" aria-label="Decide">${parts.join("")}</div>`;
}

function answerHtml({ settling, stage }: Desk, { possible, proposal }: Discrepancy): string {
  if (!proposal || !possible.includes("agree")) return "";
  const long = resolutionWords(proposal.resolution);
  const pressed = settling.choice?.verb === "agree";
  const word = `Agree: ${long}`;
  const refusal = loadingWords(stage.loading);
  const button = { action: "agree", word, long, refusal, pressed, style: "agree" };
  return groupHtml("Answer", "one", [button]);
}

/** Where both drew the same, taking it is the one thing to do. */
function shapesHtml(desk: Desk, found: ShownDiscrepancy): string {
  const cluster = desk.session.cluster(found.cluster);
  if (!sameShape(cluster)) {
    return groupHtml(
      "Shape",
      "three",
      SHAPES.flatMap((one) => takeOf(desk, found, one)),
    );
  }
  const known = desk.session.detail?.resolutions.includes("intersection");
  const shared = takeOf(desk, found, known ? "intersection" : "X").map((button) => {
    const word = `Take the shape both drew · ${axes(cluster?.x ?? null)}`;
    return { ...button, word, size: "", style: found.state === "open" ? "agree" : "" };
  });
  const others = (["AI", "redrawn"] as const).flatMap((one) => takeOf(desk, found, one));
  return groupHtml("Shape", "one", shared) + groupHtml("", "two", others);
}

function takeOf(desk: Desk, found: ShownDiscrepancy, resolution: Resolution): Button[] {
  const { session, settling } = desk;
  const { detail } = session;
  if (!detail?.resolutions.includes(resolution)) return [];
  if (resolution === "AI" && !detail.show_ai) return [];
  const { button: word, long } = RESOLUTIONS[resolution];
  const { choice } = settling;
  const pressed = choice?.resolution === resolution && choice.verb !== "agree";
  const refusal = settling.refusal(resolution, found);
  const size = sizeBeside(desk, found, resolution);
  return [{ action: ACTIONS[resolution], word, long, refusal, pressed, size }];
}

/** What a shape would measure, in mm. */
function sizeBeside(
  { session, stage }: Desk,
  found: ShownDiscrepancy,
  resolution: Resolution,
): string {
  const cluster = session.cluster(found.cluster);
  if (resolution === "X") return axes(cluster?.x ?? null);
  if (resolution === "Y") return axes(cluster?.y ?? null);
  if (!["AI", "union", "intersection"].includes(resolution)) return "";
  const size = stage.sizeOf(resolution);
  return size ? sizeWords(size) : "–";
}

function deferOf({ settling }: Desk): Button {
  const pressed = settling.choice?.verb === "defer";
  const long = "leave it to a third person";
  return { action: "defer", word: "Defer to the adjudicator", long, refusal: "", pressed };
}

/** Only while a row waits for the other reader, whose answer may be given on the spot. */
function offersHere({ proposal, saving }: ShownDiscrepancy): boolean {
  return proposal?.by === "you" && !saving;
}

function hereOf({ session }: Desk): Button {
  const { length } = session.offered;
  const word = `The other reader agrees here${length > 1 ? ` to all ${length}` : ""}`;
  const long = "with their own name and password; you stay signed in";
  return { action: "agreeHere", word, long, refusal: "", pressed: false };
}

/** What the other reader agrees to, in full, and the line in which they say who they are. */
export function hereHtml({ settling }: Desk): string {
  const { here } = settling;
  if (!here) return "";
  const lines = here.map(
    ({ cluster, resolution, rationale }) =>
      `<li><b>${cluster}</b> ${text(resolutionWords(resolution))} <q>${text(rationale)}</q></li>`,
  );
  return `<form data-form="here" data-keep data-testid="here" data-steps="${text(here.map(({ step }) => step).join(" "))}">
    <p class="here-head"><b>The other reader agrees</b> and signs for it; you stay signed in.</p>
    <ul class="here-list" tabindex="0" aria-label="What is agreed to">${lines.join("")}</ul>
    <div class="line-in"><input id="here-user" name="username" type="text" autocomplete="off" autocapitalize="none" spellcheck="false" required placeholder="their user name" aria-label="User name of the other reader" data-testid="here-user">
    <input name="password" type="password" autocomplete="off" required placeholder="their password" aria-label="Password of the other reader" data-testid="here-password">
    <button class="send" type="submit" data-testid="here-send">Agree</button></div>
    <p class="wrong" role="alert" data-testid="here-error"></p></form>`;
}

function groupHtml(name: string, columns: string, buttons: readonly Button[]): string {
  if (!buttons.length) return "";
  return `<div class="verb-group" role="group" aria-label="${name || "Other shapes"}"><h4>${name}</h4>
    <div class="verbs ${columns}">${buttons.map(verbHtml).join("")}</div></div>`;
}

function verbHtml({ action, word, long, refusal, pressed, size, style }: Button): string {
  const title = refusal || `${word}: ${long}${inBrackets(action)}`;
  return `<button class="${style ?? ""}" data-act="${action}" data-testid="verb-${action}" aria-pressed="${pressed}"
    title="${text(title)}" ${refusal ? "disabled" : ""}>${kbdHtml(action)}<span>${text(word)}${size ? `<small>${text(size)}</small>` : ""}</span></button>`;
}

/** While the reason of a shape is written: what is painted still changes it. */
function backHtml(): string {
  return `<div class="verb-group"><h4>Shape</h4><div class="verbs one"><button data-act="cancel" data-testid="redraw-back">${kbdHtml("cancel")}<span>Back to drawing</span></button></div></div>`;
}

/** While the other reader types, nothing else is decided. */
function leaveHereHtml(): string {
  return `<div class="verb-group"><h4>Here</h4><div class="verbs one"><button data-act="cancel" data-testid="here-back">${kbdHtml("cancel")}<span>Not now</span></button></div></div>`;
}

function redrawHtml({ stage }: Desk): string {
  const button = (action: string, word: string, pressed = false, off = false) =>
    `<button data-act="${action}" data-testid="redraw-${action}" aria-pressed="${pressed}" ${off ? "disabled" : ""}>${kbdHtml(action)}<span>${word}</span></button>`;
  const { toolNow, redraw } = stage;
  const starts = [button("fromX", "X"), button("fromY", "Y"), button("fromUnion", "Union")];
  const brush = button("brush", "Brush", toolNow === "brush");
  return `<div class="verb-group"><h4>Start from</h4><div class="verbs four" role="group" aria-label="Start from">${starts.join("")}${button("fromEmpty", "Empty")}</div></div>
    <div class="verb-group"><h4>Draw</h4><div class="verbs three" role="group" aria-label="Draw">${brush}${button("eraser", "Erase", toolNow === "eraser")}${button("undo", "Undo", false, !redraw.undoable)}</div></div>
    <div class="verb-group"><h4></h4><div class="verbs two">${button("drawn", "Done: say why", false, !redraw.shape())}${button("cancel", "Leave it")}</div></div>`;
}

/** The form is written once per choice, so that what is typed survives every piece of news. */
export function sayHtml(choice: Choice | null, desk: Desk): string {
  const found = choice && desk.session.discrepancy(choice.discrepancy);
  if (!choice || !found) return "";
  const { verb, resolution } = choice;
  const what = resolution ? resolutionWords(resolution) : "to the adjudicator";
  const verbs = { propose: "Propose", resolve: "Decide", agree: "Agree:", defer: "Defer" };
  const optional = verb === "agree" ? "why, if you like" : "because…";
  const same = sameShape(desk.session.cluster(found.cluster));
  const chips = phrases(verb, resolution, same).map(phraseHtml).join("");
  return `<form data-form="say" data-testid="say" data-verb="${verb}" data-resolution="${text(resolution)}" data-discrepancy="${text(choice.discrepancy)}">
    <label for="rationale"><b>${verbs[verb]} ${text(what)}</b> for ${found.cluster}, ${optional}</label>
    <div class="line-in"><input id="rationale" name="rationale" type="text" maxlength="1000" autocomplete="off" spellcheck="true" data-testid="rationale">
    <button class="send" type="submit" data-testid="send">Send <kbd>⏎</kbd></button></div>
    <div class="phrases">${chips}</div></form>`;
}
