// The head of the panel: which case and version, whether it is saved, the three phases.

import { text } from "../../html";
import type { SettleSession } from "../consensus";
import { type Desk, TABS, type Tab } from "../desk";
import { presentWords } from "../presence";
import type { Loading } from "../stage";
import { CONSENSUS, loadingWords, saveWords } from "../words";
import { inBrackets } from "./kbd";

const ROLES = { reader: "", adjudicator: "Adjudicator", observer: "Looking on" } as const;

export function headerHtml(session: SettleSession, failure: string, loading?: Loading): string {
  const { detail } = session;
  if (!detail) {
    return `<div class="title"><h2>Settling</h2></div>
      ${failure ? `<p class="bar" role="alert" data-testid="settle-failure">${text(failure)} <button data-act="reload">Try again</button></p>` : '<p class="fine">Opening…</p>'}`;
  }
  const role = ROLES[detail.role];
  return `<div class="title">
      <h2 data-testid="case-label">${text(detail.case.label)}</h2>
      <span class="chip" data-testid="consensus-state" data-state="${detail.state}" title="Version ${detail.version} of the consensus">v${detail.version} · ${CONSENSUS[detail.state]}</span>
      ${role ? `<span class="chip quiet" data-testid="role">${role}</span>` : ""}
      <button class="help" data-act="help" data-testid="help" title="Keys (?)" aria-label="Keys">?</button>
    </div>
    <div class="stand">${saveHtml(session)}${presentHtml(session)}</div>
    ${loadingHtml(session, loading)}${reopenedHtml(session)}`;
}

/** Nobody decides on planes that are half there. */
function loadingHtml(session: SettleSession, loading: Loading | undefined): string {
  const words = loading && !session.readOnly ? loadingWords(loading) : "";
  return words ? `<p class="fine warn" role="status" data-testid="images-coming">${words}</p>` : "";
}

function saveHtml(session: SettleSession): string {
  const state = session.saveState;
  const words = saveWords(state, session.outbox.waiting.length);
  return `<div class="save" data-testid="save-state" data-state="${state}" role="status"><span>${words}</span></div>`;
}

/** Who else is here, beside what is always there: nothing moves when they come and go. */
function presentHtml(session: SettleSession): string {
  const words = presentWords(session);
  if (!words.length) return "";
  const said = text(words.join(" · "));
  return `<button class="present" data-act="join" data-testid="present" title="${said}. ${text(`Look there, too${inBrackets("join")}`)}"><i></i><span>${said}</span></button>`;
}

function reopenedHtml({ detail }: SettleSession): string {
  const done = detail?.state === "published" || detail?.state === "superseded";
  const standing = detail?.versions.find(
    ({ state, version }) => !done && state === "published" && version !== detail.version,
  );
  const reason = detail?.versions.find(({ version }) => version === detail.version)?.reason;
  const objection = detail?.signing?.objection;
  const lines = [
    reason &&
      `Reopened: ${text(reason)}.${standing ? ` Version ${standing.version} stays published until this one is.` : ""}`,
    objection && `Objected: “${text(objection)}”. The signatures given before are void.`,
  ].filter(Boolean);
  return lines.map((line) => `<p class="fine warn" data-testid="why-open">${line}</p>`).join("");
}

const NAMES: Record<Tab, string> = { settle: "Settle", label: "Label", sign: "Sign" };

export function tabsHtml(desk: Desk): string {
  return TABS.map((tab) => {
    const [current, waiting] = [tab === desk.tab, desk.waiting(tab)];
    const count = waiting ? ` <b data-testid="waiting-${tab}">${waiting}</b>` : "";
    const said = waiting ? `, ${waiting} waiting for you` : "";
    return `<button role="tab" id="tab-${tab}" data-act="tab" data-value="${tab}" data-testid="tab-${tab}"
      aria-selected="${current}" aria-controls="work" tabindex="${current ? 0 : -1}"
      aria-label="${NAMES[tab]}${said}" ${desk.opened(tab) ? "" : "disabled"}>${NAMES[tab]}${count}</button>`;
  }).join("");
}
