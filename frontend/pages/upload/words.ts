// Numbers and outcomes as sentences.

import type { FileState, Item } from "./queue";
import type { SeriesVerdict } from "./server";

const plain = new Intl.NumberFormat("en");

export function bytes(count: number): string {
  if (count < 1000) return `${count} B`;
  if (count < 1000 * 1024) return `${Math.round(count / 1024)} KiB`;
  const mib = count / 2 ** 20;
  if (mib < 1000) return `${mib < 10 ? mib.toFixed(1) : Math.round(mib)} MiB`;
  return `${(mib / 1024).toFixed(1)} GiB`;
}

export function number(count: number): string {
  return plain.format(count);
}

export function files(count: number): string {
  return `${number(count)} ${count === 1 ? "file" : "files"}`;
}

export function timeLeft(bytesLeft: number, rate: number): string {
  if (rate <= 0) return "";
  const seconds = Math.ceil(bytesLeft / rate);
  if (seconds < 5) return "a few seconds left";
  if (seconds < 90) return `about ${Math.ceil(seconds / 5) * 5} s left`;
  if (seconds < 5400) return `about ${Math.round(seconds / 60)} min left`;
  return `about ${Math.round(seconds / 3600)} h left`;
}

const OUTCOMES: [string, string][] = [
  ["stored", "stored"],
  ["already_here", "already here"],
  ["kept_aside", "kept aside"],
  ["ignored", "ignored"],
];

export function outcome(counts: Record<string, number>): string {
  return OUTCOMES.filter(([what]) => (counts[what] ?? 0) > 0)
    .map(([what, words]) => `${number(counts[what] ?? 0)} ${words}`)
    .join(", ");
}

const STATES: Record<FileState, string> = {
  waiting: "",
  sending: "",
  reading: "being read",
  done: "",
  here: "here",
  problem: "not taken",
};

export function stateOf(item: Item): string {
  if (item.state === "sending") return share(item.sent, item.said.size);
  if (item.state === "waiting" && item.sent > 0) return share(item.sent, item.said.size);
  const several = Object.values(item.counts).reduce((a, b) => a + b, 0) > 1;
  if (several) return outcome(item.counts);
  if (item.state === "done") {
    const what = Object.keys(item.counts)[0] ?? "stored";
    return OUTCOMES.find(([name]) => name === what)?.[1] ?? what;
  }
  return STATES[item.state];
}

export function share(part: number, whole: number): string {
  return `${whole > 0 ? Math.floor((100 * part) / whole) : 100} %`;
}

const VERDICTS: Record<string, { words: string; look: string }> = {
  volume: { words: "volume", look: "good" },
  quarantined: { words: "quarantined", look: "bad" },
  set_aside: { words: "set aside", look: "" },
  pending: { words: "still arriving", look: "warn" },
};

export function verdictOf(series: SeriesVerdict): { words: string; look: string } {
  return VERDICTS[series.state] ?? { words: series.state, look: "" };
}

export function whyOf(series: SeriesVerdict): string {
  if (series.state === "volume") return "Its slices stack straight, evenly and without gaps.";
  if (series.state === "pending") {
    return "More of it is arriving at another door; it is judged when that is quiet.";
  }
  return series.reason;
}
