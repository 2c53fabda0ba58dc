// The choice of side and level in an open row.

import type { Side } from "../contract";
import { LEVELS, SIDE_WORDS } from "../order";
import type { ShownNode } from "../projection";

const DIGITS = 9;

export function placeHtml({ side, level, side_said }: ShownNode): string {
  const sides = (["R", "L"] as Side[]).map(
    (one) =>
      `<button data-act="side" data-value="${one}" data-testid="side-${one}" aria-pressed="${one === side}">${SIDE_WORDS[one]}</button>`,
  );
  const levels = LEVELS.map(
    (one, place) =>
      `<button data-act="setLevel" data-value="${one}" data-testid="level-${one}" aria-pressed="${one === level}"
        >${place < DIGITS ? `<kbd>${place + 1}</kbd>` : ""}${one}</button>`,
  );
  const whence = side_said
    ? "The side is yours."
    : side
      ? "The side follows from the body's midline."
      : "The images do not tell the side.";
  return `<div class="reasons place-choice" data-testid="place-choice"><p>Which side and level? ${whence}</p>
    ${sides.join("")}<span></span>${levels.join("")}</div>`;
}
