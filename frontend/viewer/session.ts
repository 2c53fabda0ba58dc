// One reading, open in one tab: the truth from the server, the changes made here, and who writes.
// Knows nothing of pixels on screen; it announces "change" (anything shown), "voxels" (slices to
// repaint) and "select".

import { ApiError, post, type ReadingApi } from "./api";
import { bodyOf, crowds, moveMask, voxelBody } from "./bodies";
import type {
  AiState,
  Body,
  Change,
  ChangeBody,
  ChangeResult,
  Check,
  NodeRecord,
  ReadingDetail,
  RegionRecord,
  Taken,
} from "./contract";
import { newId } from "./ids";
import type { LeaseMemory } from "./lease";
import { Mask } from "./mask";
import { FULL, MOST_NODES, overfullWords } from "./numbers";
import { type Filter, inOrder, type Order } from "./order";
import { type Courier, type Entry, Outbox, type OutboxState, type Shelf } from "./outbox";
import type { Patch } from "./patch";
import { inverseOf, type NodeBody, project, projectRegions, type ShownNode } from "./projection";
import type { News } from "./socket";
import { UndoStacks } from "./undo";

export type SaveState = OutboxState | "conflict" | "read_only" | "loading";

export class Session extends EventTarget implements Courier {
  detail: ReadingDetail | null = null;
  mask: Mask | null = null;
  checks: Check[] = [];
  selected: string | null = null;
  /** How the nodes are listed, and stepped through. */
  order: Order = "place";
  filter: Filter = "all";
  /** A node begun with "N" and not drawn yet. */
  draft: string | null = null;
  /** Changes the truth has moved away from, kept until the reader decides. */
  setAside: Entry[] = [];
  /** One sentence for the reader about what just happened. */
  notice = "";
  holder: string | null = null;
  readonly outbox: Outbox;
  private lease: string | null = null;
  private serverCanSubmit = false;
  private confirmed = new Map<string, NodeRecord>();
  private regionsConfirmed = new Map<string, RegionRecord>();
  private readonly heads = new Set<string>();
  private readonly steps = new UndoStacks();
  private syncing: Promise<void> | null = null;
  private opened = false;
  /** How many answers to changes have come: older truth is not shown after them. */
  private answered = 0;
  /** When changes were made that are not acknowledged yet, by their id. */
  private readonly made = new Map<string, number>();
  /** Milliseconds from a change to its answer, which brings the measures; for the benchmark. */
  readonly waits: number[] = [];
  /** More nodes have voxels than the viewer can show: nothing may be changed. */
  private overfull = false;
  /** Settled unless a stroke is being drawn. */
  private calm: Promise<void> = Promise.resolve();

  constructor(
    private readonly api: ReadingApi,
    shelf: Shelf,
    private readonly client: string,
    private readonly leases?: LeaseMemory,
  ) {
    super();
    this.outbox = new Outbox<Change, ChangeResult>(shelf, this);
  }

  // Opening and keeping up

  async open(): Promise<void> {
    await this.sync();
    if (this.detail && !this.closed) await this.takeLease(false);
    if (this.lease) await this.takeUp();
    this.opened = true;
    this.outbox.start();
    if (this.detail?.state === "assigned" && this.lease) await this.recheck();
    this.changed();
  }

  /**
   * Takes the server's truth again and lays what still waits over it. The voxels of the head that
   * is `expected` are asked for at the same time as the rest.
   */
  sync(expected = ""): Promise<void> {
    this.syncing ??= this.refresh(expected).finally(() => {
      this.syncing = null;
    });
    return this.syncing;
  }

  /** What an earlier page could not send becomes ours; only the writer does that. */
  private async takeUp(): Promise<void> {
    if (this.setAside.length === 0) await this.outbox.restore();
    if (this.outbox.waiting.length > 0) await this.sync();
  }

  /** Truth waits while a stroke is drawn. Returns the end of the stroke. */
  hold(): () => void {
    let release = () => {};
    this.calm = new Promise((resolve) => {
      release = resolve;
    });
    return release;
  }

