// The settle phase: which disagreement is looked at, the verb whose rationale is being written,
// and the shape in the hand.

import type { SettleSession } from "./consensus";
import type { Resolution } from "./contract";
import type { ShownDiscrepancy } from "./projection";
import type { Offered } from "./shown";
import type { RedrawStart, SettleStage, Shape } from "./stage";
import { stepsSince } from "./tidings";
import { loadingWords } from "./words";

/** A verb chosen, whose rationale is being written. */
export interface Choice {
  discrepancy: string;
  verb: "propose" | "agree" | "defer" | "resolve";
  resolution: Resolution | "";
  /** The version that was on screen when the verb was chosen. */
  seen: number;
  step: string;
  shape: Shape | null;
}

const TAKES: Record<string, Resolution> = {
  takeX: "X",
  takeY: "Y",
  takeAI: "AI",
  union: "union",
  intersection: "intersection",
  absent: "absent",
  indeterminate: "indeterminate",
};
const STARTS: Record<string, RedrawStart> = {
  fromX: "x",
  fromY: "y",
  fromUnion: "union",
  fromEmpty: "empty",
};

export class Settling {
  choice: Choice | null = null;
  /** The other reader is at this screen, and answers these. */
  here: Offered[] | null = null;
  /** What was written for a discrepancy and not sent. */
  readonly drafts = new Map<string, string>();
  /** What the outline was last drawn for. */
  private followed = "";

  constructor(
    private readonly session: SettleSession,
    private readonly stage: SettleStage,
    private readonly focus: (target: string) => void,
  ) {}

  run(action: string): void {
    const take = TAKES[action];
    const start = STARTS[action];
    if (take) this.choose(take);
    else if (start) this.redraw(start);
    else if (action === "redraw") this.redraw();
    else if (action === "drawn") this.drawn();
    else if (action === "agree") this.agree();
    else if (action === "defer") this.defer();
    else if (action === "agreeHere") this.offer();
  }

  get redrawing(): boolean {
    return this.stage.redraw.cluster !== null;
  }

  begin(): void {
    const first = this.session.nextWaiting(null) ?? this.session.rows[0]?.found;
    if (first) this.goTo(first.id);
  }

  // Moving about

  goTo(id: string): void {
    const { session } = this;
    if (id !== session.selected && !this.mayLeave()) return;
    if (this.choice && this.choice.discrepancy !== id) this.choice = null;
    if (id !== session.selected) this.here = null;
    session.select(id);
    this.lookAt();
  }

  step(by: 1 | -1): void {
    const { rows, selected } = this.session;
    const at = rows.findIndex(({ place }) => place.id === selected);
    const next = rows[Math.min(rows.length - 1, Math.max(0, at + by))];
    if (next) this.goTo(next.place.id);
  }

  nextWaiting(): boolean {
    const next = this.session.nextWaiting();
    if (next) this.goTo(next.id);
    return Boolean(next);
  }

  /** A shape in the hand is not lost by looking elsewhere. */
  mayLeave(): boolean {
    if (!this.redrawing) return true;
    if (this.stage.redraw.undoable) {
      this.session.warn("Finish the shape (Enter) or leave it (Esc) first.");
      return false;
    }
    this.stage.redraw.end();
    return true;
  }

  lookAt(): void {
    const found = this.session.discrepancy();
    const cluster = this.session.cluster(found?.cluster);
    if (cluster) this.stage.show(cluster);
    this.preview();
  }

  /** The outline of what is chosen, else of what is proposed or decided. */
  preview(): void {
    const { choice, session, stage } = this;
    const found = session.discrepancy();
    if (!found) return;
    const { proposal } = found;
    if (choice && choice.verb !== "agree" && choice.resolution) stage.preview(choice.resolution);
    else if (this.redrawing) stage.preview("redrawn");
    else if (proposal) {
      // A redrawn shape is the server's to show, once it has it.
      const coming = proposal.resolution === "redrawn" && found.saving;
      stage.preview(coming ? null : proposal.resolution, { step: proposal.step });
    } else {
      const decided = found.resolution as Resolution | null;
      const known = session.detail?.resolutions.includes(decided ?? "redrawn");
      stage.preview(known && decided !== "redrawn" ? decided : null, undefined, true);
    }
  }

