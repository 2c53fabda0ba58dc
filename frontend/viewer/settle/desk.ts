// What keys and buttons do on the settling screen: one verb each, in the phase that is open.

import { Remap } from "../keys/remap";
import type { WindowName } from "../views";
import type { SettleSession } from "./consensus";
import type { ConsensusState, Whereabouts } from "./contract";
import { keyFor, type Phase, SETTLE_KEYS } from "./keys";
import { Labelling } from "./labelling";
import { waitsForMe } from "./projection";
import { Settling } from "./settling";
import { type StageLayout, type ToolStage, turnOver } from "./stage";

export type Tab = "settle" | "label" | "sign";
export const TABS: readonly Tab[] = ["settle", "label", "sign"];

const TAB_OF: Record<ConsensusState, Tab> = {
  draft: "settle",
  labelling: "label",
  ready: "sign",
  signing: "sign",
  published: "sign",
  superseded: "sign",
};

/** `next` stands for the key that leads on. */
const NEWS_OF: Record<ConsensusState, string> = {
  draft: "Disagreements are open again.",
  labelling: "Now the labels: next goes on.",
  ready: "Every node is labelled: next leads to the signatures.",
  signing: "The first signature is given.",
  published: "Published.",
  superseded: "A later version took its place.",
};

/** Announces "change", and "focus" (detail: what should have the caret, "" for the list). */
export class Desk extends EventTarget {
  tab: Tab = "settle";
  helpOpen = false;
  readonly remap = new Remap(SETTLE_KEYS);
  readonly settling: Settling;
  readonly labelling: Labelling;
  private shownAgreed = false;
  /** How X and Y were laid out before the agreed nodes took their place. */
  private layout: StageLayout = "side_by_side";
  private state: ConsensusState | null = null;

  constructor(
    readonly session: SettleSession,
    readonly stage: ToolStage,
  ) {
    super();
    const focus = (target: string) => this.focus(target);
    this.settling = new Settling(session, stage, focus);
    this.labelling = new Labelling(session, stage, focus);
  }

  /** Where the work stands when the screen opens. */
  begin(): void {
    const { detail } = this.session;
    if (!detail) return;
    this.state = detail.state;
    this.settling.begin();
    this.show(TAB_OF[detail.state]);
  }

  get phase(): Phase {
    if (this.tab === "settle") {
      if (!this.settling.redrawing) return "settle";
      return this.settling.choice ? "say" : "redraw";
    }
    if (this.tab === "label") return this.labelling.edit?.kind === "evidence" ? "pick" : "label";
    return "sign";
  }

  run(action: string, stroke = ""): void {
    if (action !== "help" && action !== "cancel" && this.helpOpen) this.help();
    const verb = this.verbs[action];
    if (verb) verb();
    else if (this.tab === "label") this.labelling.run(action, stroke);
    else if (this.tab === "settle") this.settling.run(action);
    this.changed();
  }

  private readonly verbs: Record<string, () => void> = {
    previous: () => this.step(-1),
    next: () => this.step(1),
    nextWaiting: () => this.nextWaiting(),
    brush: () => this.stage.tool("brush"),
    eraser: () => this.stage.tool("eraser"),
    smaller: () => this.stage.resizeBrush(-1),
    larger: () => this.stage.resizeBrush(1),
    undo: () => this.stage.redraw.undo(),
    overlay: () => turnOver(this.stage),
    map: () => this.stage.map(!this.stage.mapNow),
    difference: () => this.stage.difference(!this.stage.differenceNow),
    ai: () => this.stage.ai(!this.stage.aiNow),
    reset: () => this.stage.reset(),
    soft: () => this.stage.window("soft"),
    narrow: () => this.window("narrow"),
    bone: () => this.window("bone"),
    lung: () => this.window("lung"),
    phaseBefore: () => this.show(TABS[TABS.indexOf(this.tab) - 1] ?? this.tab),
    phaseAfter: () => this.show(TABS[TABS.indexOf(this.tab) + 1] ?? this.tab),
    join: () => this.join(),
    cancel: () => this.cancel(),
    help: () => this.help(),
  };

  /** What this person looks at, as the others are told. */
  get whereabouts(): Whereabouts {
    const { session, tab } = this;
    return {
      phase: tab,
      discrepancy: tab === "settle" ? session.selected : null,
      node: tab === "label" ? session.node : null,
    };
  }

