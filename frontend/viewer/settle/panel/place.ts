// The selected disagreement: why, X and Y beside each other, what is proposed, what happened.

import { text } from "../../html";
import { volume } from "../../words";
import type { SettleSession } from "../consensus";
import type {
  Cluster,
  ClusterSide,
  Discrepancy,
  Proposal,
  Resolution,
  Role,
  Step,
} from "../contract";
import type { Desk } from "../desk";
import { keyFor } from "../keys";
import type { Size } from "../measure";
import { lookingWords } from "../presence";
import type { Overtaken } from "../tidings";
import {
  byWords,
  clock,
  decidedWords,
  firstWords,
  impressionWords,
  resolutionWords,
  sameShape,
  sameWords,
  stepWords,
  why,
} from "../words";
import { tooHtml } from "./there";

/** So few steps are read at once. */
const FEW_STEPS = 3;

export function placeHtml(desk: Desk): string {
  const { session } = desk;
  const { detail } = session;
  const found = session.discrepancy();
  if (!detail) return "";
  if (!found) return `<p class="hint">${emptyWords(session)}</p>`;
  const cluster = session.cluster(found.cluster);
  const reasons = why(found, cluster);
  return `<h3 data-testid="place" data-cluster="${found.cluster}">Cluster ${found.cluster} <small>${kindWords(cluster)}</small>${tooHtml(lookingWords(session, { discrepancy: found.id }))}</h3>
    ${lateHtml(session.overtaken.get(`d:${found.id}`), found, detail.role) || nowHtml(found, detail.role)}
    ${reasons.length ? `<p class="reasons-why" data-testid="why">${reasons.map(text).join(" · ")}</p>` : ""}
    ${sameShape(cluster) ? `<p class="same" data-testid="same-shape">${sameWords(found)}</p>` : ""}
    ${cluster ? besideHtml(cluster, third(desk, found)) : ""}
    ${historyHtml(found, detail.role)}`;
}