  private async refresh(expected: string): Promise<void> {
    const early = expected ? this.api.volume(expected).catch(() => null) : null;
    for (;;) {
      const { answered } = this;
      const { takenUp } = this.outbox;
      const detail = await this.api.detail();
      const filled = detail.manifest.slices.length > 0;
      const come = filled && detail.head === expected ? await early : null;
      const packed = come ?? (filled ? await this.api.volume(detail.head) : null);
      const mask = new Mask(detail.grid.shape, detail.manifest, packed);
      await this.dropAccepted(detail.head);
      let calm: Promise<void> | null = null;
      while (calm !== this.calm) {
        calm = this.calm;
        await calm;
      }
      // What was taken up meanwhile has not been looked for in this truth.
      if (this.answered === answered && this.outbox.takenUp === takenUp)
        return this.adopt(detail, mask);
    }
  }

  private adopt(detail: ReadingDetail, mask: Mask): void {
    const bare = this.mask?.filledSlices.length === 0;
    this.detail = detail;
    this.mask = mask;
    this.checks = detail.checks;
    this.serverCanSubmit = detail.can_submit;
    this.confirmed = new Map(detail.nodes.map((node) => [node.uuid, node]));
    this.regionsConfirmed = new Map((detail.regions ?? []).map((found) => [found.region, found]));
    this.heads.add(mask.head);
    this.replay();
    this.overfull = this.shownNodes > MOST_NODES;
    if (this.overfull) this.notice = overfullWords(this.shownNodes);
    if (mask.head !== detail.head && this.outbox.waiting.length === 0) {
      this.notice = "This mask's fingerprint differs from the server's. Reload the page.";
      this.outbox.stop();
    }
    // Where nothing was drawn before, the slices that are drawn now are all that look otherwise.
    this.repaint(bare ? mask.filledSlices : null);
  }

  /**
   * Entries up to the server's head arrived, though we never heard so. Two decisions on one mask
   * lead to one head, so the server is asked: it answers for what it knows, and refuses the rest.
   */
  private async dropAccepted(head: string): Promise<void> {
    const aside = this.setAside.length > 0;
    const entries = aside ? this.setAside : [...this.outbox.waiting];
    const reached = entries.slice(0, entries.map((entry) => entry.head).lastIndexOf(head) + 1);
    if (reached.length === 0 || !(await this.knows(reached))) return;
    await this.outbox.forget(reached.map(({ change }) => change.id));
    if (aside) this.setAside = entries.slice(reached.length);
  }

  private async knows(entries: Entry[]): Promise<boolean> {
    try {
      await this.api.changes(
        this.lease ?? this.client,
        entries.map(({ change }) => change),
      );
      return true;
    } catch (error) {
      if (error instanceof ApiError && !error.signedOut) return false;
      throw error;
    }
  }

  private replay(): void {
    const entries = [...this.outbox.waiting];
    if (entries.length === 0) return;
    if (entries[0]?.change.base !== this.mask?.head) {
      this.setAside = this.outbox.takeAll();
      this.notice = `This reading moved on elsewhere. ${this.setAside.length} changes made here are kept aside.`;
      return;
    }
    for (const { change } of entries) {
      if (!this.mask) return;
      moveMask(this.mask, bodyOf(change), this.sops);
      this.heads.add(this.mask.head);
    }
  }

  hear(news: News): void {
    const { detail } = this;
    if (!detail) return;
    const { payload } = news;
    if (news.type === "run.progress") {
      detail.ai.state = detail.ai.state === "ready" ? "ready" : "running";
      detail.ai.progress = Number(payload.progress ?? detail.ai.progress);
      detail.ai.stage = String(payload.stage ?? detail.ai.stage);
      if (payload.state === "failed" || payload.stage === "failed") void this.sync();
      this.changed();
    } else if (news.type === "mask_ready" && payload.offered) {
      // Nothing of it is in the reading: it is offered beside (proposal/offering.ts).
      Object.assign(detail.ai, { state: "ready", cancel: null });
      this.changed();
    } else if (news.type === "mask_ready" || news.type === "run.state") {
      const state = news.type === "mask_ready" ? "ready" : payload.state;
      if (typeof state === "string") detail.ai.state = state as AiState;
      this.changed();
      void this.catchUp("", typeof payload.mask === "string" ? payload.mask : "");
    } else if (news.type === "change.applied") {
      void this.catchUp(String(payload.head));
    } else if (news.type === "lease.taken" && payload.client !== this.client) {
      void this.checkLease();
    }
  }

