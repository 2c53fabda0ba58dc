// One row per node; the selected one opens its labels, doubt, place and reasons.

import { shownColour } from "../colours";
import type { ImpressionValue } from "../contract";
import { text } from "../html";
import { keyFor } from "../keys";
import { SIDE_WORDS } from "../order";
import type { ShownNode } from "../projection";
import { DECISIONS, IMPRESSIONS, REASONS, volume } from "../words";
import { byHandHtml } from "./by_hand";
import { placeHtml } from "./place";

export interface RowContext {
  selected: string | null;
  rejecting: string | null;
  placing: string | null;
  /** The node that is measured by hand. */
  measuring: string | null;
  writable: boolean;
  reasons: string[];
  /** A heading above says the side already. */
  underSide: boolean;
}

export function rowHtml(node: ShownNode, context: RowContext): string {
  const open = node.uuid === context.selected;
  const off = context.writable ? "" : "disabled";
  const [red, green, blue] = shownColour(node.label, node.decision === "rejected");
  const kept = ["accepted", "reshaped", "added"].includes(node.decision);
  return `<div class="line">
      <span class="name" style="--node:rgb(${red},${green},${blue})"><i class="swatch"></i>${node.number}</span>
      <span>
        <span class="size" data-testid="node-size">${sizeHtml(node)}</span>
        <span class="sub">${subHtml(node, context.underSide)}</span>
      </span>
      <span class="acts">
        <button class="yes" data-act="accept" data-testid="node-accept" ${off} aria-pressed="${kept}"
          title="Accept (${keyFor("accept")})" aria-label="Accept node ${node.number}">✓</button>
        <button class="no" data-act="askReason" data-testid="node-reject" ${off} aria-pressed="${node.decision === "rejected"}"
          title="Reject (${keyFor("reject")} and a digit)" aria-label="Reject node ${node.number}">✕</button>
      </span>
    </div>${open ? `<div class="more">${openHtml(node, context, off)}</div>` : ""}`;
}

function sizeHtml(node: ShownNode): string {
  if (node.empty && !node.stale) return "<small>no voxels</small>";
  if (!node.measures || node.stale) return "<small>measuring…</small>";
  const { lad_text: long, sad_text: short, volume_mm3 } = node.measures;
  return `${text(long)} × ${text(short)} <small>mm · ${volume(volume_mm3)}</small>`;
}

/** A short axis near a threshold says so. */
function nearHtml({ measures, stale }: ShownNode): string {
  if (!measures?.near_mm || stale) return "";
  const { near_mm: near } = measures;
  return `<span class="near" data-testid="node-near" title="The short axis is within 0.1 mm of the ${near} mm threshold">≈ ${near} mm</span>`;
}

function subHtml(node: ShownNode, underSide: boolean): string {
  const parts = [
    placeWords(node, underSide),
    nearHtml(node),
    handHtml(node),
    badgeHtml(node),
    node.impression && `<span class="badge">${IMPRESSIONS[node.impression.value].long}</span>`,
    node.doubt && '<span class="badge doubt">doubt</span>',
    typeof node.score === "number" &&
      `<span class="score" data-testid="node-score" title="The model's own score">${node.score.toFixed(2)}</span>`,
  ];
  return parts.filter(Boolean).join("");
}

/** What the reader measured, beside the server's own. */
function handHtml({ manual }: ShownNode): string {
  if (!manual) return "";
  const words = [manual.long?.text ?? "–", manual.short?.text ?? "–"].join(" × ");
  return `<span data-testid="node-by-hand" title="Measured by hand; the server's measure stays">${text(words)} by hand</span>`;
}

function placeWords({ side, level }: ShownNode, underSide: boolean): string {
  const words = [underSide || !side ? "" : SIDE_WORDS[side], level].filter(Boolean).join(" ");
  const set = level ? words : [words, "level not set"].filter(Boolean).join(", ");
  return `<span class="${level ? "place" : "unset"}" data-testid="node-place">${text(set)}</span>`;
}

function badgeHtml(node: ShownNode): string {
  const reason = node.decision === "rejected" && node.reason ? REASONS[node.reason] : null;
  const made = node.decision === "added" && node.origin === "split" ? "split off" : null;
  const words = reason ?? made ?? DECISIONS[node.decision];
  return `<span class="badge ${node.decision}" data-testid="node-decision">${text(words)}</span>`;
}

function openHtml(node: ShownNode, context: RowContext, off: string): string {
  if (context.rejecting === node.uuid) return reasonsHtml(context.reasons);
  if (context.placing === node.uuid) return placeHtml(node);
  if (context.measuring === node.uuid) return byHandHtml(node);
  const labels = (Object.keys(IMPRESSIONS) as ImpressionValue[]).map((value) => {
    const { short, long, action } = IMPRESSIONS[value];
    const pressed = node.impression?.value === value;
    return `<button data-act="impression" data-value="${value}" data-testid="node-${value}" ${off}
      aria-pressed="${pressed}" aria-label="${long}" title="${long} (${keyFor(action)})">${short} <kbd>${keyFor(action)}</kbd></button>`;
  });
  labels.push(`<button class="doubt" data-act="doubt" data-testid="node-doubt" ${off} aria-pressed="${node.doubt}"
    aria-label="doubt" title="Doubt: second reader, please look (${keyFor("doubt")})">? <kbd>${keyFor("doubt")}</kbd></button>`);
  labels.push(`<button data-act="askPlace" data-testid="node-level" ${off} aria-label="side and level"
    title="Side and level (${keyFor("level")})">Lv <kbd>${keyFor("level")}</kbd></button>`);
  return `<div class="labels">${labels.join("")}</div>${confidenceHtml(node, off)}${flagsHtml(node)}`;
}

function confidenceHtml(node: ShownNode, off: string): string {
  if (!node.impression) return "";
  const { confidence } = node.impression;
  return `<label class="sure">Confidence
    <input type="range" min="0" max="100" step="5" value="${confidence ?? 50}" data-act="confidence" data-testid="node-confidence" ${off}>
    <span>${confidence ?? "–"}</span></label>`;
}

function flagsHtml(node: ShownNode): string {
  const flags = node.measures?.flags ?? [];
  if (!flags.length) return "";
  return `<p class="flags">${flags.map((flag) => text(flag.replaceAll("_", " "))).join(" · ")}</p>`;
}

export function reasonsHtml(reasons: string[]): string {
  const buttons = reasons.map(
    (reason, place) =>
      `<button data-act="reason" data-value="${text(reason)}" data-testid="reason-${text(reason)}"><kbd>${place + 1}</kbd>${text(REASONS[reason] ?? reason)}</button>`,
  );
  return `<div class="reasons" data-testid="reasons"><p>What is it?</p>${buttons.join("")}</div>`;
}
