// What is to be drawn over a viewport: whose outlines, how strong, and the words of its legend.

import { volume } from "../words";
import { combine, type Solid } from "./layers";
import { AXIAL_X, sidesOf } from "./layout";
import type { LegendRow } from "./legend";
import { type Drawn, drawnBy, volumeOf, wordsOf } from "./map";
import type { Ink, Scene } from "./overlay";
import type { StageCluster, StageLayout, StageResolution } from "./stage";
import type { Solids } from "./volumes";

/** What is asked for; the images follow as soon as they can. */
export interface Wish {
  layout: StageLayout;
  phase: "settle" | "agreed";
  selected: number | null;
  cluster: StageCluster | null;
  preview: StageResolution | null;
  /** The step whose redrawn shape is previewed, and that shape once it is there. */
  step: string | null;
  redrawn: readonly Solid[] | null;
  /** What is previewed was decided already. */
  decided: boolean;
  difference: boolean;
  ai: boolean;
  /** Fills by how many drew a voxel, in the place of whose outline it is. */
  map: boolean;
}

interface Beside {
  showAi: boolean;
  voxelMm3: number;
  /** The shape in the hand. */
  drawing: Solid | null;
}

const NAMES: Record<StageResolution, string> = {
  X: "X",
  Y: "Y",
  AI: "the AI's shape",
  union: "X and Y together",
  intersection: "what X and Y share",
  redrawn: "redrawn",
  absent: "no node here",
  indeterminate: "cannot be told, ignored",
};

export function compose(id: string, wish: Wish, solids: Solids, beside: Beside): Scene {
  return wish.phase === "agreed"
    ? agreedScene(id, wish, solids)
    : settleScene(id, wish, solids, beside);
}

const NOBODY: Scene["only"] = { x: null, y: null };

function agreedScene(id: string, wish: Wish, { agreed, ignored }: Solids): Scene {
  const own = (solid: Solid) => solid.label === wish.selected;
  const numberOf = ({ label }: Solid) => label;
  const inks: Ink[] = [
    { kind: "ignored", solids: ignored, strength: "faint" },
    { kind: "agreed", solids: agreed.filter((solid) => !own(solid)), strength: "faint", numberOf },
    { kind: "agreed", solids: agreed.filter(own), strength: "strong", numberOf },
  ];
  const legend: LegendRow[] = [{ swatch: "agreed", words: "agreed" }];
  if (ignored.length) legend.push({ swatch: "ignored", words: "ignored" });
  const words = id === AXIAL_X ? legend : [];
  return { inks, only: NOBODY, drawn: [], crossed: null, limit: null, legend: words };
}

function settleScene(id: string, wish: Wish, solids: Solids, beside: Beside): Scene {
  const { layout, cluster } = wish;
  const sides = sidesOf(id, layout);
  const own = (kind: keyof Solids) =>
    solids[kind].filter((solid) => solid.cluster === wish.selected);
  const { drawing } = beside;
  const mapped = wish.map && layout === "overlay" && !drawing;
  const aiCounts = beside.showAi && wish.ai && solids.ai.length > 0;
  const drawn = mapped ? drawnBy(solids, aiCounts) : [];
  const inks: Ink[] = (mapped ? [] : sides).map((side) => ({
    kind: side,
    solids: solids[side].filter((solid) => solid.cluster !== wish.selected),
    strength: "faint",
    ...(side === sides[0] ? { numberOf: ({ cluster: number }: Solid) => number } : {}),
  }));
  // What would be, what is drawn and the AI's lie under the readers' outlines, wider than those.
  let crossed: Scene["crossed"] = null;
  if (drawing) inks.push({ kind: "redraw", solids: [drawing], strength: "strong" });
  else if (wish.preview === "absent") {
    crossed = (cluster?.box as unknown as Scene["crossed"]) ?? null;
  } else if (wish.preview) {
    const kind = wish.preview === "indeterminate" ? "ignored" : "preview";
    inks.push({ kind, solids: shapeOf(wish.preview, wish, own), strength: "strong" });
  }
  const limit = drawing?.box ?? null;
  if (mapped) {
    const legend = id === AXIAL_X ? mapLegend(drawn, wish, own, beside) : [];
    return { inks, only: NOBODY, drawn, selected: wish.selected, crossed, limit, legend };
  }
  const withAi = beside.showAi && wish.ai && own("ai").length > 0;
  if (withAi) inks.push({ kind: "ai", solids: own("ai"), strength: "calm" });
  for (const side of sides) inks.push({ kind: side, solids: own(side), strength: "strong" });
  const only = { ...NOBODY };
  if (layout === "overlay" && wish.difference && !drawing) {
    only.x = onlyIn(own("x"), own("y"));
    only.y = onlyIn(own("y"), own("x"));
  }
  const legend = legendOf(id, wish, { sides, own, withAi, drawing: drawing !== null, only });
  return { inks, only, drawn, crossed, limit, legend };
}

