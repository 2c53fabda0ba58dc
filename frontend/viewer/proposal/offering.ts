// A newer proposal of the AI while a reading is open: what it says otherwise, taken or left one by
// one. Knows nothing of pixels; it announces "change", and "at" when another difference is looked
// at. Whatever is not taken changes nothing.

import { newId } from "../ids";
import type { Session } from "../session";
import type { News } from "../socket";
import type { ProposalClient } from "./client";
import type { Difference, NewerProposal } from "./contract";
import { takingDifference } from "./taking";

/** What the reader left of which proposal: kept with where they were. */
export interface Left {
  mask: string;
  keys: string[];
}

export class Offering extends EventTarget {
  proposal: NewerProposal | null = null;
  /** The list is shown, and its keys are held. */
  active = false;
  /** The difference that is looked at. */
  at: string | null = null;
  failure = "";
  private readonly left = new Set<string>();
  /** With the reader's latest change before and after each was taken. */
  private readonly taken: { key: string; before: string | null; after: string | null }[] = [];
  private leftOf = "";

  constructor(
    private readonly session: Session,
    private readonly client: ProposalClient,
    /** The shown mask follows what was taken. */
    private readonly repaint: (slices: number[]) => void,
  ) {
    super();
  }

  /** What waits for an answer, in the order of the list. */
  get waiting(): Difference[] {
    const done = new Set([...this.left, ...this.taken.map(({ key }) => key)]);
    return this.proposal?.differences.filter(({ key }) => !done.has(key)) ?? [];
  }

  get current(): Difference | null {
    return this.waiting.find(({ key }) => key === this.at) ?? null;
  }

  /** To be kept with where the reader was; nothing where nothing was left. */
  get kept(): Left | undefined {
    return this.left.size ? { mask: this.leftOf, keys: [...this.left] } : undefined;
  }

  restore(kept: Left | undefined): void {
    if (!kept) return;
    this.leftOf = kept.mask;
    for (const key of kept.keys) this.left.add(key);
    this.changed();
  }

  /** Asks what is offered; what is looked at stays where it is. */
  async look(): Promise<void> {
    if (this.session.closed) return this.forget();
    try {
      const found = await this.client.look();
      if (found?.mask !== this.proposal?.mask) this.taken.length = 0;
      if (found && found.mask !== this.leftOf) {
        this.left.clear();
        this.leftOf = found.mask;
      }
      this.proposal = found;
      this.failure = "";
      if (!this.waiting.length) this.end();
    } catch (error) {
      this.failure = error instanceof Error ? error.message : String(error);
    }
    this.changed();
  }

  hear({ type, payload }: News): void {
    if (type === "mask_ready" && payload.offered) void this.look();
    else if (type === "reading.submitted") this.forget();
  }

  toggle(): void {
    if (this.active) this.end();
    else if (this.waiting.length) this.goTo(this.current?.key ?? this.waiting[0]?.key ?? null);
  }

  /** Puts the list away; what was not taken may be looked at again. */
  end(): void {
    this.active = false;
    this.at = null;
    this.changed();
  }

  goTo(key: string | null): void {
    if (!this.waiting.some((one) => one.key === key)) return;
    this.active = true;
    this.at = key;
    this.dispatchEvent(new Event("at"));
    this.changed();
  }

  step(by: 1 | -1): void {
    const { waiting } = this;
    const place = waiting.findIndex(({ key }) => key === this.at);
    const next = waiting[Math.min(waiting.length - 1, Math.max(0, place + by))];
    if (next) this.goTo(next.key);
  }

  /** Makes what is looked at the reader's: one change, undone as any other. */
  take(): boolean {
    const { session, current, proposal } = this;
    const { mask, detail } = session;
    if (!current || !proposal || !mask || !detail || !session.writable) return false;
    const before = session.latest;
    const source = { mask: proposal.mask, nodes: current.nodes.map(({ uuid }) => uuid) };
    if (current.kind === "gone") {
      for (const { uuid } of current.present) {
        session.decide(uuid, "rejected", "other", source);
      }
    } else {
      const gone = session.nodes.filter(({ decision }) => decision === "rejected");
      const free = new Set(gone.map(({ uuid }) => mask.numberOf(uuid) ?? 0));
      const patch = takingDifference(current, mask, detail.grid.sop_uids, newId, free);
      if (!patch) return false;
      if (!session.paint(patch, { proposal: source })) {
        this.failure = session.notice;
        this.changed();
        return false;
      }
      this.repaint(patch.slices.map(({ index }) => index));
      session.select(patch.nodes[0] ?? null);
    }
    const { latest: after } = session;
    this.advance(() => this.taken.push({ key: current.key, before, after }));
    return true;
  }

  /** Leaves what is looked at as the reader has it. */
  leave(): void {
    const { current } = this;
    if (current) this.advance(() => this.left.add(current.key));
    else this.end();
  }

  /** Offers again what was taken last, once that is undone; false where something else was. */
  back(): boolean {
    const { session } = this;
    const last = this.taken.at(-1);
    if (!this.active || !last || !session.undoable || last.after !== session.latest) return false;
    // Nodes that are gone together were decided one by one.
    while (session.latest !== last.before) session.undo();
    this.taken.pop();
    this.goTo(last.key);
    return true;
  }

  private advance(answer: () => void): void {
    const place = this.waiting.findIndex(({ key }) => key === this.at);
    answer();
    const next = this.waiting[Math.min(place, this.waiting.length - 1)];
    if (next) this.goTo(next.key);
    else this.end();
  }

  private forget(): void {
    this.proposal = null;
    this.end();
  }

  private changed(): void {
    this.dispatchEvent(new Event("change"));
  }
}
