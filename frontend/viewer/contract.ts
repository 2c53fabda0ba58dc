// What the server says and takes, as the API spells it.

export type Decision = "undecided" | "accepted" | "rejected" | "reshaped" | "added" | "merged";
export type ImpressionValue = "metastatic" | "non_metastatic" | "indeterminate" | "not_assessable";
/** The patient's own. */
export type Side = "L" | "R";
export type Plane = "axial" | "coronal" | "sagittal";
/** Voxel position: slice ascending along the normal, row, column. */
export type Voxel = [number, number, number];

export interface Measures {
  sad_mm: number;
  lad_mm: number;
  longest_any_plane_mm: number;
  volume_mm3: number;
  slice_index: number;
  endpoints_vox: { long: [Voxel, Voxel]; short: [Voxel, Voxel] } | null;
  centroid_vox: Voxel;
  /** First slice, row, column; end slice, row, column; half-open. */
  box_vox?: [number, number, number, number, number, number];
  /** A threshold within 0.1 mm of the short axis. */
  near_mm?: number | null;
  sad_text: string;
  lad_text: string;
  measurable: boolean;
  flags: string[];
}

export interface Impression {
  value: ImpressionValue;
  confidence: number | null;
}

export interface NodeRecord {
  uuid: string;
  label: number;
  number: number;
  origin: "ai" | "added" | "split" | "merged";
  side: Side | null;
  /** The reader said the side; else it follows from the images, where they show it. */
  side_said?: boolean;
  level: string | null;
  decision: Decision;
  reason: string | null;
  impression: Impression | null;
  doubt: boolean;
  empty: boolean;
  measures: Measures | null;
  manual?: Manual | null;
  /** The nodes it was split from, or that were merged into it. */
  parents?: string[];
  merged_into?: string | null;
  /** What the model thought of its node, 0–1; only where the protocol shows it. */
  score?: number | null;
}

export interface Check {
  code: string;
  text: string;
  node: string | null;
  ok: boolean;
  /** Worth a look, but keeps nobody from submitting. */
  warning?: boolean;
}

export type AiState = "queued" | "running" | "ready" | "failed" | "none";

export interface AiStatus {
  state: AiState;
  progress: number;
  stage: string;
  message: string;
  model: { name: string; version: string; sha256: string; notice: string } | null;
  /** Where a run under way is cancelled, for who may. */
  cancel?: string | null;
}

/** The canonical manifest of a mask: the client computes the same hash as the server. */
export interface ManifestRecord {
  geometry: string;
  labels: [number, string][];
  parents: string[];
  slices: [number, string][];
  version: number;
}

export interface Signature {
  name: string;
  at: string;
  meaning: string;
  hash: string;
}

export interface Resume {
  node?: string | null;
  window?: string;
  /** What a hand made of that window. */
  voi?: { width: number; centre: number };
  focus?: Voxel;
  tool?: string;
  brush_mm?: number;
  look?: { outline?: boolean; fill?: number; stripes?: boolean; hide_rejected?: boolean };
  order?: string;
  filter?: string;
  views?: Record<string, ViewPlace>;
  /** The series beside, where it was shown or laid over the images. */
  beside?: { series: string; shown: boolean; fused: boolean; opacity: number };
  /** What was left of a newer proposal. */
  left?: { mask: string; keys: string[] };
}

/** What a view is centred on (LPS mm) and half its height in the patient (mm): pan and zoom. */
export interface ViewPlace {
  at: [number, number, number];
  scale: number;
}

export interface ReadingDetail {
  id: string;
  slot: string;
  state: string;
  head: string;
  base: string;
  ai_mask: string | null;
  case: {
    id: string;
    label: string;
    protocol: {
      code: string;
      name: string;
      required_planes: Plane[];
      reject_reasons: string[];
    };
    excluded: string[];
  };
  study_uid: string;
  series_uid: string;
  dicomweb: string;
  grid: { shape: Voxel; spacing_mm: Voxel; sop_uids: string[]; geometry: string };
  ai: AiStatus;
  labels: [number, string][];
  manifest: ManifestRecord;
  nodes: NodeRecord[];
  regions?: RegionRecord[];
  checks: Check[];
  can_submit: boolean;
  lease: { mine: boolean; holder: string | null; id: string | null };
  seen: Partial<Record<Plane, [number, number][]>>;
  resume: Resume;
  news_seq: number;
  signature: Signature | null;
}

/** Offset inside the box, length, and 0 for background or the 1-based place in `nodes`. */
export type Run = [number, number, number];
/** First row, first column, end row, end column; half-open. */
export type Box = [number, number, number, number];

export interface SliceChange {
  sop: string;
  box: Box;
  runs: Run[];
}

export type Body =
  | {
      kind: "voxels";
      nodes: string[];
      slices: SliceChange[];
      prompt?: string;
      proposal?: Taken;
    }
  | { kind: "decision"; node: string; decision: Decision; reason?: string; proposal?: Taken }
  | {
      kind: "impression";
      node: string;
      value: ImpressionValue | null;
      confidence: number | null;
      reason?: string;
    }
  | { kind: "doubt"; node: string; value: boolean }
  | { kind: "level"; node: string; side: Side | null; level: string | null }
  | { kind: "split"; node: string; part: string; slices: SliceChange[] }
  | { kind: "merge"; node: string; merged: string }
  | RegionBody
  | { kind: "size"; node: string; long: Line; short: Line };

/** What is taken of a newer proposal of the AI: its mask, and which of its nodes. */
export interface Taken {
  mask: string;
  nodes: string[];
}

/** Sets what a region is; one without slices is taken back. */
export interface RegionBody {
  kind: "region";
  region: string;
  reason: WhyNotAssessable | "";
  slices: SliceChange[];
}

export type WhyNotAssessable = "streaks" | "cut_off" | "motion" | "noise" | "other";

/** Part of the images that cannot be read, and why. */
export type RegionRecord = Omit<RegionBody, "kind">;

/** An axis measured by hand: its two ends, or its length in millimetres. */
export type Line = [Voxel, Voxel] | number | null;

export interface ManualAxis {
  mm: number;
  text: string;
  ends_vox: [Voxel, Voxel] | null;
}

/** What the reader measured, beside what the server measured. */
export interface Manual {
  long: ManualAxis | null;
  short: ManualAxis | null;
}

export type ChangeBody = Body | { kind: "undo"; undoes: string; inverse: Body };

export type Change = { id: string; base: string } & ChangeBody;

export interface ChangeResult {
  id: string;
  head: string;
  nodes: NodeRecord[];
  /** Regions the change altered. */
  regions?: RegionRecord[];
  checks: Check[];
  can_submit: boolean;
}
