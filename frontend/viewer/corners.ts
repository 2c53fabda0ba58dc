// Words in the lower left corner of each plane: what differs from a plain look at the images.

import { text } from "./html";
import type { Views } from "./views";

const STYLE = `position:absolute;left:8px;right:36px;bottom:8px;z-index:11;pointer-events:none;display:grid;gap:2px;
  font:600 11px/1.35 system-ui,sans-serif;font-variant-numeric:tabular-nums;color:#dbe3e5;
  text-shadow:0 0 3px #000,0 0 3px #000`;

export class Corners {
  private readonly lines = new Map<string, string>();
  private readonly boxes = new Map<string, HTMLElement>();

  constructor(private readonly views: Views) {}

  /** One line by a name of its own; "" takes it away. */
  say(name: string, words: string): void {
    if ((this.lines.get(name) ?? "") === words) return;
    if (words) this.lines.set(name, words);
    else this.lines.delete(name);
    this.draw();
  }

  draw(): void {
    const html = [...this.lines]
      .map(([name, words]) => `<span data-testid="corner-${name}">${text(words)}</span>`)
      .join("");
    for (const id of Object.keys(this.views.planes)) {
      const element = this.views.viewport(id)?.element;
      if (!element) continue;
      const box = this.boxOf(id);
      if (box.parentNode !== element) element.append(box);
      if (box.dataset.html === html) continue;
      box.dataset.html = html;
      box.innerHTML = html;
    }
  }

  remove(): void {
    for (const box of this.boxes.values()) box.remove();
  }

  private boxOf(id: string): HTMLElement {
    let box = this.boxes.get(id);
    if (!box) {
      box = document.createElement("div");
      box.setAttribute("style", STYLE);
      this.boxes.set(id, box);
    }
    return box;
  }
}
