// The contact sheet: every node the AI proposed, axial and coronal, same scale and window, for
// one-key triage before the stack. It lies over the images; the panel stays beside it.

import type { Commands } from "../commands";
import { write } from "../html";
import { keyFor } from "../keys";
import { isDecided } from "../order";
import { reasonsHtml } from "../panel/rows";
import type { ShownNode } from "../projection";
import type { Session } from "../session";
import type { Views } from "../views";
import type { SliceReader } from "./cut";
import { gridOf, stepFrom } from "./grid";
import { contactSheet } from "./styles";
import { type Scene, Tile } from "./tile";

/** How much of the patient a picture shows, and around the largest node at least. */
const [EDGE_MM, MARGIN_MM, WIDEST_MM] = [48, 14, 96];
/** Painting gives way to the next frame after so long. */
const BUDGET_MS = 12;
const AGAIN_MS = 250;
const FRAME = `<div class="sheet"><header></header>
  <div class="tiles" role="listbox" tabindex="0" aria-label="Nodes the AI proposed" data-testid="tiles"></div>
  <footer></footer></div>`;
const ARROWS = {
  arrowleft: "left",
  arrowright: "right",
  arrowup: "up",
  arrowdown: "down",
} as const;

export class ContactSheet {
  private host: HTMLElement | null = null;
  private readonly tiles = new Map<string, Tile>();
  private columns = 1;
  private edgePx = 0;
  private frame = 0;
  private timer = 0;
  private missing = 0;
  private readonly resized = new ResizeObserver(() => this.layOut());

  constructor(
    private readonly session: Session,
    private readonly commands: Commands,
    private readonly views: Views,
    private readonly slices: () => SliceReader | null,
  ) {}

  get isOpen(): boolean {
    return this.host !== null;
  }

  toggle(): void {
    if (this.host) this.close();
    else this.open();
  }

  /** In the order of the list; what a reader added has no need of triage. */
  private get nodes(): ShownNode[] {
    return this.session.nodes.filter(({ origin }) => origin === "ai");
  }

  private open(): void {
    const host = document.createElement("div");
    host.dataset.testid = "contact-sheet";
    host.setAttribute("role", "dialog");
    host.setAttribute("aria-label", "Contact sheet");
    const root = host.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [contactSheet];
    root.innerHTML = FRAME;
    root.addEventListener("click", this.clicked);
    root.addEventListener("dblclick", this.opened);
    document.body.append(host);
    this.host = host;
    this.commands.still = true;
    this.session.addEventListener("change", this.render);
    this.commands.addEventListener("change", this.render);
    this.views.addEventListener("window", this.render);
    const { nodes } = this;
    if (!nodes.some(({ uuid }) => uuid === this.session.selected)) {
      const first = nodes.find((node) => !isDecided(node)) ?? nodes[0];
      if (first) this.session.select(first.uuid);
    }
    this.resized.observe(document.body);
    this.layOut();
    this.find(".tiles")?.focus({ preventScroll: true });
  }

  /** Takes the sheet away; the planes go to the node that was chosen. */
  close(): void {
    if (!this.host) return;
    this.resized.disconnect();
    cancelAnimationFrame(this.frame);
    clearTimeout(this.timer);
    this.session.removeEventListener("change", this.render);
    this.commands.removeEventListener("change", this.render);
    this.views.removeEventListener("window", this.render);
    this.host.remove();
    this.host = null;
    this.tiles.clear();
    this.commands.still = false;
    this.commands.goTo(this.session.selected);
  }

  /** Keys that mean something else over the sheet; true when it took one. */
  take(stroke: string): boolean {
    if (!this.host) return false;
    if (stroke === "enter") this.close();
    else if (stroke === "escape" && this.commands.rejecting) return false;
    else if (stroke === "escape") this.close();
    else if (stroke in ARROWS) this.step(ARROWS[stroke as keyof typeof ARROWS]);
    else return false;
    return true;
  }

  private step(direction: "left" | "right" | "up" | "down"): void {
    const { nodes } = this;
    const at = nodes.findIndex(({ uuid }) => uuid === this.session.selected);
    const to = nodes[stepFrom(Math.max(0, at), direction, this.columns, nodes.length)];
    if (to) this.commands.goTo(to.uuid);
  }

  private find(selector: string): HTMLElement | null {
    return this.host?.shadowRoot?.querySelector<HTMLElement>(selector) ?? null;
  }

  /** Over the images, beside the panel. */
  private layOut(): void {
    const { host } = this;
    if (!host) return;
    const boxes = Object.keys(this.views.planes).flatMap(
      (id) => this.views.viewport(id)?.element.getBoundingClientRect() ?? [],
    );
    const [left, top] = [
      Math.min(...boxes.map((box) => box.left)),
      Math.min(...boxes.map((box) => box.top)),
    ];
    const width = Math.max(...boxes.map((box) => box.right)) - left;
    const height = Math.max(...boxes.map((box) => box.bottom)) - top;
    Object.assign(host.style, {
      left: `${left}px`,
      top: `${top}px`,
      width: `${width}px`,
      height: `${height}px`,
    });
    const tiles = this.find(".tiles");
    if (!tiles) return;
    const room = { width: tiles.clientWidth - 32, height: height - 46 - 42 - 28 };
    const grid = gridOf(this.nodes.length, room.width, room.height);
    this.columns = grid.columns;
    this.edgePx = Math.round(grid.edge * devicePixelRatio);
    tiles.classList.toggle("scrolls", grid.scrolls);
    tiles.style.setProperty("--edge", `${grid.edge}px`);
    tiles.style.gridTemplateColumns = `repeat(${grid.columns}, max-content)`;
    this.render();
  }

