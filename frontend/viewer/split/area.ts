// What a line drawn freely encloses on a slice: a box and its runs of voxels. Pure.

import type { Box, Run } from "../contract";

/** Rows and columns along the line; it closes by itself. */
export type Outline = readonly (readonly [row: number, column: number])[];

/**
 * The voxels whose middles lie within (even-odd), cut off at the edge of the slice; null where the
 * line encloses none.
 */
export function enclosed(
  outline: Outline,
  rows: number,
  columns: number,
): { box: Box; runs: Run[] } | null {
  const spans = new Map<number, [number, number][]>();
  const extent = (place: 0 | 1, most: number) => {
    const along = outline.map((point) => point[place]);
    return [
      Math.max(0, Math.ceil(Math.min(...along))),
      Math.min(most, Math.max(...along)),
    ] as const;
  };
  const [top, bottom] = extent(0, rows - 1);
  let [left, right] = [columns, -1];
  for (let row = top; row <= bottom; row += 1) {
    const crossings = crossed(outline, row);
    const found: [number, number][] = [];
    for (let at = 0; at + 1 < crossings.length; at += 2) {
      const from = Math.max(0, Math.ceil(crossings[at] as number));
      const to = Math.min(columns - 1, Math.floor(crossings[at + 1] as number));
      if (from <= to) found.push([from, to]);
    }
    if (found.length === 0) continue;
    spans.set(row, found);
    left = Math.min(left, found[0]?.[0] ?? columns);
    right = Math.max(right, found.at(-1)?.[1] ?? -1);
  }
  const filled = [...spans.keys()];
  if (filled.length === 0) return null;
  const [first, last] = [Math.min(...filled), Math.max(...filled)];
  const width = right + 1 - left;
  const runs = filled.flatMap((row) =>
    (spans.get(row) ?? []).map(
      ([from, to]): Run => [(row - first) * width + from - left, to + 1 - from, 1],
    ),
  );
  return { box: [first, left, last + 1, right + 1], runs };
}

/** Columns at which the closed line crosses the middle of a row, ascending. */
function crossed(outline: Outline, row: number): number[] {
  const found: number[] = [];
  outline.forEach(([r0, c0], place) => {
    const [r1, c1] = outline[(place + 1) % outline.length] ?? [r0, c0];
    if (r0 <= row !== r1 <= row) found.push(c0 + ((row - r0) / (r1 - r0)) * (c1 - c0));
  });
  return found.sort((a, b) => a - b);
}