  /** Somebody else's step changes the outline, and may end what was being written. */
  follow(): void {
    const { choice, session } = this;
    const found = choice && session.discrepancy(choice.discrepancy);
    const looked = session.discrepancy();
    const now = looked ? `${looked.id} ${looked.version} ${looked.saving}` : "";
    if (found && !found.possible.includes(choice.verb)) this.lookAgain(found);
    else if (now !== this.followed) this.preview();
    this.followed = now;
  }

  // Deciding

  /** Why a resolution cannot be chosen here; "" when it can. */
  refusal(resolution: Resolution, found = this.session.discrepancy()): string {
    const { detail } = this.session;
    if (!found || !detail) return "Select a row first.";
    if (!detail.resolutions.includes(resolution) || (resolution === "AI" && !detail.show_ai)) {
      return "This protocol does not know it.";
    }
    if (!found.possible.includes("propose") && !found.possible.includes("resolve")) {
      return whyNot(found);
    }
    const coming = loadingWords(this.stage.loading);
    if (coming) return coming;
    if (resolution === "AI" && !this.stage.sizeOf("AI")) return "The AI has nothing here.";
    const cluster = this.session.cluster(found.cluster);
    const missing = !cluster?.x ? "X" : !cluster?.y ? "Y" : "";
    if (missing === resolution) return `${missing} has nothing here: that is "absent".`;
    const both = resolution === "union" || resolution === "intersection";
    return missing && both ? `Only ${missing === "X" ? "Y" : "X"} has it.` : "";
  }

  choose(resolution: Resolution, shape: Shape | null = null): void {
    const found = this.session.discrepancy();
    const refusal = this.refusal(resolution, found);
    if (refusal || !found) {
      this.session.warn(refusal);
      return;
    }
    const { proposal, possible } = found;
    const same = resolution !== "redrawn" && proposal?.resolution === resolution;
    if (same && possible.includes("agree")) this.agree();
    else if (shape || this.mayLeave()) {
      this.open(found, possible.includes("resolve") ? "resolve" : "propose", resolution, shape);
    }
  }

  private agree(): void {
    const found = this.session.discrepancy();
    const coming = loadingWords(this.stage.loading);
    if (!found?.possible.includes("agree") || !found.proposal) {
      this.session.warn(found ? whyNot(found) : "");
    } else if (coming) {
      this.session.warn(coming);
    } else if (this.mayLeave()) {
      this.open(found, "agree", found.proposal.resolution);
    }
  }

  private defer(): void {
    const found = this.session.discrepancy();
    if (!found?.possible.includes("defer")) this.session.warn(found ? whyNot(found) : "");
    else if (this.mayLeave()) this.open(found, "defer", "");
  }

  /** Lays out what waits for the other reader, who is here and agrees with their own password. */
  private offer(): void {
    const { offered, detail } = this.session;
    if (detail?.role !== "reader" || !offered.length) {
      this.session.warn("Nothing of yours waits for the other reader.");
    } else if (this.mayLeave()) {
      this.choice = null;
      this.here = offered;
      this.session.notice = "";
      this.focus("here");
    }
  }

  /** Agreed to as it was laid out; what changed since is refused by the server. */
  async agreeHere(username: string, password: string): Promise<void> {
    if (!this.here) return;
    await this.session.agreeHere(username, password, this.here);
    this.here = null;
    const next = this.session.nextWaiting();
    if (next) this.goTo(next.id);
    this.focus("");
  }

  private open(
    found: ShownDiscrepancy,
    verb: Choice["verb"],
    resolution: Resolution | "",
    shape: Shape | null = null,
  ): void {
    const { id: discrepancy, version: seen, proposal } = found;
    this.choice = { discrepancy, verb, resolution, seen, shape, step: proposal?.step ?? "" };
    this.here = null;
    this.session.notice = "";
    this.preview();
    this.focus("rationale");
  }

  /** What was written before; one's own reasons do not speak for what the other proposes. */
  draft(id: string, verb: Choice["verb"] = "propose"): string {
    if (verb === "agree") return this.drafts.get(agreeing(id)) ?? "";
    return this.drafts.get(id) ?? this.session.overtaken.get(`d:${id}`)?.rationale ?? "";
  }

