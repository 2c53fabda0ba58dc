// The selected disagreement: why, X and Y beside each other, what is proposed, what happened.

import { text } from "../../html";
import { volume } from "../../words";
import type { SettleSession } from "../consensus";
import type { Cluster, ClusterSide, Discrepancy, Role, Step } from "../contract";
import { keyFor } from "../keys";
import type { Overtaken } from "../tidings";
import { byWords, clock, impressionWords, resolutionWords, stepWords, why } from "../words";

export function placeHtml(session: SettleSession): string {
  const { detail } = session;
  const found = session.discrepancy();
  if (!detail) return "";
  if (!found) return `<p class="hint">${emptyWords(session)}</p>`;
  const cluster = session.cluster(found.cluster);
  const reasons = why(found, cluster);
  return `<h3 data-testid="place" data-cluster="${found.cluster}">Cluster ${found.cluster} <small>${kindWords(cluster)}</small></h3>
    ${overtakenHtml(session.overtaken.get(`d:${found.id}`), found, detail.role)}
    ${nowHtml(found, detail.role)}
    ${reasons.length ? `<p class="reasons-why" data-testid="why">${reasons.map(text).join(" · ")}</p>` : ""}
    ${cluster ? besideHtml(cluster) : ""}
    ${historyHtml(found, detail.role)}`;
}

function emptyWords({ detail }: SettleSession): string {
  if (!detail?.discrepancies.length) return "Both readings are the same everywhere.";
  return `Choose a row, or press ${keyFor("nextWaiting")} for the next that waits for you.`;
}

function kindWords(cluster: Cluster | undefined): string {
  const words: Record<string, string> = {
    "1-1": "one node each",
    "only-x": "only X has it",
    "only-y": "only Y has it",
  };
  const { x, y, kind = "" } = cluster ?? {};
  return words[kind] ?? `X ${x?.nodes.length ?? 0} · Y ${y?.nodes.length ?? 0} nodes`;
}

/** What stands: a proposal, a decision, a rule's reason. */
function nowHtml(found: Discrepancy, role: Role): string {
  const { proposal, rationale } = found;
  if (found.state === "proposed" && proposal) {
    const verb = role === "reader" && proposal.by === "you" ? "propose" : "proposes";
    return `<p class="now proposal" data-testid="proposal" data-resolution="${text(proposal.resolution)}" data-by="${text(proposal.by)}">
      <b>${text(byWords(proposal.by, role))} ${verb} ${text(resolutionWords(proposal.resolution))}</b> ${quoteHtml(proposal.rationale)}
      <time>${clock(proposal.at)}</time></p>`;
  }
  if (found.state === "deferred") {
    const last = found.steps.at(-1);
    return `<p class="now" data-testid="deferred"><b>${text(last ? stepWords(last, role) : "Deferred to the adjudicator")}</b> ${quoteHtml(last?.rationale)}</p>`;
  }
  if (found.state === "resolved" || found.state === "indeterminate") {
    const what = resolutionWords(found.resolution || "indeterminate");
    return `<p class="now" data-testid="decided"><b>${found.by_rule ? "By rule" : "Decided"}: ${text(what)}</b> ${quoteHtml(rationale)}</p>`;
  }
  return "";
}

function quoteHtml(words: string | undefined): string {
  return words ? `<q>${text(words)}</q>` : "";
}

/** An act of ours came too late: who did what in the meantime, and what we wrote. */
function overtakenHtml(late: Overtaken | undefined, found: Discrepancy, role: Role): string {
  if (!late) return "";
  const since = late.since.map(
    (step) =>
      `<li>${text(stepWords(step, role))} ${quoteHtml(step.rationale)} <time>${clock(step.at)}</time></li>`,
  );
  const meant = late.what ? ` ${text(resolutionWords(late.what))}` : "";
  const next = found.possible.length
    ? "Look again; then agree, or choose once more: your words are kept."
    : "Nothing more can be done here.";
  return `<div class="overtaken" role="alert" data-testid="moved-on">
    <b>Not taken: your ${nounOf(late.kind)}${meant}.</b> ${text(late.message)}
    ${since.length ? `<ul>${since.join("")}</ul>` : ""}
    ${late.rationale ? `<p>You wrote <q data-testid="kept-rationale">${text(late.rationale)}</q></p>` : ""}
    <p>${next}</p></div>`;
}

function nounOf(kind: string): string {
  const nouns: Record<string, string> = {
    propose: "proposal of",
    resolve: "decision for",
    agree: "agreement to",
    defer: "deferral",
  };
  return nouns[kind] ?? kind;
}

/** Both readers' measures, beside each other. */
function besideHtml({ x, y }: Cluster): string {
  const rows: [string, (side: ClusterSide) => string][] = [
    ["Long × short", (side) => axes(side)],
    ["Volume", ({ measures }) => (measures ? volume(measures.volume_mm3) : "–")],
    ["Place", placeOf],
    ["Impression", ({ nodes }) => unique(nodes.map((node) => impressionWords(node.impression)))],
  ];
  const doubt = [x, y].some((side) => side?.nodes.some((node) => node.doubt));
  if (doubt) rows.push(["Doubt", ({ nodes }) => (nodes.some((n) => n.doubt) ? "in doubt" : "–")]);
  const body = rows.map(
    ([name, words]) =>
      `<tr><th scope="row">${name}</th><td>${x ? text(words(x)) : "–"}</td><td>${y ? text(words(y)) : "–"}</td></tr>`,
  );
  return `<table class="beside" data-testid="beside"><thead><tr><td></td><th scope="col" class="x">X</th><th scope="col" class="y">Y</th></tr></thead>
    <tbody>${body.join("")}</tbody></table>`;
}

function axes({ measures }: ClusterSide): string {
  return measures ? `${measures.lad_text} × ${measures.sad_text} mm` : "–";
}

function placeOf({ nodes }: ClusterSide): string {
  return unique(nodes.map(({ side, level }) => [side, level].filter(Boolean).join(" ") || "–"));
}

function unique(words: string[]): string {
  return [...new Set(words)].join(" + ");
}

function historyHtml({ steps }: Discrepancy, role: Role): string {
  if (!steps.length) return "";
  const items = steps.map((step: Step) => {
    return `<li>${text(stepWords(step, role))} ${quoteHtml(step.rationale)} <time>${clock(step.at)}</time></li>`;
  });
  return `<details class="history" data-testid="history"><summary>${steps.length} ${steps.length === 1 ? "step" : "steps"}</summary><ol>${items.join("")}</ol></details>`;
}
