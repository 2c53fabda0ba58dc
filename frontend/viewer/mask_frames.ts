// The host's own volume of the mask: how it counts the slices, and which of them the hand is on.

import { cornerstone, cornerstoneTools, type ImageVolume } from "./ohif";

export class MaskFrames {
  /** Slice → its place in the host's volume. */
  private readonly bySlice = new Map<number, number>();
  /** Frames under the strokes since the last was taken. */
  private under = new Set<number>();
  private anywhere = false;

  constructor(
    private readonly segmentation: string,
    /** What is shown of each slice of the grid. */
    private readonly planes: readonly Uint8Array[],
  ) {}

  /** Slices as the host's volume counts them; undefined where it has none yet. */
  of(slices: Iterable<number>): number[] | undefined {
    const frames = this.frames();
    const found = [...slices].map((slice) => frames.get(slice));
    return found.every((frame) => frame !== undefined) ? found : undefined;
  }

  private frames(): ReadonlyMap<number, number> {
    if (this.bySlice.size > 0) return this.bySlice;
    this.volume?.imageIds?.forEach((imageId, frame) => {
      const plane = cornerstone().cache.getImage(imageId)?.voxelManager.getScalarData();
      const index = plane ? this.planes.indexOf(plane) : -1;
      if (index >= 0) this.bySlice.set(index, frame);
    });
    return this.bySlice;
  }

  private get volume(): ImageVolume | undefined {
    const { state } = cornerstoneTools().segmentation;
    // None once the host has put the case away.
    const made = state.getSegmentation(this.segmentation);
    const volumeId = made?.representationData.Labelmap.volumeId;
    return volumeId ? cornerstone().cache.getVolume(volumeId) : undefined;
  }

  /**
   * The hand painted: on these frames of the host's volume, which alone it draws anew; anywhere
   * where it names none.
   */
  brushed(frames?: readonly number[]): void {
    const named = frames?.length && this.frames().size === this.planes.length;
    if (!named) this.anywhere = true;
    else for (const frame of frames) this.under.add(frame);
  }

  /** Slices that strokes may have changed since they were last taken; asked once. */
  take(): number[] {
    const { under, anywhere } = this;
    const all = [...this.planes.keys()];
    const found = anywhere ? all : all.filter((slice) => under.has(this.bySlice.get(slice) ?? -1));
    this.under = new Set();
    this.anywhere = false;
    // Else each stroke would have the host draw all slices of the strokes before it once more.
    this.volume?.voxelManager?.resetModifiedSlices();
    return found;
  }
}
