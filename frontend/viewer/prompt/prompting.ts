// Adding a missed node with one click: what was clicked, what was asked, what is proposed.
// Knows nothing of pixels; it announces "change". Nothing moves under the reader's hands: an
// answer to anything but the last question is ignored.

import { ApiError, Unreachable } from "../api";
import type { Voxel } from "../contract";
import { newId } from "../ids";
import { FULL } from "../numbers";
import type { Session } from "../session";
import type { News } from "../socket";
import type { PromptClient } from "./client";
import type { Click, PromptAnswer, Proposal } from "./contract";
import { taking } from "./shape";

/** The socket brings the answer; after this long it is asked for as well. */
const LOOK_AGAIN_MS = 2000;
/** The server gives up earlier; this is for a server that says nothing at all. */
const NO_ANSWER_MS = 30_000;

interface Step {
  clicks: Click[];
  proposal: Proposal | null;
  prompt: string | null;
}

export class Prompting extends EventTarget {
  active = false;
  /** The node that is refined; null while a new one is looked for. */
  node: string | null = null;
  failure = "";
  /** When the question that waits was asked. */
  askedAt = 0;
  private steps: Step[] = [];
  private asking: string | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly session: Session,
    private readonly client: PromptClient,
    /** The shown mask follows a proposal that was taken. */
    private readonly repaint: (slices: number[]) => void,
  ) {
    super();
  }

  /** Not where the AI is hidden or there is none. */
  get offered(): boolean {
    return (this.session.detail?.ai.state ?? "none") !== "none";
  }

  get available(): boolean {
    return this.offered && this.session.writable;
  }

  private get last(): Step | undefined {
    return this.steps[this.steps.length - 1];
  }

  get clicks(): readonly Click[] {
    return this.last?.clicks ?? [];
  }

  /** What is shown hatched: the last answer, also while the next one is waited for. */
  get proposal(): Proposal | null {
    return [...this.steps].reverse().find(({ proposal }) => proposal)?.proposal ?? null;
  }

  get waiting(): boolean {
    return this.asking !== null;
  }

  get prompt(): string | null {
    return this.last?.prompt ?? null;
  }

  toggle(): void {
    if (this.active) this.leave();
    else if (this.available) this.active = true;
    else if (this.offered) {
      this.session.notice = "Another tab writes this reading. Continue here to add a node.";
      this.session.changed();
    }
    this.changed();
  }

  /** Puts the tool away; what was proposed and not taken is dropped. */
  leave(): void {
    this.drop();
    this.active = false;
    this.changed();
  }

  click(at: Voxel, within: boolean): void {
    if (!this.active || !this.available) return;
    if (this.steps.length === 0) {
      this.node = this.refined(at, within);
      if (!within && !this.node) {
        this.say("Click into the node first.");
        return;
      }
      if (!this.node && this.session.refusesMore()) {
        this.say(FULL);
        return;
      }
    }
    const before = this.clicks.length ? this.clicks : this.anchor(within);
    this.steps.push({ clicks: [...before, { at, within }], proposal: null, prompt: null });
    void this.ask();
  }

  /** A first click on the selected node refines that node. */
  private refined(at: Voxel, within: boolean): string | null {
    const { mask, selected } = this.session;
    const own = selected ? mask?.numberOf(selected) : undefined;
    if (!own) return null;
    return !within || mask?.labelAt(...at) === own ? selected : null;
  }

  /** A refinement that only takes away still says where the node is. */
  private anchor(within: boolean): Click[] {
    const centre = this.session.node(this.node)?.measures?.centroid_vox;
    if (within || !centre) return [];
    return [{ at: centre.map(Math.round) as Voxel, within: true }];
  }

  /** Asks again what was asked last. */
  retry(): void {
    if (this.last && !this.waiting) void this.ask();
  }

  /** Back to the proposal before the last click; false when there is nothing to take back. */
  back(): boolean {
    if (!this.active || this.steps.length === 0) return false;
    this.forget();
    this.steps.pop();
    this.failure = "";
    this.changed();
    return true;
  }

  /** Forgets clicks and proposal; false when there are none. */
  drop(): boolean {
    if (this.steps.length === 0) return false;
    this.forget();
    this.steps = [];
    this.node = null;
    this.failure = "";
    this.changed();
    return true;
  }

  /** Makes the proposal part of the mask: one change, that can be undone as any other. */
  take(): string | null {
    const { session } = this;
    const { mask, detail } = session;
    const { proposal, prompt } = this.last ?? {};
    if (!mask || !detail || this.waiting || !proposal || !prompt) return null;
    const node = this.node ?? newId();
    const gone = session.nodes.filter(({ decision }) => decision === "rejected");
    const free = new Set(gone.map(({ uuid }) => mask.numberOf(uuid) ?? 0));
    const patch = taking(proposal, mask, detail.grid.sop_uids, node, free);
    if (!patch) return null;
    if (!session.paint(patch, { prompt })) {
      this.say(session.notice);
      return null;
    }
    this.steps = [];
    this.node = null;
    this.failure = "";
    this.repaint(patch.slices.map(({ index }) => index));
    session.select(node);
    this.changed();
    return node;
  }

  hear({ type, payload }: News): void {
    if (type !== "prompt.changed" || payload.prompt !== this.asking) return;
    if (payload.state !== "waiting") void this.look(String(payload.prompt));
  }

  private async ask(): Promise<void> {
    this.forget();
    const step = this.last;
    const { leaseId } = this.session;
    if (!step || !leaseId) return;
    const id = newId();
    this.asking = id;
    this.askedAt = performance.now();
    this.failure = "";
    this.changed();
    const question = { id, lease: leaseId, clicks: step.clicks, node: this.node };
    try {
      this.settle(await this.client.ask(question));
      this.watch(id);
    } catch (error) {
      this.failed(id, error);
    }
  }

  private watch(id: string): void {
    if (this.asking !== id) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.look(id), LOOK_AGAIN_MS);
  }

  private async look(id: string): Promise<void> {
    try {
      this.settle(await this.client.look(id));
      if (this.asking === id && performance.now() - this.askedAt > NO_ANSWER_MS) {
        return this.failed(id, new Error("No answer came. Your clicks are kept: ask again."));
      }
      this.watch(id);
    } catch (error) {
      if (error instanceof Unreachable && performance.now() - this.askedAt < NO_ANSWER_MS) {
        this.watch(id);
      } else this.failed(id, error);
    }
  }

  private settle(answer: PromptAnswer): void {
    if (answer.id !== this.asking || answer.state === "waiting") return;
    if (answer.state === "failed") {
      this.failed(answer.id, new Error(answer.message));
      return;
    }
    clearTimeout(this.timer);
    this.asking = null;
    const step = this.last;
    if (step) [step.proposal, step.prompt] = [answer.proposal, answer.id];
    if (!answer.proposal?.voxels) this.failure = "There is no soft tissue at this click.";
    this.changed();
  }

  private failed(id: string, error: unknown): void {
    if (this.asking !== id) return;
    clearTimeout(this.timer);
    this.asking = null;
    const known = error instanceof ApiError || error instanceof Error;
    this.say(known ? error.message : String(error));
  }

  /** The question that waits no longer matters; the worker is told, its answer ignored. */
  private forget(): void {
    const { asking } = this;
    clearTimeout(this.timer);
    this.asking = null;
    if (asking) this.client.cancel(asking).catch(() => {});
  }

  private say(words: string): void {
    this.failure = words;
    this.changed();
  }

  private changed(): void {
    this.dispatchEvent(new Event("change"));
  }
}
