// A key as it stands on a button; nothing where an action has none.

import { text } from "../../html";
import { strokeWords } from "../../keys/table";
import { keyFor } from "../keys";

export function kbdHtml(action: string): string {
  const key = keyFor(action);
  return key ? `<kbd>${text(key)}</kbd>` : "";
}

export function strokeHtml(stroke: string): string {
  return `<kbd>${text(strokeWords(stroke))}</kbd>`;
}

/** " (A)" behind what an action does; "" where it has no key. */
export function inBrackets(action: string): string {
  const key = keyFor(action);
  return key ? ` (${key})` : "";
}
