// What the server says of a newer proposal of the AI, as the API spells it.

import type { AiStatus, Decision, Measures, SliceChange, Voxel } from "../contract";

/** A node of the proposal; `onto` is the reader's node that becomes it, null for a node more. */
export interface ProposedNode {
  uuid: string;
  onto: string | null;
  measures: Measures;
  slices: SliceChange[];
}

/** A node of the reading that the proposal would change. */
export interface PresentNode {
  uuid: string;
  number: number;
  edited: boolean;
  decision: Decision;
  measures: Measures | null;
}

/** What is taken or left as one. */
export interface Difference {
  key: string;
  kind: "new" | "changed" | "gone";
  at_vox: Voxel;
  /** Of the proposal's nodes and the reader's, all together. */
  dice: number;
  nodes: ProposedNode[];
  present: PresentNode[];
}

export interface NewerProposal {
  mask: string;
  run: string;
  model: NonNullable<AiStatus["model"]>;
  at: string;
  head: string;
  nodes: number;
  differences: Difference[];
}