  /** Follows the server while nothing of ours is on its way. */
  private async catchUp(head = "", expected = head): Promise<void> {
    if (this.heads.has(head)) return;
    if (this.outbox.waiting.length > 0 || this.setAside.length > 0) return;
    try {
      if (this.syncing) await this.syncing;
      if (!this.heads.has(head)) await this.sync(expected);
    } catch (error) {
      console.warn("could not catch up", error);
    }
  }

  /** Stops the run that is under way, where this user may. */
  async cancelRun(): Promise<void> {
    const address = this.detail?.ai.cancel;
    if (!address) return;
    try {
      await post(address, {});
    } catch (error) {
      this.notice = error instanceof Error ? error.message : String(error);
    }
    await this.catchUp();
    this.changed();
  }

  /** Asks which checks are met now; planes are seen without any change being made. */
  async recheck(): Promise<void> {
    const { state, checks, can_submit } = await this.api.detail();
    if (!this.detail || this.outbox.waiting.length > 0) return;
    this.detail.state = state;
    this.checks = checks;
    this.serverCanSubmit = can_submit;
    this.changed();
  }

  // The one writer

  get closed(): boolean {
    return !["assigned", "open"].includes(this.detail?.state ?? "");
  }

  get writable(): boolean {
    if (!this.opened || !this.lease || this.overfull) return false;
    return !this.closed && this.setAside.length === 0;
  }

  /** At least so many nodes have voxels; exact where it matters. */
  private get shownNodes(): number {
    const numbered = this.mask?.labels.length ?? 0;
    return numbered < MOST_NODES ? numbered : (this.mask?.living.size ?? 0);
  }

  /** No further node can be shown; then the reader is told so. */
  refusesMore(): boolean {
    if (this.shownNodes < MOST_NODES) return false;
    this.notice = FULL;
    this.changed();
    return true;
  }

  private async takeLease(takeOver: boolean): Promise<void> {
    try {
      this.lease = (await this.api.lease(this.client, takeOver)).lease;
      this.holder = null;
      this.leases?.took(this.lease);
    } catch (error) {
      this.lease = null;
      if (!(error instanceof ApiError)) throw error;
      const held = this.detail?.lease.id;
      if (error.code === "LEASE_HELD" && held && (await this.leases?.isAbandoned(held))) {
        return this.takeLease(true);
      }
      this.holder = error.refusal.holder ?? null;
      if (error.code !== "LEASE_HELD") this.notice = error.message;
    }
    this.changed();
  }

  async continueHere(): Promise<void> {
    this.opened = false; // A change made before the earlier ones are back would not follow them.
    try {
      await this.takeLease(true);
      if (this.lease && this.setAside.length === 0) await this.outbox.restore();
      await this.sync();
      if (this.lease && this.setAside.length === 0) this.outbox.resume();
    } catch (error) {
      this.notice = error instanceof Error ? error.message : String(error);
    }
    this.opened = true;
    this.changed();
  }

  /**
   * The tab goes on to something else. What is not sent yet is still sent, and only then another
   * tab may take the reading up without asking.
   */
  leave(): void {
    void this.outbox.idle().then(() => this.leases?.left());
  }

  private async checkLease(): Promise<void> {
    try {
      const { lease } = await this.api.detail();
      if (lease.id === this.lease) return;
      this.lease = null;
      this.holder = lease.holder;
      this.outbox.stop();
    } catch (error) {
      console.warn("could not ask who writes", error);
    }
  }

  // What the panel shows

  get nodes(): ShownNode[] {
    const pending = this.outbox.waiting.map(({ change }) => change);
    const numberOf = (node: string) => this.mask?.numberOf(node) ?? 0;
    return inOrder(project(this.confirmed, pending, numberOf).values(), this.order);
  }

  node(uuid: string | null): ShownNode | undefined {
    return uuid ? this.nodes.find((node) => node.uuid === uuid) : undefined;
  }

