// A list that keeps its elements: a row changes where it stands, and the focus stays on it.

import { write } from "../../html";
import type { Line } from "./rows";

const TAGS: Record<Line["kind"], string> = {
  heading: "h3",
  fold: "button",
  row: "button",
  note: "p",
};

export class LineList {
  private readonly lines = new Map<string, HTMLElement>();
  private current: HTMLElement | null = null;
  private inView = "";
  private chosen = false;

  constructor(private readonly list: HTMLElement) {}

  show(lines: readonly Line[]): void {
    const keys = new Set(lines.map(({ key }) => key));
    for (const [key, element] of this.lines) {
      if (keys.has(key)) continue;
      element.remove();
      this.lines.delete(key);
    }
    this.current = null;
    this.chosen = lines.some(({ current }) => current);
    lines.forEach((line, place) => {
      const element = this.elementOf(line);
      const { children } = this.list;
      if (children[place] !== element) this.place(element, children[place] ?? null);
    });
    this.reveal();
  }

  private elementOf(line: Line): HTMLElement {
    let element = this.lines.get(line.key);
    if (!element) {
      element = document.createElement(TAGS[line.kind]);
      element.className = line.kind;
      this.lines.set(line.key, element);
    }
    for (const [name, value] of Object.entries(line.data)) {
      if (element.dataset[name] !== value) element.dataset[name] = value;
    }
    if (line.kind === "row") {
      // One stop for Tab; the arrows, W and S go from row to row.
      element.tabIndex = line.current || !this.chosen ? 0 : -1;
      element.setAttribute("aria-current", String(line.current ?? false));
      element.dataset.key = line.key;
    }
    if (line.kind === "fold") {
      element.setAttribute("aria-expanded", String(line.expanded ?? false));
    }
    if (line.current) this.current = element;
    write(element, line.html);
    return element;
  }

  /** Moving an element takes its focus away. */
  private place(element: HTMLElement, before: Element | null): void {
    const root = this.list.getRootNode() as ShadowRoot;
    const focused = root.activeElement === element;
    this.list.insertBefore(element, before);
    if (focused) element.focus({ preventScroll: true });
  }

  /** Scrolls only when another row was chosen. */
  private reveal(): void {
    const key = this.current?.dataset.key ?? "";
    if (key === this.inView) return;
    this.inView = key;
    this.current?.scrollIntoView({ block: "nearest" });
    const root = this.list.getRootNode() as ShadowRoot;
    if (root.activeElement && this.list.contains(root.activeElement)) this.focusCurrent();
  }

  focusCurrent(): void {
    this.current?.focus({ preventScroll: true });
  }
}
