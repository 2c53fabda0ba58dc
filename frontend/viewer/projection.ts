// What the reader sees: the server's last word on every node, with the changes still on their
// way laid over it.

import type { Body, Change, Line, Manual, ManualAxis, NodeRecord, RegionRecord } from "./contract";

/** What is said of one node, beside its voxels. */
export type NodeBody = Exclude<Body, { kind: "voxels" | "split" | "merge" | "region" }>;

export interface ShownNode extends NodeRecord {
  /** Its voxels changed and the server has not measured it again yet. */
  stale: boolean;
}

export function project(
  confirmed: ReadonlyMap<string, NodeRecord>,
  pending: readonly Change[],
  numberOf: (node: string) => number,
): Map<string, ShownNode> {
  const shown = new Map<string, ShownNode>();
  for (const [uuid, node] of confirmed) shown.set(uuid, { ...node, stale: false });
  for (const change of pending) {
    const undone = change.kind === "undo";
    lay(shown, undone ? change.inverse : change, undone, numberOf);
  }
  return shown;
}

function lay(
  shown: Map<string, ShownNode>,
  body: Body,
  undone: boolean,
  numberOf: (node: string) => number,
): void {
  if (body.kind === "voxels") {
    for (const uuid of body.nodes) {
      const node = shown.get(uuid) ?? freshNode(uuid, numberOf(uuid));
      const reshaped = node.origin === "ai" && (!undone || node.decision === "merged");
      const decision = reshaped ? "reshaped" : node.decision === "merged" ? "added" : node.decision;
      shown.set(uuid, { ...node, stale: true, decision, merged_into: null });
    }
    return;
  }
  if (body.kind === "split" || body.kind === "merge") {
    laySplitOrMerge(shown, body, numberOf);
    return;
  }
  if (body.kind === "region") return;
  const node = shown.get(body.node);
  if (!node) return;
  if (body.kind === "decision") {
    shown.set(body.node, { ...node, decision: body.decision, reason: body.reason ?? null });
  } else if (body.kind === "impression") {
    const impression = body.value && { value: body.value, confidence: body.confidence };
    shown.set(body.node, { ...node, impression: impression || null });
  } else if (body.kind === "level") {
    shown.set(body.node, { ...node, side: body.side, level: body.level });
  } else if (body.kind === "size") {
    shown.set(body.node, { ...node, manual: manualOf(body) });
  } else {
    shown.set(body.node, { ...node, doubt: body.value });
  }
}

/** Until the server has measured the caliper, its lines stand without a length. */
function manualOf({ long, short }: Extract<Body, { kind: "size" }>): Manual | null {
  const axis = (line: Line): ManualAxis | null => {
    if (line === null) return null;
    if (typeof line === "number") return { mm: line, text: line.toFixed(1), ends_vox: null };
    return { mm: Number.NaN, text: "…", ends_vox: line };
  };
  return long === null && short === null ? null : { long: axis(long), short: axis(short) };
}

function laySplitOrMerge(
  shown: Map<string, ShownNode>,
  body: Extract<Body, { kind: "split" | "merge" }>,
  numberOf: (node: string) => number,
): void {
  const node = shown.get(body.node);
  if (!node) return;
  const decision = node.origin === "ai" ? "reshaped" : node.decision;
  if (body.kind === "split") {
    const part = freshNode(body.part, numberOf(body.part));
    shown.set(body.node, { ...node, stale: true, decision });
    shown.set(body.part, { ...part, origin: "split", parents: [body.node] });
    return;
  }
  const merged = shown.get(body.merged);
  const parents = [...(node.parents ?? []), body.merged];
  shown.set(body.node, { ...node, stale: true, decision, parents });
  if (merged) {
    const gone = { empty: true, measures: null, stale: false, merged_into: body.node };
    shown.set(body.merged, { ...merged, ...gone, decision: "merged" });
  }
}

export function freshNode(uuid: string, label: number): ShownNode {
  return {
    uuid,
    label,
    number: label,
    origin: "added",
    side: null,
    level: null,
    decision: "added",
    reason: null,
    impression: null,
    doubt: false,
    empty: true,
    measures: null,
    stale: true,
  };
}

/** How an earlier state of a node is brought back. */
export function inverseOf(body: NodeBody, node: NodeRecord): Body {
  if (body.kind === "decision") {
    const { uuid, decision, reason } = node;
    return { kind: "decision", node: uuid, decision, ...(reason ? { reason } : {}) };
  }
  if (body.kind === "impression") {
    const { value = null, confidence = null } = node.impression ?? {};
    return { kind: "impression", node: node.uuid, value, confidence };
  }
  if (body.kind === "level") {
    return { kind: "level", node: node.uuid, side: node.side, level: node.level };
  }
  if (body.kind === "size") {
    const { long = null, short = null } = node.manual ?? {};
    const line = (axis: ManualAxis | null) => axis && (axis.ends_vox ?? axis.mm);
    return { kind: "size", node: node.uuid, long: line(long), short: line(short) };
  }
  return { kind: "doubt", node: node.uuid, value: node.doubt };
}

/** Regions as they stand, with changes still on their way; those taken back are gone. */
export function projectRegions(
  confirmed: ReadonlyMap<string, RegionRecord>,
  pending: readonly Change[],
): Map<string, RegionRecord> {
  const shown = new Map(confirmed);
  for (const change of pending) {
    const body = change.kind === "undo" ? change.inverse : change;
    if (body.kind !== "region") continue;
    const { region, reason, slices } = body;
    if (slices.length) shown.set(region, { region, reason, slices });
    else shown.delete(region);
  }
  return shown;
}
