// The disagreement map: every cluster's voxels, taken apart by how many of X, Y and the AI drew
// them. It says how many, never who.

import { boxAround, type Solid, stamp } from "./layers";
import type { Solids } from "./volumes";

/** Voxels that exactly `count` of `among` drew. */
export interface Drawn {
  count: number;
  among: number;
  solids: readonly Solid[];
}

/** Bright where one stands alone, calm where all agree; told apart by any colour vision. */
const ALONE = "#ffe14d";
const SOME = "#d1495b";
const ALL = "#4a90e2";

export function colourOf({ count, among }: Pick<Drawn, "count" | "among">): string {
  return count === among ? ALL : count === 1 ? ALONE : SOME;
}

export function wordsOf({ count, among }: Pick<Drawn, "count" | "among">): string {
  if (count < among) return `${count} of ${among} drew it`;
  return among === 2 ? "both drew it" : `all ${among} drew it`;
}

const known = new WeakMap<readonly Solid[], Map<boolean, Drawn[]>>();

/** Of all clusters, fewest first; remembered as long as the label maps are. */
export function drawnBy(solids: Solids, withAi: boolean): Drawn[] {
  const remembered = known.get(solids.x) ?? new Map<boolean, Drawn[]>();
  known.set(solids.x, remembered);
  const found = remembered.get(withAi) ?? counted(solids, withAi);
  remembered.set(withAi, found);
  return found;
}

function counted({ x, y, ai }: Solids, withAi: boolean): Drawn[] {
  const drawers = withAi ? [x, y, ai] : [x, y];
  const found: Solid[][] = drawers.map(() => []);
  const clusters = new Set(drawers.flatMap((own) => own.map(({ cluster }) => cluster)));
  for (const cluster of [...clusters].sort((a, b) => a - b)) {
    const own = drawers.map((all) => all.filter((solid) => solid.cluster === cluster));
    byHowMany(own).forEach((solid, at) => {
      if (solid) found[at]?.push(solid);
    });
  }
  return found.map((own, at) => ({ count: at + 1, among: drawers.length, solids: own }));
}

/** At place n - 1 the voxels that exactly n of the drawers have; null where there are none. */
export function byHowMany(drawers: readonly (readonly Solid[])[]): (Solid | null)[] {
  const all = drawers.flat();
  const box = boxAround(all.map((solid) => solid.box));
  const cluster = all[0]?.cluster;
  if (!box || cluster === undefined) return drawers.map(() => null);
  const size = (box[3] - box[0]) * (box[4] - box[1]) * (box[5] - box[2]);
  const counts = new Uint8Array(size);
  for (const own of drawers) {
    const one = new Uint8Array(size);
    for (const solid of own) stamp(solid, box, one);
    for (let at = 0; at < size; at += 1) counts[at] = (counts[at] ?? 0) + (one[at] ?? 0);
  }
  return drawers.map((_, at) => {
    const data = counts.map((count) => (count === at + 1 ? 1 : 0));
    return data.includes(1) ? { label: cluster, cluster, box, data } : null;
  });
}

/** Of one cluster, in cubic millimetres. */
export function volumeOf({ solids }: Drawn, cluster: number, voxelMm3: number): number {
  return solids
    .filter((solid) => solid.cluster === cluster)
    .reduce((sum, { data }) => sum + data.reduce((all, value) => all + value, 0) * voxelMm3, 0);
}
