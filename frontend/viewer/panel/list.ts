// The list of nodes. Rows are written only where they differ; the browser lays out and paints only
// those on screen (content-visibility), so that 255 nodes cost what a screenful does.

import { write } from "../html";
import { headingOf, passes } from "../order";
import type { ShownNode } from "../projection";
import type { Session } from "../session";
import { type RowContext, rowHtml } from "./rows";

export class NodeList {
  private readonly rows = new Map<string, HTMLElement>();
  private readonly headings = new Map<string, HTMLElement>();
  /** The row that was brought into view, and what was open in it. */
  private inView = "";

  constructor(private readonly element: HTMLElement) {}

  /** Returns the nodes that are listed. */
  render(session: Session, context: Omit<RowContext, "underSide">): ShownNode[] {
    const { nodes, filter } = session;
    const grouped = session.order === "place" && nodes.some(({ side }) => side);
    const shown = nodes.filter((node) => passes(node, filter) || node.uuid === context.selected);
    const wanted: HTMLElement[] = [];
    const counts = new Map<string, number>();
    for (const node of shown) counts.set(headingOf(node), (counts.get(headingOf(node)) ?? 0) + 1);
    let heading = "";
    for (const node of shown) {
      if (grouped && headingOf(node) !== heading) {
        heading = headingOf(node);
        wanted.push(this.heading(heading, counts.get(heading) ?? 0));
      }
      wanted.push(this.row(node, { ...context, underSide: grouped }));
    }
    this.place(wanted);
    const listed = new Set(shown.map(({ uuid }) => uuid));
    for (const uuid of this.rows.keys()) if (!listed.has(uuid)) this.rows.delete(uuid);
    const { selected, rejecting, placing, measuring } = context;
    const open = [selected, rejecting, placing, measuring].join();
    if (this.inView !== open) {
      this.inView = open;
      this.rows.get(context.selected ?? "")?.scrollIntoView({ block: "nearest" });
    }
    return shown;
  }

  private place(wanted: HTMLElement[]): void {
    wanted.forEach((element, at) => {
      const there = this.element.children[at];
      if (there !== element) this.element.insertBefore(element, there ?? null);
    });
    while (this.element.children.length > wanted.length) this.element.lastElementChild?.remove();
  }

  private heading(words: string, count: number): HTMLElement {
    let heading = this.headings.get(words);
    if (!heading) {
      heading = document.createElement("div");
      heading.className = "heading";
      heading.setAttribute("role", "listitem");
      heading.dataset.testid = "list-heading";
      this.headings.set(words, heading);
    }
    write(heading, `<span>${words}</span><span>${count}</span>`);
    return heading;
  }

  private row(node: ShownNode, context: RowContext): HTMLElement {
    let row = this.rows.get(node.uuid);
    if (!row) {
      row = document.createElement("div");
      row.className = "row";
      row.setAttribute("role", "listitem");
      row.dataset.testid = "node-row";
      row.dataset.node = node.uuid;
      this.rows.set(node.uuid, row);
    }
    row.dataset.decision = node.decision;
    row.dataset.number = String(node.number);
    row.dataset.stale = String(node.stale);
    row.setAttribute("aria-current", String(node.uuid === context.selected));
    write(row, rowHtml(node, context));
    return row;
  }
}
