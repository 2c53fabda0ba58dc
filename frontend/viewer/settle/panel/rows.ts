// The list of disagreements: one line of why, one of both sizes; headings by who waits for whom.

import { text } from "../../html";
import type { SettleSession } from "../consensus";
import type { Role } from "../contract";
import { lookingWords } from "../presence";
import { BY_RULE, type Group, groupOf, type ShownDiscrepancy } from "../projection";
import { headingWords, stateWords, why } from "../words";
import { axes } from "./place";
import { numberHtml } from "./there";

/** One line of a list: a heading, a row that can be chosen, or a note under the rows. */
export interface Line {
  key: string;
  kind: "heading" | "fold" | "row" | "note";
  html: string;
  data: Record<string, string>;
  current?: boolean;
  expanded?: boolean;
}

export function settleLines(session: SettleSession, unfolded: ReadonlySet<string>): Line[] {
  const { detail } = session;
  if (!detail) return [];
  const lines: Line[] = [];
  let group: Group | null = null;
  const rows = session.rows;
  for (const { found, place } of rows) {
    if (place.group !== group) {
      group = place.group;
      const count = rows.filter((row) => row.place.group === group).length;
      lines.push(headingLine(group, count, detail.role, unfolded));
    }
    const folded = BY_RULE.includes(place.group) && !unfolded.has(place.group);
    const moved = groupOf(found) !== place.group;
    const shown = !folded || found.id === session.selected;
    if (shown) lines.push(rowLine(session, found, detail.role, moved));
  }
  return lines;
}

function headingLine(group: Group, count: number, role: Role, unfolded: ReadonlySet<string>): Line {
  const fold = BY_RULE.includes(group);
  return {
    key: `h:${group}`,
    kind: fold ? "fold" : "heading",
    html: `${text(headingWords(group, role))} <span>${count}</span>`,
    data: { act: fold ? "fold" : "", value: group, testid: `group-${group}` },
    expanded: unfolded.has(group),
  };
}

/** A row that moved on stays where it stands until the list is sorted, and says so. */
function rowLine(
  session: SettleSession,
  found: ShownDiscrepancy,
  role: Role,
  moved: boolean,
): Line {
  const cluster = session.cluster(found.cluster);
  const group = groupOf(found);
  const fresh = session.unseen.has(`d:${found.id}`);
  const late = session.overtaken.has(`d:${found.id}`);
  const mark = late
    ? '<i class="mark late" title="Yours was not recorded"></i>'
    : fresh
      ? '<i class="mark" title="Changed since you looked"></i>'
      : "";
  const reasons = why(found, cluster);
  const words = reasons.join(", ") || (found.by_rule ? "within all tolerances" : "");
  return {
    key: found.id,
    kind: "row",
    html: `<span class="no">${numberHtml(found.cluster, lookingWords(session, { discrepancy: found.id }))}${mark}</span>
      <span class="why">${text(words)}</span>
      <span class="state ${group}" data-testid="row-state">${found.saving ? "… " : ""}${text(stateWords(found, role))}</span>
      <span class="sizes"><span><b>X</b> ${text(axes(cluster?.x ?? null))}</span><span><b>Y</b> ${text(axes(cluster?.y ?? null))}</span></span>
      ${moved ? `<span class="moved" data-testid="row-moved">now: ${text(headingWords(group, role))}</span>` : ""}`,
    data: {
      act: "row",
      value: found.id,
      testid: "settle-row",
      cluster: String(found.cluster),
      state: found.state,
      group,
      version: String(found.version),
    },
    current: found.id === session.selected,
  };
}
