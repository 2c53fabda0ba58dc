// The reading's mask in the browser: label numbers per slice and the manifest that names it.
// It moves forward exactly as the server does, so that the next head is known without its answer.
// Slices are hashed when the head is asked for: what is painted is sent before that.

import type { ManifestRecord } from "./contract";
import { manifestHash, sliceHash } from "./manifest";
import type { PackedMask } from "./packed";
import { eachVoxel, inversePatch, type Patch, type SlicePatch } from "./patch";

export class Mask {
  readonly slices: number;
  readonly rows: number;
  readonly columns: number;
  private name: string;
  /** Voxels moved since the head was named: these slices, and it, are still to be hashed. */
  private unnamed: Set<number> | null = null;
  private readonly planes: Map<number, Uint16Array>;
  private readonly hashes: Map<number, string>;
  private readonly nodes: Map<number, string>;
  private readonly numbers: Map<string, number>;

  /** Throws when the voxels are not the ones the manifest names. */
  constructor(
    shape: readonly [number, number, number],
    private record: ManifestRecord,
    packed: PackedMask | null,
  ) {
    [this.slices, this.rows, this.columns] = shape;
    this.planes = new Map(packed?.slices);
    this.hashes = new Map(record.slices);
    this.nodes = new Map(record.labels);
    this.numbers = new Map(record.labels.map(([number, node]) => [node, number]));
    this.name = manifestHash(record);
    for (const index of this.hashes.keys()) {
      if (!this.planes.has(index)) throw new Error(`Slice ${index} of the mask is missing.`);
    }
  }

  get head(): string {
    if (this.unnamed) this.nameIt(this.unnamed);
    return this.name;
  }

  get manifest(): ManifestRecord {
    if (this.unnamed) this.nameIt(this.unnamed);
    return this.record;
  }

  plane(index: number): Uint16Array | undefined {
    return this.planes.get(index);
  }

  get filledSlices(): number[] {
    return [...this.planes.keys()].sort((a, b) => a - b);
  }

  get labels(): [number, string][] {
    return [...this.nodes].sort((a, b) => a[0] - b[0]);
  }

  nodeOf(number: number): string | null {
    return this.nodes.get(number) ?? null;
  }

  numberOf(node: string): number | undefined {
    return this.numbers.get(node);
  }

  /** One more than any node ever had: numbers are never used twice. */
  get nextLabel(): number {
    return Math.max(0, ...this.nodes.keys()) + 1;
  }

  /** Label numbers of the nodes that have voxels. */
  get living(): Set<number> {
    return labelsOf(this.planes.values());
  }

  /** How many nodes have voxels once the patch is applied. */
  livingAfter(patch: Patch): number {
    let next = this.nextLabel;
    const values = [0, ...patch.nodes.map((node) => this.numbers.get(node) ?? next++)];
    const planes = new Map(this.planes);
    for (const part of patch.slices) planes.set(part.index, this.drawn(part, values).plane);
    return labelsOf(planes.values()).size;
  }

  labelAt(index: number, row: number, column: number): number {
    return this.planes.get(index)?.[row * this.columns + column] ?? 0;
  }

  inverseOf(patch: Patch): Patch {
    return inversePatch(patch, this.columns, (index, at) =>
      this.nodeOf(this.planes.get(index)?.[at] ?? 0),
    );
  }

  /** Moves the head; returns the slices whose voxels changed. */
  apply(patch: Patch): number[] {
    if (this.unnamed) this.nameIt(this.unnamed);
    for (const node of patch.nodes) {
      if (this.numbers.has(node)) continue;
      const number = this.nextLabel;
      this.nodes.set(number, node);
      this.numbers.set(node, number);
    }
    const values = [0, ...patch.nodes.map((node) => this.numbers.get(node) ?? 0)];
    const touched: number[] = [];
    for (const part of patch.slices) {
      const { plane, changed } = this.drawn(part, values);
      if (changed) {
        touched.push(part.index);
        this.keep(part.index, plane);
      }
    }
    this.unnamed = new Set(touched);
    return touched;
  }

  /** A slice as a patch makes it; `values` are the label numbers its runs name. */
  private drawn(part: SlicePatch, values: number[]): { plane: Uint16Array; changed: boolean } {
    const plane = new Uint16Array(
      this.planes.get(part.index) ?? new Uint16Array(this.rows * this.columns),
    );
    let changed = false;
    eachVoxel(part, this.columns, (at, value) => {
      const label = values[value] ?? 0;
      if (plane[at] === label) return;
      plane[at] = label;
      changed = true;
    });
    return { plane, changed };
  }

  /** A change without voxels makes a new version too. */
  advance(): void {
    if (this.unnamed) this.nameIt(this.unnamed);
    this.unnamed = new Set();
  }

  private keep(index: number, plane: Uint16Array): void {
    if (plane.some((label) => label !== 0)) this.planes.set(index, plane);
    else this.planes.delete(index);
  }

  private nameIt(touched: Iterable<number>): void {
    for (const index of touched) {
      const plane = this.planes.get(index);
      if (plane) this.hashes.set(index, sliceHash(plane));
      else this.hashes.delete(index);
    }
    const { geometry, version } = this.record;
    const slices = [...this.hashes].sort((a, b) => a[0] - b[0]);
    this.record = { geometry, labels: this.labels, parents: [this.name], slices, version };
    this.name = manifestHash(this.record);
    this.unnamed = null;
  }
}

/** A slice is never written again once it is kept, so it is looked through once. */
const found = new WeakMap<Uint16Array, ReadonlySet<number>>();

function labelsOf(planes: Iterable<Uint16Array>): Set<number> {
  const all = new Set<number>();
  for (const plane of planes) {
    let labels = found.get(plane);
    if (!labels) {
      labels = new Set(plane);
      found.set(plane, labels);
    }
    for (const label of labels) all.add(label);
  }
  all.delete(0);
  return all;
}
