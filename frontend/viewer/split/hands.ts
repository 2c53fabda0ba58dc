// Splitting, merging, marking what cannot be read, and measuring by hand: what the keys ask of the
// hand, and the changes that come of it.

import { slicesOf, voxelBody } from "../bodies";
import type { RegionRecord, SliceChange, Voxel, WhyNotAssessable } from "../contract";
import { newId } from "../ids";
import type { Labelmap } from "../labelmap";
import type { Patch } from "../patch";
import { type Block, boxOf, cutBlock, patchOf } from "../reshape/block";
import type { Session } from "../session";
import { NOT_ASSESSABLE } from "../words";
import { enclosed } from "./area";
import { cutByLine, cutBySeeds } from "./cut";
import { takenOver, voxelsOf } from "./lineage";
import type { Aim, Pointing } from "./pointing";

/** Voxels of a slice. */
type Area = Pick<SliceChange, "box" | "runs">;

const wholeBox = (box: SliceChange["box"]): Area => ({
  box,
  runs: [[0, (box[2] - box[0]) * (box[3] - box[1]), 1]],
});
const shapeOf = ({ box, runs }: Area) => `${box}/${runs}`;
const REASONS = Object.keys(NOT_ASSESSABLE) as WhyNotAssessable[];

/** What the hands need of the planes. */
export interface Planes {
  /** The grid's axis that a viewport looks along. */
  axisOf(viewportId: string): 0 | 1 | 2 | null;
  /** The axial slice on screen. */
  axial(): number | null;
}

export class Hands {
  /** The node that is measured by hand. */
  measuring: string | null = null;

  constructor(
    private readonly session: Session,
    private readonly labelmap: Labelmap,
    private readonly pointing: Pointing,
    private readonly planes: Planes,
  ) {}

  /** A line across the selected node, or a click on each of its two parts. */
  split(): void {
    const block = this.block();
    if (!block || this.session.refusesMore()) return;
    let seed: Voxel | null = null;
    this.pointing.ask({
      hint: "Draw a line across the node, or click both parts · Esc",
      line: (from, to, { id }) => {
        const axis = this.planes.axisOf(id);
        return axis !== null && this.cut(cutByLine(block, from, to, axis), block);
      },
      click: (voxel) => {
        if (seed) return this.cut(cutBySeeds(block, seed, voxel), block);
        seed = voxel;
        this.pointing.say("Now click the other part · Esc");
        return false;
      },
    });
  }

  private cut(part: Uint8Array | null, block: Block): boolean {
    const { session } = this;
    const { mask, selected, sops } = session;
    if (!mask || !selected) return true;
    const name = newId();
    const empty = { ...block, own: new Uint8Array(block.own.length) };
    const patch = part && patchOf(empty, part, name);
    if (!patch) {
      this.pointing.say("That does not cut the node in two. Try again · Esc");
      return false;
    }
    const inverse = voxelBody(mask.inverseOf(patch), sops);
    const again = voxelBody(patch, sops);
    const slices = slicesOf(patch, sops);
    this.made(
      session.make({ kind: "split", node: selected, part: name, slices }, inverse, again),
      patch,
    );
    return true;
  }

  /** The selected node and the one that is clicked; the larger keeps its name. */
  merge(): void {
    const { selected } = this.session;
    if (!selected || !this.living(selected)) {
      this.say("Select a node that has voxels and is not rejected.");
      return;
    }
    const heard = () => {
      const other = this.session.selected;
      if (other && other !== selected && this.mergeWith(selected, other)) this.pointing.end();
    };
    this.pointing.ask({
      hint: "Click the node to merge with, here or in the list · Esc",
      click: (voxel) => {
        const [slice, row, column] = voxel.map(Math.round) as Voxel;
        const { mask } = this.session;
        const other = mask?.nodeOf(mask.labelAt(slice, row, column)) ?? null;
        return other !== null && other !== selected && this.mergeWith(selected, other);
      },
      ended: () => this.session.removeEventListener("select", heard),
    });
    this.session.addEventListener("select", heard);
  }

  private mergeWith(one: string, other: string): boolean {
    const { session } = this;
    const { mask, sops } = session;
    if (!mask) return true;
    if (!this.living(other)) {
      this.pointing.say("That node is rejected or has no voxels. Click another · Esc");
      return false;
    }
    const numbers = [one, other].map((node) => mask.numberOf(node) ?? 0) as [number, number];
    const sizes = [voxelsOf(mask, one), voxelsOf(mask, other)] as const;
    const larger = sizes[0] === sizes[1] ? numbers[0] < numbers[1] : sizes[0] > sizes[1];
    const [node, merged] = larger ? [one, other] : [other, one];
    const patch = takenOver(mask, node, merged);
    const inverse = voxelBody(mask.inverseOf(patch), sops);
    const body = { kind: "merge", node, merged } as const;
    this.made(session.make(body, inverse, voxelBody(patch, sops)), patch);
    session.select(node);
    return true;
  }

