// What can be done about the selected disagreement, and the line in which its reason is written.

import { text } from "../../html";
import type { Resolution } from "../contract";
import type { Desk } from "../desk";
import { keyFor } from "../keys";
import type { Choice } from "../settling";
import { phrases, RESOLUTIONS, resolutionWords } from "../words";
import { phraseHtml } from "./nodes";

const TAKES: readonly [Resolution, string][] = [
  ["X", "takeX"],
  ["Y", "takeY"],
  ["AI", "takeAI"],
  ["union", "union"],
  ["intersection", "intersection"],
  ["redrawn", "redraw"],
  ["absent", "absent"],
  ["indeterminate", "indeterminate"],
];

export function verbsHtml(desk: Desk): string {
  const { session, settling } = desk;
  const { detail } = session;
  const found = session.discrepancy();
  if (!detail || !found || session.readOnly) return "";
  if (desk.phase === "redraw") return redrawHtml(desk);
  const buttons = TAKES.filter(
    ([resolution]) =>
      detail.resolutions.includes(resolution) && (resolution !== "AI" || detail.show_ai),
  ).map(([resolution, action]) => {
    const refusal = settling.refusal(resolution, found);
    const { button, long } = RESOLUTIONS[resolution];
    const pressed = settling.choice?.resolution === resolution && settling.choice.verb !== "agree";
    return verbHtml(action, button, long, refusal, pressed);
  });
  const may = (verb: "agree" | "defer") => (found.possible.includes(verb) ? "" : " ");
  if (detail.role === "reader") {
    buttons.push(
      verbHtml(
        "defer",
        "Defer",
        "to the adjudicator",
        may("defer"),
        settling.choice?.verb === "defer",
      ),
      verbHtml(
        "agree",
        "Agree",
        "to the proposal",
        may("agree"),
        settling.choice?.verb === "agree",
        "agree",
      ),
    );
  }
  return `<div class="verbs" role="group" aria-label="Decide" data-testid="verbs">${buttons.join("")}</div>`;
}

function verbHtml(
  action: string,
  word: string,
  long: string,
  refusal: string,
  pressed: boolean,
  style = "",
): string {
  const title = refusal.trim() || `${word}: ${long} (${keyFor(action)})`;
  return `<button class="${style}" data-act="${action}" data-testid="verb-${action}" aria-pressed="${pressed}"
    title="${text(title)}" ${refusal ? "disabled" : ""}><kbd>${keyFor(action)}</kbd><span>${word}</span></button>`;
}

function redrawHtml({ stage }: Desk): string {
  const button = (action: string, word: string, pressed = false) =>
    `<button data-act="${action}" data-testid="redraw-${action}" aria-pressed="${pressed}"><kbd>${keyFor(action)}</kbd><span>${word}</span></button>`;
  const { toolNow } = stage;
  return `<p class="verb-words">Redraw, from</p>
    <div class="verbs four" role="group" aria-label="Start from">${button("fromX", "X")}${button("fromY", "Y")}${button("fromUnion", "Union")}${button("fromEmpty", "Nothing")}</div>
    <div class="verbs four" role="group" aria-label="Draw">${button("brush", "Brush", toolNow === "brush")}${button("eraser", "Erase", toolNow === "eraser")}${button("undo", "Undo")}${button("drawn", "Done", false)}</div>`;
}

/** The form is written once per choice, so that what is typed survives every piece of news. */
export function sayHtml(choice: Choice | null, desk: Desk): string {
  const found = choice && desk.session.discrepancy(choice.discrepancy);
  if (!choice || !found) return "";
  const { verb, resolution } = choice;
  const what = resolution ? resolutionWords(resolution) : "to the adjudicator";
  const verbs = { propose: "Propose", resolve: "Decide", agree: "Agree:", defer: "Defer" };
  const optional = verb === "agree" ? "why, if you like" : "because…";
  const chips = phrases(verb, resolution).map(phraseHtml).join("");
  return `<form data-form="say" data-testid="say" data-verb="${verb}" data-resolution="${text(resolution)}" data-discrepancy="${text(choice.discrepancy)}">
    <label for="rationale"><b>${verbs[verb]} ${text(what)}</b> for ${found.cluster}, ${optional}</label>
    <div class="line-in"><input id="rationale" name="rationale" type="text" maxlength="1000" autocomplete="off" spellcheck="true" data-testid="rationale">
    <button class="send" type="submit" data-testid="send">Send <kbd>⏎</kbd></button></div>
    <div class="phrases">${chips}</div></form>`;
}
