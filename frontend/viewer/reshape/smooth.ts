// A smoother surface of the same volume.

import { type Block, countOf } from "./block";
import { blurred } from "./density";

const SIGMA_MM = 1;
const STEPS = 4096;

/** The node with corners and specks taken off and dents filled; as many voxels as before. */
export function smoothed({ own, open, size, spacing }: Block): Uint8Array {
  const soft = blurred(Float32Array.from(own), size, spacing, SIGMA_MM);
  const wanted = countOf(own);
  const level = levelFor(soft, open, wanted);
  const result = new Uint8Array(own.length);
  for (let at = 0; at < own.length; at += 1) {
    result[at] = open[at] && (soft[at] as number) > level ? 1 : 0;
  }
  return countOf(result) > 0 ? result : own.slice();
}

/** The value above which lie as many open voxels as wanted. */
function levelFor(soft: Float32Array, open: Uint8Array, wanted: number): number {
  const histogram = new Uint32Array(STEPS + 1);
  for (let at = 0; at < soft.length; at += 1) {
    if (!open[at]) continue;
    const step = Math.floor(STEPS * Math.min(1, soft[at] as number));
    histogram[step] = (histogram[step] as number) + 1;
  }
  let above = 0;
  for (let step = STEPS; step > 0; step -= 1) {
    const next = above + (histogram[step] as number);
    // The nearer of the two counts, so that smoothing twice neither grows nor wears down.
    if (next >= wanted) return (next - wanted <= wanted - above ? step : step + 1) / STEPS;
    above = next;
  }
  return 0;
}