  /** Looks where somebody else looks. */
  private join(): void {
    const [other] = this.session.present;
    if (!other) {
      this.session.notice = "Nobody else is here.";
      return;
    }
    this.show(other.phase);
    if (this.tab !== other.phase) return;
    if (other.discrepancy) this.settling.goTo(other.discrepancy);
    if (other.node !== null) this.labelling.goTo(other.node);
  }

  private help(): void {
    this.remap.leave();
    this.helpOpen = !this.helpOpen;
  }

  private window(name: WindowName): void {
    this.stage.window(this.stage.windowNow === name ? "soft" : name);
  }

  private cancel(): void {
    if (this.helpOpen) this.help();
    else if (this.tab === "settle") this.settling.cancel();
    else this.labelling.cancel();
    this.focus("");
  }

  /** Whether a phase can be looked at yet. */
  opened(tab: Tab): boolean {
    return tab === "settle" || (this.session.detail?.state ?? "draft") !== "draft";
  }

  show(tab: Tab): void {
    if (!this.opened(tab)) {
      this.session.warn("The labels follow once every disagreement is settled.");
      return;
    }
    if (this.tab === "settle" && tab !== "settle" && !this.settling.mayLeave()) return;
    if (tab !== this.tab) this.session.notice = "";
    this.tab = tab;
    if (tab === "settle") {
      if (this.shownAgreed) {
        this.stage.readers();
        this.stage.layout(this.layout);
      }
      this.shownAgreed = false;
      this.settling.lookAt();
    } else {
      this.showAgreed();
      if (this.session.node === null) this.labelling.begin();
    }
    this.changed();
  }

  /** The images are there: agreed nodes asked for while they came are asked for again. */
  shown(): void {
    if (!this.shownAgreed) return;
    this.shownAgreed = false;
    this.showAgreed();
  }

  private showAgreed(): void {
    if (this.shownAgreed) return;
    this.shownAgreed = true;
    if (this.stage.phase === "settle") this.layout = this.stage.layoutNow;
    const { session, stage } = this;
    stage
      .agreed()
      .then(() => {
        if (session.node !== null && this.shownAgreed) stage.showNode(session.node);
      })
      .catch((error: unknown) => {
        this.shownAgreed = false;
        const why = error instanceof Error ? error.message : "";
        session.warn(`The agreed nodes cannot be shown. ${why}`);
        this.changed();
      });
  }

  private step(by: 1 | -1): void {
    if (this.tab === "label") this.labelling.step(by);
    else this.settling.step(by);
  }

  /** The next that waits here, else the next phase. */
  private nextWaiting(): void {
    const on = this.tab === "label" ? this.labelling.nextWaiting() : this.settling.nextWaiting();
    const after = TABS[TABS.indexOf(this.tab) + 1];
    if (on) return;
    if (after && this.opened(after)) this.show(after);
    else this.session.notice = "Nothing waits for you here.";
  }

  /** A stroke was made or undone. */
  redrawn(): void {
    if (!this.settling.choice) this.settling.preview();
    this.changed();
  }

  /** The truth changed: what somebody else did may end what was half done. */
  follow(): void {
    this.tellPhase();
    if (this.tab === "settle") this.settling.follow();
    else if (this.session.detail?.state === "draft") this.show("settle");
    this.changed();
  }

  /** The work moved into another phase: says so, and moves nobody there. */
  private tellPhase(): void {
    const { state } = this.session.detail ?? {};
    if (!state || state === this.state) return;
    const before = this.state;
    this.state = state;
    if (before)
      this.session.notice = NEWS_OF[state].replace("next", keyFor("nextWaiting") || "“Next”");
  }

  /** How many things of a phase wait for this person. */
  waiting(tab: Tab): number {
    const { session } = this;
    const role = session.detail?.role ?? "observer";
    if (tab === "settle") return session.discrepancies.filter((d) => waitsForMe(d, role)).length;
    if (tab === "label") return session.nodes.filter((n) => this.labelling.waits(n)).length;
    return session.detail?.signing?.can_sign ? 1 : 0;
  }

  private focus(target: string): void {
    this.dispatchEvent(new CustomEvent("focus", { detail: target }));
  }

  changed(): void {
    this.dispatchEvent(new Event("change"));
  }
}