  /** This slice, or a box drawn on it, cannot be read; a digit says why. */
  mark(): void {
    const { session } = this;
    if (!session.writable || !session.detail) return;
    const slice = this.planes.axial();
    if (slice === null) return;
    const [, rows, columns] = session.detail.grid.shape;
    let area = wholeBox([0, 0, rows, columns]);
    const here = session.regions.find(({ slices }) =>
      slices.some(({ sop }) => sop === session.sops[slice]),
    );
    const choices = REASONS.map((reason, place) => `${place + 1} ${NOT_ASSESSABLE[reason]}`);
    const takeBack = here ? " · 9 take back" : "";
    const words = (of: string) => `Cannot be read: ${of} · ${choices.join("  ")}${takeBack} · Esc`;
    const aim: Aim = {
      hint: words("this slice (or draw a box, or freely with ⇧)"),
      line: (from, to, { id }) => {
        if (this.planes.axisOf(id) !== 0) return false;
        const [r0, r1] = [from[1], to[1]].map(Math.round).sort((a, b) => a - b) as [number, number];
        const [c0, c1] = [from[2], to[2]].map(Math.round).sort((a, b) => a - b) as [number, number];
        const clamp = (place: number, size: number) => Math.min(size, Math.max(0, place));
        area = wholeBox([
          clamp(r0, rows - 1),
          clamp(c0, columns - 1),
          clamp(r1 + 1, rows),
          clamp(c1 + 1, columns),
        ]);
        this.pointing.say(words("this box"));
        return false;
      },
      outline: (along, { id }) => {
        if (this.planes.axisOf(id) !== 0) return false;
        const within = enclosed(
          along.map(([, row, column]) => [row, column] as const),
          rows,
          columns,
        );
        area = within ?? wholeBox([0, 0, rows, columns]);
        this.pointing.say(words(within ? "this area" : "this slice (that line holds nothing)"));
        return false;
      },
      digit: (number) => {
        const reason = REASONS[number - 1];
        if (number === 9 && here) this.setRegion(here, { ...here, reason: "", slices: [] });
        else if (reason) this.addTo(slice, area, reason);
        else return false;
        return true;
      },
    };
    this.pointing.ask(aim);
  }

  /** A slice beside a region of the same reason and shape makes that region longer. */
  private addTo(slice: number, { box, runs }: Area, reason: WhyNotAssessable): void {
    const { session } = this;
    const part: SliceChange = { sop: session.sops[slice] ?? "", box, runs };
    const beside = new Set([slice - 1, slice + 1].map((index) => session.sops[index]));
    const found = session.regions.find(
      (region) =>
        region.reason === reason &&
        region.slices.every((each) => shapeOf(each) === shapeOf(part)) &&
        region.slices.some(({ sop }) => beside.has(sop)) &&
        region.slices.every(({ sop }) => sop !== part.sop),
    );
    const before = found ?? { region: newId(), reason: "" as const, slices: [] };
    const order = (one: SliceChange) => session.sops.indexOf(one.sop);
    const slices = [...before.slices, part].sort((a, b) => order(a) - order(b));
    this.setRegion(before, { region: before.region, reason, slices });
  }

  private setRegion(before: RegionRecord, after: RegionRecord): void {
    this.session.make({ kind: "region", ...after }, { kind: "region", ...before });
  }

  /** Two lines: the long axis, then the short one; the panel takes them typed meanwhile. */
  measure(): void {
    const { session } = this;
    const node = session.node(session.selected);
    if (!node || node.empty) {
      this.say("Select a node that has voxels.");
      return;
    }
    let long: [Voxel, Voxel] | null = null;
    const watch = (measuring: string | null) => {
      this.measuring = measuring;
      session.changed();
    };
    this.pointing.ask({
      ended: () => watch(null),
      hint: node.manual
        ? "Draw the long axis, or type both in the list; 9 takes your measure back · Esc"
        : "Draw the long axis, or type both in the list · Esc",
      line: (from, to) => {
        if (!long) {
          long = [from, to];
          this.pointing.say("Now the short axis · Esc");
          return false;
        }
        session.change(node.uuid, { kind: "size", node: node.uuid, long, short: [from, to] });
        return true;
      },
      digit: (number) => {
        if (number !== 9 || !node.manual) return false;
        session.change(node.uuid, { kind: "size", node: node.uuid, long: null, short: null });
        return true;
      },
    });
    watch(node.uuid);
  }

  /** The axes of the node that is measured, in mm. */
  keepTyped({ long, short }: { long: number | null; short: number | null }): void {
    const { measuring } = this;
    if (!measuring) return;
    this.session.change(measuring, { kind: "size", node: measuring, long, short });
    this.pointing.end();
  }

  private made(done: boolean, patch: Patch): void {
    if (done) this.labelmap.repaint(patch.slices.map(({ index }) => index));
  }

  private living(node: string): boolean {
    const found = this.session.node(node);
    return found !== undefined && found.decision !== "rejected" && !(found.empty && !found.stale);
  }

  private block(): Block | null {
    const { mask, detail, selected, writable } = this.session;
    const label = selected && mask ? mask.numberOf(selected) : undefined;
    const box = mask && label !== undefined ? boxOf(mask, label) : null;
    if (!mask || !detail || !writable) return null;
    if (!selected || label === undefined || !box || !this.living(selected)) {
      this.say("Select a node that has voxels and is not rejected.");
      return null;
    }
    const nothing = new Float32Array(mask.rows * mask.columns);
    return cutBlock(mask, label, box, detail.grid.spacing_mm, () => nothing);
  }

  private say(words: string): void {
    this.session.notice = words;
    this.session.changed();
  }
}
