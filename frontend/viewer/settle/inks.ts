// What each kind of outline and fill looks like: by colour, and by dash, hatch or dots as well.

import type { Point2 } from "../ohif";
import { colourOf, type Drawn } from "./map";

export type InkKind = "x" | "y" | "ai" | "agreed" | "preview" | "ignored" | "redraw";

export type Strength = "faint" | "calm" | "strong";
export type Level = Pick<Drawn, "count" | "among">;

/** Okabe and Ito's orange, sky blue and purple; teal for what is agreed, white for what would be. */
export const INK_COLOURS: Record<InkKind, string> = {
  x: "#e69f00",
  y: "#56b4e9",
  ai: "#e08bbb",
  agreed: "#57c7b4",
  preview: "#fff",
  ignored: "#fff",
  redraw: "#fff",
};
const DASHES: Partial<Record<InkKind, string>> = { y: "7 4", ai: "0.1 10", ignored: "0.1 6" };
const DOTTED = new Set<InkKind>(["ai", "ignored"]);
const WIDTHS: Record<Strength, number> = { faint: 1, calm: 1.5, strong: 2.25 };
const BOLD = new Set<InkKind>(["ignored"]);
export const BOLD_WIDTH = 3.5;
/** Wide enough to be seen on both sides of a reader's outline on top of it. */
const UNDER = new Set<InkKind>(["preview", "redraw"]);
const UNDER_WIDTH = 6.5;
/** Beads, seen on both sides of a reader's outline on top of them. */
const AI_WIDTH = 6;

export function widthOf(kind: InkKind, strength: Strength): number {
  if (strength === "faint") return WIDTHS.faint;
  if (UNDER.has(kind)) return UNDER_WIDTH;
  if (kind === "ai") return AI_WIDTH;
  return BOLD.has(kind) ? BOLD_WIDTH : WIDTHS[strength];
}

export function dashHtml(kind: InkKind): string {
  const dash = DASHES[kind];
  if (!dash) return "";
  return ` stroke-dasharray="${dash}" stroke-linecap="${DOTTED.has(kind) ? "round" : "butt"}"`;
}

export const fixed = (value: number) => value.toFixed(1);

/** Hatching that stays with the image: X leans one way, Y the other. */
export function defs(id: string, at: Point2, drawn: readonly Drawn[]): string {
  const [x, y] = at;
  const pattern = (side: "x" | "y", angle: number) =>
    `<pattern id="${side}-${id}" width="6" height="6" patternUnits="userSpaceOnUse"
      patternTransform="translate(${fixed(x)} ${fixed(y)}) rotate(${angle})">
      <rect width="6" height="6" fill="${INK_COLOURS[side]}" fill-opacity=".16"/>
      <path d="M0 0V6" stroke="${INK_COLOURS[side]}" stroke-width="2.4" stroke-opacity=".85"/></pattern>`;
  const levels = drawn.map((level) => levelPattern(level, id, at)).join("");
  return `<defs>${pattern("x", 45)}${pattern("y", -45)}${levels}</defs>`;
}

/** Dots where one drew it, stripes where some did, an even wash where all did. */
export function textureHtml({ count, among }: Level): string {
  const colour = colourOf({ count, among });
  if (count === among) return `<rect width="7" height="7" fill="${colour}" fill-opacity=".3"/>`;
  const wash = `<rect width="7" height="7" fill="${colour}" fill-opacity=".2"/>`;
  if (count > 1) return `${wash}<path d="M0 3.5H7" stroke="${colour}" stroke-width="2.2"/>`;
  return `${wash}<circle cx="3.5" cy="3.5" r="1.5" fill="${colour}"/>`;
}

function levelPattern(level: Level, id: string, [x, y]: Point2): string {
  return `<pattern id="drawn-${level.count}-${id}" width="7" height="7" patternUnits="userSpaceOnUse"
    patternTransform="translate(${fixed(x)} ${fixed(y)})">${textureHtml(level)}</pattern>`;
}
