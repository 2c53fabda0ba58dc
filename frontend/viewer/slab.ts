// The thickness of what each plane shows: one slice, or the mean or the brightest of a slab around
// it. Nodes, measures and painting stay on the one slice in the middle.

import type { Corners } from "./corners";
import type { ToolName } from "./tools";
import type { Views } from "./views";

export interface Slab {
  mm: number;
  /** How cornerstone blends what lies within. */
  blend: 0 | 1 | 3;
  words: string;
}

const THIN: Slab = { mm: 0, blend: 0, words: "" };
export const SLABS: readonly Slab[] = [
  THIN,
  { mm: 5, blend: 3, words: "Mean 5 mm" },
  { mm: 10, blend: 1, words: "MIP 10 mm" },
  { mm: 20, blend: 1, words: "MIP 20 mm" },
];
/** Tools that change voxels, or measure: they want to be seen where they act. */
const ON_ONE_SLICE: ReadonlySet<ToolName> = new Set([
  "brush",
  "sphere",
  "threshold",
  "eraser",
  "scissors",
  "reshape",
]);

export class Slabs {
  slab = THIN;

  constructor(
    private readonly views: Views,
    private readonly corners: Corners,
  ) {}

  cycle(): void {
    this.show(SLABS[(SLABS.indexOf(this.slab) + 1) % SLABS.length] ?? THIN);
  }

  thin(): void {
    if (this.slab !== THIN) this.show(THIN);
  }

  /** A tool that changes voxels was taken up. */
  held(tool: ToolName): void {
    if (ON_ONE_SLICE.has(tool)) this.thin();
  }

  private show(slab: Slab): void {
    this.slab = slab;
    for (const [id] of this.views.cameras()) {
      const viewport = this.views.viewport(id);
      const images = viewport?.getDefaultActor?.()?.uid;
      if (!viewport || !images) continue;
      viewport.setBlendMode?.(slab.blend, [images]);
      viewport.setSlabThickness?.(slab.mm, [images]);
      viewport.render();
    }
    this.corners.say("slab", slab.words && `${slab.words} · edits act on the middle slice`);
  }
}
