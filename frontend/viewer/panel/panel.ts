// The panel on the right: a web component in its own shadow root, so that the host's styles
// leave its form alone.

import { breaks } from "../breaks";
import { CaretKeeper } from "../caret";
import type { ImpressionValue, Side } from "../contract";
import { write } from "../html";
import { drawTelling } from "../incidental/sheet";
import { keyFor } from "../keys";
import { bindings } from "../keys/bindings";
import { keysHtml } from "../keys/sheet";
import { FILTERS, type Filter, isDecided, ORDERS, type Order } from "../order";
import type { ShownNode } from "../projection";
import type { Room } from "../room";
import { watchRoom } from "../stage";
import { typedAxes } from "./by_hand";
import { footerHtml } from "./footer";
import { headerHtml } from "./header";
import { NodeList } from "./list";
import { newerHtml } from "./newer";
import type { RowContext } from "./rows";
import { submitHtml } from "./sheets";
import { panelSheet } from "./styles";

const FRAME = `<div class="panel" data-testid="concord-panel">
  <header></header>
  <div class="newer"></div>
  <div class="counts"></div>
  <div class="empty" hidden></div>
  <div class="list" role="list" tabindex="0" aria-label="Nodes" data-testid="node-list"></div>
  <footer></footer>
  <div class="sheet" data-sheet="submit" hidden></div>
  <div class="sheet" data-sheet="help" data-testid="help-sheet" hidden></div>
  <div class="sheet" data-sheet="incidental" data-testid="incidental-sheet" hidden></div>
</div>`;

export class PanelElement extends CaretKeeper {
  private readonly root = this.attachShadow({ mode: "open" });
  private room: Room | null = null;
  private readonly ends: (() => void)[] = [];
  /** What ends when another reading is shown. */
  private readonly roomEnds: (() => void)[] = [];
  private list: NodeList | null = null;
  private scheduled = false;

  override connectedCallback(): void {
    super.connectedCallback();
    this.root.adoptedStyleSheets = [panelSheet];
    this.root.innerHTML = FRAME;
    this.list = null;
    this.root.addEventListener("click", this.clicked);
    this.root.addEventListener("change", this.slid);
    this.root.addEventListener("submit", this.signed);
    this.ends.push(watchRoom((room) => this.enter(room)));
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    for (const end of [...this.ends.splice(0), ...this.roomEnds.splice(0)]) end();
    // The browser itself may keep the element: it watches form controls it has seen.
    this.room = null;
    this.list = null;
  }

  private enter(room: Room | null): void {
    this.room = room;
    for (const end of this.roomEnds.splice(0)) end();
    for (const target of room
      ? [
          room.session,
          room.commands,
          room.commands.remap,
          room.next,
          room.telling,
          breaks,
          bindings,
        ]
      : []) {
      target.addEventListener("change", this.schedule);
      this.roomEnds.push(() => target.removeEventListener("change", this.schedule));
    }
    this.schedule();
  }

  private readonly schedule = () => {
    if (this.scheduled) return;
    this.scheduled = true;
    queueMicrotask(() => {
      this.scheduled = false;
      this.render();
    });
  };

  private find<E extends HTMLElement>(selector: string): E | null {
    return this.root.querySelector<E>(selector);
  }

  private render(): void {
    const { room } = this;
    if (!room) return;
    const { session, commands } = room;
    const { nodes } = session;
    write(this.find("header"), headerHtml(session, breaks.offered, room.telling.untoldWords));
    write(this.find(".newer"), newerHtml(room.offering, session.writable));
    this.renderRows(nodes, {
      selected: session.selected,
      rejecting: commands.rejecting,
      placing: commands.placing,
      measuring: room.desk.hands.measuring,
      writable: session.writable,
      reasons: session.detail?.case.protocol.reject_reasons ?? [],
    });
    write(this.find("footer"), footerHtml(session, room.next.found));
    const help = this.find('[data-sheet="help"]');
    if (help) help.hidden = !commands.helpOpen;
    if (commands.helpOpen) write(help, keysHtml(commands.remap));
    const telling = this.find('[data-sheet="incidental"]');
    if (telling) drawTelling(telling, room.telling, session.detail?.grid.shape[0] ?? 0);
    this.renderSubmit();
  }

  private countsHtml(nodes: ShownNode[], listed: number): string {
    const { session, labelmap } = this.room ?? {};
    const decided = nodes.filter(isDecided).length;
    const share = nodes.length ? (100 * decided) / nodes.length : 0;
    const less = listed < nodes.length ? ` · ${listed} listed` : "";
    return `<span class="tally"><span data-testid="counts"><b>${decided}</b> / ${nodes.length} decided${less}</span>
        <span class="track"><i style="width:${share}%"></i></span></span>
      <select data-act="order" data-testid="order" aria-label="Order of the list">${options(ORDERS, session?.order)}</select>
      <select data-act="filter" data-testid="filter" aria-label="Which nodes are listed">${options(FILTERS, session?.filter)}</select>
      <button class="toggle" data-act="hideRejected" data-testid="hide-rejected" aria-pressed="${labelmap?.hideRejected ?? false}"
        title="Hide rejected nodes in the images (${keyFor("hideRejected")})">Hide ✕</button>`;
  }

