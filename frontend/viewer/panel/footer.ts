// What is still missing before this reading can be signed, as links to the nodes.

import type { Check } from "../contract";
import { text } from "../html";
import { keyFor } from "../keys";
import type { Following } from "../opening/next";
import type { Session } from "../session";
import { minuteOf } from "../words";

export function footerHtml(session: Session, next: Following | null = null): string {
  const { detail } = session;
  if (!detail) return "";
  const { signature } = detail;
  if (session.closed) {
    const when = signature ? minuteOf(signature.at) : "";
    return `<div class="signed" data-testid="signed">${
      signature
        ? `Signed by <b>${text(signature.name)}</b>, ${text(when)}<div class="hash">${text(signature.hash)}</div>`
        : `This reading is <b>${text(detail.state)}</b> and can no longer be changed.`
    }</div>${nextHtml(next)}`;
  }
  const open = session.checks.filter(({ ok }) => !ok);
  const warnings = session.checks.filter(({ warning }) => warning);
  const met = session.checks.filter(({ ok, warning }) => ok && !warning);
  const alike = (check: Check) => open.filter(({ code, node }) => node && code === check.code);
  const firsts = open.filter((check) => !check.node || alike(check)[0] === check);
  return `<ul class="checks" data-testid="checks">${[...firsts, ...warnings, ...met]
    .map((check) => checkHtml(check, check.ok || !check.node ? 0 : alike(check).length - 1))
    .join("")}</ul>
    <button class="primary" data-act="openSubmit" data-testid="submit" ${session.canSubmit ? "" : "disabled"}>Submit reading</button>`;
}

function nextHtml(next: Following | null): string {
  if (!next) return "";
  const key = keyFor("nextCase");
  return `<button class="primary" data-act="nextCase" data-testid="next-case">Next case: ${text(next.label)}${key ? ` (${text(key)})` : ""}</button>`;
}

/** Of checks that differ in their node only, one line: "… (and 10 more)". */
function checkHtml({ code, text: words, node, ok, warning }: Check, more: number): string {
  const rest = more > 0 ? ` <span class="more-like">(and ${more} more)</span>` : "";
  const inner = node
    ? `<span><button data-act="goTo" data-node="${text(node)}">${text(words)}</button>${rest}</span>`
    : `<span>${text(words)}</span>`;
  return `<li data-testid="check" data-code="${text(code)}" data-ok="${ok}" data-warning="${Boolean(warning)}">${inner}</li>`;
}
