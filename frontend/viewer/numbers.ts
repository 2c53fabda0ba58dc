// Numbers of nodes on screen: the host's label map has one byte a voxel, so living nodes carry
// dense numbers of our own. A number is given on once its node is gone.

/** 0 is the background. */
export const MOST_NODES = 255;
export const FULL = `The viewer shows at most ${MOST_NODES} nodes, and that many have voxels. Merge two nodes, or erase one (a rejected one keeps its voxels); then go on.`;

export function overfullWords(count: number): string {
  return `This mask has ${count} nodes with voxels. The viewer can show ${MOST_NODES}, so some are not on screen and nothing can be changed here. Tell the coordinator: the case needs a mask with fewer nodes.`;
}

export class DenseNumbers {
  private readonly given = new Map<string, number>();

  constructor(
    /** Nodes that have voxels; asked only when numbers run out. */
    private readonly living: () => ReadonlySet<string>,
    /** Nodes in the reader's hand, with voxels or not. */
    private readonly held: () => readonly (string | null)[],
  ) {}

  get size(): number {
    return this.given.size;
  }

  /** Node and number. */
  get all(): [string, number][] {
    return [...this.given];
  }

  /** 1–255; 0 where more nodes live than have numbers. */
  of(node: string): number {
    const known = this.given.get(node);
    if (known) return known;
    if (this.given.size >= MOST_NODES) this.forget(this.held());
    if (this.given.size >= MOST_NODES) this.forget([]);
    if (this.given.size >= MOST_NODES) return 0;
    const taken = new Set(this.given.values());
    let number = 1;
    while (taken.has(number)) number += 1;
    this.given.set(node, number);
    return number;
  }

  /** Takes back the numbers of nodes that are gone, but for these. */
  private forget(but: readonly (string | null)[]): void {
    const living = this.living();
    for (const node of this.given.keys()) {
      if (!living.has(node) && !but.includes(node)) this.given.delete(node);
    }
  }
}
