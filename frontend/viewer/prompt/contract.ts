// What the server says of prompts, as the API spells it.

import type { SliceChange, Voxel } from "../contract";

export interface Click {
  at: Voxel;
  /** In the node; else beside it. */
  within: boolean;
}

export interface Proposal {
  slices: SliceChange[];
  voxels: number;
  /** The Dice the classifier expects of itself, 0 to 1. */
  confidence: number;
  unsure: string[];
}

export interface PromptAnswer {
  id: string;
  state: "waiting" | "answered" | "failed";
  message: string;
  proposal: Proposal | null;
}

export interface PromptQuestion {
  id: string;
  lease: string;
  clicks: Click[];
  node: string | null;
}
