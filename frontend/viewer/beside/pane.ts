// The series beside, in the place of the sagittal plane: the axial plane's own cut through the
// other volume, so that both scroll, pan and zoom as one. Where the frames of reference differ, the
// reader moves it until both crosses mark the same place, and confirms that.

import { text, write } from "../html";
import { AXIAL, SAGITTAL } from "../layout";
import type { Session } from "../session";
import type { Views } from "../views";
import type { Beside } from "./beside";
import { besideWords } from "./contract";
import { type Cut, cutOf, plus, times } from "./cut";
import { HIGHEST_SUV } from "./layers";
import type { Range } from "./paint";
import { drawLayers } from "./picture";
import { paneSheet } from "./styles";
import { SUV } from "./volume";

const FRAME = `<canvas></canvas><i class="cross" hidden></i><div class="head"></div><div class="foot"></div>`;
/** A turn of the wheel, and a press of an arrow, move so far. */
const STEP_MM = 1;
const ARROWS: Readonly<Record<string, [number, number]>> = {
  arrowleft: [-1, 0],
  arrowright: [1, 0],
  arrowup: [0, -1],
  arrowdown: [0, 1],
};

export function greyWindow(views: Views): Range {
  const { width, centre } = views.voi;
  return { low: centre - width / 2, high: centre + width / 2 };
}

export class Pane {
  readonly element = document.createElement("div");
  private readonly root = this.element.attachShadow({ mode: "open" });
  private readonly mark = document.createElement("i");
  private cut: Cut | null = null;

  constructor(
    private readonly beside: Beside,
    private readonly views: Views,
    private readonly session: Session,
  ) {
    this.element.tabIndex = 0;
    this.element.dataset.testid = "beside";
    this.element.dataset.covers = "sagittal";
    this.element.setAttribute("role", "region");
    this.element.setAttribute("aria-label", "Another series beside");
    this.element.setAttribute("style", "position:absolute;inset:0;z-index:12");
    this.root.adoptedStyleSheets = [paneSheet];
    this.root.innerHTML = FRAME;
    this.mark.setAttribute(
      "style",
      "position:absolute;left:50%;top:50%;width:23px;height:23px;margin:-12px 0 0 -12px;z-index:10;pointer-events:none;background:linear-gradient(#dfb160,#dfb160) 50%/1px 100% no-repeat,linear-gradient(#dfb160,#dfb160) 50%/100% 1px no-repeat",
    );
    this.listen();
  }

  /** Shows what there is to show now. */
  draw(): void {
    const { beside, views } = this;
    const [axial, place] = [views.viewport(AXIAL), views.viewport(SAGITTAL)?.element];
    if (!beside.shown || !beside.chosen || !axial || !place) {
      this.remove();
      return;
    }
    if (this.element.parentNode !== place) place.append(this.element);
    this.words();
    const cross = this.root.querySelector<HTMLElement>(".cross");
    if (cross) cross.hidden = !beside.trying;
    if (beside.trying) axial.element.append(this.mark);
    else this.mark.remove();
    const canvas = this.root.querySelector("canvas");
    if (!canvas || !place.clientWidth) return;
    this.cut = cutOf(axial.getCamera(), place.clientWidth, place.clientHeight);
    const layer = beside.layer(greyWindow(views));
    if (layer) drawLayers(canvas, this.cut, [layer]);
    else canvas.width = 0;
  }

  remove(): void {
    this.element.remove();
    this.mark.remove();
    this.cut = null;
  }

  /** Keys of its own while the place is tried and it has the focus; true when it took one. */
  take(stroke: string): boolean {
    if (document.activeElement !== this.element || !this.beside.trying) return false;
    const arrow = ARROWS[stroke];
    if (arrow) this.drag(arrow[0] / this.pixelMm, arrow[1] / this.pixelMm);
    else if (stroke === "pageup" || stroke === "pagedown")
      this.through(stroke === "pageup" ? 1 : -1);
    else if (stroke === "enter") void this.beside.confirm(this.session.leaseId);
    else return false;
    return true;
  }

  private get pixelMm(): number {
    const [x = 1, y = 0, z = 0] = this.cut?.across ?? [];
    return Math.hypot(x, y, z) / STEP_MM;
  }

