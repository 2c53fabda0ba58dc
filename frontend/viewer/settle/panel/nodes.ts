// The label phase: the agreed nodes from the skull base down, and the label of the one looked at.

import { text } from "../../html";
import { volume } from "../../words";
import type { SettleSession } from "../consensus";
import type { AgreedNode, Evidence, Label, Role } from "../contract";
import type { Desk } from "../desk";
import { PICK_KEYS } from "../keys";
import type { Edit, Labelling } from "../labelling";
import { lookingWords } from "../presence";
import type { ShownNode } from "../projection";
import { byWords, clock, impressionWords, LABELS, NOT_ASSESSABLE, resolutionWords } from "../words";
import { inBrackets, kbdHtml, strokeHtml } from "./kbd";
import type { Line } from "./rows";
import { numberHtml, tooHtml } from "./there";

export const NOT_BENIGN = "Non-metastatic means “not marked metastatic”, not “proven benign”.";

export function nodeLines(session: SettleSession): Line[] {
  const lines = session.nodes.map((node) => nodeLine(session, node));
  const note: Line = {
    key: "note",
    kind: "note",
    html: NOT_BENIGN,
    data: { testid: "not-benign" },
  };
  return [...lines, note];
}

function nodeLine(session: SettleSession, node: ShownNode): Line {
  const { number, label } = node;
  const fresh = session.unseen.has(`n:${number}`)
    ? '<i class="mark" title="Changed since you looked"></i>'
    : "";
  const late = session.overtaken.has(`n:${number}`)
    ? '<i class="mark late" title="Yours was not taken"></i>'
    : "";
  return {
    key: `n:${number}`,
    kind: "row",
    html: `<span class="no">${numberHtml(number, lookingWords(session, { node: number }))}${late || fresh}</span>
        <span class="why">${sizeHtml(node)}${placeHtml(node)}</span>
        <span class="state ${labelClass(node)}" data-testid="row-label">${node.saving ? "… " : ""}${text(labelWords(label))}</span>
        <span class="sizes"><span><b>X</b> ${impressionWords(node.impressions.x)}</span><span><b>Y</b> ${impressionWords(node.impressions.y)}</span></span>`,
    data: {
      act: "node",
      value: String(number),
      testid: "agreed-row",
      number: String(number),
      label: label?.deferred ? "deferred" : (label?.value ?? ""),
      needs: String(node.needs.length),
    },
    current: number === session.node,
  };
}

function sizeHtml({ measures }: AgreedNode): string {
  if (!measures) return "–";
  return `${text(measures.lad_text)} × ${text(measures.sad_text)} mm`;
}

function placeHtml({ side, level }: AgreedNode): string {
  const place = [side, level].filter(Boolean).join(" ");
  return place ? ` · ${text(place)}` : "";
}

export function labelWords(label: Label | null): string {
  if (!label) return "no label";
  if (label.deferred || !label.value) return "deferred";
  return LABELS[label.value].long;
}

function labelClass({ label, needs }: ShownNode): string {
  if (!label) return "open";
  if (label.deferred) return "deferred";
  return needs.length ? "answer" : label.value === "metastatic" ? "metastatic" : "decided";
}

export function nodeHtml(desk: Desk): string {
  const { session, labelling } = desk;
  const node = session.agreed();
  if (!session.detail) return "";
  if (!node) {
    return `<p class="hint">${session.nodes.length ? "Choose a node." : noNodesWords(session.detail.role)}</p>`;
  }
  const { role } = session.detail;
  return `<h3 data-testid="agreed-node" data-number="${node.number}">Node ${node.number} <small>${text(originWords(node))}</small>${tooHtml(lookingWords(session, { node: node.number }))}</h3>
    ${lateHtml(session, node)}${labelHtml(node, role)}
    <table class="beside"><tbody>
      <tr><th scope="row">Size</th><td>${sizeHtml(node)}</td><td>${node.measures ? volume(node.measures.volume_mm3) : ""}</td></tr>
      <tr><th scope="row">Impression</th><td><b class="x">X</b> ${impressionWords(node.impressions.x)}</td><td><b class="y">Y</b> ${impressionWords(node.impressions.y)}</td></tr>
    </tbody></table>
    ${suggestionHtml(desk, node)}${needsHtml(node)}
    ${desk.labelling.edit ? "" : evidenceHtml(labelling, node)}`;
}

