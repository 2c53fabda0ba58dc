// The order of the nodes in the list, which is also the order the keys step through.

import type { Decision } from "./contract";
import type { ShownNode } from "./projection";

export type Order = "place" | "size" | "undecided";
export const ORDERS: Readonly<Record<Order, string>> = {
  place: "Side and level",
  size: "Largest first",
  undecided: "Undecided first",
};

export type Filter = "all" | "undecided" | "kept" | "rejected" | "metastatic" | "doubt";
export const FILTERS: Readonly<Record<Filter, string>> = {
  all: "All nodes",
  undecided: "Undecided",
  kept: "Kept",
  rejected: "Rejected",
  metastatic: "Metastatic",
  doubt: "In doubt",
};

/** Levels as a reader sets them, from the skull base to the clavicle. */
export const LEVELS = [
  "IA",
  "IB",
  "IIA",
  "IIB",
  "III",
  "IV",
  "VA",
  "VB",
  "VI",
  "II",
  "V",
  "VII",
  "retropharyngeal",
  "parotid",
  "occipital",
  "supraclavicular",
] as const;
const DESCENT = [
  "retropharyngeal",
  "parotid",
  "occipital",
  "IB",
  "IA",
  "II",
  "IIA",
  "IIB",
  "III",
  "VA",
  "V",
  "VB",
  "IV",
  "VI",
  "supraclavicular",
  "VII",
];

export const DECIDED: readonly Decision[] = ["accepted", "rejected", "reshaped", "added"];

export function isDecided({ decision }: Pick<ShownNode, "decision">): boolean {
  return DECIDED.includes(decision);
}

/** A node that was added and erased again, or merged into another, is listed no more. */
export function inOrder(nodes: Iterable<ShownNode>, order: Order): ShownNode[] {
  return [...nodes]
    .filter((node) => !(node.empty && node.origin !== "ai" && !node.stale))
    .filter((node) => node.decision !== "merged")
    .sort(
      (a, b) =>
        (order === "undecided" ? Number(isDecided(a)) - Number(isDecided(b)) : 0) ||
        (order === "size" ? shortAxis(b) - shortAxis(a) : 0) ||
        byPlace(a, b),
    );
}

/** Right, left, not set; then by level where it is set; then from the skull base downwards. */
function byPlace(a: ShownNode, b: ShownNode): number {
  return (
    sideRank(a) - sideRank(b) ||
    levelRank(a) - levelRank(b) ||
    height(b) - height(a) ||
    a.number - b.number
  );
}

const sideRank = ({ side }: ShownNode) => (side === "R" ? 0 : side === "L" ? 1 : 2);
const shortAxis = ({ measures }: ShownNode) => measures?.sad_mm ?? 0;
const height = ({ measures }: ShownNode) => measures?.centroid_vox[0] ?? -1;

function levelRank({ level }: ShownNode): number {
  const rank = DESCENT.indexOf(level ?? "");
  return rank < 0 ? DESCENT.length : rank;
}

export function passes(node: ShownNode, filter: Filter): boolean {
  if (filter === "undecided") return !isDecided(node);
  if (filter === "kept") return isDecided(node) && node.decision !== "rejected";
  if (filter === "rejected") return node.decision === "rejected";
  if (filter === "metastatic") return node.impression?.value === "metastatic";
  if (filter === "doubt") return node.doubt;
  return true;
}

export const SIDE_WORDS = { R: "Right", L: "Left" } as const;

/** The heading over a node where the list runs by place. */
export function headingOf({ side }: ShownNode): string {
  return side ? SIDE_WORDS[side] : "Side not set";
}
