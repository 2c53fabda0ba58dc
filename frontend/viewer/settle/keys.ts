// The keys of the settling screen: one table, read by the listener, the buttons and the sheet, and
// each person's own over it. Deciding and moving lie under the left hand; the mouse hand stays on
// the image.

import { strokeName } from "../keys";
import { mine } from "../keys/bindings";
import { KeyTable } from "../keys/table";

/**
 * Where a key means something: settling, drawing, saying why of what is drawn, labelling, picking
 * evidence, signing. Of two phases of one screen no key means two things.
 */
export type Phase = "settle" | "redraw" | "say" | "label" | "pick" | "sign";

export interface SettleKey {
  keys: string[];
  action: string;
  label: string;
  in: readonly Phase[];
  group: Group;
  /** Its keys are the letters of what is listed. */
  fixed?: boolean;
}

export const GROUPS = ["List", "Settle", "Redraw", "Label", "Evidence", "Image", "Screen"] as const;
type Group = (typeof GROUPS)[number];
/** Of one room no two actions are ever meant by one stroke; own keys are kept by room. */
const ROOMS: Record<Group, string> = {
  List: "settle",
  Settle: "settle",
  Image: "settle",
  Screen: "settle",
  Redraw: "redraw",
  Label: "label",
  Evidence: "evidence",
};

const LISTS: readonly Phase[] = ["settle", "label"];
const IMAGES: readonly Phase[] = ["settle", "redraw", "say", "label", "pick"];
/** The brush stays in the hand while its reason is written. */
const DRAWS: readonly Phase[] = ["redraw", "say"];
const ALL: readonly Phase[] = ["settle", "redraw", "say", "label", "pick", "sign"];

/** Letters of the evidence, in its order: none of them labels anything. */
export const PICK_KEYS = ["z", "x", "c", "b", "r", "h", "j", "k", "l"] as const;

export const KEYS: readonly SettleKey[] = [
  { keys: ["w", "arrowup"], action: "previous", label: "Previous", in: LISTS, group: "List" },
  { keys: ["s", "arrowdown"], action: "next", label: "Next", in: LISTS, group: "List" },
  {
    keys: ["d"],
    action: "nextWaiting",
    label: "Next that waits for you",
    in: LISTS,
    group: "List",
  },

  { keys: ["1", "x"], action: "takeX", label: "Take X", in: ["settle"], group: "Settle" },
  { keys: ["2", "y"], action: "takeY", label: "Take Y", in: ["settle"], group: "Settle" },
  { keys: ["3"], action: "takeAI", label: "Take the AI's", in: ["settle"], group: "Settle" },
  { keys: ["4", "u"], action: "union", label: "Union of both", in: ["settle"], group: "Settle" },
  {
    keys: ["5", "i"],
    action: "intersection",
    label: "What both share",
    in: ["settle"],
    group: "Settle",
  },
  { keys: ["r"], action: "redraw", label: "Redraw", in: ["settle"], group: "Settle" },
  {
    keys: ["6"],
    action: "absent",
    label: "Absent: no node here",
    in: ["settle"],
    group: "Settle",
  },
  {
    keys: ["c"],
    action: "indeterminate",
    label: "Can’t tell: indeterminate",
    in: ["settle"],
    group: "Settle",
  },
  {
    keys: ["a"],
    action: "agree",
    label: "Agree to what the other proposes",
    in: ["settle"],
    group: "Settle",
  },
  {
    keys: ["shift+a"],
    action: "agreeHere",
    label: "The other reader is here: they agree at this screen",
    in: ["settle"],
    group: "Settle",
  },
  { keys: ["f"], action: "defer", label: "Defer to the adjudicator", in: LISTS, group: "Settle" },

  { keys: ["1"], action: "fromX", label: "Start from X", in: ["redraw"], group: "Redraw" },
  { keys: ["2"], action: "fromY", label: "Start from Y", in: ["redraw"], group: "Redraw" },
  {
    keys: ["4"],
    action: "fromUnion",
    label: "Start from the union",
    in: ["redraw"],
    group: "Redraw",
  },
  {
    keys: ["0"],
    action: "fromEmpty",
    label: "Start from nothing",
    in: ["redraw"],
    group: "Redraw",
  },
  { keys: ["b"], action: "brush", label: "Brush", in: DRAWS, group: "Redraw" },
  { keys: ["e"], action: "eraser", label: "Eraser", in: DRAWS, group: "Redraw" },
  { keys: ["["], action: "smaller", label: "Smaller brush", in: DRAWS, group: "Redraw" },
  { keys: ["]"], action: "larger", label: "Larger brush", in: DRAWS, group: "Redraw" },
  {
    keys: ["z", "ctrl+z", "meta+z"],
    action: "undo",
    label: "Undo a stroke",
    in: DRAWS,
    group: "Redraw",
  },
  { keys: ["enter"], action: "drawn", label: "Done: say why", in: ["redraw"], group: "Redraw" },

  {
    keys: ["1"],
    action: "metastatic",
    label: "Metastatic: choose its evidence",
    in: ["label"],
    group: "Label",
  },
  { keys: ["2"], action: "nonMetastatic", label: "Non-metastatic", in: ["label"], group: "Label" },
  {
    keys: ["3"],
    action: "labelIndeterminate",
    label: "Indeterminate",
    in: ["label"],
    group: "Label",
  },
  {
    keys: ["4"],
    action: "notAssessable",
    label: "Not assessable, with a reason",
    in: ["label"],
    group: "Label",
  },
  {
    keys: ["a"],
    action: "suggestion",
    label: "Begin with what both readers marked",
    in: ["label"],
    group: "Label",
  },
  {
    keys: ["e"],
    action: "evidence",
    label: "Evidence of this node",
    in: ["label"],
    group: "Label",
  },

  {
    keys: [...PICK_KEYS],
    action: "pick",
    label: "Take or leave the evidence of that letter",
    in: ["pick"],
    group: "Evidence",
    fixed: true,
  },
  {
    keys: ["n"],
    action: "necrosis",
    label: "Central necrosis on this slice",
    in: ["label", "pick"],
    group: "Evidence",
  },
  {
    keys: ["enter"],
    action: "picked",
    label: "Save the label",
    in: ["pick"],
    group: "Evidence",
  },

  {
    keys: ["o"],
    action: "overlay",
    label: "Side by side or overlaid",
    in: ["settle", "redraw", "say"],
    group: "Image",
  },
  {
    keys: ["shift+o"],
    action: "difference",
    label: "Where only one of the two has a voxel",
    in: ["settle"],
    group: "Image",
  },
  {
    keys: ["m"],
    action: "map",
    label: "Map: how many drew each voxel",
    in: ["settle"],
    group: "Image",
  },
  { keys: ["shift+e"], action: "ai", label: "The AI's outline", in: ["settle"], group: "Image" },
  { keys: ["shift+q"], action: "reset", label: "Whole field of view", in: IMAGES, group: "Image" },
  { keys: ["q"], action: "soft", label: "Soft tissue window", in: IMAGES, group: "Image" },
  { keys: ["v"], action: "narrow", label: "Narrow window", in: IMAGES, group: "Image" },
  { keys: ["t"], action: "bone", label: "Bone window", in: IMAGES, group: "Image" },
  { keys: ["g"], action: "lung", label: "Lung window", in: IMAGES, group: "Image" },

  {
    keys: ["shift+d"],
    action: "join",
    label: "Look where the other one looks",
    in: ["settle", "label", "sign"],
    group: "Screen",
  },
  { keys: ["shift+w"], action: "phaseBefore", label: "Phase before", in: ALL, group: "Screen" },
  { keys: ["shift+s"], action: "phaseAfter", label: "Phase after", in: ALL, group: "Screen" },
  { keys: ["escape"], action: "cancel", label: "Back", in: ALL, group: "Screen" },
  { keys: ["?"], action: "help", label: "This sheet", in: ALL, group: "Screen" },
];

