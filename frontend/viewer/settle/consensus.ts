// One consensus, open in one tab: the truth from the server and the acts made here. What the other
// reader does arrives by the socket and is laid into the rows where they stand.
// Announces "change" (anything shown), "select" and "moved" (an act of ours came too late).

import { ApiError } from "../api";
import { newId } from "../ids";
import { type Courier, Outbox, type OutboxState, type Shelf } from "../outbox";
import type { News } from "../socket";
import type { ConsensusApi } from "./client";
import type {
  Act,
  ActAnswer,
  AgreedNode,
  Cluster,
  ConsensusDetail,
  Discrepancy,
  Evidence,
  MovedOn,
  NewEvidence,
} from "./contract";
import {
  groupOf,
  inOrder,
  keepOrder,
  type Place,
  projectDiscrepancies,
  projectNodes,
  type ShownDiscrepancy,
  type ShownNode,
  waitsForMe,
} from "./projection";
import { type Overtaken, type Subject, subjectOf, tidings } from "./tidings";

export type SaveState = OutboxState | "loading" | "closed";
type Body<A> = A extends Act ? Omit<A, "id"> : never;

interface Sent {
  id: string;
  head: string;
  act: Act;
  answer?: ActAnswer;
  refusal?: ApiError;
}

export class SettleSession extends EventTarget implements Courier<Act, Sent> {
  detail: ConsensusDetail | null = null;
  /** The discrepancy, and in the later phases the agreed node, that is looked at. */
  selected: string | null = null;
  node: number | null = null;
  /** One sentence for the person about what just happened; read aloud. */
  notice = "";
  readonly overtaken = new Map<Subject, Overtaken>();
  /** Rows the other reader changed and this person has not looked at since. */
  readonly unseen = new Set<Subject>();
  readonly outbox: Outbox<Act, Sent>;
  private places: Place[] = [];
  private syncing: Promise<void> | null = null;
  private again = false;
  private answered = 0;

  constructor(
    readonly api: ConsensusApi,
    shelf: Shelf<Act>,
  ) {
    super();
    this.outbox = new Outbox<Act, Sent>(shelf, this);
  }

  // Opening and keeping up

  async open(): Promise<void> {
    await this.sync();
    await this.outbox.restore();
    this.arrange();
    this.outbox.start();
    this.changed();
  }

  /** Takes the server's truth; asked while it is being taken, takes it once more. */
  sync(): Promise<void> {
    this.again = true;
    this.syncing ??= this.refresh().finally(() => {
      this.syncing = null;
    });
    return this.syncing;
  }

  private async refresh(): Promise<void> {
    while (this.again) {
      this.again = false;
      const { answered } = this;
      const detail = await this.api.detail();
      if (this.answered === answered) this.adopt(detail);
      else this.again = true;
    }
  }

  private adopt(detail: ConsensusDetail): void {
    const before = this.detail;
    this.detail = detail;
    if (before) {
      const { subjects, words } = tidings(before, detail);
      for (const subject of subjects) this.unseen.add(subject);
      if (words.length) this.notice = words.slice(0, 2).join(" ");
    }
    this.places = keepOrder(this.places, this.discrepancies);
    if (before?.state !== detail.state) this.dispatchEvent(new Event("state"));
    this.changed();
  }

  hear({ type, payload }: News): void {
    if (!this.detail) return;
    if (type === "discrepancy.changed") {
      const known = this.truth(String(payload.discrepancy));
      if (known && known.version >= Number(payload.version)) return;
    } else if (type === "label.changed") {
      const known = this.detail.nodes?.find(({ number }) => number === Number(payload.number));
      if (known && known.position >= Number(payload.position)) return;
    } else if (type === "consensus.changed" && payload.state === this.detail.state) {
      return;
    }
    this.catchUp();
  }

  catchUp(): void {
    this.sync().catch((error: unknown) => console.warn("could not catch up", error));
  }

  // What the panel shows

  private truth(id: string): Discrepancy | undefined {
    return this.detail?.discrepancies.find((one) => one.id === id);
  }

  private get acts(): Act[] {
    return this.outbox.waiting.map(({ change }) => change);
  }

  get discrepancies(): ShownDiscrepancy[] {
    return projectDiscrepancies(this.detail?.discrepancies ?? [], this.acts);
  }

  /** In the order of the list, each under the heading it stands. */
  get rows(): { found: ShownDiscrepancy; place: Place }[] {
    const shown = new Map(this.discrepancies.map((found) => [found.id, found]));
    return this.places.flatMap((place) => {
      const found = shown.get(place.id);
      return found ? [{ found, place }] : [];
    });
  }

  /** The list no longer stands in its order: the other reader was here. */
  get disordered(): boolean {
    return this.rows.some(({ found, place }) => groupOf(found) !== place.group);
  }

  /** Puts the list into its order; only when the person did something. */
  arrange(): void {
    this.places = inOrder(this.discrepancies, this.detail?.role ?? "observer");
    this.changed();
  }

  get nodes(): ShownNode[] {
    return projectNodes(this.detail?.nodes ?? [], this.acts);
  }

  discrepancy(id = this.selected): ShownDiscrepancy | undefined {
    return this.discrepancies.find((one) => one.id === id);
  }

  agreed(number = this.node): ShownNode | undefined {
    return this.nodes.find((node) => node.number === number);
  }

  cluster(number: number | undefined): Cluster | undefined {
    return this.detail?.clusters.find((cluster) => cluster.number === number);
  }

  evidence(id: string): Evidence | undefined {
    return this.detail?.evidence?.find((item) => item.id === id);
  }

