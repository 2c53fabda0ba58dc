// What a newer proposal says, in words.

import type { Measures } from "../contract";
import { volume } from "../words";
import type { Difference } from "./contract";

export const KINDS = { new: "New", changed: "Changed", gone: "Gone" } as const;

/** "2 new, 1 gone, 3 changed". */
export function countWords(differences: readonly Difference[]): string {
  const kinds = ["new", "gone", "changed"] as const;
  return kinds
    .map((kind) => [differences.filter((one) => one.kind === kind).length, kind] as const)
    .filter(([count]) => count > 0)
    .map(([count, kind]) => `${count} ${kind}`)
    .join(", ");
}

/** The reader's nodes that a difference is about: "node 4", "nodes 4 and 7"; "" for none. */
export function presentWords({ present }: Difference): string {
  const numbers = present.map(({ number }) => number);
  if (numbers.length < 2) return numbers.length ? `node ${numbers[0]}` : "";
  return `nodes ${numbers.slice(0, -1).join(", ")} and ${numbers.at(-1)}`;
}

/** How many nodes become how many, where that is not one and one: "2 become 1"; "" else. */
export function partsWords({ nodes, present, kind }: Difference): string {
  if (kind !== "changed" || (nodes.length === 1 && present.length === 1)) return "";
  return `${present.length} become ${nodes.length}`;
}

/** "7.4 → 8.1 mm": short axes, of the largest where there are several. */
export function axisWords({ nodes, present }: Difference): string {
  const [before, after] = [largest(present), largest(nodes)];
  const texts = [before?.sad_text, after?.sad_text].filter(Boolean);
  return texts.length ? `${texts.join(" → ")} mm` : "";
}

/** "0.42 → 0.55 ml", of all together. */
export function volumeWords({ nodes, present }: Difference): string {
  const sums = [present, nodes].filter((side) => side.length > 0).map(volumeOf);
  const last = sums.at(-1) ?? 0;
  return sums.length > 1
    ? `${volume(sums[0] ?? 0).replace(" ml", "")} → ${volume(last)}`
    : volume(last);
}

export function editedWords({ present }: Difference): string {
  return present.some(({ edited }) => edited) ? "edited by you" : "";
}

function largest(side: readonly { measures: Measures | null }[]): Measures | null {
  const found = side.flatMap(({ measures }) => (measures ? [measures] : []));
  return found.sort((a, b) => b.sad_mm - a.sad_mm)[0] ?? null;
}

function volumeOf(side: readonly { measures: Measures | null }[]): number {
  return side.reduce((sum, { measures }) => sum + (measures?.volume_mm3 ?? 0), 0);
}
