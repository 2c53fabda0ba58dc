// What the reader sees: the server's last word on every node, with the changes still on their
// way laid over it.

import type { Body, Change, NodeRecord } from "./contract";

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
      const reshaped = node.origin === "ai" && !undone;
      shown.set(uuid, { ...node, stale: true, decision: reshaped ? "reshaped" : node.decision });
    }
    return;
  }
  const node = shown.get(body.node);
  if (!node) return;
  if (body.kind === "decision") {
    shown.set(body.node, { ...node, decision: body.decision, reason: body.reason ?? null });
  } else if (body.kind === "impression") {
    const impression = body.value && { value: body.value, confidence: body.confidence };
    shown.set(body.node, { ...node, impression: impression || null });
  } else if (body.kind === "level") {
    shown.set(body.node, { ...node, side: body.side, level: body.level });
  } else {
    shown.set(body.node, { ...node, doubt: body.value });
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
export function inverseOf(body: Exclude<Body, { kind: "voxels" }>, node: NodeRecord): Body {
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
  return { kind: "doubt", node: node.uuid, value: node.doubt };
}
