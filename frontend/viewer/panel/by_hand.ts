// A node's axes, typed: while the reader measures by hand, beside drawing them.

import type { ShownNode } from "../projection";

/** What the server takes as an axis. */
const LONGEST_MM = 300;

export function byHandHtml({ number, manual }: ShownNode): string {
  const field = (name: "long" | "short", words: string) => `<label>${words}
    <input name="${name}" type="number" min="0.1" max="${LONGEST_MM}" step="0.1" inputmode="decimal"
      aria-label="${words} axis of node ${number} in mm" value="${manual?.[name]?.mm.toFixed(1) ?? ""}"></label>`;
  return `<form class="by-hand" data-form="size" data-keep data-testid="by-hand">
    <p>Draw both axes, or type them (mm)</p>${field("long", "Long")}${field("short", "Short")}
    <button type="submit">Keep</button></form>`;
}

/** What was typed: long and short in mm, null for none; null where the short one is the longer. */
export function typedAxes(form: FormData): { long: number | null; short: number | null } | null {
  const [long, short] = ["long", "short"].map((name) => Number(form.get(name)) || null);
  if (!long || (short ?? 0) > long) return null;
  return { long, short: short ?? null };
}
