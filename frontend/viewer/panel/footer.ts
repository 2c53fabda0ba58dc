// What is still missing before this reading can be signed, as links to the nodes.

import type { Check } from "../contract";
import { text } from "../html";
import type { Session } from "../session";

export function footerHtml(session: Session): string {
  const { detail } = session;
  if (!detail) return "";
  const { signature } = detail;
  if (session.closed) {
    const when = signature ? new Date(signature.at).toLocaleString("en-GB") : "";
    return `<div class="signed" data-testid="signed">${
      signature
        ? `Signed by <b>${text(signature.name)}</b>, ${text(when)}<div class="hash">${text(signature.hash)}</div>`
        : `This reading is <b>${text(detail.state)}</b> and can no longer be changed.`
    }</div>`;
  }
  const open = session.checks.filter(({ ok }) => !ok);
  const warnings = session.checks.filter(({ warning }) => warning);
  const met = session.checks.filter(({ ok, warning }) => ok && !warning);
  return `<ul class="checks" data-testid="checks">${[...open, ...warnings, ...met].map(checkHtml).join("")}</ul>
    <button class="primary" data-act="openSubmit" data-testid="submit" ${session.canSubmit ? "" : "disabled"}>Submit reading</button>`;
}

function checkHtml({ code, text: words, node, ok, warning }: Check): string {
  const inner = node
    ? `<button data-act="goTo" data-node="${text(node)}">${text(words)}</button>`
    : `<span>${text(words)}</span>`;
  return `<li data-testid="check" data-code="${text(code)}" data-ok="${ok}" data-warning="${Boolean(warning)}">${inner}</li>`;
}
