// The label maps of a consensus, each fetched once and kept as the nodes' own voxels alone.

import { request } from "../api";
import { type Solid, solidsOf } from "./layers";

const KINDS = ["x", "y", "ai", "agreed", "ignored"] as const;
export type Kind = (typeof KINDS)[number];
export type Solids = Readonly<Record<Kind, readonly Solid[]>>;

export class Volumes {
  readonly solids: Record<Kind, readonly Solid[]> = {
    x: [],
    y: [],
    ai: [],
    agreed: [],
    ignored: [],
  };
  private readonly redrawn = new Map<string, Promise<readonly Solid[]>>();
  private closed = false;

  constructor(private readonly consensus: string) {}

  of(kind: Kind, cluster: number): readonly Solid[] {
    return this.solids[kind].filter((solid) => solid.cluster === cluster);
  }

  /** Fetches label maps anew; they appear all at once. */
  async load(...kinds: Kind[]): Promise<void> {
    const found = await Promise.all(kinds.map((kind) => this.fetch(kind)));
    if (this.closed) return;
    kinds.forEach((kind, place) => {
      this.solids[kind] = found[place] ?? [];
    });
  }

  /** The shape of a step, which never changes. */
  ofStep(step: string): Promise<readonly Solid[]> {
    let found = this.redrawn.get(step);
    if (!found) {
      found = this.fetch(`redrawn?step=${encodeURIComponent(step)}`);
      this.redrawn.set(step, found);
      found.catch(() => this.redrawn.delete(step));
    }
    return found;
  }

  /** Lets go of all voxels. */
  close(): void {
    this.closed = true;
    for (const kind of KINDS) this.solids[kind] = [];
    this.redrawn.clear();
  }

  private async fetch(name: string): Promise<Solid[]> {
    const response = await request(`/api/consensus/${this.consensus}/volumes/${name}`);
    return solidsOf(await response.arrayBuffer());
  }
}
