// How many of the images are here. What is decided on is looked at in all planes, and a plane that
// is half loaded shows black where there may be a node.

import { cornerstone, type ImageVolume } from "../ohif";

const NEWS = ["IMAGE_VOLUME_MODIFIED", "IMAGE_VOLUME_LOADING_COMPLETED", "IMAGE_LOAD_ERROR"];

/** Announces "change" whenever another percent is here. */
export class Arrival extends EventTarget {
  private told = -1;

  constructor(private readonly volumes: () => readonly ImageVolume[]) {
    super();
  }

  /** Whole percent of the slices that are here. */
  get percent(): number {
    const volumes = this.volumes();
    const sum = (of: (volume: ImageVolume) => number) =>
      volumes.reduce((total, volume) => total + of(volume), 0);
    const all = sum(({ totalNumFrames }) => totalNumFrames ?? 1);
    const here = sum((volume) =>
      isWhole(volume) ? (volume.totalNumFrames ?? 1) : (volume.framesLoaded ?? 0),
    );
    return all ? Math.floor((100 * here) / all) : 0;
  }

  /** Slices that will not come. */
  get lost(): number {
    return this.volumes().reduce((total, volume) => total + lostOf(volume), 0);
  }

  get complete(): boolean {
    const volumes = this.volumes();
    return volumes.length > 0 && volumes.every((volume) => isWhole(volume) && !lostOf(volume));
  }

  /** Hears the host until the returned end. */
  listen(): () => void {
    const { eventTarget, Enums } = cornerstone();
    const names = NEWS.flatMap((name) => Enums.Events[name] ?? []);
    const heard = () => this.tell();
    for (const name of names) eventTarget.addEventListener(name, heard);
    return () => {
      for (const name of names) eventTarget.removeEventListener(name, heard);
    };
  }

  private tell(): void {
    const now = this.complete ? 101 : this.percent;
    if (now === this.told && !this.lost) return;
    this.told = now;
    this.dispatchEvent(new Event("change"));
  }
}

/** A volume that was made from images already here says nothing of loading. */
function isWhole({ loadStatus }: ImageVolume): boolean {
  return !loadStatus || loadStatus.loaded;
}

function lostOf({ framesProcessed = 0, framesLoaded = 0 }: ImageVolume): number {
  return Math.max(0, framesProcessed - framesLoaded);
}