  /** Nothing can be done here any more, or never could. */
  get readOnly(): boolean {
    const { role, state } = this.detail ?? {};
    return role === "observer" || state === "published" || state === "superseded";
  }

  get saveState(): SaveState {
    if (!this.detail) return "loading";
    if (this.readOnly && this.outbox.waiting.length === 0) return "closed";
    return this.outbox.state;
  }

  select(id: string | null): void {
    this.selected = id;
    if (id) this.unseen.delete(`d:${id}`);
    this.dispatchEvent(new Event("select"));
    this.changed();
  }

  selectNode(number: number | null): void {
    this.node = number;
    if (number !== null) this.unseen.delete(`n:${number}`);
    this.dispatchEvent(new Event("select"));
    this.changed();
  }

  /** The next row that waits for this person, after the one given, round the list. */
  nextWaiting(after = this.selected): ShownDiscrepancy | undefined {
    const role = this.detail?.role ?? "observer";
    const rows = this.rows.map(({ found }) => found);
    const at = rows.findIndex(({ id }) => id === after);
    return [...rows.slice(at + 1), ...rows.slice(0, at + 1)].find((one) => waitsForMe(one, role));
  }

  // Acts

  act(body: Body<Act>): void {
    const act = { ...body, id: newId() } as Act;
    this.overtaken.delete(subjectOf(act));
    this.notice = "";
    this.outbox.add({ change: act, head: "" });
    this.arrange();
  }

  async enterEvidence(body: Omit<NewEvidence, "client">): Promise<Evidence> {
    const { detail } = this;
    if (!detail) throw new Error("The case is not open yet.");
    const made = await this.api.enterEvidence({ client: newId(), ...body }, detail.case.id);
    await this.sync();
    return made;
  }

  async sign(password: string, hash: string, username?: string): Promise<void> {
    const { state, signing } = await this.api.sign({
      client: newId(),
      record_hash: hash,
      password,
      ...(username ? { username } : {}),
    });
    if (this.detail) Object.assign(this.detail, { state, signing });
    this.changed();
    this.catchUp();
  }

  async object(reason: string): Promise<void> {
    await this.api.object({ client: newId(), reason });
    await this.sync();
  }

  // The courier of the outbox

  async send(acts: Act[]): Promise<Sent[]> {
    const sent: Sent[] = [];
    const refused = new Map<Subject, ApiError>();
    for (const act of acts) {
      const earlier = refused.get(subjectOf(act));
      const one = earlier ? { id: act.id, head: "", act, refusal: earlier } : await this.one(act);
      if (one.refusal) refused.set(subjectOf(act), one.refusal);
      sent.push(one);
    }
    return sent;
  }

  private async one(act: Act): Promise<Sent> {
    try {
      return { id: act.id, head: "", act, answer: await this.api.act(act) };
    } catch (error) {
      if (!(error instanceof ApiError) || error.signedOut) throw error;
      return { id: act.id, head: "", act, refusal: error };
    }
  }

  delivered(results: Sent[]): void {
    this.answered += 1;
    for (const { act, answer, refusal } of results) {
      if (refusal) this.overtake(act, refusal);
      else if (answer) this.take(answer);
    }
    this.changed();
  }

  private take({ discrepancy, node, consensus }: ActAnswer): void {
    const { detail } = this;
    if (!detail) return;
    if (discrepancy) this.lay(discrepancy);
    if (node) this.layNode(node);
    const { state, counts } = consensus ?? {};
    if (counts) detail.counts = counts;
    if (node || (state && state !== detail.state)) this.catchUp();
  }

  private lay(found: Discrepancy): void {
    const { detail } = this;
    const at = detail?.discrepancies.findIndex(({ id }) => id === found.id) ?? -1;
    const known = detail?.discrepancies[at];
    if (detail && known && known.version <= found.version) detail.discrepancies[at] = found;
  }

  private layNode(node: AgreedNode): void {
    const { detail } = this;
    const at = detail?.nodes?.findIndex(({ number }) => number === node.number) ?? -1;
    const known = detail?.nodes?.[at];
    if (detail?.nodes && known && known.position <= node.position) detail.nodes[at] = node;
  }

  /** The truth moved on, or refuses: show it, and keep what was written. */
  private overtake(act: Act, refusal: ApiError): void {
    const subject = subjectOf(act);
    const moved: MovedOn = refusal.refusal as object;
    const later = this.acts.filter((other) => subjectOf(other) === subject);
    void this.outbox.forget(later.map(({ id }) => id));
    const last = later.at(-1) ?? act;
    this.overtaken.set(subject, {
      kind: last.kind,
      what: "resolution" in last ? last.resolution : "value" in last ? last.value : "",
      rationale: last.rationale ?? "",
      since: moved.since ?? [],
      message: refusal.code === "MOVED_ON" ? "" : refusal.message,
    });
    const number = "node" in act ? act.node : this.truth(act.discrepancy)?.cluster;
    this.notice = `${number}: not taken. ${refusal.code === "MOVED_ON" ? "It moved on; look again." : refusal.message}`;
    if (moved.discrepancy) this.lay(moved.discrepancy);
    if (moved.node) this.layNode(moved.node);
    if (!moved.discrepancy && !moved.node) this.catchUp();
    this.dispatchEvent(new CustomEvent("moved", { detail: subject }));
  }

  /** Never called: a refusal of one act does not stop the others. */
  refused(error: ApiError): void {
    this.notice = error.message;
  }

  changed(): void {
    this.dispatchEvent(new Event("change"));
  }
}
