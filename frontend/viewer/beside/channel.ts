// From the window in which one reads to a second one on another monitor: where it stands. The
// second never answers with more than that it is there.

import type { Point3 } from "../ohif";
import type { Range } from "./paint";

export interface Standing {
  /** The position that all planes cross (LPS mm). */
  focus: Point3;
  /** Half the height of the axial plane (mm). */
  scale: number;
  window: Range;
  /** The series beside and its shift. */
  beside: { id: string; offset: Point3 } | null;
  pet: { id: string; offset: Point3; opacity: number } | null;
  node: string;
}

export type Message = { standing: Standing } | { hello: true } | { bye: true };

export function channelOf(reading: string): BroadcastChannel {
  return new BroadcastChannel(`concord-reading-${reading}`);
}