  keep({ discrepancy, verb }: Choice, words: string): void {
    this.drafts.set(verb === "agree" ? agreeing(discrepancy) : discrepancy, words);
  }

  /** Sends the chosen verb; what somebody else did in the meantime is shown first. */
  send(written: string): void {
    const { choice, session } = this;
    const found = choice && session.discrepancy(choice.discrepancy);
    if (!choice || !found) return;
    const rationale = written.trim();
    this.keep(choice, rationale);
    if (found.version !== choice.seen) {
      this.lookAgain(found);
    } else if (!rationale && choice.verb !== "agree") {
      session.warn("Say why in a few words; ↓ walks through phrases.");
      this.focus("rationale");
    } else {
      this.choice = null;
      for (const kept of [found.id, agreeing(found.id)]) this.drafts.delete(kept);
      this.sendChoice(choice, rationale);
      if (this.redrawing) this.stage.redraw.end();
      this.goTo((session.nextWaiting(found.id) ?? found).id);
      this.focus("");
    }
  }

  private sendChoice(choice: Choice, rationale: string): void {
    const { verb, resolution, shape, step, seen, discrepancy } = choice;
    const base = { discrepancy, seen };
    if (verb === "agree") {
      this.session.act({ kind: verb, ...base, step, ...(rationale && { rationale }) });
    } else if (verb === "defer") {
      this.session.act({ kind: verb, ...base, rationale });
    } else if (resolution) {
      // What was painted since is sent, too: the shape is the one on screen.
      const drawn = resolution === "redrawn" ? this.stage.redraw.shape() : null;
      const now = drawn ?? shape;
      this.session.act({ kind: verb, ...base, resolution, rationale, ...(now && { shape: now }) });
    }
  }

  /** The other reader acted while this person wrote: nothing is sent over it unseen. */
  private lookAgain(found: ShownDiscrepancy): void {
    const { choice, session } = this;
    if (!choice) return;
    session.overtaken.set(`d:${found.id}`, {
      kind: choice.verb,
      what: choice.resolution,
      rationale: this.draft(found.id, choice.verb),
      since: stepsSince(found, choice.seen),
      message: "",
    });
    choice.seen = found.version;
    choice.step = found.proposal?.step ?? "";
    if (choice.verb === "agree") choice.resolution = found.proposal?.resolution ?? "";
    if (!found.possible.includes(choice.verb)) this.choice = null;
    this.preview();
  }

  /** Back by one: from the rationale, else from the shape in the hand. */
  cancel(): boolean {
    if (this.choice) this.choice = null;
    else if (this.here) this.here = null;
    else if (this.redrawing) this.stage.redraw.end();
    else return false;
    this.preview();
    return true;
  }

  // Redrawing

  private redraw(from?: RedrawStart): void {
    const found = this.session.discrepancy();
    const refusal = this.refusal("redrawn", found);
    const cluster = this.session.cluster(found?.cluster);
    if (refusal || !cluster) {
      this.session.warn(refusal);
      return;
    }
    this.choice = null;
    this.stage.redraw.begin(cluster, from ?? (cluster.x ? "x" : "y"));
    this.preview();
  }

  private drawn(): void {
    const shape = this.stage.redraw.shape();
    if (shape) this.choose("redrawn", shape);
    else this.session.warn("Nothing is drawn yet. Paint with the brush, or leave with Esc.");
  }
}

/** Where the words beside an agreement are kept, apart from those for a choice of one's own. */
function agreeing(id: string): string {
  return `agree ${id}`;
}

/** Why nothing can be done about it, as a sentence. */
export function whyNot(found: ShownDiscrepancy): string {
  if (found.by_rule) return "A rule of the protocol decided it.";
  if (found.state === "deferred") return "It waits for the adjudicator.";
  if (found.state === "resolved" || found.state === "indeterminate") return "It is decided.";
  const waits = found.state === "proposed" && !found.possible.includes("agree");
  return waits ? "It waits for the other reader's answer." : "You cannot do that here.";
}
