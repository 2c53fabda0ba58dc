// The settling screen's panel: a web component in its own shadow root. Every part is written only
// when it differs, so that focus, what is typed and what is folded survive the other reader.

import { CaretKeeper } from "../../caret";
import { write } from "../../html";
import { panelSheet } from "../../panel/styles";
import type { Desk, Tab } from "../desk";
import type { SettleRoom } from "../session";
import { watchSettling } from "../session";
import { Forms } from "./forms";
import { headerHtml, tabsHtml } from "./header";
import { helpHtml } from "./help";
import { LineList } from "./lines";
import { editHtml, labelVerbsHtml, nodeHtml, nodeLines } from "./nodes";
import { placeHtml } from "./place";
import { settleLines } from "./rows";
import { hereHtml, sayHtml, verbsHtml } from "./say";
import { hashHtml, signFormsHtml, summaryHtml } from "./sign";
import { settleSheet } from "./styles";

const FRAME = `<section class="panel" data-testid="settle-panel" aria-label="Consensus">
  <header></header>
  <div class="tabs" role="tablist" aria-label="Phases"></div>
  <div id="work" class="work" role="tabpanel">
    <div class="list" role="group" aria-label="List" data-testid="settle-list"></div>
    <div class="summary" role="region" aria-label="What is signed" tabindex="0" data-testid="sign-summary" hidden></div>
    <div class="strip"><p class="notice" role="status" aria-live="polite" data-testid="settle-notice"></p>
    <button class="order" data-act="arrange" data-testid="arrange" title="The other reader changed some rows where they stand" hidden>Sort again</button></div>
    <div class="desk">
      <div class="place" role="region" aria-label="What is looked at" tabindex="0"></div>
      <div class="say"></div>
      <div class="do"></div>
      <div class="signing"></div>
    </div>
  </div>
  <div class="sheet" role="dialog" aria-label="Keys" data-sheet="help" data-testid="help-sheet" tabindex="-1" hidden></div>
</section>`;

export class SettlePanelElement extends CaretKeeper {
  private readonly root = this.attachShadow({ mode: "open" });
  private readonly forms = new Forms(this.root);
  private room: SettleRoom | null = null;
  private list: LineList | null = null;
  private readonly ends: (() => void)[] = [];
  private readonly hearing: (() => void)[] = [];
  private readonly unfolded = new Set<string>();
  private scheduled = false;
  private wished = "";

  override connectedCallback(): void {
    super.connectedCallback();
    this.root.adoptedStyleSheets = [panelSheet, settleSheet];
    this.root.innerHTML = FRAME;
    this.list = new LineList(this.find(".list"));
    this.root.addEventListener("click", this.clicked);
    this.root.addEventListener("keydown", this.pressed as EventListener);
    this.ends.push(
      this.forms.listen(),
      watchSettling((room) => this.enter(room)),
    );
  }

  override disconnectedCallback(): void {
    super.disconnectedCallback();
    for (const end of [...this.ends.splice(0), ...this.hearing.splice(0)]) end();
  }

