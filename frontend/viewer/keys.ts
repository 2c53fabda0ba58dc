// The reader's keys: one table, read by the listener, the buttons and the help sheet.
// Everything frequent lies under the left hand; the mouse hand stays on the image.

import { actionOf } from "./keys/bindings";

export { keyFor } from "./keys/bindings";

export interface Key {
  keys: string[];
  action: string;
  label: string;
  group: "Nodes" | "Label" | "Draw" | "Image" | "Reading";
}

export const KEYS: readonly Key[] = [
  { keys: ["a"], action: "accept", label: "Accept, go to the next undecided", group: "Nodes" },
  { keys: ["r"], action: "reject", label: "Reject, then 1–9 for the reason", group: "Nodes" },
  { keys: ["w", "arrowup"], action: "previous", label: "Previous node", group: "Nodes" },
  { keys: ["s", "arrowdown"], action: "next", label: "Next node", group: "Nodes" },
  { keys: ["d"], action: "nextUndecided", label: "Next undecided node", group: "Nodes" },
  { keys: ["5"], action: "contact", label: "Contact sheet of the AI's nodes", group: "Nodes" },
  { keys: ["8"], action: "newer", label: "What the AI proposes anew", group: "Nodes" },
  {
    keys: ["space"],
    action: "vessel",
    label: "Hold: vessel test, along the node's axis",
    group: "Nodes",
  },
  { keys: ["c"], action: "centre", label: "Centre the node again", group: "Nodes" },
  { keys: ["1"], action: "metastatic", label: "Metastatic", group: "Label" },
  { keys: ["2"], action: "nonMetastatic", label: "Non-metastatic", group: "Label" },
  { keys: ["3"], action: "indeterminate", label: "Indeterminate", group: "Label" },
  { keys: ["4"], action: "notAssessable", label: "Not assessable", group: "Label" },
  { keys: ["f"], action: "doubt", label: "Doubt: second reader, please look", group: "Label" },
  { keys: ["l"], action: "level", label: "Side and level, 1–9 for the level", group: "Label" },
  { keys: ["b"], action: "brush", label: "Brush", group: "Draw" },
  { keys: ["e"], action: "eraser", label: "Eraser", group: "Draw" },
  { keys: ["n"], action: "newNode", label: "New node, with the brush", group: "Draw" },
  {
    keys: ["y"],
    action: "reshape",
    label: "Reshape: drag the edge out or in (or hold ⇧ and drag)",
    group: "Draw",
  },
  { keys: ["-"], action: "shrink", label: "Shrink the node a little", group: "Draw" },
  { keys: ["="], action: "grow", label: "Grow the node a little", group: "Draw" },
  { keys: ["shift+e"], action: "snap", label: "Put the node on the edge again", group: "Draw" },
  { keys: ["shift+f"], action: "fill", label: "Fill the node's core", group: "Draw" },
  { keys: ["shift+s"], action: "smooth", label: "Smooth the node", group: "Draw" },
  { keys: ["shift+g"], action: "bridge", label: "Fill slices left out", group: "Draw" },
  { keys: ["shift+b"], action: "sphere", label: "Sphere brush", group: "Draw" },
  { keys: ["shift+t"], action: "threshold", label: "Brush within the node's HU", group: "Draw" },
  { keys: ["k"], action: "scissors", label: "Scissors: fill a circle", group: "Draw" },
  { keys: ["shift+x"], action: "split", label: "Cut the node in two", group: "Draw" },
  { keys: ["shift+a"], action: "merge", label: "Merge the node with another", group: "Draw" },
  { keys: ["shift+c"], action: "measure", label: "Measure by hand: caliper", group: "Draw" },
  { keys: ["shift+r"], action: "mark", label: "This cannot be read, 1–5 why", group: "Draw" },
  { keys: ["`"], action: "free", label: "May run into neighbours", group: "Draw" },
  {
    keys: ["6", "p"],
    action: "prompt",
    label: "Missed node: click into it, Enter takes it",
    group: "Draw",
  },
  { keys: ["["], action: "smaller", label: "Smaller brush", group: "Draw" },
  { keys: ["]"], action: "larger", label: "Larger brush", group: "Draw" },
  { keys: ["z", "ctrl+z", "meta+z"], action: "undo", label: "Undo", group: "Draw" },
  {
    keys: ["shift+z", "ctrl+y", "ctrl+shift+z", "meta+shift+z"],
    action: "redo",
    label: "Redo",
    group: "Draw",
  },
  { keys: ["q"], action: "soft", label: "Soft tissue window", group: "Image" },
  { keys: ["v"], action: "narrow", label: "Narrow window", group: "Image" },
  { keys: ["t"], action: "bone", label: "Bone window", group: "Image" },
  { keys: ["g"], action: "lung", label: "Lung window", group: "Image" },
  {
    keys: ["7"],
    action: "slab",
    label: "Slab: one slice, mean 5, MIP 10, MIP 20 mm",
    group: "Image",
  },
  { keys: ["shift+p"], action: "beside", label: "Prior, follow-up or PET beside", group: "Image" },
  { keys: [";"], action: "besideChoose", label: "Choose what lies beside", group: "Image" },
  { keys: ["i"], action: "fuse", label: "PET over the CT", group: "Image" },
  { keys: ["9"], action: "fuseFainter", label: "PET fainter", group: "Image" },
  { keys: ["0"], action: "fuseStronger", label: "PET stronger", group: "Image" },
  { keys: ["x"], action: "crosshairs", label: "Crosshairs", group: "Image" },
  { keys: ["pageup"], action: "sliceUp", label: "One slice up", group: "Image" },
  { keys: ["pagedown"], action: "sliceDown", label: "One slice down", group: "Image" },
  { keys: ["u"], action: "nextUnseen", label: "Next slice not seen yet", group: "Image" },
  { keys: ["o"], action: "outline", label: "Outlines only", group: "Image" },
  {
    keys: ["shift+o"],
    action: "hatching",
    label: "Stripes: nodes told apart without colour",
    group: "Image",
  },
  { keys: [","], action: "fainter", label: "Fill nodes less", group: "Image" },
  { keys: ["."], action: "stronger", label: "Fill nodes more", group: "Image" },
  { keys: ["m"], action: "axes", label: "Axes of the selected node", group: "Image" },
  { keys: ["h"], action: "hideRejected", label: "Hide rejected nodes", group: "Image" },
  { keys: ["escape"], action: "cancel", label: "Back to the window tool", group: "Image" },
  { keys: ["ctrl+enter"], action: "submit", label: "Sign and submit", group: "Reading" },
  {
    keys: ["shift+i"],
    action: "incidental",
    label: "Incidental finding: tell the coordinator",
    group: "Reading",
  },
  { keys: ["shift+w"], action: "secondWindow", label: "Second window", group: "Reading" },
  { keys: ["shift+n"], action: "nextCase", label: "Next case", group: "Reading" },
  { keys: ["?"], action: "help", label: "This sheet", group: "Reading" },
];

