// A newer proposal in the panel: one calm line, and the list of what it says otherwise.

import { text } from "../html";
import { keyFor } from "../keys";
import type { Difference } from "../proposal/contract";
import type { Offering } from "../proposal/offering";
import {
  axisWords,
  countWords,
  editedWords,
  KINDS,
  partsWords,
  presentWords,
  volumeWords,
} from "../proposal/words";

export function newerHtml(offering: Offering, writable: boolean): string {
  const { proposal, waiting, active } = offering;
  if (!proposal || !waiting.length) return "";
  const model = `${proposal.model.name} ${proposal.model.version}`;
  const line = `<div class="offer" data-testid="newer-proposal" role="status" title="${text(model)}. Nothing changes until you take it.">
      <span>The AI has a new proposal: <b>${countWords(waiting)}</b></span>
      <button data-act="newer" data-testid="newer-open" aria-expanded="${active}">${active ? "Close" : "Look"} <kbd>${keyFor("newer")}</kbd></button>
    </div>`;
  if (!active) return line;
  const rows = waiting.map((one) => rowHtml(one, one.key === offering.at, writable)).join("");
  return `${line}<ul class="differences" data-testid="newer-list">${rows}</ul>`;
}

function rowHtml(one: Difference, current: boolean, writable: boolean): string {
  const edited = editedWords(one);
  const off = writable ? "" : "disabled";
  const dice = one.kind === "changed" ? `Dice ${one.dice.toFixed(2)}` : "";
  const more = [partsWords(one), volumeWords(one), dice].filter(Boolean).join(" · ");
  const acts = current
    ? `<span class="acts"><button class="yes" data-act="takeNewer" ${off} title="Take (Enter)" aria-label="Take">✓</button>
       <button class="no" data-act="leaveNewer" title="Leave (Esc)" aria-label="Leave">✕</button></span>`
    : "";
  return `<li ${current ? 'aria-current="true"' : ""} data-kind="${one.kind}">
      <button data-act="goToNewer" data-value="${text(one.key)}"><b>${KINDS[one.kind]}</b>
        <span>${text([presentWords(one), axisWords(one)].filter(Boolean).join(" · "))}${edited ? ` <span class="badge doubt">${edited}</span>` : ""}
        <small>${text(more)}</small></span></button>${acts}</li>`;
}
