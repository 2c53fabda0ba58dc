// Node colours that people with any colour vision tell apart (Okabe and Ito, Tol's bright),
// ordered so that neighbours in the list differ most; numbers, not colours, name a node.

export type Rgb = readonly [number, number, number];

const WHEEL: readonly Rgb[] = [
  [230, 159, 0],
  [86, 180, 233],
  [0, 158, 115],
  [240, 228, 66],
  [204, 121, 167],
  [102, 204, 238],
  [213, 94, 0],
  [170, 221, 119],
  [187, 136, 238],
  [238, 136, 102],
  [68, 187, 153],
  [255, 170, 187],
];
const REJECTED: Rgb = [130, 134, 148];

export function colourOf(label: number): Rgb {
  return WHEEL[(label - 1) % WHEEL.length] ?? REJECTED;
}

export function shownColour(label: number, rejected: boolean): Rgb {
  return rejected ? REJECTED : colourOf(label);
}