/** A key held down repeats only these: nobody decides on ten nodes by leaning on the board. */
const REPEATING = new Set([
  "previous",
  "next",
  "smaller",
  "larger",
  "sliceUp",
  "sliceDown",
  "nextUnseen",
  "shrink",
  "grow",
]);

/** The name of a key stroke; shift is part of the character except with letters. */
export function strokeName(event: KeyboardEvent): string {
  const key = event.key === " " ? "space" : event.key.toLowerCase();
  const letter = /^[a-z]$/.test(key);
  return [
    event.ctrlKey ? "ctrl+" : "",
    event.metaKey ? "meta+" : "",
    event.altKey ? "alt+" : "",
    event.shiftKey && letter ? "shift+" : "",
    key,
  ].join("");
}

/** A field of words or numbers; a slider or a box to tick is none. */
export function takesText(target: EventTarget | null | undefined): boolean {
  if (target instanceof HTMLInputElement) return !["range", "checkbox"].includes(target.type);
  if (target instanceof HTMLTextAreaElement) return true;
  return target instanceof HTMLElement && target.isContentEditable;
}

/** Text fields keep their keys, also those inside our shadow roots. */
function inTextField(event: KeyboardEvent): boolean {
  const target = event.composedPath()[0];
  return target instanceof HTMLSelectElement || takesText(target);
}

/** Enter and Space belong to the button that has the focus. */
function inControl(event: KeyboardEvent): boolean {
  const target = event.composedPath()[0];
  const pressed = event.key === "Enter" || event.key === " ";
  return pressed && target instanceof HTMLElement && target.matches("button, a, select, summary");
}

/**
 * `taken` is asked first, for what lies over the planes; then `digit`, while a reject waits for
 * its reason. `released` hears when the key of an action is let go.
 */
export function listenToKeys(
  act: (action: string) => void,
  digit: (number: number) => boolean,
  taken: (stroke: string) => boolean = () => false,
  released: (action: string) => void = () => {},
): () => void {
  const held = new Map<string, string>();
  const letGo = (code: string) => {
    const action = held.get(code);
    held.delete(code);
    if (action) released(action);
  };
  const listener = (event: KeyboardEvent) => {
    const name = strokeName(event);
    if (event.defaultPrevented || (inTextField(event) && name !== "escape")) return;
    if (inControl(event)) return;
    if (taken(name)) {
      event.preventDefault();
      event.stopImmediatePropagation();
      return;
    }
    const action = actionOf(name);
    const isDigit = /^[1-9]$/.test(name);
    if (!isDigit && !action) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (event.repeat && !REPEATING.has(action ?? "")) return;
    if (isDigit && digit(Number(name))) return;
    if (!action) return;
    held.set(event.code, action);
    act(action);
  };
  const events = new AbortController();
  const capture = { signal: events.signal, capture: true };
  window.addEventListener("keydown", listener, capture);
  window.addEventListener("keyup", (event) => letGo(event.code), capture);
  window.addEventListener("blur", () => [...held.keys()].forEach(letGo), capture);
  return () => events.abort();
}
