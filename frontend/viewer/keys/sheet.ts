// The sheet of all keys, in which they can be changed.

import { text } from "../html";
import { KEYS, type Key } from "../keys";
import { isOwn, keysOf, strokeWords } from "./bindings";
import type { Remap } from "./remap";

const GROUPS: Key["group"][] = ["Nodes", "Label", "Draw", "Image", "Reading"];

export function keysHtml(remap: Remap): string {
  const parts = GROUPS.map((group) => {
    const rows = KEYS.filter((key) => key.group === group).map((key) => rowHtml(key, remap));
    return rows.length ? `<h4>${group}</h4><ul class="keys">${rows.join("")}</ul>` : "";
  });
  const own = KEYS.some(({ action }) => isOwn(action));
  return `<div class="sheet-head"><h3>Keys</h3>
      ${own ? '<button class="plain" data-act="resetKeys" data-testid="reset-keys">Reset all</button>' : ""}
      <button class="plain" data-act="help">Close <kbd>Esc</kbd></button></div>
    <p class="fine" role="status" data-testid="keys-notice">${text(remap.notice || "Choose a line, then press its new key. Your keys follow you to every machine.")}</p>
    ${parts.join("")}
    <h4>Mouse</h4><dl><dt>Wheel</dt><dd>Scroll the slices</dd><dt>Alt wheel</dt><dd>Size of the brush</dd>
    <dt>Right drag</dt><dd>Zoom</dd><dt>Middle drag</dt><dd>Pan</dd><dt>Left drag</dt><dd>The chosen tool</dd></dl>`;
}

function rowHtml({ action, label }: Key, remap: Remap): string {
  const waiting = remap.action === action;
  const keys = keysOf(action)
    .slice(0, 2)
    .map((stroke) => `<kbd>${text(strokeWords(stroke))}</kbd>`);
  const shown = waiting ? "<kbd>…</kbd>" : keys.join(" ") || "<em>none</em>";
  const reset = isOwn(action)
    ? `<button class="reset" data-act="resetKey" data-value="${action}" aria-label="Reset ${text(label)}" title="Back to the built-in key">↺</button>`
    : "";
  return `<li><button data-act="chooseKey" data-value="${action}" data-testid="key-${action}" aria-pressed="${waiting}"
    ><span>${shown}</span><span>${text(label)}</span></button>${reset}</li>`;
}
