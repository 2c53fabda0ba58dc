// One consensus, open in one tab: the truth from the server and the acts made here. What the other
// reader does arrives by the socket and is laid into the rows where they stand.

import { ApiError } from "../api";
import { newId } from "../ids";
import { type Courier, Outbox, type OutboxState, type Shelf } from "../outbox";
import type { News } from "../socket";
import { Attempts } from "./attempts";
import type { ConsensusApi } from "./client";
import type {
  Act,
  ActAnswer,
  AgreedNode,
  ConsensusDetail,
  Discrepancy,
  Evidence,
  MovedOn,
  NewEvidence,
  Present,
} from "./contract";
import { type Offered, Shown } from "./shown";
import { type Subject, subjectOf, tidings } from "./tidings";
import { firstWords } from "./words";

export type SaveState = OutboxState | "loading" | "closed";
type Body<A> = A extends Act ? Omit<A, "id"> : never;

interface Sent {
  id: string;
  head: string;
  act: Act;
  answer?: ActAnswer;
  refusal?: ApiError;
}

export class SettleSession extends Shown implements Courier<Act, Sent> {
  readonly outbox: Outbox<Act, Sent>;
  private syncing: Promise<void> | null = null;
  private again = false;
  private readonly attempts = new Attempts();
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
    this.keepPlaces();
    this.changed();
  }

  hear({ type, payload }: News): void {
    if (!this.detail) return;
    if (type === "presence") {
      this.see(payload.present as Present[]);
      return;
    }
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

  /** Who is there now; nobody, where the line is gone. */
  see(present: readonly Present[]): void {
    this.present = present;
    this.changed();
  }

  catchUp(): void {
    this.sync().catch((error: unknown) => console.warn("could not catch up", error));
  }

  protected get acts(): Act[] {
    return this.outbox.waiting.map(({ change }) => change);
  }

  get saveState(): SaveState {
    if (!this.detail) return "loading";
    if (this.readOnly && this.outbox.waiting.length === 0) return "closed";
    return this.outbox.state;
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
    const made = await this.attempts.ask(JSON.stringify(body), (client) =>
      this.api.enterEvidence({ client, ...body }, detail.case.id),
    );
    await this.sync();
    return made;
  }

  async sign(password: string, hash: string, username?: string): Promise<void> {
    const who = username ? { username } : {};
    const { state, signing } = await this.attempts.ask(`sign ${hash} ${username ?? ""}`, (client) =>
      this.api.sign({ client, record_hash: hash, password, ...who }),
    );
    if (this.detail) Object.assign(this.detail, { state, signing });
    this.changed();
    this.catchUp();
  }

  /** The other reader agrees here, with their name and password, to what was shown. */
  async agreeHere(username: string, password: string, shown: readonly Offered[]): Promise<void> {
    const what = `agree ${username} ${shown.map(({ step }) => step).join(" ")}`;
    await this.attempts.ask(what, (client) =>
      this.api.agreeHere({
        username,
        password,
        answers: shown.map(({ discrepancy, seen, step }, at) => ({
          client: at === 0 ? client : partOf(client, at),
          discrepancy,
          seen,
          step,
        })),
      }),
    );
    await this.sync();
    this.arrange();
  }

  async object(reason: string): Promise<void> {
    await this.attempts.ask(`object ${reason}`, (client) => this.api.object({ client, reason }));
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
    // Our own act put its row under a heading where it does not stand after all.
    if (results.some(({ refusal }) => refusal)) this.arrange();
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
    const why = refusal.code === "MOVED_ON" ? lateWords(act, moved) : refusal.message;
    this.warn(`${number}: not recorded. ${why}`);
    if (moved.discrepancy) this.lay(moved.discrepancy);
    if (moved.node) this.layNode(moved.node);
    if (!moved.discrepancy && !moved.node) this.catchUp();
  }

  /** Never called: a refusal of one act does not stop the others. */
  refused(error: ApiError): void {
    this.warn(error.message);
  }
}

/** The ids of several acts that are asked for in one: the same again when it is asked again. */
function partOf(client: string, at: number): string {
  const last = (Number.parseInt(client.slice(-6), 16) + at) % 0x1000000;
  return client.slice(0, -6) + last.toString(16).padStart(6, "0");
}

/** Who was first, and what they did. */
function lateWords(act: Act, { since = [] }: MovedOn): string {
  if ("node" in act) return "The node was labelled in the meantime; look again.";
  const last = since.filter(({ by }) => by !== "you").at(-1);
  return `${last ? firstWords(last) : "It moved on in the meantime"}; look again.`;
}
