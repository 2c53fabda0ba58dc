// Images that are only remembered: what the list asked to be shown.

import type { Size } from "../viewer/settle/measure";
import type {
  Loading,
  SettleStage,
  Shape,
  StageCluster,
  StageLayout,
  StageResolution,
  StageTool,
} from "../viewer/settle/stage";
import type { WindowName } from "../viewer/views";

const SIZE: Size = { long_mm: 15.26, short_mm: 9.04, volume_mm3: 812 };

export const SHAPE: Shape = { slices: [{ sop: "1.0", box: [1, 1, 2, 3], runs: [[0, 2, 1]] }] };

export class Stage extends EventTarget implements SettleStage {
  isReady = true;
  loading: Loading = { complete: true, percent: 100, lost: 0 };
  /** What each resolution measures for every cluster. */
  sizes: Partial<Record<StageResolution, Size>> = { AI: SIZE, union: SIZE, intersection: SIZE };
  layoutNow: StageLayout = "side_by_side";
  windowNow: WindowName = "soft";
  toolNow: StageTool = "window";
  brushMm = 6;
  differenceNow = true;
  mapNow = false;
  aiNow = true;
  showsAi = true;
  phase: "settle" | "agreed" = "settle";
  shown: number | null = null;
  node: number | null = null;
  previewed: StageResolution | null = null;
  focus: [number, number, number] = [40, 1, 1];
  private readonly heard = new Set<() => void>();

  redraw = new (class {
    cluster: number | null = null;
    drawn = false;
    constructor(private readonly stage: Stage) {}
    get undoable(): boolean {
      return this.drawn;
    }
    begin(cluster: StageCluster): void {
      this.cluster = cluster.number;
      this.drawn = false;
      this.stage.toolNow = "brush";
    }
    shape(): Shape | null {
      return this.drawn ? SHAPE : null;
    }
    changed(listener: () => void): () => void {
      this.stage.heard.add(listener);
      return () => this.stage.heard.delete(listener);
    }
    undo(): void {
      this.drawn = false;
    }
    end(): void {
      this.cluster = null;
      this.drawn = false;
      this.stage.toolNow = "window";
    }
  })(this);

  /** A stroke of the brush. */
  stroke(): void {
    this.redraw.drawn = true;
    for (const listener of this.heard) listener();
  }

  start(): void {
    this.dispatchEvent(new Event("ready"));
  }
  sizeOf(resolution: StageResolution): Size | null {
    return this.sizes[resolution] ?? null;
  }
  show(cluster: StageCluster): void {
    this.shown = cluster.number;
  }
  layout(kind: StageLayout): void {
    this.layoutNow = kind;
  }
  difference(): void {}
  map(on: boolean): void {
    this.mapNow = on;
    if (on) this.layoutNow = "overlay";
  }
  ai(): void {}
  preview(resolution: StageResolution | null): void {
    this.previewed = resolution;
  }
  async agreed(): Promise<void> {
    this.phase = "agreed";
    this.layoutNow = "overlay";
  }
  readers(): void {
    this.phase = "settle";
  }
  select(): void {}
  showNode(number: number): void {
    this.node = number;
  }
  window(name: WindowName): void {
    this.windowNow = name;
  }
  tool(name: StageTool): void {
    this.toolNow = name;
  }
  resizeBrush(): void {}
  reset(): void {}
}
