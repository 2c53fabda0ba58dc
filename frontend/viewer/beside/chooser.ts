// The list of other series of the same person, over the axial plane.

import { text, write } from "../html";
import type { Beside } from "./beside";
import { type BesideSeries, besideWords } from "./contract";
import { chooserSheet } from "./styles";

export class Chooser {
  private readonly element = document.createElement("div");
  private readonly root = this.element.attachShadow({ mode: "open" });
  private readonly frame = document.createElement("div");
  /** The line that Enter takes. */
  private at = 0;

  constructor(private readonly beside: Beside) {
    this.element.dataset.covers = "axial";
    this.element.dataset.testid = "beside-chooser";
    this.root.adoptedStyleSheets = [chooserSheet];
    this.root.append(this.frame);
    for (const type of ["mousedown", "pointerdown", "wheel", "dblclick"]) {
      this.element.addEventListener(type, (event) => event.stopPropagation());
    }
    this.root.addEventListener("click", (event) => {
      const button = (event.target as Element).closest<HTMLElement>("[data-series]");
      if (button) beside.choose(button.dataset.series ?? "");
    });
  }

  draw(over: HTMLElement | null): void {
    if (!this.beside.choosing || !over) {
      this.remove();
      return;
    }
    const { list, chosen } = this.beside;
    if (this.element.parentNode !== over) {
      over.append(this.element);
      this.at = Math.max(
        0,
        list.findIndex(({ id }) => id === chosen?.id),
      );
    }
    const rows = list.map((series, at) => rowHtml(series, at, at === this.at)).join("");
    write(this.frame, `<h3>Other series of this person</h3><ul>${rows}</ul>`);
  }

  remove(): void {
    this.element.remove();
  }

  /** Arrows and Enter, or a digit, choose; Escape closes the list. True when it took the key. */
  take(stroke: string): boolean {
    const { beside } = this;
    if (!beside.choosing) return false;
    const { list } = beside;
    const digit = /^[1-9]$/.test(stroke) ? Number(stroke) - 1 : -1;
    const chosen = list[stroke === "enter" ? this.at : digit];
    if (stroke === "escape") beside.chooser();
    else if (chosen) beside.choose(chosen.id);
    else if (stroke === "arrowdown" || stroke === "arrowup") {
      this.at = (this.at + (stroke === "arrowdown" ? 1 : -1) + list.length) % list.length;
      beside.changed();
    } else return digit >= 0;
    return true;
  }
}

function rowHtml(series: BesideSeries, at: number, current: boolean): string {
  const facts = [series.date, `${series.images} images`, series.description].filter(Boolean);
  const other = series.same_frame ? "" : " · other frame of reference";
  return `<li><button data-series="${text(series.id)}" data-testid="beside-series" aria-current="${current}">
    <kbd>${at + 1}</kbd><b>${text(besideWords(series))}</b><span>${text(facts.join(" · "))}${other}</span></button></li>`;
}
