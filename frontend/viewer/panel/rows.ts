// One row per node; the selected one opens its labels, doubt and reasons.

import { shownColour } from "../colours";
import type { ImpressionValue } from "../contract";
import { text } from "../html";
import { keyFor } from "../keys";
import type { ShownNode } from "../projection";
import { DECISIONS, IMPRESSIONS, REASONS, volume } from "../words";

export interface RowContext {
  selected: string | null;
  rejecting: string | null;
  writable: boolean;
  reasons: string[];
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
        <span class="sub">${subHtml(node)}</span>
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
  const { lad_text: long, sad_text: short } = node.measures;
  return `${text(long)} × ${text(short)} <small>mm</small>`;
}

function subHtml(node: ShownNode): string {
  const place = [node.side, node.level].filter(Boolean).join(" ");
  const parts = [
    place && `<span>${text(place)}</span>`,
    node.measures && !node.stale && `<span>${volume(node.measures.volume_mm3)}</span>`,
    badgeHtml(node),
    node.impression && `<span class="badge">${IMPRESSIONS[node.impression.value].long}</span>`,
    node.doubt && '<span class="badge doubt">doubt</span>',
  ];
  return parts.filter(Boolean).join("");
}

function badgeHtml(node: ShownNode): string {
  const reason = node.decision === "rejected" && node.reason ? REASONS[node.reason] : null;
  const words = reason ?? DECISIONS[node.decision];
  return `<span class="badge ${node.decision}" data-testid="node-decision">${text(words)}</span>`;
}

function openHtml(node: ShownNode, context: RowContext, off: string): string {
  if (context.rejecting === node.uuid) return reasonsHtml(context.reasons);
  const labels = (Object.keys(IMPRESSIONS) as ImpressionValue[]).map((value) => {
    const { short, long, action } = IMPRESSIONS[value];
    const pressed = node.impression?.value === value;
    return `<button data-act="impression" data-value="${value}" data-testid="node-${value}" ${off}
      aria-pressed="${pressed}" title="${long} (${keyFor(action)})">${short} <kbd>${keyFor(action)}</kbd></button>`;
  });
  labels.push(`<button class="doubt" data-act="doubt" data-testid="node-doubt" ${off} aria-pressed="${node.doubt}"
    title="Doubt: second reader, please look (${keyFor("doubt")})">? <kbd>${keyFor("doubt")}</kbd></button>`);
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

function reasonsHtml(reasons: string[]): string {
  const buttons = reasons.map(
    (reason, place) =>
      `<button data-act="reason" data-value="${text(reason)}" data-testid="reason-${text(reason)}"><kbd>${place + 1}</kbd>${text(REASONS[reason] ?? reason)}</button>`,
  );
  return `<div class="reasons" data-testid="reasons"><p>What is it?</p>${buttons.join("")}</div>`;
}
