// The reader's words for the server's codes.

import type { Decision, ImpressionValue, WhyNotAssessable } from "./contract";
import type { SaveState } from "./session";

/** Day and minute as every page of Concord writes them: 2026-03-04 15:06. */
export function minuteOf(at: string): string {
  return new Date(at).toLocaleString("sv-SE", { dateStyle: "short", timeStyle: "short" });
}

export const REASONS: Record<string, string> = {
  vessel: "vessel",
  muscle: "muscle",
  salivary_gland: "salivary gland",
  thyroid: "thyroid",
  tonsil: "tonsil",
  fat: "fat",
  artefact: "artefact",
  too_small: "too small",
  other: "other",
};

export const DECISIONS: Record<Decision, string> = {
  undecided: "undecided",
  accepted: "accepted",
  rejected: "rejected",
  reshaped: "reshaped",
  added: "added",
  merged: "merged",
};

export const NOT_ASSESSABLE: Record<WhyNotAssessable, string> = {
  streaks: "streaks",
  cut_off: "cut off",
  motion: "motion",
  noise: "noise",
  other: "other",
};

export const IMPRESSIONS: Record<ImpressionValue, { short: string; long: string; action: string }> =
  {
    metastatic: { short: "M", long: "metastatic", action: "metastatic" },
    non_metastatic: { short: "N", long: "non-metastatic", action: "nonMetastatic" },
    indeterminate: { short: "I", long: "indeterminate", action: "indeterminate" },
    not_assessable: { short: "–", long: "not assessable", action: "notAssessable" },
  };

export const STAGES: Record<string, string> = {
  queued: "Waiting for a worker",
  fetch: "Fetching images",
  decode: "Reading images",
  preprocess: "Preparing images",
  infer: "Finding nodes",
  postprocess: "Drawing nodes",
  measure: "Measuring nodes",
  upload: "Sending the mask",
  announce: "Announcing",
};

export function saveWords(state: SaveState, waiting: number): string {
  const kept = `${waiting} ${waiting === 1 ? "change" : "changes"} kept`;
  const words: Record<SaveState, string> = {
    loading: "Opening…",
    saved: "Saved",
    saving: "Saving…",
    offline: `Offline, ${kept}`,
    signed_out: `Signed out, ${kept}`,
    conflict: "Conflict",
    read_only: "Read only",
    stopped: "Not saving",
  };
  return words[state];
}

export function volume(mm3: number): string {
  return mm3 >= 10_000 ? `${(mm3 / 1000).toFixed(1)} ml` : `${(mm3 / 1000).toFixed(2)} ml`;
}
