// What somebody else did since this person looked, and what became of acts that came too late.

import type { Act, ConsensusDetail, Discrepancy, Step } from "./contract";
import { newsWords } from "./words";

/** A discrepancy or an agreed node. */
export type Subject = `d:${string}` | `n:${number}`;

export function subjectOf(act: Act): Subject {
  return "discrepancy" in act ? `d:${act.discrepancy}` : `n:${act.node}`;
}

/** An act of ours that came too late, or was refused: what we wrote is kept. */
export interface Overtaken {
  /** "propose", "label", …, and the resolution or value that was meant. */
  kind: Act["kind"];
  what: string;
  rationale: string;
  /** The steps taken since we looked. */
  since: Step[];
  message: string;
}

/** The steps taken since a version; a decision carried over stands before them. */
export function stepsSince({ steps, version }: Discrepancy, seen: number): Step[] {
  return seen < version ? steps.slice(seen - version) : [];
}

/** What others changed between two truths, and one sentence for each. */
export function tidings(
  before: ConsensusDetail,
  now: ConsensusDetail,
): { subjects: Subject[]; words: string[] } {
  const subjects: Subject[] = [];
  const words: string[] = [];
  const versions = new Map(before.discrepancies.map((one) => [one.id, one.version]));
  for (const one of now.discrepancies) {
    const fresh = stepsSince(one, versions.get(one.id) ?? one.version);
    const last = fresh.filter(({ by }) => by !== "you").at(-1);
    if (!last || one.by_rule) continue;
    subjects.push(`d:${one.id}`);
    words.push(newsWords(last, one, now.role));
  }
  const positions = new Map((before.nodes ?? []).map((node) => [node.number, node.position]));
  for (const node of before.nodes ? (now.nodes ?? []) : []) {
    if (node.position <= (positions.get(node.number) ?? 0) || node.label?.by === "you") continue;
    subjects.push(`n:${node.number}`);
    words.push(`Node ${node.number} was ${node.label?.deferred ? "deferred" : "labelled"}.`);
  }
  return { subjects, words };
}