  private listen(): void {
    const { element } = this;
    for (const type of [
      "mousedown",
      "mousemove",
      "mouseup",
      "dblclick",
      "contextmenu",
      "touchstart",
    ]) {
      element.addEventListener(type, (event) => event.stopPropagation());
    }
    element.addEventListener("wheel", (event) => {
      event.preventDefault();
      event.stopPropagation();
      if (!event.altKey) this.wheel(event.deltaY < 0 ? 1 : -1);
    });
    element.addEventListener("pointerdown", (event) => {
      event.stopPropagation();
      element.focus();
      if (this.beside.trying && !this.inFoot(event)) element.setPointerCapture(event.pointerId);
    });
    element.addEventListener("pointermove", (event) => {
      event.stopPropagation();
      if (event.buttons && element.hasPointerCapture(event.pointerId)) {
        this.drag(event.movementX, event.movementY);
      }
    });
    this.root.addEventListener("click", (event) => {
      const act = (event.target as Element).closest<HTMLElement>("[data-act]")?.dataset.act;
      if (act === "confirm") void this.beside.confirm(this.session.leaseId);
      if (act === "adjust") this.beside.adjust();
      if (act === "close") this.beside.toggle();
      if (act === "choose") this.beside.chooser();
    });
  }

  private inFoot(event: Event): boolean {
    return event.composedPath().some((part) => part instanceof Element && part.matches("button"));
  }

  /** Linked, the wheel scrolls both; else only what lies beside, which is so moved. */
  private wheel(by: 1 | -1): void {
    const slice = this.views.slice("axial");
    const slices = this.session.detail?.grid.shape[0] ?? 0;
    if (this.beside.trying) this.through(by);
    else if (slice !== null && slice + by >= 0 && slice + by < slices) {
      this.views.scrollTo("axial", slice + by);
    }
  }

  private through(by: 1 | -1): void {
    const normal = this.views.viewport(AXIAL)?.getCamera().viewPlaneNormal;
    const { chosen } = this.beside;
    const spacing = chosen && this.beside.volume(chosen)?.header.grid.spacing_mm[0];
    if (normal && spacing)
      this.beside.shift(times(normal, -by * spacing * Math.sign(normal[2] || 1) * -1));
  }

  /** So many pixels to the right and down: the picture follows the hand. */
  private drag(right: number, down: number): void {
    if (!this.cut || !this.beside.trying) return;
    this.beside.shift(plus(times(this.cut.across, -right), times(this.cut.down, -down)));
  }

  private words(): void {
    const { chosen, list } = this.beside;
    if (!chosen) return;
    const choose =
      list.length > 1
        ? `<button data-act="choose" data-testid="beside-choose" aria-label="Choose another series">${list.length} series</button>`
        : "";
    write(
      this.root.querySelector(".head"),
      `<b data-testid="beside-name">${text(besideWords(chosen))}</b>
       <span title="${text(chosen.description)}">${text(chosen.description)}</span>${choose}
       <button data-act="close" aria-label="Close" title="Close">✕</button>`,
    );
    write(this.root.querySelector(".foot"), this.stateHtml());
  }

  private stateHtml(): string {
    const { beside } = this;
    const { chosen, notice } = beside;
    if (!chosen) return "";
    if (beside.isComing(chosen)) {
      return `<span role="status">Loading ${chosen.images} images …</span>`;
    }
    const volume = beside.volume(chosen);
    const unit = volume?.unit === SUV ? `<span>SUV 0–${HIGHEST_SUV}</span>` : "";
    const why = volume?.header.facts.words;
    const more = why ? `<span class="warn">${text(why)}</span>` : unit;
    const said = notice ? `<span class="warn" role="alert">${text(notice)}</span>` : "";
    if (beside.trying) {
      const may = this.session.writable;
      return `<span class="warn" data-testid="registration">Registration not confirmed</span>
        <span class="how">Drag and scroll until both crosses mark the same place</span>
        <button class="primary" data-act="confirm" data-testid="confirm-registration" ${may ? "" : "disabled"}>Same place <kbd>Enter</kbd></button>${said}${more}`;
    }
    const linked = chosen.same_frame
      ? "Linked: one frame of reference"
      : "Linked: registration confirmed";
    const adjust = chosen.same_frame ? "" : `<button data-act="adjust">Adjust</button>`;
    return `<span data-testid="registration">${linked}</span>${adjust}${said}${more}`;
  }
}
