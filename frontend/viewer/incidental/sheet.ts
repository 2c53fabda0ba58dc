// The sheet in which an incidental finding is told, over the list of nodes.

import { numberOf } from "../coverage/map";
import { text, write } from "../html";
import { minuteOf } from "../words";
import type { Telling } from "./telling";

const LONGEST = 1000;
const FORM = `<div class="sheet-head"><h3>Incidental finding</h3>
    <button type="button" class="plain" data-act="incidental">Close <kbd>Esc</kbd></button></div>
  <p class="fine">For the coordinator, apart from the study: it enters no mask, no report and no record of this case, and the other reader does not see it.</p>
  <form data-form="incidental">
    <label for="incidental">What you saw</label>
    <textarea id="incidental" name="words" rows="4" maxlength="${LONGEST}" required data-testid="incidental-words"></textarea>
    <p class="fine" data-where></p>
    <p class="wrong" role="alert" data-failure></p>
    <div class="buttons"><button class="primary" type="submit" data-testid="incidental-tell">Tell the coordinator <kbd>Ctrl Enter</kbd></button></div>
  </form>
  <ul class="told" data-told aria-label="Told before"></ul>`;

/** Written once when it opens, so that what is typed stays; the rest follows what is known. */
export function drawTelling(sheet: HTMLElement, telling: Telling, slices: number): void {
  const opening = telling.open && sheet.hidden;
  // A hidden field keeps the keys until the next frame is drawn.
  if (!telling.open && !sheet.hidden) sheet.querySelector("textarea")?.blur();
  sheet.hidden = !telling.open;
  if (!telling.open) return;
  if (opening) sheet.innerHTML = FORM;
  const field = sheet.querySelector("textarea");
  if (field && opening) {
    field.value = telling.words;
    field.addEventListener("input", () => {
      telling.write(field.value);
    });
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.ctrlKey) field.form?.requestSubmit();
    });
    field.focus();
  }
  if (field && !telling.words && !telling.sending) field.value = "";
  const button = sheet.querySelector<HTMLButtonElement>("[type=submit]");
  if (button) button.disabled = telling.sending;
  const slice = telling.slice();
  const where =
    slice === null
      ? ""
      : `With axial slice ${numberOf("axial", slice, slices)} of ${slices}, as on screen.`;
  write(sheet.querySelector("[data-where]"), where);
  write(sheet.querySelector("[data-failure]"), text(telling.failure));
  write(sheet.querySelector("[data-told]"), telling.told.map(toldHtml(slices)).join(""));
}

const toldHtml =
  (slices: number) =>
  ({ words, slice, reported_at, taken_up_at }: Telling["told"][number]): string => {
    const where = slice === null ? "" : ` · slice ${numberOf("axial", slice, slices)}`;
    const state = taken_up_at
      ? `<span class="badge accepted">taken up</span>`
      : `<span class="badge">told</span>`;
    return `<li data-testid="incidental-told">${text(words)}<small>${minuteOf(reported_at)}${where}</small> ${state}</li>`;
  };
