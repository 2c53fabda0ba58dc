// What may lie beside the images of a reading, as the server lists it.

import type { Point3 } from "../ohif";

export type Kind = "same_study" | "prior" | "follow_up" | "pet";

export interface BesideSeries {
  id: string;
  kind: Kind;
  modality: string;
  description: string;
  date: string | null;
  /** From the study that is read to its own; null where a date is missing. */
  days: number | null;
  images: number;
  same_frame: boolean;
  /** Where frames differ: the shift (LPS, mm) the reader confirmed. */
  offset_mm: Point3 | null;
  volume: string;
}

export interface BesideList {
  case: string;
  /** Where the images that are read come from, as one volume. */
  read: string;
  series: BesideSeries[];
}

export const KINDS: Readonly<Record<Kind, string>> = {
  same_study: "Same study",
  prior: "Prior",
  follow_up: "Follow-up",
  pet: "PET",
};

/** "Prior CT, 12 days before". */
export function besideWords({ kind, modality, days }: BesideSeries): string {
  const what = kind === "pet" ? KINDS.pet : `${KINDS[kind]} ${modality}`;
  if (kind === "same_study" || days === null) return what;
  if (days === 0) return `${what}, same day`;
  const count = `${Math.abs(days)} ${Math.abs(days) === 1 ? "day" : "days"}`;
  return `${what}, ${count} ${days < 0 ? "before" : "after"}`;
}