  private enter(room: SettleRoom | null): void {
    for (const end of this.hearing.splice(0)) end();
    this.room = room;
    this.forms.room = room;
    const targets = [room?.session, room?.desk].filter((target) => target !== null);
    for (const target of targets) {
      target?.addEventListener("change", this.schedule);
      this.hearing.push(() => target?.removeEventListener("change", this.schedule));
    }
    const desk = room?.desk;
    if (desk) {
      desk.addEventListener("focus", this.wish);
      this.hearing.push(() => desk.removeEventListener("focus", this.wish));
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

  private readonly wish = (event: Event) => {
    this.wished = (event as CustomEvent<string>).detail || "list";
    this.schedule();
  };

  private find(selector: string): HTMLElement {
    return this.root.querySelector(selector) as HTMLElement;
  }

  private render(): void {
    const { session, desk, failure, stage } = this.room ?? {};
    if (!session) return;
    write(this.find("header"), headerHtml(session, failure ?? "", stage?.loading));
    this.say(session.notice, session.alarm);
    if (!desk) return;
    const { tab } = desk;
    write(this.find(".tabs"), tabsHtml(desk));
    this.find(".work").setAttribute("aria-labelledby", `tab-${tab}`);
    this.find(".panel").dataset.tab = tab;
    this.find(".order").hidden = tab !== "settle" || !session.disordered;
    this.find(".list").hidden = tab === "sign";
    this.find(".summary").hidden = tab !== "sign";
    if (tab !== "sign") {
      this.list?.show(tab === "settle" ? settleLines(session, this.unfolded) : nodeLines(session));
    }
    this.renderDesk(desk, tab);
    this.renderHelp(desk);
    this.focusWish();
  }

  private renderHelp({ helpOpen: open, remap }: Desk): void {
    const help = this.find(".sheet");
    const turned = help.hidden === open;
    help.hidden = !open;
    write(help, open ? helpHtml(remap) : "");
    if (!turned) return;
    if (open) help.focus();
    else this.list?.focusCurrent();
  }

  /** Two lines always, so that nothing moves; the whole of it on pointing. */
  private say(words: string, alarm: boolean): void {
    const line = this.find(".notice");
    line.classList.toggle("warn", alarm);
    if (line.textContent === words) return;
    line.textContent = words;
    line.title = words;
  }

  private renderDesk(desk: Desk, tab: Tab): void {
    const { session, settling, labelling } = desk;
    const parts: Record<Tab, [string, string, string, string]> = {
      settle: [
        placeHtml(desk),
        verbsHtml(desk),
        sayHtml(settling.choice, desk) || hereHtml(desk),
        "",
      ],
      label: [nodeHtml(desk), labelVerbsHtml(desk), editHtml(labelling.edit, desk), ""],
      sign: ["", hashHtml(session), "", signFormsHtml(session)],
    };
    if (tab === "sign") write(this.find(".summary"), summaryHtml(session));
    [".place", ".do", ".say", ".signing"].forEach((part, at) => {
      write(this.find(part), parts[tab][at] ?? "");
    });
    this.forms.fill();
  }

  private focusWish(): void {
    const { wished } = this;
    this.wished = "";
    if (!wished) return;
    if (wished === "list") {
      const active = this.root.activeElement;
      if (active instanceof HTMLInputElement) active.blur();
      if (active) this.list?.focusCurrent();
    } else if (wished === "evidence") {
      this.root.querySelector<HTMLElement>(".picker input, #words")?.focus();
    } else {
      const targets: Record<string, string> = { rationale: "#rationale", here: "#here-user" };
      const target = targets[wished] ?? "#reason, #words";
      const field = this.root.querySelector<HTMLInputElement>(target);
      field?.focus();
      field?.setSelectionRange(field.value.length, field.value.length);
    }
  }

  // What the hand does

  private readonly clicked = (event: Event) => {
    const button = (event.target as Element).closest<HTMLElement>("[data-act]");
    if (!button || button.hasAttribute("disabled")) return;
    this.act(button.dataset.act ?? "", button.dataset.value ?? "");
    const byMouse = event instanceof MouseEvent && event.detail > 0;
    if (byMouse && !button.closest("form")) button.blur();
  };

  private act(action: string, value: string): void {
    const { desk } = this.room ?? {};
    if (action === "reload") location.reload();
    if (!desk) return;
    const { session, settling, labelling } = desk;
    const acts: Record<string, () => void> = {
      "": () => {},
      tab: () => desk.show(value as Tab),
      row: () => settling.goTo(value),
      node: () => labelling.goTo(Number(value)),
      fold: () => void (this.unfolded.delete(value) || this.unfolded.add(value)),
      arrange: () => session.arrange(),
      phrase: () => this.forms.phrase(value),
      chooseKey: () => desk.remap.choose(value),
      resetKey: () => desk.remap.reset(value),
      resetKeys: () => desk.remap.resetAll(),
      see: () => {
        desk.show("settle");
        settling.goTo(value);
      },
      seeNode: () => labelling.goTo(Number(value)),
      toNode: () => {
        desk.show("label");
        labelling.goTo(Number(value));
      },
    };
    const act = acts[action];
    if (act) act();
    else desk.run(action);
    desk.changed();
  }

  /** Tabs go by the arrows, as tabs do; Enter in the picker sets the label. */
  private readonly pressed = (event: KeyboardEvent) => {
    const target = event.composedPath()[0] as HTMLElement;
    if (target.getAttribute("role") !== "tab") return;
    const by = { ArrowLeft: "phaseBefore", ArrowRight: "phaseAfter" }[event.key];
    if (!by) return;
    event.preventDefault();
    this.room?.desk?.run(by);
    queueMicrotask(() => this.root.querySelector<HTMLElement>('[aria-selected="true"]')?.focus());
  };
}
