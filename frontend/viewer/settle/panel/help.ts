// The sheet of keys.

import { text } from "../../html";
import { KEYS, keyName, type SettleKey } from "../keys";

const GROUPS: readonly SettleKey["group"][] = [
  "List",
  "Settle",
  "Redraw",
  "Label",
  "Evidence",
  "Image",
  "Screen",
];

export function helpHtml(): string {
  const parts = GROUPS.map((group) => {
    const rows = unique(group).map(({ keys, label }) => {
      const shown = keys.length > 3 ? keys.slice(0, 3) : keys.slice(0, 2);
      const names = shown.map((name) => `<kbd>${text(keyName(name))}</kbd>`);
      if (keys.length > 3) names.push("…");
      return `<dt>${names.join(" ")}</dt><dd>${text(label)}</dd>`;
    });
    return `<h4>${group}</h4><dl>${rows.join("")}</dl>`;
  });
  return `<h3>Keys</h3>${parts.join("")}
    <h4>While writing</h4><dl><dt><kbd>↑</kbd> <kbd>↓</kbd></dt><dd>Walk through the phrases</dd>
    <dt><kbd>⏎</kbd></dt><dd>Send</dd><dt><kbd>Esc</kbd></dt><dd>Back; what was written is kept</dd></dl>
    <h4>Mouse</h4><dl><dt>Wheel</dt><dd>Scroll the slices</dd><dt>Right drag</dt><dd>Zoom</dd>
    <dt>Middle drag</dt><dd>Pan</dd></dl>
    <p class="buttons"><button class="plain" data-act="help" data-testid="close-help">Close</button></p>`;
}

/** A verb that has another key in another phase is named once. */
function unique(group: SettleKey["group"]): SettleKey[] {
  const keys = KEYS.filter((key) => key.group === group);
  return keys.filter(({ action }, at) => keys.findIndex((key) => key.action === action) === at);
}
