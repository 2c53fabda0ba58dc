// The words of the settling screen for the server's codes.

import type { ImpressionValue, Measures } from "../contract";
import { minuteOf, REASONS } from "../words";
import type { SaveState } from "./consensus";
import type {
  By,
  Cluster,
  ConsensusState,
  Decided,
  Discrepancy,
  Resolution,
  Role,
  Step,
  Trigger,
} from "./contract";
import type { Group } from "./projection";
import type { Loading } from "./stage";

export const RESOLUTIONS: Record<Resolution, { button: string; short: string; long: string }> = {
  X: { button: "X", short: "X", long: "X’s shape" },
  Y: { button: "Y", short: "Y", long: "Y’s shape" },
  AI: { button: "AI", short: "AI", long: "the AI’s shape" },
  union: { button: "Union", short: "union", long: "the union of X and Y" },
  intersection: { button: "Shared", short: "shared part", long: "only what X and Y share" },
  redrawn: { button: "Redraw", short: "redrawn", long: "a redrawn shape" },
  absent: { button: "Absent", short: "absent", long: "no node here" },
  indeterminate: { button: "Can’t tell", short: "cannot be told", long: "cannot be told" },
};

/** What a decision came to, also one by rule. */
export function resolutionWords(resolution: string): string {
  const byRule: Record<string, string> = {
    mean: "the mean of both borders",
    ignore: "ignored",
  };
  return RESOLUTIONS[resolution as Resolution]?.long ?? byRule[resolution] ?? resolution;
}

export const HEADINGS: Record<Group, string> = {
  open: "To settle",
  answer: "Waiting for your answer",
  waiting: "Waiting for the other reader",
  deferred: "Deferred to the adjudicator",
  decided: "Decided",
  settled: "Settled by rule",
  ignored: "Ignored by rule",
};

export function headingWords(group: Group, role: Role): string {
  if (role === "reader") return HEADINGS[group];
  if (group === "waiting" || group === "answer") return "Proposed, waiting for a reader";
  if (group === "open") return "Still with the readers";
  return group === "deferred" && role === "adjudicator" ? "Deferred to you" : HEADINGS[group];
}

export function byWords(by: By, role: Role): string {
  const words: Record<string, string> = {
    you: "You",
    other: role === "reader" ? "The other reader" : "A reader",
    reader: "A reader",
    adjudicator: "The adjudicator",
    rule: "The rule",
  };
  return words[by] ?? by;
}

/** One step as a sentence, without its rationale. */
export function stepWords({ action, by, resolution }: Step, role: Role): string {
  const what = resolution ? resolutionWords(resolution) : "";
  const verbs: Record<string, string> = {
    propose: `proposed ${what}`,
    agree: what ? `agreed on ${what}` : "agreed",
    leave: "said that it cannot be told",
    defer: "deferred it to the adjudicator",
    resolve: `resolved it: ${what}`,
  };
  return `${byWords(by, role)} ${verbs[action] ?? action}`;
}

/** The same of a step that came before one's own. */
export function firstWords(step: Step): string {
  const who = byWords(step.by, "reader");
  const verbs: Record<string, string> = { propose: "proposed first", agree: "agreed first" };
  return `${who} ${verbs[step.action] ?? "acted first"}`;
}

/** Why nothing can be decided yet; "" once every slice is here. */
export function loadingWords({ complete, percent, lost }: Loading): string {
  if (complete) return "";
  if (lost)
    return `${lost} ${lost === 1 ? "slice" : "slices"} could not be loaded: reload the page.`;
  return `The images are still coming (${percent} %): decide once all planes are there.`;
}

/** Both drew the very same voxels. */
export function sameShape(cluster: Cluster | undefined): boolean {
  return cluster?.kind === "1-1" && cluster.dice === 1;
}

/** What is left to settle where the shape is not in dispute. */
export function sameWords({ triggers }: Discrepancy): string {
  const kinds = new Set(triggers.map(({ kind }) => kind));
  const rest = kinds.has("impression")
    ? "The impression is settled under Label."
    : kinds.has("doubt")
      ? "Take it, unless the doubt is about its border."
      : "";
  return `Same shape in both. ${rest}`.trim();
}

/** What a reader decided on the AI's proposals here. */
export function decidedWords(decided: readonly Decided[]): string {
  const words = decided.map(({ decision, reason }) =>
    reason ? `${decision}: ${REASONS[reason] ?? reason}` : decision,
  );
  return [...new Set(words)].join(" + ") || "–";
}

export function newsWords(step: Step, found: Discrepancy, role: Role): string {
  const said = stepWords(step, role);
  return `${found.cluster}: ${said.charAt(0).toLowerCase()}${said.slice(1)}.`;
}

/** State of a row, in a word or two. */
export function stateWords(found: Discrepancy, role: Role): string {
  if (found.by_rule) return found.resolution === "ignore" ? "ignored" : "mean";
  switch (found.state) {
    case "open":
      return "open";
    case "proposed": {
      const { by, resolution } = found.proposal ?? { by: "", resolution: "" };
      const what = RESOLUTIONS[resolution as Resolution]?.short ?? resolution;
      return by === "you" ? `you: ${what}` : role === "reader" ? `other: ${what}` : what;
    }
    case "resolved":
      return RESOLUTIONS[(found.resolution ?? "") as Resolution]?.short ?? found.resolution ?? "";
    case "indeterminate":
      return RESOLUTIONS.indeterminate.short;
    default:
      return found.state;
  }
}

export const CONSENSUS: Record<ConsensusState, string> = {
  draft: "settling",
  labelling: "labelling",
  ready: "ready to sign",
  signing: "being signed",
  published: "published",
  superseded: "superseded",
};

