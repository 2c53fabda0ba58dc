// How many tiles stand beside one another so that all fit the screen as large as they can. Pure.

export interface Grid {
  columns: number;
  /** Edge of one square picture, px; a tile has two side by side. */
  edge: number;
  /** The tiles are higher than the screen: the sheet scrolls. */
  scrolls: boolean;
}

/** Between tiles, and a tile's line of words, px. */
export const GAP_PX = 10;
export const WORDS_PX = 27;
const [SMALLEST_PX, LARGEST_PX] = [64, 230];

export function gridOf(count: number, width: number, height: number): Grid {
  let best: Grid = { columns: 1, edge: 0, scrolls: true };
  for (let columns = 1; columns <= Math.max(1, count); columns += 1) {
    const rows = Math.ceil(count / columns);
    const across = (width - (columns - 1) * GAP_PX) / columns / 2;
    const down = (height - (rows - 1) * GAP_PX) / rows - WORDS_PX;
    const edge = Math.floor(Math.min(across, down, LARGEST_PX));
    if (edge > best.edge) best = { columns, edge, scrolls: false };
  }
  if (best.edge >= SMALLEST_PX) return best;
  const columns = Math.max(1, Math.floor((width + GAP_PX) / (2 * SMALLEST_PX + GAP_PX)));
  return { columns, edge: SMALLEST_PX, scrolls: true };
}

/** Where a step leads from a tile; the edges hold. */
export function stepFrom(
  at: number,
  direction: "left" | "right" | "up" | "down",
  columns: number,
  count: number,
): number {
  const by = { left: -1, right: 1, up: -columns, down: columns }[direction];
  const to = at + by;
  return to < 0 || to >= count ? at : to;
}
