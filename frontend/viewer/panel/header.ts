// The head of the panel: which case, whether it is saved, what the AI does.

import type { AiStatus } from "../contract";
import { text } from "../html";
import type { Session } from "../session";
import { STAGES, saveWords } from "../words";

/** `rest`: a break is offered. `untold`: what is said of a finding that is not told yet. */
export function headerHtml(session: Session, rest = false, untold = ""): string {
  const { detail } = session;
  const title = detail
    ? `<h2 data-testid="case-label">${text(detail.case.label)}</h2>
       <span class="chip" title="${text(detail.case.protocol.name)}">${text(detail.slot)} · ${text(detail.case.protocol.code)}</span>`
    : "<h2>Reading</h2>";
  return `<div class="title">${title}
      <button class="help" data-act="help" data-testid="help" title="Keys (?)" aria-label="Keys">?</button>
    </div>
    ${saveHtml(session, rest, untold)}
    ${detail ? excludedHtml(detail.case.excluded) + aiHtml(detail.ai) : ""}
    ${barsHtml(session)}`;
}

function saveHtml(session: Session, rest: boolean, untold: string): string {
  const quiet = session.closed && session.detail && session.setAside.length === 0;
  const state = quiet ? "saved" : session.saveState;
  const words = saveWords(state, session.outbox.waiting.length);
  // Beside the state, so that nothing below it moves.
  const offer = rest
    ? `<span class="rest" data-testid="break">A short break? <button data-act="noBreak" title="Offered again later" aria-label="Not now">✕</button></span>`
    : "";
  const finding = untold ? `<span class="untold" data-testid="untold">${text(untold)}</span>` : "";
  return `<div class="save" data-testid="save-state" data-state="${state}" role="status"><span>${words}</span>${finding}${offer}</div>`;
}

function excludedHtml(sentences: string[]): string {
  if (!sentences.length) return "";
  return `<p class="fine excluded">Excluded from cohorts: ${sentences.map(text).join(" ")}</p>`;
}

function aiHtml(ai: AiStatus): string {
  const model = ai.model ? `${text(ai.model.name)} ${text(ai.model.version)}` : "";
  const notice = ai.model?.notice ? `<p class="fine">${model} · ${text(ai.model.notice)}</p>` : "";
  if (ai.state === "queued" || ai.state === "running") {
    const percent = Math.round(100 * ai.progress);
    const stage = ai.state === "queued" ? STAGES.queued : (STAGES[ai.stage] ?? ai.stage);
    return `<div class="run" data-testid="ai-progress" data-progress="${ai.progress}">
        <div class="words"><span>AI · ${text(stage)}</span><span>${percent} %${cancelHtml(ai)}</span></div>
        <div class="track"><i style="width:${percent}%"></i></div>
      </div>${notice}`;
  }
  if (ai.state === "failed") {
    return `<p class="bar" data-testid="ai-failed">The AI could not read this case. ${text(ai.message)} You can read it without: press N to add nodes.</p>`;
  }
  if (ai.state === "none") {
    return `<p class="fine" data-testid="ai-none">No AI proposals in this reading. Press N to add nodes.</p>`;
  }
  const failed = ai.message
    ? `<p class="fine" data-testid="ai-message">${text(ai.message)}</p>`
    : "";
  return notice + failed;
}

/** For who may. */
function cancelHtml({ cancel }: AiStatus): string {
  if (!cancel) return "";
  return ` <button data-act="cancelRun" data-testid="cancel-run" title="Stop this run; what you have stays">Cancel</button>`;
}

function barsHtml(session: Session): string {
  const bars: string[] = [];
  if (session.setAside.length > 0) bars.push(conflictHtml(session));
  else if (session.saveState === "read_only") {
    bars.push(`<div class="bar" data-testid="read-only">${elsewhereHtml(session)}
      <div class="choices"><button data-act="continueHere" data-testid="continue-here">Continue here</button></div></div>`);
  } else if (session.notice) {
    bars.push(`<div class="bar" data-testid="notice">${text(session.notice)}</div>`);
  }
  return bars.join("");
}

/** Changes are kept aside: why, whether this tab may still make them, and the choice. */
function conflictHtml(session: Session): string {
  const discard = `<button data-act="discardAside" data-testid="discard-mine">Discard mine</button>`;
  const again = (words: string) =>
    `<button data-act="applyAgain" data-testid="apply-again">${words}</button>`;
  let why = "";
  let choices = again("Apply mine again");
  if (session.closed) {
    why = `This reading takes no more changes. What was made here (${session.setAside.length}) stays kept on this computer until you discard it.`;
    choices = "";
  } else if (!session.leaseId) {
    why = elsewhereHtml(session);
    choices = again("Continue here and apply mine again");
  }
  return `<div class="bar" data-testid="conflict">${text(session.notice)} ${why}
      <div class="choices">${choices}${discard}</div></div>`;
}

function elsewhereHtml(session: Session): string {
  const who = session.holder ? `${text(session.holder)} writes` : "Another tab writes";
  return `${who} this reading elsewhere. Here it is read only.`;
}