/** How much of the cluster shown so many drew, and who was counted. */
function mapLegend(
  drawn: readonly Drawn[],
  wish: Wish,
  own: Own,
  { voxelMm3 }: Beside,
): LegendRow[] {
  const rows: LegendRow[] = drawn.map((level) => {
    const mm3 = wish.selected === null ? 0 : volumeOf(level, wish.selected, voxelMm3);
    const { count, among } = level;
    const words = wordsOf(level);
    return { swatch: { count, among }, words, aside: mm3 ? volume(mm3) : "nothing here" };
  });
  const who = drawn.length > 2 ? "X, Y and the AI are counted" : "X and Y are counted";
  rows.push({ swatch: null, words: "", aside: who });
  if (wish.preview) rows.push(previewRow(wish, wish.preview, own));
  return rows;
}

type Own = (kind: keyof Solids) => readonly Solid[];

/** What a resolution gives for the cluster shown; of a redrawn shape the one in the hand. */
export function resolved(
  resolution: StageResolution,
  wish: Wish,
  solids: Solids,
  drawing: Solid | null,
): readonly Solid[] {
  if (resolution === "redrawn" && drawing) return [drawing];
  return shapeOf(resolution, wish, (kind) =>
    solids[kind].filter((solid) => solid.cluster === wish.selected),
  );
}

const parts = new WeakMap<Solid, Solid | null>();

/** Voxels of one side alone; computed once per cluster. */
function onlyIn(one: readonly Solid[], other: readonly Solid[]): Solid | null {
  const [first] = one;
  if (!first) return null;
  let found = parts.get(first);
  if (found === undefined) {
    found = combine(one, other, (inOne, inOther) => inOne && !inOther);
    parts.set(first, found);
  }
  return found;
}

const unions = new WeakMap<Solid, Solid | null>();
const shared = new WeakMap<Solid, Solid | null>();

function shapeOf(resolution: StageResolution, wish: Wish, own: Own): readonly Solid[] {
  const [x, y] = [own("x"), own("y")];
  switch (resolution) {
    case "X":
      return x;
    case "Y":
      return y;
    case "AI":
      return own("ai");
    case "redrawn":
      return wish.step ? (wish.redrawn ?? []) : [];
    case "intersection":
      return remembered(shared, x, y, (a, b) => a && b);
    case "union":
    case "indeterminate":
      return remembered(unions, x, y, (a, b) => a || b);
    default:
      return [];
  }
}

function remembered(
  known: WeakMap<Solid, Solid | null>,
  x: readonly Solid[],
  y: readonly Solid[],
  keep: (inX: boolean, inY: boolean) => boolean,
): Solid[] {
  const key = x[0] ?? y[0];
  if (!key) return [];
  let found = known.get(key);
  if (found === undefined) {
    found = combine(x, y, keep);
    known.set(key, found);
  }
  return found ? [found] : [];
}

interface Shown {
  sides: readonly ("x" | "y")[];
  own: Own;
  withAi: boolean;
  drawing: boolean;
  only: Scene["only"];
}

function legendOf(id: string, wish: Wish, shown: Shown): LegendRow[] {
  const { sides, own, withAi, drawing, only } = shown;
  if (wish.layout === "overlay" && id !== AXIAL_X) return [];
  const rows: LegendRow[] = sides.map((side) => ({
    swatch: side,
    words: side.toUpperCase(),
    ...(wish.cluster && !own(side).length ? { aside: "has nothing here" } : {}),
  }));
  if (withAi) rows.push({ swatch: "ai", words: "AI" });
  if (only.x) rows.push({ swatch: "only-x", words: "only X" });
  if (only.y) rows.push({ swatch: "only-y", words: "only Y" });
  if (drawing) {
    rows.push({ swatch: "redraw", words: "your shape" });
    rows.push({ swatch: "limit", words: "the brush reaches to here" });
  }
  if (!drawing && wish.preview) rows.push(previewRow(wish, wish.preview, own));
  return rows;
}

function previewRow(wish: Wish, preview: StageResolution, own: Own): LegendRow {
  const words = NAMES[preview];
  const nothing = preview !== "absent" && !shapeOf(preview, wish, own).length;
  return {
    swatch: preview === "absent" ? "absent" : preview === "indeterminate" ? "ignored" : "preview",
    words: `${wish.decided ? "decided" : "would be"}: ${words}`,
    ...(nothing ? { aside: preview === "redrawn" ? "loading" : "nothing" } : {}),
  };
}