/** Why a cluster has to be settled: short, with its numbers. */
export function why({ triggers }: Discrepancy, cluster?: Cluster): string[] {
  return triggers.map((trigger) => triggerWords(trigger, cluster));
}

function triggerWords(trigger: Trigger, cluster?: Cluster): string {
  const { kind, x, y, difference_mm: apart, limit_mm: limit } = trigger;
  switch (kind) {
    case "presence": {
      const [who, sad] = y === null ? ["X", x] : ["Y", y];
      return `only ${who} has it, ${beside(Number(sad), limit)} mm`;
    }
    case "split_merge":
      return `X has ${x} ${x === 1 ? "node" : "nodes"}, Y ${y}`;
    case "border":
      return `borders ${beside(Number(apart), limit)} mm apart, limit ${fixed(limit)}`;
    case "short_axis":
      return `short axes ${axis(x, cluster?.x?.measures)} / ${axis(y, cluster?.y?.measures)} mm, limit ${fixed(limit)}`;
    case "size_class":
      return `size class ${sizeClass(x)} / ${sizeClass(y)}`;
    case "impression":
      return `impression ${list(x, markedWords)} / ${list(y, markedWords)}`;
    case "level":
      return `placed in ${list(x, placeWords)} / ${list(y, placeWords)}`;
    case "doubt":
      return x && y ? "both in doubt" : `${x ? "X" : "Y"} in doubt`;
    default:
      return trigger.text;
  }
}

function list(value: unknown, words: (one: string) => string): string {
  return Array.isArray(value) ? value.map((one) => words(String(one))).join(" + ") : String(value);
}

function placeWords(name: string): string {
  return name || "–";
}

function axis(value: unknown, measures?: Measures | null): string {
  return measures?.sad_text ?? Number(value).toFixed(1);
}

function fixed(limit: number | null): string {
  return limit === null ? "" : limit.toFixed(1);
}

function sizeClass(name: unknown): string {
  const words = String(name);
  if (words.startsWith("lt")) return `<${words.slice(2)}`;
  if (words.startsWith("ge")) return `≥${words.slice(2)}`;
  return words.replace("-", "–");
}

/** As many decimals as it takes to stand on its side of the limit. */
export function beside(value: number, limit: number | null): string {
  let words = value.toFixed(1);
  for (let digits = 1; digits <= 5 && limit !== null; digits += 1) {
    words = value.toFixed(digits);
    if (Math.sign(Number(words) - limit) === Math.sign(value - limit)) break;
  }
  return words;
}

const IMPRESSION_WORDS: Record<ImpressionValue, string> = {
  metastatic: "metastatic",
  non_metastatic: "non-metastatic",
  indeterminate: "indeterminate",
  not_assessable: "not assessable",
};

/** What a reader said of a node alone; "" where nothing. */
export function impressionWords(value: string | null | undefined): string {
  return value ? (IMPRESSION_WORDS[value as ImpressionValue] ?? value) : "not marked";
}

/** The same where unmarked and non-metastatic are one. */
function markedWords(value: string): string {
  return value === "" ? impressionWords("non_metastatic") : impressionWords(value);
}

export const LABELS: Record<ImpressionValue, { long: string; button: string }> = {
  metastatic: { long: "metastatic", button: "Metastatic" },
  non_metastatic: { long: "non-metastatic", button: "Non-metastatic" },
  indeterminate: { long: "indeterminate", button: "Indeterminate" },
  not_assessable: { long: "not assessable", button: "Not assessable" },
};

export function saveWords(state: SaveState, waiting: number): string {
  const kept = `${waiting} kept`;
  const words: Record<SaveState, string> = {
    loading: "Opening…",
    saved: "Saved",
    saving: "Saving…",
    offline: `Offline, ${kept}`,
    signed_out: `Signed out, ${kept}`,
    stopped: "Not saving",
    closed: "Read only",
  };
  return words[state];
}

export function clock(at: string): string {
  const [day = "", time = ""] = minuteOf(at).split(" ");
  return minuteOf(new Date().toISOString()).startsWith(day) ? time : `${day} ${time}`;
}

/** Day, minute and the zone they are told in, for what stands on record. */
export function stamp(at: string): string {
  const parts = new Intl.DateTimeFormat("en-GB", { timeZoneName: "short" }).formatToParts(
    new Date(at),
  );
  return `${minuteOf(at)} ${parts.find(({ type }) => type === "timeZoneName")?.value ?? ""}`.trim();
}

/** Phrases a rationale often is, by what is decided; ↑ and ↓ walk through them. */
export function phrases(verb: string, resolution: string, same = false): string[] {
  if (same && resolution === "intersection") return ["Both drew the same shape"];
  if (verb === "agree")
    return ["Seen the same way on all three planes", "Agreed after a second look"];
  if (verb === "defer") return ["We read the border differently", "Needs a third opinion"];
  const border = [
    "Follows the border best",
    "The other includes fat",
    "The other leaves out part of it",
  ];
  const words: Record<string, string[]> = {
    X: border,
    Y: border,
    AI: ["The AI follows the border best", "Both readers leave out part of it"],
    union: ["Each saw a part of it", "One node, drawn in two parts"],
    intersection: ["Only the shared part is node", "The rest is partial volume"],
    redrawn: ["Neither follows the border", "Two nodes drawn as one", "Includes a vessel in both"],
    absent: ["Vessel", "Salivary gland", "Muscle", "Thyroid", "Artefact", "Too small"],
    indeterminate: ["Streaks hide the border", "Cut off by the scan", "Cannot be told on this CT"],
  };
  return words[resolution] ?? [];
}

export const NOT_ASSESSABLE = ["Streak artefacts", "Cut off by the scan", "Motion", "No contrast"];
