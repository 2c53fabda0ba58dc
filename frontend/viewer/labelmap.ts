// The mask on screen, in the host's labelmap of one byte a voxel (numbers.ts); slices are found by SOP Instance UID, whatever order the host keeps them in.

import { shownColour } from "./colours";
import { sopOf } from "./geometry";
import { lay } from "./lay";
import { MaskFrames } from "./mask_frames";
import { DenseNumbers, MOST_NODES } from "./numbers";
import { cornerstone, cornerstoneTools, type DisplaySet, type Host, type Segment } from "./ohif";
import { boxOfDifference, diffPlane, type Patch } from "./patch";
import type { Block } from "./reshape/block";
import type { Session } from "./session";

export const SEGMENTATION = "concord";
/** Segments made at once: each one added later costs the host a dozen redraws. */
const SPARE_SEGMENTS = 64;
/** Fill of a rejected node, against 255 of a living one. */
const REJECTED_ALPHA = 70;

export class Labelmap {
  private readonly planes: Uint8Array[] = [];
  private readonly numbers = new DenseNumbers(
    () => new Set(this.living().map(([, node]) => node)),
    () => [this.session.selected, this.session.draft],
  );
  private readonly shownIn = new Set<string>();
  private readonly painted = new Map<string, string>();
  readonly frames = new MaskFrames(SEGMENTATION, this.planes);
  private writing = false;
  hideRejected = false;
  outlineOnly = false;
  /** How strongly nodes are filled, 0–1. */
  fillAlpha = 0.16;

  constructor(
    private readonly host: Host,
    private readonly session: Session,
  ) {}

  private get service() {
    return this.host.servicesManager.services.segmentationService;
  }

  /** True while the change on screen is ours, not the reader's hand. */
  get busy(): boolean {
    return this.writing;
  }

  /** Makes the labelmap of the case; what the host made is left alone where it was `wanted` no more. */
  async create(displaySet: DisplaySet, wanted: () => boolean): Promise<void> {
    const { mask, detail } = this.session;
    if (!mask || !detail) return;
    for (const [, node] of this.named()) this.dense(node);
    const count = Math.min(MOST_NODES, this.numbers.size + SPARE_SEGMENTS);
    const segments: Record<number, Segment> = {};
    for (let index = 1; index <= count; index += 1) segments[index] = segment(index);
    await this.service.createLabelmapForDisplaySet(displaySet, {
      segmentationId: SEGMENTATION,
      label: "Nodes",
      segments,
    });
    if (!wanted()) return; // The reader went on meanwhile, and the next case's has its name.
    this.findPlanes(detail.grid.sop_uids);
    this.repaint(null);
  }

  private findPlanes(sops: string[]): void {
    const { state } = cornerstoneTools().segmentation;
    const made = state.getSegmentation(SEGMENTATION);
    const bySop = new Map<string, Uint8Array>();
    for (const imageId of made?.representationData.Labelmap.imageIds ?? []) {
      const image = cornerstone().cache.getImage(imageId);
      const sop = image && sopOf(image.referencedImageId);
      if (image && sop) bySop.set(sop, image.voxelManager.getScalarData());
    }
    sops.forEach((sop, index) => {
      const plane = bySop.get(sop);
      if (!plane) throw new Error("The images on screen are not those of this reading.");
      this.planes[index] = plane;
    });
  }

  /** Shows the labelmap in a viewport, once. */
  async show(viewportId: string): Promise<void> {
    if (this.planes.length === 0 || this.shownIn.has(viewportId)) return;
    this.shownIn.add(viewportId);
    await this.service.addSegmentationRepresentation(viewportId, {
      segmentationId: SEGMENTATION,
      type: "Labelmap",
    });
    this.applyStyle();
    this.colour();
  }

  /** Fills more or less strongly. */
  fill(by: number): void {
    this.outlineOnly = false;
    this.fillAlpha = Math.round(100 * Math.min(0.6, Math.max(0, this.fillAlpha + by))) / 100;
    this.applyStyle();
  }

  applyStyle(): void {
    this.service.setStyle(
      { type: "Labelmap" },
      {
        renderFill: !this.outlineOnly,
        renderFillInactive: !this.outlineOnly,
        fillAlpha: this.fillAlpha,
        fillAlphaInactive: this.fillAlpha,
        renderOutline: true,
        outlineWidth: 1.5,
        outlineWidthInactive: 1.5,
        outlineOpacity: 1,
        activeSegmentOutlineWidthDelta: 1.5,
      },
    );
  }

  /** A node's number on screen; 0 where there are more nodes than numbers. */
  dense(node: string): number {
    return this.numbers.of(node);
  }

  /** Label number and name of the nodes that have voxels. */
  private living(): [number, string][] {
    const { mask } = this.session;
    const numbers = mask?.living ?? new Set();
    return mask?.labels.filter(([number]) => numbers.has(number)) ?? [];
  }

  /** The nodes that want a number: all there ever were, while one is left for a new node. */
  private named(): [number, string][] {
    const labels = this.session.mask?.labels ?? [];
    return labels.length < MOST_NODES ? labels : this.living();
  }

  /** A segment for a node that has no voxels yet. */
  private ensure(node: string): number {
    const index = this.dense(node);
    if (index && !this.service.getSegmentation(SEGMENTATION)?.segments[index]) {
      this.service.addSegment(SEGMENTATION, { segmentIndex: index, label: `Node ${index}` });
    }
    return index;
  }

  /** The brush paints the selected node. */
  activate(node: string | null): void {
    if (this.planes.length === 0 || !node) return;
    const index = this.ensure(node);
    if (index) this.service.setActiveSegment(SEGMENTATION, index);
    this.colour();
  }

