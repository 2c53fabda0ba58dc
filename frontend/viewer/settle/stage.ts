// The images of the settling screen, as the list beside them sees them: which cluster is shown,
// what a resolution would give, and a brush for shapes that neither reader drew.

import type { Box, ReadingDetail, Run, Voxel } from "../contract";
import type { WindowName } from "../views";
import type { Size } from "./measure";

/** A clustered place of disagreement; `box` is first slice, row, column, then their ends. */
export interface StageCluster {
  number: number;
  box: readonly number[];
  x: { nodes: readonly { label: number }[] } | null;
  y: { nodes: readonly { label: number }[] } | null;
}

/** What the stage needs of GET /api/consensus/<id>. */
export interface StageConsensus {
  id: string;
  series_uid: string;
  grid: ReadingDetail["grid"];
  show_ai: boolean;
  clusters: readonly StageCluster[];
}

export type StageLayout = "side_by_side" | "overlay";
export type StageResolution =
  | "X"
  | "Y"
  | "AI"
  | "union"
  | "intersection"
  | "redrawn"
  | "absent"
  | "indeterminate";
export type RedrawStart = "x" | "y" | "union" | "empty";
export type StageTool = "window" | "pan" | "zoom" | "brush" | "eraser";

/** A drawn shape on an empty map, as propose and resolve take it. */
export interface Shape {
  slices: { sop: string; box: Box; runs: Run[] }[];
}

export interface Redraw {
  /** The cluster being redrawn, or null. */
  readonly cluster: number | null;
  readonly undoable: boolean;
  /** Ends what was being redrawn; the brush is in the hand afterwards. */
  begin(cluster: StageCluster, from: RedrawStart): void;
  /** What is drawn; null while nothing is. */
  shape(): Shape | null;
  /** Calls back after every stroke and undo; returns the end of it. */
  changed(listener: () => void): () => void;
  undo(): void;
  /** Puts the brush away and forgets the shape. */
  end(): void;
}

/** How far the slices of the images are here. */
export interface Loading {
  complete: boolean;
  percent: number;
  /** Slices that will not come. */
  lost: number;
}

/**
 * Announces "ready" (masks and views are there), "loading" (more of the images are here), "failed"
 * (detail: a sentence), "shown" (another cluster), "tool", "window" and "layout". Every call is safe before "ready": the last
 * wish counts then.
 */
export interface SettleStage extends EventTarget {
  readonly isReady: boolean;
  readonly loading: Loading;
  readonly layoutNow: StageLayout;
  readonly windowNow: WindowName;
  readonly toolNow: StageTool;
  readonly brushMm: number;
  /** The voxel all planes look at. */
  readonly focus: Voxel | null;
  /** Shown at all: the agreed nodes once `agreed()` was called, else the readers'. */
  readonly phase: "settle" | "agreed";

  /** What a resolution measures for the cluster shown; null where it leaves nothing. */
  sizeOf(resolution: StageResolution): Size | null;
  /** Selects a cluster, centres and fits it in every plane, where its area is largest. */
  show(cluster: StageCluster): void;
  layout(kind: StageLayout): void;
  /** Fills where only one of the two has a voxel (overlay); on at first. */
  difference(on: boolean): void;
  /** Fills by how many drew each voxel, in place of the outlines; back where it came from when off. */
  map(on: boolean): void;
  /** The AI's outline of the selected cluster, where the protocol shows it; on at first. */
  ai(on: boolean): void;
  /**
   * One bold outline of what a resolution gives for the cluster shown; null takes it away.
   * "redrawn" shows the shape of a step, or without one the shape in the hand. `decided` says
   * that it is so, not that it would be.
   */
  preview(resolution: StageResolution | null, mask?: { step: string }, decided?: boolean): void;
  /** The label phase: the agreed nodes in three planes. Read anew at each call. */
  agreed(): Promise<void>;
  /** Back to the readers' outlines, as before `agreed()`. */
  readers(): void;
  /** Emphasises a cluster (or an agreed node, in its phase) without moving the views. */
  select(number: number | null): void;
  /** Selects an agreed node, centres and fits it. */
  showNode(number: number): void;
  window(name: WindowName): void;
  tool(name: StageTool): void;
  /** A larger (+1) or smaller (-1) brush. */
  resizeBrush(stepMm: number): void;
  /** The whole field of view again. */
  reset(): void;
  readonly redraw: Redraw;
}

/** What the tools above the images show besides. */
export interface ToolStage extends SettleStage {
  readonly differenceNow: boolean;
  readonly mapNow: boolean;
  readonly aiNow: boolean;
  /** The protocol opens the AI's shapes. */
  readonly showsAi: boolean;
}

/** Side by side or overlaid; from the map to the outlines that it took the place of. */
export function turnOver(stage: ToolStage): void {
  const overlaid = stage.layoutNow === "overlay" && !stage.mapNow;
  stage.map(false);
  stage.layout(overlaid ? "side_by_side" : "overlay");
}

const news = new EventTarget();
let current: ToolStage | null = null;

export function announceStage(stage: ToolStage | null): void {
  current = stage;
  news.dispatchEvent(new Event("change"));
}

/** Calls back now and whenever the stage changes; returns the end of it. */
export function watchStage(listener: (stage: ToolStage | null) => void): () => void {
  const heard = () => listener(current);
  news.addEventListener("change", heard);
  heard();
  return () => news.removeEventListener("change", heard);
}