  get saveState(): SaveState {
    if (!this.detail || !this.opened) return "loading";
    if (this.setAside.length > 0) return "conflict";
    if (this.outbox.state === "offline" || this.outbox.state === "signed_out") {
      return this.outbox.state;
    }
    if (!this.lease && !this.closed) return "read_only";
    return this.outbox.state;
  }

  get canSubmit(): boolean {
    return this.serverCanSubmit && this.writable && this.saveState === "saved";
  }

  /** What this tab's requests name as their right to write. */
  get leaseId(): string | null {
    return this.lease;
  }

  get undoable(): boolean {
    return this.writable && this.steps.undoable;
  }

  /** The change that an undo would take back. */
  get latest(): string | null {
    return this.steps.latest;
  }

  /** Chooses how the nodes are listed. */
  list(chosen: { order?: Order; filter?: Filter }): void {
    this.order = chosen.order ?? this.order;
    this.filter = chosen.filter ?? this.filter;
    this.changed();
  }

  select(uuid: string | null): void {
    this.selected = uuid;
    if (uuid !== this.draft) this.draft = null;
    this.dispatchEvent(new Event("select"));
    this.changed();
  }

  // Changes

  decide(
    uuid: string,
    decision: "accepted" | "rejected" | "undecided",
    reason?: string,
    proposal?: Taken,
  ): void {
    const node = this.node(uuid);
    if (!node) return;
    const body: NodeBody = {
      kind: "decision",
      node: uuid,
      decision,
      ...(reason ? { reason } : {}),
    };
    this.make(proposal ? { ...body, proposal } : body, inverseOf(body, node), body);
  }

  change(uuid: string, body: NodeBody): void {
    const node = this.node(uuid);
    if (node) this.make(body, inverseOf(body, node));
  }

  /** A stroke, or what was proposed and is taken; false when it was not made. */
  paint(patch: Patch, from: { prompt?: string; proposal?: Taken } = {}): boolean {
    if (!this.mask || !this.writable) return false;
    const inverse = voxelBody(this.mask.inverseOf(patch), this.sops);
    const body = voxelBody(patch, this.sops);
    const id = this.enqueue({ ...body, ...from });
    if (!id) return false;
    // What is taken up again after an undo is the reader's own doing.
    this.steps.push({ id, inverse, original: body });
    if (this.draft && patch.nodes.includes(this.draft)) this.draft = null;
    return true;
  }

  /** Begins a node that exists once its first voxel is painted. */
  begin(): string | null {
    if (!this.writable || (!this.draft && this.refusesMore())) return null;
    this.draft ??= newId();
    this.select(this.draft);
    return this.draft;
  }

  /** A node begun and never drawn is forgotten. */
  forgetDraft(): void {
    if (this.draft) this.select(null);
  }

  undo(): void {
    this.revert("undo");
  }

  redo(): void {
    this.revert("redo");
  }

  private revert(direction: "undo" | "redo"): void {
    const step = this.steps.move(direction, ({ id, inverse }) =>
      this.enqueue({ kind: "undo", undoes: id, inverse }),
    );
    if (!step) return;
    const { inverse } = step;
    if (inverse.kind === "region") return;
    const node = inverse.kind === "voxels" ? inverse.nodes[0] : inverse.node;
    if (node && this.node(node)) this.select(node);
  }

  /** A change, what takes it back, and what makes it again after that. */
  make(body: Body, inverse: Body, again: Body = body): boolean {
    const id = this.enqueue(body);
    if (id) this.steps.push({ id, inverse, original: again });
    return id !== null;
  }

  /** What the images do not let this reader see, with changes still on their way. */
  get regions(): RegionRecord[] {
    const pending = this.outbox.waiting.map(({ change }) => change);
    return [...projectRegions(this.regionsConfirmed, pending).values()];
  }

  private enqueue(body: ChangeBody): string | null {
    if (!this.mask || !this.writable) {
      this.changed();
      return null;
    }
    const { mask } = this;
    if (crowds(mask, body, this.sops)) {
      this.notice = FULL;
      this.changed();
      return null;
    }
    const entry: Entry = { change: { id: newId(), base: mask.head, ...body }, head: "" };
    const { change } = entry;
    const touched = moveMask(mask, body, this.sops);
    this.made.set(change.id, performance.now());
    this.outbox.add(entry, () => {
      entry.head = mask.head;
      this.heads.add(mask.head);
    });
    if (body.kind === "undo" && touched.length) this.repaint(touched);
    this.changed();
    return change.id;
  }