  /** Writes the truth over what is on screen; null means all slices. */
  repaint(slices: number[] | null): void {
    const { mask } = this.session;
    if (!mask || this.planes.length === 0) return;
    const dense = this.denseTable();
    for (const index of slices ?? this.planes.keys()) {
      const shown = this.planes[index];
      if (shown) lay(mask.plane(index), shown, dense);
    }
    for (const [, node] of this.named()) this.ensure(node);
    this.colour();
    this.tell(slices ?? undefined);
  }

  /** Without a list the host takes every slice anew. */
  private tell(slices?: Iterable<number>): void {
    this.writing = true;
    cornerstoneTools().segmentation.triggerSegmentationEvents.triggerSegmentationDataModified(
      SEGMENTATION,
      slices && this.frames.of(slices),
    );
    this.writing = false;
  }

  /** A node drawn on screen alone, for a gesture that is not over. */
  sketch(node: string, block: Block): { write(at: number, own: boolean): void; show(): void } {
    const { mask } = this.session;
    const dense = this.denseTable();
    const value = this.dense(node);
    const touched = new Set<number>();
    const [, rows, columns] = block.size;
    const area = rows * columns;
    return {
      write: (at, own) => {
        const slice = block.box[0] + Math.floor(at / area);
        const row = block.box[1] + (Math.floor(at / columns) % rows);
        const there = row * (mask?.columns ?? 0) + block.box[2] + (at % columns);
        const truth = block.own[at] ? 0 : (dense[mask?.plane(slice)?.[there] ?? 0] ?? 0);
        const shown = this.planes[slice];
        if (shown) shown[there] = own ? value : truth;
        touched.add(slice);
      },
      show: () => {
        if (touched.size) this.tell(touched);
      },
    };
  }

  /** Label number → dense number. */
  private denseTable(): Uint8Array {
    const table = new Uint8Array(65536);
    for (const [number, node] of this.named()) table[number] = this.dense(node);
    return table;
  }

  /**
   * What the reader's stroke changed, for the node it belongs to. Voxels of other nodes are put
   * back unless it is free to take them, and so is everything when no node may be painted.
   */
  takeStroke(node: string | null, free = false): Patch | null {
    const { mask } = this.session;
    if (!mask) return null;
    const own = (node && this.dense(node)) || -1;
    const dense = this.denseTable();
    const before = new Uint8Array(mask.rows * mask.columns);
    const patch: Patch = { nodes: node ? [node] : [], slices: [] };
    let reverted = false;
    for (const index of this.frames.take()) {
      const shown = this.planes[index];
      if (!shown) continue;
      const truth = mask.plane(index) ?? new Uint16Array(shown.length);
      const box = boxOfDifference(truth, shown, mask.columns, (label) => dense[label] ?? 0);
      if (!box) continue;
      const [top, left, bottom, right] = box;
      for (let row = top; row < bottom; row += 1) {
        for (let at = row * mask.columns + left; at < row * mask.columns + right; at += 1) {
          const [was, is] = [dense[truth[at] ?? 0] ?? 0, shown[at] ?? 0];
          before[at] = was;
          if (was === is) continue;
          if ((was === 0 || was === own) && (is === 0 || is === own)) continue;
          if (free && is === own) continue;
          shown[at] = was;
          reverted = true;
        }
      }
      const named = (value: number) => (value === own ? 1 : 0);
      const change = diffPlane(before, shown, mask.columns, named, box);
      if (change) patch.slices.push({ index, ...change });
    }
    if (reverted) this.tell();
    return patch.slices.length ? patch : null;
  }

  shownAt(slice: number, row: number, column: number): number {
    return this.planes[slice]?.[row * (this.session.mask?.columns ?? 0) + column] ?? 0;
  }

  /** Colours follow decisions; a viewport is redrawn once, and only if something differs. */
  colour(): void {
    const rejected = new Set(
      this.session.nodes.filter(({ decision }) => decision === "rejected").map(({ uuid }) => uuid),
    );
    const looks = this.numbers.all.map(([node, index]) => {
      const gone = rejected.has(node);
      const label = this.session.mask?.numberOf(node) ?? this.session.mask?.nextLabel ?? index;
      const colour = [...shownColour(label, gone), gone ? REJECTED_ALPHA : 255];
      return { index, colour, visible: !(gone && this.hideRejected) };
    });
    const signature = JSON.stringify(looks);
    for (const viewportId of this.shownIn) {
      if (this.painted.get(viewportId) === signature) continue;
      this.painted.set(viewportId, signature);
      for (const look of looks) setLook(viewportId, look);
      cornerstoneTools().segmentation.triggerSegmentationEvents.triggerSegmentationRepresentationModified(
        viewportId,
        SEGMENTATION,
        "Labelmap",
      );
    }
  }
}

/** Written in place: the host's own setters redraw the viewport for every single segment. */
function setLook(
  viewportId: string,
  { index, colour, visible }: { index: number; colour: number[]; visible: boolean },
): void {
  const { config, state } = cornerstoneTools().segmentation;
  const shown = config.color.getSegmentIndexColor(viewportId, SEGMENTATION, index);
  shown?.splice(0, colour.length, ...colour);
  const [representation] = state.getSegmentationRepresentations(viewportId, {
    segmentationId: SEGMENTATION,
  });
  const segment = representation?.segments[index];
  if (segment) segment.visible = visible;
}

function segment(segmentIndex: number): Segment {
  const label = `Node ${segmentIndex}`;
  return { segmentIndex, label, active: segmentIndex === 1, locked: false, cachedStats: {} };
}