  private readonly render = (): void => {
    const tiles = this.find(".tiles");
    if (!tiles) return;
    const { nodes } = this;
    const decided = nodes.filter(isDecided).length;
    write(
      this.find("header"),
      `<h2>Contact sheet</h2>
      <span class="track"><i style="width:${nodes.length ? (100 * decided) / nodes.length : 0}%"></i></span>
      <span class="tally" data-testid="sheet-tally">${decided} / ${nodes.length} decided</span>
      ${this.missing ? '<span class="loading" data-testid="sheet-loading">Images are still arriving</span>' : ""}
      <button data-act="close" title="Close (Esc)">Close <kbd>Esc</kbd></button>`,
    );
    write(this.find("footer"), this.footerHtml(nodes.length, decided));
    if (!nodes.length) write(tiles, '<p class="empty">The AI proposed no nodes.</p>');
    for (const node of nodes) {
      const tile = this.tiles.get(node.uuid) ?? new Tile(node.uuid);
      if (!this.tiles.has(node.uuid)) this.tiles.set(node.uuid, tile);
      const selected = node.uuid === this.session.selected;
      tile.describe(node, selected);
      if (selected && tile.element.parentNode) tile.element.scrollIntoView({ block: "nearest" });
    }
    nodes.forEach(({ uuid }, at) => {
      const element = this.tiles.get(uuid)?.element;
      const there = tiles.children[at];
      if (element && there !== element) tiles.insertBefore(element, there ?? null);
    });
    const { selected } = this.session;
    if (selected) tiles.setAttribute("aria-activedescendant", `tile-${selected}`);
    this.schedule();
  };

  private footerHtml(count: number, decided: number): string {
    const { rejecting } = this.commands;
    const reasons = this.session.detail?.case.protocol.reject_reasons ?? [];
    if (rejecting) return reasonsHtml(reasons);
    const key = (action: string, words: string) =>
      `<span><kbd>${keyFor(action)}</kbd> ${words}</span>`;
    const done = count > 0 && decided === count ? "<span>All of them are decided.</span>" : "";
    return `${done}${key("accept", "accept")}${key("reject", "reject, then the reason")}
      ${key("metastatic", "metastatic")}${key("doubt", "doubt")}${key("undo", "undo")}
      <span><kbd>← ↑ ↓ →</kbd> move</span><span><kbd>Enter</kbd> look in the planes</span>`;
  }

  private schedule(): void {
    cancelAnimationFrame(this.frame);
    clearTimeout(this.timer);
    this.frame = requestAnimationFrame(() => this.paint());
  }

  /** What there is time for in a frame; the rest in the next. */
  private paint(): void {
    const slice = this.slices();
    const { mask, detail } = this.session;
    if (!this.host || !slice || !mask || !detail) return;
    const { nodes } = this;
    const { width, centre } = this.views.voi;
    const scene: Scene = {
      mask,
      shape: detail.grid.shape,
      spacingMm: detail.grid.spacing_mm,
      edgeMm: edgeOf(nodes, detail.grid.spacing_mm),
      edgePx: this.edgePx,
      window: { width, centre },
      slice,
    };
    const began = performance.now();
    const before = this.missing;
    let missing = 0;
    for (const node of nodes) {
      if (performance.now() - began > BUDGET_MS) {
        this.frame = requestAnimationFrame(() => this.paint());
        return;
      }
      if (!this.tiles.get(node.uuid)?.paint(node, scene)) missing += 1;
    }
    this.missing = missing;
    if (missing) this.timer = window.setTimeout(() => this.schedule(), AGAIN_MS);
    if (Boolean(missing) !== Boolean(before)) this.render();
  }

  private readonly clicked = (event: Event) => {
    const target = event.target as Element;
    const node = target.closest<HTMLElement>(".tile")?.dataset.node;
    const button = target.closest<HTMLElement>("[data-act]");
    const { commands, session } = this;
    if (button?.dataset.act === "close") return this.close();
    if (button?.dataset.act === "reason" && commands.rejecting) {
      return commands.reject(commands.rejecting, button.dataset.value ?? "");
    }
    if (!node) return;
    if (button?.dataset.act === "accept") commands.accept(node);
    else if (button?.dataset.act === "askReason") commands.askReason(node);
    else session.select(node);
  };

  private readonly opened = (event: Event) => {
    const node = (event.target as Element).closest<HTMLElement>(".tile")?.dataset.node;
    if (node) this.close();
  };
}

/** One scale for all: wide enough for the largest node. */
function edgeOf(nodes: ShownNode[], spacing: readonly [number, number, number]): number {
  const reaches = nodes.flatMap(({ measures }) => {
    const box = measures?.box_vox;
    if (!box) return [];
    return ([0, 1, 2] as const).map(
      (axis) => ((box[axis + 3] ?? 0) - (box[axis] ?? 0)) * spacing[axis],
    );
  });
  return Math.min(WIDEST_MM, Math.max(EDGE_MM, Math.max(0, ...reaches) + MARGIN_MM));
}
