// The label phase: which agreed node is looked at, and the label that is half set.

import type { ImpressionValue } from "../contract";
import type { SettleSession } from "./consensus";
import type { AgreedNode, Evidence } from "./contract";
import { PICK_KEYS } from "./keys";
import type { ShownNode } from "./projection";
import type { SettleStage } from "./stage";
import { LABELS, loadingWords } from "./words";

/** A label being set: its evidence picked, its reason or rationale written. */
export interface Edit {
  kind: "evidence" | "reason" | "defer" | "necrosis";
  node: number;
  value: ImpressionValue;
  evidence: Set<string>;
  reason: string;
  rationale: string;
  seen: number;
}

export class Labelling {
  edit: Edit | null = null;

  constructor(
    private readonly session: SettleSession,
    private readonly stage: SettleStage,
    private readonly focus: (target: string) => void,
  ) {}

  begin(): void {
    const first = this.session.nodes.find((node) => this.waits(node)) ?? this.session.nodes[0];
    if (first) this.goTo(first.number);
  }

  run(action: string, stroke: string): void {
    const verbs: Record<string, () => void> = {
      metastatic: () => this.begun("metastatic", "evidence"),
      nonMetastatic: () => this.set("non_metastatic"),
      labelIndeterminate: () => this.set("indeterminate"),
      notAssessable: () => this.begun("not_assessable", "reason"),
      suggestion: () => this.suggested() && this.begun("metastatic", "evidence"),
      evidence: () => this.begun(this.value(), "evidence"),
      necrosis: () => this.begun(this.edit?.value ?? this.value(), "necrosis"),
      defer: () => this.begun("indeterminate", "defer"),
      pick: () => this.pick(PICK_KEYS.findIndex((key) => key === stroke)),
      picked: () => this.save(),
    };
    verbs[action]?.();
  }

  /** Whether both readers marked it metastatic; a suggestion, never a label by itself. */
  suggested(node = this.session.agreed()): boolean {
    return node?.impressions.x === "metastatic" && node.impressions.y === "metastatic";
  }

  waits(node: ShownNode): boolean {
    const { role, state } = this.session.detail ?? {};
    if (!node.possible.length || (state !== "labelling" && state !== "ready")) return false;
    if (role === "adjudicator") return Boolean(node.label?.deferred);
    return role === "reader" && !node.label?.deferred && (!node.label || node.needs.length > 0);
  }

  writable(node = this.session.agreed()): boolean {
    return !this.session.readOnly && (node?.possible.length ?? 0) > 0;
  }

  private value(): ImpressionValue {
    return this.session.agreed()?.label?.value || "metastatic";
  }

  // Moving about

  goTo(number: number): void {
    if (this.edit && this.edit.node !== number) this.edit = null;
    this.session.selectNode(number);
    this.stage.showNode(number);
  }

  step(by: 1 | -1): void {
    const { nodes, node } = this.session;
    const at = nodes.findIndex(({ number }) => number === node);
    const next = nodes[Math.min(nodes.length - 1, Math.max(0, at + by))];
    if (next) this.goTo(next.number);
  }

  /** False when no node waits for this person. */
  nextWaiting(after = this.session.node): boolean {
    const { nodes } = this.session;
    const at = nodes.findIndex(({ number }) => number === after);
    const next = [...nodes.slice(at + 1), ...nodes.slice(0, at + 1)].find((n) => this.waits(n));
    if (next) this.goTo(next.number);
    return Boolean(next);
  }

  // Labels

  private begun(value: ImpressionValue, kind: Edit["kind"]): void {
    const node = this.allowed();
    if (!node) return;
    const kept = this.edit?.node === node.number ? this.edit.evidence : node.label?.evidence;
    const evidence = new Set(kept ?? []);
    const { number, position: seen, label } = node;
    const [reason, rationale] = [label?.reason ?? "", this.draft(node)];
    this.edit = { kind, node: number, value, evidence, reason, rationale, seen };
    this.session.notice = "";
    this.focus(kind === "evidence" ? "evidence" : "words");
  }

  /** What was written and not taken, else what stands. */
  private draft(node: ShownNode): string {
    return this.session.overtaken.get(`n:${node.number}`)?.rationale ?? node.label?.rationale ?? "";
  }

  private allowed(): ShownNode | null {
    const node = this.session.agreed();
    const coming = loadingWords(this.stage.loading);
    if (node && this.writable(node) && !coming) return node;
    const closed = node ? "This label can no longer be changed here." : "Select a node first.";
    this.session.warn(node && this.writable(node) ? coming : closed);
    return null;
  }

  private set(value: ImpressionValue): void {
    const node = this.allowed();
    if (!node) return;
    this.edit = null;
    const { number, position } = node;
    this.session.act({ kind: "label", node: number, seen: position, value, evidence: [] });
    this.session.notice = `Node ${number}: ${LABELS[value].long}.`;
    this.nextWaiting(number);
  }

