// Shaping the selected node: everything that makes new voxels of a node by computing them.
// Each verb is one change, and so one step to undo.

import type { Labelmap } from "../labelmap";
import type { Patch } from "../patch";
import type { Session } from "../session";
import { Arrival } from "./arrival";
import { bridged, leftOutAlong } from "./between";
import { type Block, boxOf, countOf, cutBlock, patchOf, widened } from "./block";
import type { Densities } from "./densities";
import { type Band, bandOf } from "./density";
import { filled } from "./fill";
import { smoothed } from "./smooth";
import { SNAP_MARGIN_MM, snapped } from "./snap";

/** How far one gesture reaches. */
const FARTHEST_MM = 10;
/** Room around the node for what only rounds it. */
const LITTLE_MM = 4;

const NOTHING_LEFT_OUT =
  "No slice is left out between the drawn ones, in any plane. Draw the node on some slices of one plane, with gaps between them.";
const NOTHING_IN_COMMON =
  "What is drawn on the two sides of the gap has no shape in common. Paint outlines full, or draw one more slice between.";

/** The surface lies half way between voxels; a little beyond that is the next one. */
const NEXT_VOXEL = 0.6;

/** A node being drawn larger or smaller; on screen at once, a change when `keep` is called. */
export class Pull {
  readonly shape: Uint8Array;
  private readonly arrival: Arrival;

  constructor(
    readonly node: string,
    readonly block: Block,
    private readonly labelmap: Labelmap,
  ) {
    this.shape = block.own.slice();
    this.arrival = new Arrival(block, bandOf(block.density, block.own), FARTHEST_MM);
  }

  /** The surface goes `mm` outward of where it was, or inward below zero. */
  to(mm: number): void {
    const { block, shape } = this;
    const touched = this.labelmap.sketch(this.node, block);
    this.arrival.moveTo(mm, (at, belongs) => {
      shape[at] = belongs;
      touched.write(at, belongs === 1);
    });
    touched.show();
  }

  get patch(): Patch | null {
    return patchOf(this.block, this.shape, this.node);
  }

  get volumeMm3(): number {
    const [slice, row, column] = this.block.spacing;
    return countOf(this.shape) * slice * row * column;
  }
}

export class Shaping {
  /** The node that may take voxels of its neighbours, for as long as it is selected. */
  private freed: string | null = null;
  densities: Densities | null = null;

  constructor(
    private readonly session: Session,
    private readonly labelmap: Labelmap,
  ) {
    session.addEventListener("select", () => {
      if (session.selected !== this.freed) this.freed = null;
    });
  }

  /** The selected node may take voxels of its neighbours. */
  get free(): boolean {
    return this.freed !== null && this.freed === this.session.selected;
  }

  set free(free: boolean) {
    this.freed = free ? this.session.selected : null;
    this.session.changed();
  }

  /** Begins a gesture on the selected node; null, with a word to the reader, where none can be. */
  pull(): Pull | null {
    const found = this.take(FARTHEST_MM);
    return found && new Pull(found.node, found.block, this.labelmap);
  }

  /** True when the change was made; otherwise the screen shows the truth again. */
  keep({ patch, block }: Pull): boolean {
    this.session.notice = "";
    if (!patch) return false;
    if (this.session.paint(patch)) return true;
    this.labelmap.repaint([...Array(block.size[0]).keys()].map((slice) => block.box[0] + slice));
    return false;
  }

  /** One step by key: so far, and at least to the next voxel. */
  nudge(mm: number): void {
    const pull = this.pull();
    if (!pull) return;
    const voxel = NEXT_VOXEL * Math.min(...pull.block.spacing);
    pull.to(Math.sign(mm) * Math.max(Math.abs(mm), voxel));
    if (this.keep(pull)) return;
    this.say(mm > 0 ? "There is nothing to grow into here." : "The node cannot be any smaller.");
  }

  snap(): void {
    this.make(SNAP_MARGIN_MM, snapped, () => "The node already lies on the edge.");
  }

  fill(): void {
    this.make(LITTLE_MM, filled, () => "The node has no core to fill.");
  }

  smooth(): void {
    this.make(LITTLE_MM, smoothed, () => "The node is as smooth as it can be.");
  }

  bridge(): void {
    this.make(LITTLE_MM, bridged, (block) =>
      leftOutAlong(block) === null ? NOTHING_LEFT_OUT : NOTHING_IN_COMMON,
    );
  }

  /** The densities of the selected node, for a brush that takes no others. */
  band(): Band | null {
    const found = this.take(0);
    return found && bandOf(found.block.density, found.block.own);
  }

  /** `nothing` is said where the node stays as it is. */
  private make(
    marginMm: number,
    act: (block: Block) => Uint8Array,
    nothing: (block: Block) => string,
  ): void {
    const found = this.take(marginMm);
    if (!found) return;
    const patch = patchOf(found.block, act(found.block), found.node);
    this.session.notice = "";
    if (!patch) this.say(nothing(found.block));
    else if (this.session.paint(patch))
      this.labelmap.repaint(patch.slices.map(({ index }) => index));
  }

  private take(marginMm: number): { node: string; block: Block } | null {
    const { mask, detail, selected, writable } = this.session;
    if (!mask || !detail || !writable) return null;
    const label = selected ? mask.numberOf(selected) : undefined;
    const box = label === undefined ? null : boxOf(mask, label);
    if (!selected || label === undefined || !box) {
      this.say("Select a node that has voxels.");
      return null;
    }
    const { shape, spacing_mm } = detail.grid;
    const around = widened(box, marginMm, shape, spacing_mm);
    const densityOf = (index: number) => this.densities?.of(index) ?? null;
    const block = cutBlock(mask, label, around, spacing_mm, densityOf, this.free);
    if (!block) this.say("The images around this node are still on their way.");
    return block && { node: selected, block };
  }

  private say(words: string): void {
    this.session.notice = words;
    this.session.changed();
  }
}