function emptyWords({ detail }: SettleSession): string {
  if (!detail?.discrepancies.length) return "Both readings are the same everywhere.";
  return `Choose a row, or press ${text(keyFor("nextWaiting"))} for the next that waits for you.`;
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
    return `<p class="now" ${proposedData(proposal)}>${proposedHtml(proposal, role)}</p>`;
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

function proposedData({ resolution, by }: Proposal): string {
  return `data-testid="proposal" data-resolution="${text(resolution)}" data-by="${text(by)}"`;
}

function proposedHtml({ by, resolution, rationale, at }: Proposal, role: Role): string {
  const verb = role === "reader" && by === "you" ? "propose" : "proposes";
  return `<b>${text(byWords(by, role))} ${verb} ${text(resolutionWords(resolution))}</b> ${quoteHtml(rationale)}
    <time>${clock(at)}</time>`;
}

function quoteHtml(words: string | undefined): string {
  return words ? `<q>${text(words)}</q>` : "";
}

/** An act of ours came too late: what stands instead, and what we wrote; told once. */
function lateHtml(late: Overtaken | undefined, found: Discrepancy, role: Role): string {
  if (!late) return "";
  const { proposal } = found;
  const first = late.since.filter(({ by }) => by !== "you").at(-1);
  const head = first ? firstWords(first) : "it moved on in the meantime";
  const why = late.message
    ? text(late.message)
    : text(`${head.charAt(0).toLowerCase()}${head.slice(1)}`);
  const stands = proposal
    ? `<p ${proposedData(proposal)}>${proposedHtml(proposal, role)}</p>`
    : nowHtml(found, role) || sinceHtml(late.since, role);
  const next = found.possible.length
    ? "Look again; then agree, or choose once more: your words are kept."
    : "Nothing more can be done here.";
  return `<div class="overtaken" role="alert" data-testid="moved-on">
    <b>Not recorded: ${why}.</b> ${stands}
    <p>Yours was ${nounOf(late)}${late.rationale ? ` <q data-testid="kept-rationale">${text(late.rationale)}</q>` : ""}.
    ${next}</p></div>`;
}

function sinceHtml(since: readonly Step[], role: Role): string {
  return since.map((step) => `<p>${stepHtml(step, role)}</p>`).join("");
}

function stepHtml(step: Step, role: Role): string {
  return `${text(stepWords(step, role))} ${quoteHtml(step.rationale)} <time>${clock(step.at)}</time>`;
}

function nounOf({ kind, what }: Overtaken): string {
  const meant = text(resolutionWords(what));
  const nouns: Record<string, string> = {
    propose: `a proposal: ${meant}`,
    resolve: `a decision: ${meant}`,
    agree: `an agreement: ${meant}`,
    defer: "a deferral",
  };
  return nouns[kind] ?? kind;
}

interface Column {
  name: string;
  size: Size;
}

/** What would come out, beside X and Y: the shape in the hand, what is chosen or proposed, the AI's. */
function third({ stage, settling, session }: Desk, found: Discrepancy): Column | null {
  const column = (name: string, resolution: Resolution): Column | null => {
    const size = stage.sizeOf(resolution);
    return size && { name, size };
  };
  const drawn = (resolution: string) => resolution !== "X" && resolution !== "Y";
  const { choice } = settling;
  if (settling.redrawing) return column("Yours", "redrawn");
  if (choice?.resolution && choice.verb !== "agree" && drawn(choice.resolution)) {
    return column("Would be", choice.resolution);
  }
  if (found.proposal && drawn(found.proposal.resolution)) {
    return column("Proposed", found.proposal.resolution);
  }
  return session.detail?.show_ai ? column("AI", "AI") : null;
}

/** Both readers' measures, and what would come of them. */
function besideHtml({ x, y, decisions }: Cluster, more: Column | null): string {
  const sides = [x, y] as const;
  const rows: [string, readonly string[]][] = [
    ["Size, mm", [...sides.map(axes), ...(more ? [sizeWords(more.size)] : [])]],
    ["Volume", [...sides.map(volumeOf), ...(more ? [volume(more.size.volume_mm3)] : [])]],
  ];
  const add = (name: string, words: (side: ClusterSide) => string) => {
    const said = sides.map((side) => (side ? words(side) : "–"));
    if (said.some((one) => one !== "–")) rows.push([name, said]);
  };
  add("Place", placeOf);
  add("Impression", ({ nodes }) => unique(nodes.map((node) => impressionWords(node.impression))));
  if (decisions) rows.push(["Decision", [decidedWords(decisions.x), decidedWords(decisions.y)]]);
  add("Doubt", ({ nodes }) => (nodes.some((n) => n.doubt) ? "in doubt" : "–"));
  const body = rows.map(([name, cells]) => {
    const rest = more && cells.length < 3 ? [...cells, ""] : cells;
    return `<tr><th scope="row">${name}</th>${rest.map((cell) => `<td>${text(cell)}</td>`).join("")}</tr>`;
  });
  const estimate = "Measured here, as the server will measure it";
  const last = more
    ? `<th scope="col" title="${estimate}" data-testid="third">${more.name}</th>`
    : "";
  return `<table class="beside" data-testid="beside"><thead><tr><td></td><th scope="col" class="x">X</th><th scope="col" class="y">Y</th>${last}</tr></thead>
    <tbody>${body.join("")}</tbody></table>`;
}

export function sizeWords({ long_mm: long, short_mm: short }: Size): string {
  return `${long.toFixed(1)} × ${short.toFixed(1)}`;
}

export function axes(side: ClusterSide | null): string {
  const { measures } = side ?? {};
  return measures ? `${measures.lad_text} × ${measures.sad_text}` : "–";
}

function volumeOf(side: ClusterSide | null): string {
  return side?.measures ? volume(side.measures.volume_mm3) : "–";
}

function placeOf({ nodes }: ClusterSide): string {
  return unique(nodes.map(({ side, level }) => [side, level].filter(Boolean).join(" ") || "–"));
}

function unique(words: string[]): string {
  return [...new Set(words)].join(" + ");
}

/** What came before; the step that the card above tells is not told again. */
function historyHtml({ steps, state }: Discrepancy, role: Role): string {
  const before = state === "proposed" || state === "deferred" ? steps.slice(0, -1) : steps;
  if (!before.length) return "";
  const items = before.map((step) => `<li>${stepHtml(step, role)}</li>`);
  const words = before.length === steps.length ? "" : " before";
  return `<details class="history" data-testid="history" ${before.length <= FEW_STEPS ? "open" : ""}><summary>${before.length} ${before.length === 1 ? "step" : "steps"}${words}</summary><ol>${items.join("")}</ol></details>`;
}
