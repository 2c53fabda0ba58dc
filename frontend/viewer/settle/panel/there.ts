// Where somebody else looks, said without moving anything.

import { text } from "../../html";

/** A number in a ring, where somebody else looks. */
export function numberHtml(number: number, who: string): string {
  return who
    ? `<span class="there" data-testid="there" title="${text(who)} looks here">${number}</span>`
    : String(number);
}

/** Somebody else looks at the same, said on the line that is there anyway. */
export function tooHtml(who: string): string {
  const words = `${who.charAt(0).toLowerCase()}${who.slice(1)}`;
  return who ? ` <em class="too" data-testid="looks-too">${text(words)} is here, too</em>` : "";
}
