// When a growing node arrives at a voxel, in millimetres: inside it the exact distance to its
// surface, below zero; outside it the length of the way through tissue it may grow through.
// A drag is a threshold of this map, so a step costs only the voxels that change.

import type { Voxel } from "../contract";
import type { Block } from "./block";
import { type Band, calmed } from "./density";
import { distanceTo } from "./distance";

/** Arrivals closer than this may come in any order; it is far below what an eye sees. */
const BUCKET_MM = 0.02;

export class Arrival {
  /** Millimetres; `Infinity` where the node has not arrived, or never will. */
  readonly values: Float32Array;
  /** Voxels in the order they belong to the node, the deepest first. */
  private readonly sequence: number[] = [];
  private readonly open: Uint8Array;
  private readonly settled: Uint8Array;
  private readonly buckets: number[][] = [];
  private bucket = 0;
  private taken: number;
  private readonly half: number;

  /** Throws on a block without the node: there is nothing to grow. */
  constructor(
    private readonly block: Block,
    band: Band,
    private readonly farthestMm: number,
  ) {
    const { own, size, spacing } = block;
    const tissue = calmed(block.density, size);
    this.open = new Uint8Array(own.length);
    this.settled = own.slice();
    this.half = Math.min(...spacing) / 2;
    const depth = distanceTo(own, 0, size, spacing);
    this.values = new Float32Array(own.length).fill(Infinity);
    for (let at = 0; at < own.length; at += 1) {
      const density = tissue[at] as number;
      const passable = density >= band.low && density <= band.high;
      this.open[at] = block.open[at] && passable ? 1 : 0;
      if (!own[at]) continue;
      const inside = depth[at] as number;
      this.values[at] = this.half - (Number.isFinite(inside) ? inside : farthestMm);
      this.sequence.push(at);
    }
    if (this.sequence.length === 0) throw new Error("There is no node to reshape here.");
    this.sequence.sort((a, b) => (this.values[a] as number) - (this.values[b] as number));
    this.taken = this.sequence.length;
    for (const at of this.sequence) if ((depth[at] as number) < 2 * maxOf(spacing)) this.offer(at);
  }

  /**
   * Moves the surface to `mm` outward of where it was (inward below zero), and calls `write` for
   * every voxel that comes or goes. One voxel always stays.
   */
  moveTo(mm: number, write: (at: number, belongs: 0 | 1) => void): void {
    const until = Math.min(mm, this.farthestMm);
    if (until > 0) this.march(until);
    const { sequence, values } = this;
    while (this.taken < sequence.length) {
      const at = sequence[this.taken] as number;
      if ((values[at] as number) > until) break;
      write(at, 1);
      this.taken += 1;
    }
    while (this.taken > 1) {
      const at = sequence[this.taken - 1] as number;
      if ((values[at] as number) <= until) break;
      write(at, 0);
      this.taken -= 1;
    }
  }

  /** Settles every voxel that is reached within `mm`. */
  private march(mm: number): void {
    const last = this.bucketOf(mm);
    for (; this.bucket <= last; this.bucket += 1) {
      const here = this.buckets[this.bucket];
      if (!here) continue;
      for (let place = 0; place < here.length; place += 1) {
        const at = here[place] as number;
        if (this.settled[at]) continue;
        this.settled[at] = 1;
        this.sequence.push(at);
        this.offer(at);
      }
      delete this.buckets[this.bucket];
    }
  }

  private bucketOf(mm: number): number {
    return Math.max(0, Math.floor(mm / BUCKET_MM));
  }

  /** A settled voxel tells its neighbours when the node may reach them. */
  private offer(at: number): void {
    const [slices, rows, columns] = this.block.size;
    const area = rows * columns;
    const slice = Math.floor(at / area);
    const row = Math.floor((at - slice * area) / columns);
    const column = at - slice * area - row * columns;
    if (column > 0) this.reach(at - 1, slice, row, column - 1);
    if (column < columns - 1) this.reach(at + 1, slice, row, column + 1);
    if (row > 0) this.reach(at - columns, slice, row - 1, column);
    if (row < rows - 1) this.reach(at + columns, slice, row + 1, column);
    if (slice > 0) this.reach(at - area, slice - 1, row, column);
    if (slice < slices - 1) this.reach(at + area, slice + 1, row, column);
  }

  /** The eikonal equation from the settled neighbours, upwind (fast marching). */
  private reach(at: number, slice: number, row: number, column: number): void {
    if (this.settled[at] || !this.open[at]) return;
    const { size, spacing } = this.block;
    const [, rows, columns] = size;
    const area = rows * columns;
    const found: [number, number][] = [];
    this.upwind(found, at, 1, column, columns, spacing[2]);
    this.upwind(found, at, columns, row, rows, spacing[1]);
    this.upwind(found, at, area, slice, size[0], spacing[0]);
    const value = solve(found);
    if (value >= (this.values[at] as number) || value > this.farthestMm) return;
    this.values[at] = value;
    const bucket = Math.max(this.bucket, this.bucketOf(value));
    const here = this.buckets[bucket];
    if (here) here.push(at);
    else this.buckets[bucket] = [at];
  }

  private upwind(
    found: [number, number][],
    at: number,
    step: number,
    place: number,
    length: number,
    mm: number,
  ): void {
    const before = place > 0 ? this.arrived(at - step) : Infinity;
    const after = place < length - 1 ? this.arrived(at + step) : Infinity;
    const first = Math.min(before, after);
    if (first < Infinity) found.push([first, mm]);
  }

  /** The surface passes half a voxel outward of its outermost voxels. */
  private arrived(at: number): number {
    if (!this.settled[at]) return Infinity;
    return this.block.own[at] ? -this.half : (this.values[at] as number);
  }
}

/** The arrival that fits up to three axes, each given as (arrival of the neighbour, spacing). */
function solve(found: [number, number][]): number {
  found.sort((a, b) => a[0] - b[0]);
  let [weight, linear, constant] = [0, 0, -1];
  let value = Infinity;
  for (const [arrival, mm] of found) {
    if (arrival >= value) break;
    const unit = 1 / (mm * mm);
    weight += unit;
    linear += unit * arrival;
    constant += unit * arrival * arrival;
    const root = linear * linear - weight * constant;
    if (root < 0) break;
    value = (linear + Math.sqrt(root)) / weight;
  }
  return value;
}

function maxOf(spacing: Voxel): number {
  return Math.max(...spacing);
}