function noNodesWords(role: Role): string {
  if (role === "observer") return "No agreed node is shown.";
  return "There is no agreed node in this case. It can be signed as it is.";
}

function originWords({ origin, cluster }: AgreedNode): string {
  const origins: Record<string, string> = { identical: "the same in both" };
  return `${origins[origin] ?? resolutionWords(origin)} · cluster ${cluster}`;
}

function lateHtml(session: SettleSession, node: AgreedNode): string {
  const late = session.overtaken.get(`n:${node.number}`);
  if (!late) return "";
  const kept = late.rationale
    ? ` You wrote <q data-testid="kept-rationale">${text(late.rationale)}</q>`
    : "";
  const meant = late.what
    ? `: ${text(LABELS[late.what as keyof typeof LABELS]?.long ?? late.what)}`
    : "";
  const why = late.message ? text(late.message) : "It was labelled in the meantime: look again.";
  return `<div class="overtaken" role="alert" data-testid="moved-on"><b>Not taken${meant}.</b> ${why}${kept}</div>`;
}

function labelHtml({ label }: ShownNode, role: Role): string {
  if (!label) return "";
  const reason = label.reason ? `: ${text(label.reason)}` : "";
  const alone = label.rests_on_necrosis_alone
    ? '<br><span class="flag" data-testid="necrosis-alone">rests on central necrosis of this CT alone</span>'
    : "";
  return `<p class="now" data-testid="label" data-value="${label.value}"><b>${text(labelWords(label))}${reason}</b>
    ${label.rationale ? `<q>${text(label.rationale)}</q>` : ""}
    <time>${text(byWords(label.by, role))}, ${clock(label.at)}${label.carried ? ", carried over" : ""}</time>${alone}</p>`;
}

function suggestionHtml(desk: Desk, node: ShownNode): string {
  const { labelling } = desk;
  if (node.label || !labelling.suggested(node) || !labelling.writable(node)) return "";
  return `<p class="suggest"><button data-act="suggestion" data-testid="suggestion">Both readers marked it metastatic: choose its evidence ${kbdHtml("suggestion")}</button></p>`;
}

function needsHtml({ needs }: ShownNode): string {
  if (!needs.length) return "";
  return `<ul class="checks" data-testid="node-needs">${needs.map((need) => `<li data-ok="false">${text(need)}</li>`).join("")}</ul>`;
}

/** What speaks for this node. */
function evidenceHtml(labelling: Labelling, node: ShownNode): string {
  const items = labelling.fitting(node);
  if (!items.length) return '<p class="fine">No evidence of this node has been entered.</p>';
  const used = new Set(node.label?.evidence ?? []);
  const lines = items.map(
    (item) =>
      `<li data-testid="evidence" data-id="${text(item.id)}" data-used="${used.has(item.id)}">${sentenceHtml(item, labelling)}</li>`,
  );
  return `<ul class="evidence">${lines.join("")}</ul>`;
}

/** What it is, every reason why it does not count, and what is worth a second look. */
function sentenceHtml(item: Evidence, labelling: Labelling): string {
  const [what = "", ...rest] = item.text.split(": ");
  const undated = item.kind !== "NECR" && item.days_from_study === null;
  const notes = [
    undated ? '<span class="days">undated</span>' : "",
    item.counts_as_positive
      ? ""
      : `<span class="quiet" data-testid="why-not">${text(item.why_not)}</span>`,
    labelling.farAway(item)
      ? `<span class="flag" data-testid="far-away">${Math.abs(item.days_from_study ?? 0)} days from this CT: is it still the same node?</span>`
      : "",
    item.scope === "patient" && item.counts_as_positive
      ? '<span class="quiet">Of the patient as a whole: say in words why it holds for this node.</span>'
      : "",
  ].filter(Boolean);
  return `<b>${text(what)}</b>${rest.length ? `: ${text(rest.join(": "))}` : ""} ${notes.join(" ")}`;
}

