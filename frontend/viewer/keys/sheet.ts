// The sheet of all keys, in which they can be changed.

import { text } from "../html";
import type { Remap } from "./remap";
import { type Row, strokeWords } from "./table";

export interface Grouped extends Row {
  group: string;
}

const READING = ["Nodes", "Label", "Draw", "Image", "Reading"];
const READING_MOUSE = `<h4>Mouse</h4><dl><dt>Wheel</dt><dd>Scroll the slices</dd><dt>Alt wheel</dt><dd>Size of the brush</dd>
    <dt>Right drag</dt><dd>Zoom</dd><dt>Middle drag</dt><dd>Pan</dd><dt>Left drag</dt><dd>The chosen tool</dd></dl>`;

/** The groups in their order, then what no key table holds. */
export function keysHtml<K extends Grouped>(
  remap: Remap<K>,
  groups: readonly string[] = READING,
  rest = READING_MOUSE,
): string {
  const { table } = remap;
  const parts = groups.map((group) => {
    const rows = table.rows.filter((key) => key.group === group).map((key) => rowHtml(key, remap));
    return rows.length ? `<h4>${group}</h4><ul class="keys">${rows.join("")}</ul>` : "";
  });
  const own = table.rows.some(({ action }) => table.isOwn(action));
  return `<div class="sheet-head"><h3>Keys</h3>
      ${own ? '<button class="plain" data-act="resetKeys" data-testid="reset-keys">Reset all</button>' : ""}
      <button class="plain" data-act="help">Close <kbd>Esc</kbd></button></div>
    <p class="fine" role="status" data-testid="keys-notice">${text(remap.notice || "Choose a line, then press its new key. Your keys follow you to every machine.")}</p>
    ${parts.join("")}
    ${rest}`;
}

function rowHtml<K extends Grouped>({ action, label, fixed }: K, remap: Remap<K>): string {
  const { table } = remap;
  const waiting = remap.action === action;
  const strokes = table.keysOf(action);
  const keys = strokes
    .slice(0, fixed ? 3 : 2)
    .map((each) => `<kbd>${text(strokeWords(each))}</kbd>`);
  if (fixed && strokes.length > 3) keys.push("…");
  const shown = waiting ? "<kbd>…</kbd>" : keys.join(" ") || "<em>none</em>";
  const reset = table.isOwn(action)
    ? `<button class="reset" data-act="resetKey" data-value="${action}" aria-label="Reset ${text(label)}" title="Back to the built-in key">↺</button>`
    : "";
  return `<li><button data-act="chooseKey" data-value="${action}" data-testid="key-${action}" aria-pressed="${waiting}" ${fixed ? "disabled" : ""}
    ><span>${shown}</span><span>${text(label)}</span></button>${reset}</li>`;
}