  get sops(): string[] {
    return this.detail?.grid.sop_uids ?? [];
  }

  // The courier of the outbox

  async send(changes: Change[]) {
    if (!this.lease) {
      throw new ApiError(409, { error: "LEASE_LOST", message: "Another tab writes this reading." });
    }
    return (await this.api.changes(this.lease, changes)).results;
  }

  delivered(
    results: {
      id: string;
      nodes: NodeRecord[];
      regions?: RegionRecord[];
      checks: Check[];
      can_submit: boolean;
    }[],
    agreed: boolean,
  ) {
    this.answered += 1;
    for (const result of results) {
      const begun = this.made.get(result.id);
      if (begun !== undefined) this.waits.push(performance.now() - begun);
      this.made.delete(result.id);
      for (const node of result.nodes) this.confirmed.set(node.uuid, node);
      for (const found of result.regions ?? []) {
        if (found.slices.length) this.regionsConfirmed.set(found.region, found);
        else this.regionsConfirmed.delete(found.region);
      }
      this.checks = result.checks;
      this.serverCanSubmit = result.can_submit;
    }
    if (!agreed) void this.recover("The server's mask differs from the one drawn here.");
    this.changed();
  }

  refused(error: ApiError): void {
    if (error.code === "LEASE_LOST") {
      this.lease = null;
      this.holder = error.refusal.holder ?? null;
      this.changed();
    } else {
      void this.recover(error.message);
    }
  }

  /** The truth has moved or refuses a change: show it, and keep ours aside. */
  private async recover(why: string): Promise<void> {
    this.setAside = [...this.setAside, ...this.outbox.takeAll()];
    try {
      await this.sync();
      this.notice = why;
      this.steps.clear();
      if (this.setAside.length === 0) this.outbox.resume();
      this.repaint(null);
    } catch (error) {
      this.notice = `${why} Reload the page.`;
      console.error(error);
    }
    this.changed();
  }

  /**
   * Makes the changes kept aside anew, on the truth as it is now, continuing here first where
   * another tab writes. What cannot be made stays aside, and on disk.
   */
  async applyAgain(): Promise<void> {
    try {
      if (!this.lease && !this.closed) await this.takeLease(true);
      await this.sync();
    } catch (error) {
      this.notice = error instanceof Error ? error.message : String(error);
      return this.changed();
    }
    const entries = this.setAside;
    this.setAside = [];
    if (!this.writable) {
      this.setAside = entries;
      return this.changed();
    }
    this.outbox.resume();
    this.notice = "";
    const made = entries.filter(({ change }) => {
      const body = bodyOf(change);
      return this.enqueue(body.kind === "undo" ? body.inverse : body) !== null;
    });
    this.setAside = entries.filter((entry) => !made.includes(entry));
    this.repaint(null);
    await this.outbox.forget(made.map(({ change }) => change.id));
  }

  async discardAside(): Promise<void> {
    await this.outbox.forget(this.setAside.map(({ change }) => change.id));
    this.setAside = [];
    this.notice = "";
    await this.sync();
    this.outbox.resume();
    this.changed();
  }

  /** Signs the record the reader was shown, and no other. */
  async submit(password: string, head: string): Promise<void> {
    await this.outbox.idle();
    const { lease } = this;
    if (!lease || !this.mask || !this.detail) throw new Error("This tab does not write any more.");
    if (this.mask.head !== head || this.outbox.waiting.length > 0) {
      throw new Error("The reading has changed since. Go back and look again.");
    }
    const answer = await this.api.submit({ lease, head, password, meaning: "authorship" });
    this.detail.state = answer.state;
    this.detail.signature = answer.signature;
    this.lease = null;
    this.changed();
  }

  private repaint(slices: number[] | null): void {
    this.dispatchEvent(new CustomEvent("voxels", { detail: slices }));
    this.changed();
  }

  changed(): void {
    this.dispatchEvent(new Event("change"));
  }
}
