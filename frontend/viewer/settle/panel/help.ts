// The sheet of keys, in which they can be changed.

import type { Remap } from "../../keys/remap";
import { keysHtml } from "../../keys/sheet";
import { GROUPS, type SettleKey } from "../keys";

const REST = `<h4>While writing</h4><dl><dt><kbd>↑</kbd> <kbd>↓</kbd></dt><dd>Walk through the phrases</dd>
    <dt><kbd>Enter</kbd></dt><dd>Send</dd><dt><kbd>Esc</kbd></dt><dd>Back; what was written is kept</dd></dl>
    <h4>Mouse</h4><dl><dt>Wheel</dt><dd>Scroll the slices</dd><dt>Right drag</dt><dd>Zoom</dd>
    <dt>Middle drag</dt><dd>Pan</dd></dl>`;

export function helpHtml(remap: Remap<SettleKey>): string {
  return keysHtml(remap, GROUPS, REST);
}
