// What a person sees of a consensus: the truth with the acts still on their way laid over it, the
// list in its order, and what is looked at.

import type { Act, Cluster, ConsensusDetail, Discrepancy, Evidence, Present } from "./contract";
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
import type { Overtaken, Subject } from "./tidings";

/** A proposal of this person's, as it stands on this screen for the other reader to agree to. */
export interface Offered {
  discrepancy: string;
  cluster: number;
  seen: number;
  step: string;
  resolution: string;
  rationale: string;
}

/** Announces "change": anything shown. */
export abstract class Shown extends EventTarget {
  detail: ConsensusDetail | null = null;
  /** Who else has it open now. */
  present: readonly Present[] = [];
  /** The discrepancy, and in the later phases the agreed node, that is looked at. */
  selected: string | null = null;
  node: number | null = null;
  /** The notice says that something was refused, or is still missing. */
  alarm = false;
  private said = "";
  readonly overtaken = new Map<Subject, Overtaken>();
  /** Rows the other reader changed and this person has not looked at since. */
  readonly unseen = new Set<Subject>();
  private places: Place[] = [];

  /** One sentence for the person about what just happened; read aloud. */
  get notice(): string {
    return this.said;
  }

  set notice(words: string) {
    this.said = words;
    this.alarm = false;
  }

  /** The same where it is no good news. */
  warn(words: string): void {
    this.notice = words;
    this.alarm = words !== "";
  }

  /** Acts of ours that the server has not answered yet. */
  protected abstract get acts(): Act[];

  protected truth(id: string): Discrepancy | undefined {
    return this.detail?.discrepancies.find((one) => one.id === id);
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

  /** What waits for the other reader's answer, as the server has it. */
  get offered(): Offered[] {
    return this.rows.flatMap(({ found }) => {
      const { proposal, state, saving, id: discrepancy, cluster, version: seen } = found;
      if (state !== "proposed" || saving || proposal?.by !== "you") return [];
      const { step, resolution, rationale } = proposal;
      return [{ discrepancy, cluster, seen, step, resolution, rationale }];
    });
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

  select(id: string | null): void {
    this.selected = id;
    if (id) this.unseen.delete(`d:${id}`);
    this.changed();
  }

  selectNode(number: number | null): void {
    this.node = number;
    if (number !== null) this.unseen.delete(`n:${number}`);
    this.changed();
  }

  /** The next row that waits for this person, after the one given, round the list. */
  nextWaiting(after = this.selected): ShownDiscrepancy | undefined {
    const role = this.detail?.role ?? "observer";
    const rows = this.rows.map(({ found }) => found);
    const at = rows.findIndex(({ id }) => id === after);
    return [...rows.slice(at + 1), ...rows.slice(0, at + 1)].find((one) => waitsForMe(one, role));
  }

  /** Rows stay where they are when somebody else changes them. */
  protected keepPlaces(): void {
    this.places = keepOrder(this.places, this.discrepancies);
  }

  changed(): void {
    this.dispatchEvent(new Event("change"));
  }
}