  /** Evidence of this node, its side and level, or its patient, what counts as positive first. */
  fitting(node: AgreedNode): Evidence[] {
    const found = (this.session.detail?.evidence ?? []).filter((item) => fits(item, node));
    return found.sort((a, b) => Number(b.counts_as_positive) - Number(a.counts_as_positive));
  }

  private pick(place: number): void {
    const { edit } = this;
    const node = edit && this.session.agreed(edit.node);
    const item = node && this.fitting(node)[place];
    if (item) this.toggle(item.id);
  }

  toggle(id: string): void {
    const { edit } = this;
    if (!edit) return;
    if (!edit.evidence.delete(id)) edit.evidence.add(id);
  }

  /** Sets the label being edited, or defers it. */
  save(): void {
    const { edit, session } = this;
    const node = edit && session.agreed(edit.node);
    if (!edit || !node) return;
    const missing = this.missing(edit, node);
    if (missing) {
      session.warn(missing);
      if (edit.evidence.size > 0 || edit.kind !== "evidence") this.focus("words");
      return;
    }
    const [reason, rationale] = [edit.reason.trim(), edit.rationale.trim()];
    const base = { node: node.number, seen: edit.seen };
    const known = new Set(this.fitting(node).map(({ id }) => id));
    const picked = edit.value === "not_assessable" ? [] : [...edit.evidence];
    const evidence = picked.filter((id) => known.has(id));
    if (edit.kind === "defer") session.act({ kind: "defer_label", ...base, rationale });
    else {
      const words = { ...(reason && { reason }), ...(rationale && { rationale }) };
      session.act({ kind: "label", ...base, value: edit.value, evidence, ...words });
      session.notice = `Node ${node.number}: ${LABELS[edit.value].long}.`;
    }
    this.edit = null;
    this.focus("");
    this.nextWaiting(node.number);
  }

  /** What keeps the label from being set, as a sentence. */
  private missing(edit: Edit, node: AgreedNode): string {
    if (node.position !== edit.seen) {
      edit.seen = node.position;
      return "The other reader labelled this node while you did. Look, then Enter again.";
    }
    const said = edit.rationale.trim();
    if (edit.kind === "defer") return said ? "" : "Say why in a few words.";
    if (edit.value === "not_assessable" && !edit.reason.trim()) {
      return "Say what keeps it from being assessed.";
    }
    if (edit.value !== "metastatic") return "";
    if (!this.fitting(node).some(({ id }) => edit.evidence.has(id)))
      return "Metastatic rests on evidence: pick at least one item.";
    const why = "This evidence is not of this very node: say why it holds for it.";
    return !said && this.broad(edit, node) ? why : "";
  }

  /** Read months from the images it explains: nothing forbids it, and it is worth a second look. */
  farAway({ kind, days_from_study: days }: Evidence): boolean {
    const window = this.session.detail?.labels?.pet_max_days;
    return kind === "HIST" && days !== null && window !== undefined && Math.abs(days) > window;
  }

  /** Nothing picked names this very node or its side and level. */
  broad(edit: Edit, node: AgreedNode): boolean {
    const items = this.fitting(node).filter(({ id }) => edit.evidence.has(id));
    const named = (item: Evidence) =>
      item.scope === "node" || (item.scope === "side_level" && Boolean(node.side && node.level));
    return items.length > 0 && !items.some(named);
  }

  cancel(): void {
    this.edit = this.edit?.kind === "necrosis" ? { ...this.edit, kind: "evidence" } : null;
  }

  // Central necrosis, seen on this CT

  /** The slice on screen; in words counted from the top, as the reports do. */
  get landmark(): { index: number; text: string } | null {
    const index = this.stage.focus?.[0] ?? this.session.agreed()?.measures?.slice_index;
    const slices = this.session.detail?.grid.shape[0];
    if (index === undefined || slices === undefined) return null;
    return { index, text: `slice ${slices - index} of ${slices} from the top` };
  }

  async enterNecrosis(words: string): Promise<void> {
    const { edit, landmark, session } = this;
    if (!edit || !landmark || !session.detail) return;
    const made = await session.enterEvidence({
      kind: "NECR",
      result: "present",
      source: "This CT",
      scope: "node",
      node: edit.node,
      version: session.detail.version,
      details: { slice_index: landmark.index, landmark: words.trim() || landmark.text },
    });
    if (this.edit?.node !== edit.node) return;
    this.edit = { ...this.edit, kind: "evidence", evidence: new Set([...edit.evidence, made.id]) };
    this.focus("evidence");
  }
}

function fits(item: Evidence, node: AgreedNode): boolean {
  if (item.withdrawn) return false;
  if (item.scope === "patient") return true;
  if (item.scope === "node") return item.node === node.number;
  const alike = (a: string | null, b: string | null) => !a || !b || a === b;
  return alike(item.side, node.side) && alike(item.level, node.level);
}
