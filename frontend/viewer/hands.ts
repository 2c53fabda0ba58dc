// Actions that take something into the hand that draws: what proposes shapes is put away by them.

export const DRAWING: ReadonlySet<string> = new Set([
  "brush",
  "eraser",
  "sphere",
  "threshold",
  "scissors",
  "reshape",
  "split",
  "merge",
  "mark",
  "measure",
  "newNode",
]);
