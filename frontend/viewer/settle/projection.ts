// What the person sees: the server's last word, with the acts still on their way laid over it;
// and in which order it is listed.

import type {
  Act,
  AgreedNode,
  Discrepancy,
  DiscrepancyState,
  Label,
  Role,
  SettleAct,
  Verb,
} from "./contract";

export interface ShownDiscrepancy extends Discrepancy {
  /** An act of ours is still on its way. */
  saving: boolean;
}

export interface ShownNode extends AgreedNode {
  saving: boolean;
}

export function projectDiscrepancies(
  confirmed: Iterable<Discrepancy>,
  acts: readonly Act[],
): ShownDiscrepancy[] {
  const shown = new Map<string, ShownDiscrepancy>();
  for (const found of confirmed) shown.set(found.id, { ...found, saving: false });
  for (const act of acts) {
    if (!("discrepancy" in act)) continue;
    const found = shown.get(act.discrepancy);
    if (found) shown.set(found.id, settled(found, act));
  }
  return [...shown.values()];
}

/** An act that saw another version is answered by the server, not guessed here. */
function settled(found: ShownDiscrepancy, act: SettleAct): ShownDiscrepancy {
  if (act.seen !== found.version) return { ...found, saving: true };
  const at = new Date().toISOString();
  const rationale = act.rationale ?? "";
  const resolution = "resolution" in act ? act.resolution : (found.proposal?.resolution ?? "");
  const by = act.kind === "resolve" ? "adjudicator" : "you";
  const next: ShownDiscrepancy = {
    ...found,
    saving: true,
    version: found.version + 1,
    steps: [...found.steps, { action: act.kind, by, resolution, rationale, at }],
    possible: [],
  };
  if (act.kind === "propose") {
    const { id: step, resolution } = act;
    const proposal = { step, by: "you", resolution, rationale, mask: null, at };
    const possible: Verb[] = ["propose", "defer"];
    return { ...next, state: "proposed", proposal, possible };
  }
  if (act.kind === "defer") return { ...next, state: "deferred" };
  const state: DiscrepancyState = resolution === "indeterminate" ? "indeterminate" : "resolved";
  return { ...next, state, resolution: state === "resolved" ? resolution : null };
}

export function projectNodes(confirmed: Iterable<AgreedNode>, acts: readonly Act[]): ShownNode[] {
  const shown = new Map<number, ShownNode>();
  for (const node of confirmed) shown.set(node.number, { ...node, saving: false });
  for (const act of acts) {
    const node = "node" in act ? shown.get(act.node) : undefined;
    if (!node || !("node" in act)) continue;
    if (act.seen !== node.position) {
      shown.set(node.number, { ...node, saving: true });
      continue;
    }
    const deferred = act.kind === "defer_label";
    const label: Label = {
      value: deferred ? "" : act.value,
      reason: deferred ? "" : (act.reason ?? ""),
      rationale: act.rationale ?? "",
      evidence: deferred ? [] : act.evidence,
      by: "you",
      at: new Date().toISOString(),
      carried: false,
      position: node.position + 1,
      deferred,
      rests_on_necrosis_alone: false,
    };
    const needs = deferred ? ["The adjudicator labels it."] : [];
    shown.set(node.number, { ...node, label, needs, position: label.position, saving: true });
  }
  return fromSkullBase([...shown.values()]);
}

/** Slices ascend towards the head. */
function fromSkullBase(nodes: ShownNode[]): ShownNode[] {
  const height = ({ measures }: ShownNode) => measures?.centroid_vox[0] ?? -1;
  return nodes.sort((a, b) => height(b) - height(a) || a.number - b.number);
}

export type Group = "open" | "answer" | "waiting" | "deferred" | "decided" | "settled" | "ignored";
export const GROUPS: readonly Group[] = [
  "open",
  "answer",
  "waiting",
  "deferred",
  "decided",
  "settled",
  "ignored",
];
/** What rules decided is folded away. */
export const BY_RULE: readonly Group[] = ["settled", "ignored"];

export function groupOf(found: Discrepancy): Group {
  if (found.by_rule) return found.resolution === "ignore" ? "ignored" : "settled";
  switch (found.state) {
    case "open":
      return "open";
    case "proposed":
      return found.possible.includes("agree") ? "answer" : "waiting";
    case "deferred":
      return "deferred";
    default:
      return "decided";
  }
}

/** Somebody waits for this person here. */
export function waitsForMe(found: Discrepancy, role: Role): boolean {
  if (role === "observer") return false;
  if (role === "adjudicator") return found.possible.includes("resolve");
  const group = groupOf(found);
  return (group === "open" || group === "answer") && found.possible.length > 0;
}

export interface Place {
  id: string;
  group: Group;
}

/** The list in its order; the adjudicator's own work comes first. */
export function inOrder(found: readonly Discrepancy[], role: Role): Place[] {
  const groups =
    role === "adjudicator"
      ? (["deferred", ...GROUPS.filter((g) => g !== "deferred")] as const)
      : GROUPS;
  return groups.flatMap((group) =>
    found
      .filter((one) => groupOf(one) === group)
      .sort((a, b) => a.cluster - b.cluster)
      .map(({ id }) => ({ id, group })),
  );
}

/** The same rows in the same places; those the list did not have yet come last. */
export function keepOrder(places: readonly Place[], found: readonly Discrepancy[]): Place[] {
  const known = new Set(places.map(({ id }) => id));
  const present = new Set(found.map(({ id }) => id));
  return [
    ...places.filter(({ id }) => present.has(id)),
    ...found.filter(({ id }) => !known.has(id)).map((one) => ({ id: one.id, group: groupOf(one) })),
  ];
}