/** A key held down repeats only these. */
const REPEATING = new Set(["previous", "next", "smaller", "larger"]);

export const SETTLE_KEYS = new KeyTable<SettleKey>(() => KEYS, mine, {
  nameOf: ({ group, action }) => `${ROOMS[group]}.${action}`,
  meet: (a, b) => a.in.some((phase) => b.in.includes(phase)),
});

export function actionOf(stroke: string, phase: Phase): string | undefined {
  return SETTLE_KEYS.actionOf(stroke, (key) => key.in.includes(phase));
}

/** An action's first key as it stands on the board; "" where it has none. */
export const keyFor = (action: string) => SETTLE_KEYS.keyFor(action);

/** Text fields keep their keys, also those inside our shadow roots; buttons keep Enter. */
function keepsKey(event: KeyboardEvent, stroke: string): boolean {
  const target = event.composedPath()[0];
  if (!(target instanceof HTMLElement) || stroke === "escape") return false;
  if (target instanceof HTMLInputElement) return !["checkbox", "radio"].includes(target.type);
  if (target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement) return true;
  if (target.isContentEditable) return true;
  const presses = target.closest("button:not(.row), a, summary, [role=tab]") !== null;
  return presses && (stroke === "enter" || stroke.startsWith("arrow"));
}

/** `taken` is asked first: a stroke that is to become somebody's key starts nothing. */
export function listenToKeys(
  phase: () => Phase,
  act: (action: string, stroke: string) => void,
  taken: (stroke: string) => boolean = () => false,
): () => void {
  const listener = (event: KeyboardEvent) => {
    const stroke = strokeName(event);
    if (event.defaultPrevented || keepsKey(event, stroke)) return;
    if (taken(stroke)) {
      event.preventDefault();
      event.stopImmediatePropagation();
      return;
    }
    const action = actionOf(stroke, phase());
    if (!action) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (!event.repeat || REPEATING.has(action)) act(action, stroke);
  };
  window.addEventListener("keydown", listener, { capture: true });
  return () => window.removeEventListener("keydown", listener, { capture: true });
}