/** The buttons of a label, or the form of the one being set. */
export function labelVerbsHtml(desk: Desk): string {
  const { session, labelling } = desk;
  const node = session.agreed();
  if (!node || session.readOnly) return "";
  const off = labelling.writable(node) ? "" : "disabled";
  const value = labelling.edit?.value ?? node.label?.value;
  // While evidence is picked the digits label nothing.
  const keyed = (action: string) => (desk.phase === "pick" ? "" : kbdHtml(action));
  const buttons = (
    [
      ["metastatic", "metastatic"],
      ["non_metastatic", "nonMetastatic"],
      ["indeterminate", "labelIndeterminate"],
      ["not_assessable", "notAssessable"],
    ] as const
  ).map(
    ([label, action]) =>
      `<button data-act="${action}" data-testid="label-${label}" aria-pressed="${value === label}" title="${text(`${LABELS[label].long}${inBrackets(action)}`)}" ${off}>${keyed(action)}<span>${LABELS[label].button}</span></button>`,
  );
  const more = [
    ["evidence", "Evidence"],
    ["necrosis", "Necrosis here"],
    ["defer", "Defer"],
  ].map(
    ([action = "", word]) =>
      `<button data-act="${action}" data-testid="label-${action}" ${action === "defer" && session.detail?.role !== "reader" ? "disabled" : off}>${action === "necrosis" ? kbdHtml(action) : keyed(action)}<span>${word}</span></button>`,
  );
  return `<div class="verbs two" role="group" aria-label="Label">${buttons.join("")}</div>
    <div class="verbs three" role="group" aria-label="More">${more.join("")}</div>`;
}

/** Written once per edit: what is typed survives; what is picked is marked apart. */
export function editHtml(edit: Edit | null, desk: Desk): string {
  const node = edit && desk.session.agreed(edit.node);
  if (!edit || !node) return "";
  if (edit.kind === "necrosis") return necrosisHtml(edit, desk.labelling.landmark?.text ?? "");
  const reason =
    edit.value === "not_assessable" && edit.kind !== "defer"
      ? `<label for="reason">What keeps it from being assessed?</label>
         <input id="reason" name="reason" type="text" maxlength="200" autocomplete="off" value="${text(edit.reason)}" data-testid="label-reason">
         <div class="phrases">${NOT_ASSESSABLE.map(phraseHtml).join("")}</div>`
      : "";
  const verb = edit.kind === "defer" ? "Defer node" : `Node ${node.number}:`;
  const what =
    edit.kind === "defer" ? `${node.number} to the adjudicator` : LABELS[edit.value].long;
  const optional = edit.kind === "defer" ? "because…" : "why, if you like";
  return `<form data-form="label" data-testid="label-form" data-value="${edit.value}">
    ${edit.kind === "evidence" ? pickerHtml(desk.labelling, node) : ""}${reason}
    <label for="words"><b>${verb} ${what}</b>, ${optional}</label>
    <div class="line-in"><input id="words" name="rationale" type="text" maxlength="1000" autocomplete="off" value="${text(edit.rationale)}" data-testid="label-rationale">
    <button class="send" type="submit" data-testid="label-send">${edit.kind === "defer" ? "Defer" : "Save label"} <kbd>⏎</kbd></button></div></form>`;
}

export function phraseHtml(phrase: string): string {
  return `<button type="button" data-act="phrase" data-value="${text(phrase)}" data-testid="phrase">${text(phrase)}</button>`;
}

function pickerHtml(labelling: Labelling, node: ShownNode): string {
  const lines = labelling.fitting(node).map(
    (
      item,
      at,
    ) => `<label class="pick"><input type="checkbox" value="${text(item.id)}" data-act-change="pick" data-testid="pick" data-kind="${item.kind}">
      ${strokeHtml(PICK_KEYS[at] ?? "")}<span>${sentenceHtml(item, labelling)}</span></label>`,
  );
  return `<fieldset class="picker" data-testid="picker"><legend>Evidence of this node <button type="button" class="link" data-act="necrosis" data-testid="enter-necrosis">central necrosis on this slice ${kbdHtml("necrosis")}</button></legend>
    ${lines.join("") || '<p class="fine">None has been entered for it. What the abstractor enters appears here by itself.</p>'}</fieldset>`;
}

function necrosisHtml(edit: Edit, landmark: string): string {
  return `<form data-form="necrosis" data-testid="necrosis-form"><label for="words"><b>Tumorous central necrosis</b> of node ${edit.node}, seen at</label>
    <div class="line-in"><input id="words" name="landmark" type="text" maxlength="200" autocomplete="off" value="${text(landmark)}" data-testid="necrosis-landmark">
    <button class="send" type="submit" data-testid="necrosis-send">Enter <kbd>⏎</kbd></button></div>
    <p class="wrong" role="alert"></p>
    <p class="fine">A label that rests on this alone is flagged: it was seen on the very images it explains.</p></form>`;
}
