// What the server says and takes while two readings are settled, as the API spells it.

import type { ImpressionValue, Measures, Voxel } from "../contract";
import type { Shape, StageCluster, StageResolution } from "./stage";

export type ConsensusState =
  | "draft"
  | "labelling"
  | "ready"
  | "signing"
  | "published"
  | "superseded";
export type Role = "reader" | "adjudicator" | "observer";
/** What people may propose; rules also know "mean" and "ignore". */
export type Resolution = StageResolution;
export type DiscrepancyState = "open" | "proposed" | "deferred" | "resolved" | "indeterminate";
export type Verb = "propose" | "agree" | "defer" | "resolve" | "leave";
/** "you", "other", "adjudicator", "rule"; a name where names are open. */
export type By = string;

export interface ClusterNode {
  label: number;
  impression: ImpressionValue | null;
  side: string | null;
  level: string | null;
  doubt: boolean;
}

export interface ClusterSide {
  nodes: ClusterNode[];
  measures: Measures | null;
}

/** What a reader decided on one node, beside the AI's. */
export interface Decided {
  decision: "undecided" | "accepted" | "rejected" | "reshaped" | "added";
  reason: string | null;
}

export interface Cluster extends StageCluster {
  kind: string;
  outcome: "identical" | "settled" | "ignored" | "open";
  x: ClusterSide | null;
  y: ClusterSide | null;
  dice: number | null;
  asd_mm: number | null;
  hd95_mm: number | null;
  sad_difference_mm: number | null;
  /** Null where the protocol keeps the AI's shapes to itself, or the asker sees counts alone. */
  decisions: { x: Decided[]; y: Decided[] } | null;
}

export interface Trigger {
  kind: string;
  text: string;
  x: unknown;
  y: unknown;
  difference_mm: number | null;
  limit_mm: number | null;
}

export interface Proposal {
  step: string;
  by: By;
  resolution: Resolution;
  rationale: string;
  mask: string | null;
  at: string;
}

export interface Step {
  action: string;
  by: By;
  resolution: Resolution | "";
  rationale: string;
  at: string;
}

export interface Discrepancy {
  id: string;
  /** The number of its cluster. */
  cluster: number;
  state: DiscrepancyState;
  /** How many steps were taken. */
  version: number;
  triggers: Trigger[];
  resolution: string | null;
  by_rule: boolean;
  rationale: string;
  geometry: Record<string, unknown> | null;
  proposal: Proposal | null;
  steps: Step[];
  possible: Verb[];
}

export interface Label {
  value: ImpressionValue | "";
  reason: string;
  rationale: string;
  evidence: string[];
  by: By;
  at: string;
  /** Given in an earlier version, and carried over. */
  carried: boolean;
  position: number;
  deferred: boolean;
  rests_on_necrosis_alone: boolean;
}

export interface AgreedNode {
  number: number;
  uuid: string;
  cluster: number;
  origin: string;
  side: string | null;
  level: string | null;
  measures: Measures | null;
  impressions: { x: ImpressionValue | null; y: ImpressionValue | null };
  label: Label | null;
  position: number;
  possible: string[];
  /** Sentences: what it still asks for. */
  needs: string[];
}

export interface Evidence {
  id: string;
  kind: "PET" | "HIST" | "CHEMO" | "NECR";
  result: string;
  date: string | null;
  days_from_study: number | null;
  source: string;
  scope: "node" | "side_level" | "patient";
  node: number | null;
  side: string | null;
  level: string | null;
  details: Record<string, unknown>;
  counts_as_positive: boolean;
  /** Why it does not count; "" where it does. */
  why_not?: string;
  text: string;
  withdrawn: string | null;
}

export interface Signer {
  role: string;
  /** Only once signed, or one's own. */
  name: string | null;
  mine: boolean;
  signed_at: string | null;
}

export interface Signing {
  required: Signer[];
  /** "" before there is anything to sign. */
  record_hash: string;
  can_sign: boolean;
  /** Sentences: what keeps it from being signed. */
  missing: string[];
  /** Why a signer objected last; the labels are open again. */
  objection?: string | null;
}

export interface Version {
  id: string;
  version: number;
  state: ConsensusState;
  published_at: string | null;
  reason: string;
}

export interface Counts {
  open: number;
  proposed: number;
  deferred: number;
  resolved: number;
  indeterminate: number;
  by_rule: number;
  identical: number;
}

export interface ConsensusDetail {
  id: string;
  case: { id: string; label: string; study_date: string | null };
  version: number;
  state: ConsensusState;
  role: Role;
  study_uid: string;
  series_uid: string;
  dicomweb: string;
  grid: { shape: Voxel; spacing_mm: Voxel; sop_uids: string[]; geometry: string };
  show_ai: boolean;
  resolutions: Resolution[];
  counts: Counts;
  clusters: Cluster[];
  discrepancies: Discrepancy[];
  nodes?: AgreedNode[];
  evidence?: Evidence[];
  /** Evidence counts only within `pet_max_days` of the study where it is a PET. */
  labels?: { values: ImpressionValue[]; metastatic_needs?: number; pet_max_days?: number };
  signing?: Signing;
  versions: Version[];
  /** Where the report of a published version is read. */
  report?: string | null;
  news_seq: number;
}

/** An act on a discrepancy or a label, kept until the server has it; `id` makes a retry safe. */
export type Act =
  | {
      kind: "propose" | "resolve";
      id: string;
      discrepancy: string;
      seen: number;
      resolution: Resolution;
      rationale: string;
      shape?: Shape;
    }
  | {
      kind: "agree";
      id: string;
      discrepancy: string;
      seen: number;
      step: string;
      rationale?: string;
    }
  | { kind: "defer"; id: string; discrepancy: string; seen: number; rationale: string }
  | {
      kind: "label";
      id: string;
      node: number;
      seen: number;
      value: ImpressionValue;
      reason?: string;
      rationale?: string;
      evidence: string[];
    }
  | { kind: "defer_label"; id: string; node: number; seen: number; rationale: string };

export type SettleAct = Extract<Act, { discrepancy: string }>;
export type LabelAct = Extract<Act, { node: number }>;

export interface ActAnswer {
  discrepancy?: Discrepancy;
  node?: AgreedNode;
  consensus?: { state: ConsensusState; counts?: Counts };
}

/** What MOVED_ON says beside its words. */
export interface MovedOn {
  discrepancy?: Discrepancy;
  node?: AgreedNode;
  since?: Step[];
}

/** Where somebody looks: a phase, in it a discrepancy (its id) or an agreed node (its number). */
export interface Whereabouts {
  phase: "settle" | "label" | "sign";
  discrepancy: string | null;
  node: number | null;
}

/** Somebody else who has the consensus open now. */
export interface Present extends Whereabouts {
  who: By;
}

export interface NewEvidence {
  client: string;
  kind: Evidence["kind"];
  result: string;
  source: string;
  scope: Evidence["scope"];
  node: number;
  /** Of the consensus that numbers the nodes. */
  version: number;
  details: Record<string, unknown>;
}