  private renderRows(nodes: ShownNode[], context: Omit<RowContext, "underSide">): void {
    const { session } = this.room ?? {};
    const list = this.find<HTMLElement>(".list");
    if (!list || !session) return;
    this.list ??= new NodeList(list);
    const shown = this.list.render(session, context);
    write(this.find(".counts"), this.countsHtml(nodes, shown.length));
    const { draft } = session;
    const emptyWords = draft ? "" : this.emptyWords(nodes, shown);
    const empty = this.find(".empty");
    if (empty) {
      empty.hidden = !emptyWords && !draft;
      empty.textContent = draft ? "New node: paint its first voxels." : emptyWords;
    }
  }

  private emptyWords(nodes: ShownNode[], shown: ShownNode[]): string {
    if (shown.length) return "";
    if (nodes.length) return "No node passes this filter.";
    const state = this.room?.session.detail?.ai.state;
    if (!state) return "";
    if (state === "queued" || state === "running") {
      return "The AI is still reading. Its nodes appear here by themselves; you can begin now.";
    }
    return "No nodes yet. Press N and paint the first one.";
  }

  private readonly clicked = (event: Event) => {
    const target = event.target as Element;
    const button = target.closest<HTMLElement>("[data-act]");
    const row = target.closest<HTMLElement>(".row");
    const node = button?.dataset.node ?? row?.dataset.node ?? null;
    if (button && event instanceof MouseEvent && event.detail > 1 && node) return;
    if (button) this.act(button.dataset.act ?? "", node, button.dataset.value ?? "");
    else if (node && !target.closest(".more")) this.room?.commands.goTo(node);
    if (button && !button.closest("form")) button.blur();
  };

  private act(action: string, node: string | null, value: string): void {
    const { room } = this;
    if (!room) return;
    const { commands, session } = room;
    const acts: Record<string, () => void> = {
      accept: () => commands.accept(node),
      askReason: () => node && commands.askReason(node),
      reason: () => node && commands.reject(node, value),
      impression: () => commands.label(value as ImpressionValue, node),
      doubt: () => commands.doubt(node),
      askPlace: () => commands.askPlace(node),
      side: () => node && commands.locate(node, { side: value as Side }),
      setLevel: () => node && commands.locate(node, { level: value }),
      goTo: () => commands.goTo(node),
      continueHere: () => void session.continueHere(),
      applyAgain: () => void session.applyAgain(),
      discardAside: () => void session.discardAside(),
      newer: () => commands.run("newer"),
      goToNewer: () => this.room?.offering.goTo(value),
      takeNewer: () => this.room?.offering.take(),
      leaveNewer: () => this.room?.offering.leave(),
      noBreak: () => breaks.later(),
      cancelRun: () => void session.cancelRun(),
      openSubmit: () => this.showSubmit(true),
      closeSubmit: () => this.showSubmit(false),
      chooseKey: () => commands.remap.choose(value),
      resetKey: () => commands.remap.reset(value),
      resetKeys: () => commands.remap.resetAll(),
      order: () => {},
      filter: () => {},
    };
    const act = acts[action];
    if (act) act();
    else commands.run(action);
  }

  private readonly slid = (event: Event) => {
    const input = event.target as HTMLInputElement;
    const { session } = this.room ?? {};
    if (session && input.dataset.act === "order") session.list({ order: input.value as Order });
    if (session && input.dataset.act === "filter") session.list({ filter: input.value as Filter });
    if (input instanceof HTMLSelectElement) input.blur();
    const node = input.closest<HTMLElement>(".row")?.dataset.node;
    if (node && input.dataset.act === "confidence") {
      this.room?.commands.confidence(node, Number(input.value));
    }
  };

  private showSubmit(open: boolean): void {
    if (!this.room) return;
    this.room.commands.signing = open;
    this.renderSubmit();
  }

  /** Written once when it opens; what it shows is what is signed. */
  private renderSubmit(): void {
    const sheet = this.find('[data-sheet="submit"]');
    const open = this.room?.commands.signing ?? false;
    if (!sheet || !this.room || sheet.hidden === !open) return;
    sheet.hidden = !open;
    sheet.innerHTML = open ? submitHtml(this.room.session) : "";
    if (open) sheet.querySelector("input")?.focus();
  }

  private readonly signed = async (event: Event) => {
    event.preventDefault();
    const form = event.target as HTMLFormElement;
    if (form.dataset.form === "size") {
      const axes = typedAxes(new FormData(form));
      if (axes) this.room?.desk.hands.keepTyped(axes);
      else
        form.querySelector("p")?.replaceChildren("The long axis first; no shorter than the short.");
      return;
    }
    if (form.dataset.form === "incidental") {
      void this.room?.telling.tell(String(new FormData(form).get("words") ?? ""));
      return;
    }
    const password = String(new FormData(form).get("password") ?? "");
    const button = form.querySelector<HTMLButtonElement>("[type=submit]");
    const wrong = form.querySelector(".wrong");
    if (button) button.disabled = true;
    try {
      await this.room?.session.submit(password, form.dataset.head ?? "");
      this.showSubmit(false);
    } catch (error) {
      if (wrong) wrong.textContent = error instanceof Error ? error.message : String(error);
      if (button) button.disabled = false;
    }
  };
}

function options(words: Readonly<Record<string, string>>, chosen = ""): string {
  return Object.entries(words)
    .map(
      ([value, label]) =>
        `<option value="${value}" ${value === chosen ? "selected" : ""}>${label}</option>`,
    )
    .join("");
}
