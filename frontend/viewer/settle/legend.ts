// The legend of a plane: each outline and fill as it is drawn, and its words.

import { text } from "../html";
import { dashHtml, INK_COLOURS, type InkKind, type Level, textureHtml, widthOf } from "./inks";
import { colourOf } from "./map";

export interface LegendRow {
  /** A level of the map; null for words alone. */
  swatch: InkKind | "only-x" | "only-y" | "absent" | "limit" | Level | null;
  words: string;
  /** Said in a fainter tone. */
  aside?: string;
}

export function legendHtml({ swatch, words, aside }: LegendRow): string {
  const rest = aside ? ` <span style="color:#9fb0b5">${text(aside)}</span>` : "";
  return `<span style="display:flex;align-items:center;gap:7px" data-swatch="${nameOf(swatch)}">${swatchHtml(swatch)}<span>${text(words)}${rest}</span></span>`;
}

function nameOf(swatch: LegendRow["swatch"]): string {
  if (swatch === null) return "";
  return typeof swatch === "string" ? swatch : `drawn-${swatch.count}`;
}

function swatchHtml(swatch: LegendRow["swatch"]): string {
  const box = `<svg width="24" height="10" viewBox="0 0 24 10" aria-hidden="true" style="flex:none">`;
  if (swatch === null) return "";
  if (typeof swatch !== "string") return levelSwatch(swatch);
  if (swatch === "only-x" || swatch === "only-y") {
    const side = swatch === "only-x" ? "x" : "y";
    const lean = side === "x" ? "M1 9L9 1M8 9L16 1M15 9L23 1" : "M1 1L9 9M8 1L16 9M15 1L23 9";
    return `${box}<path d="${lean}" stroke="${INK_COLOURS[side]}" stroke-width="2"/></svg>`;
  }
  if (swatch === "absent") {
    return `${box}<path d="M8 1L16 9M8 9L16 1" stroke="#fff" stroke-width="2.5"/></svg>`;
  }
  if (swatch === "limit") {
    return `${box}<path d="M1 5H23" stroke="#57c7b4" stroke-opacity=".8" stroke-dasharray="3 5"/></svg>`;
  }
  const width = widthOf(swatch, "strong");
  return `${box}<path d="M1 5H23" stroke="${INK_COLOURS[swatch]}" stroke-width="${width}"${dashHtml(swatch)}/></svg>`;
}

function levelSwatch(level: Level): string {
  const id = `swatch-drawn-${level.count}`;
  return `<svg width="24" height="14" viewBox="0 0 24 14" aria-hidden="true" style="flex:none"><defs><pattern id="${id}" width="7" height="7" patternUnits="userSpaceOnUse">${textureHtml(level)}</pattern></defs>
    <rect x=".7" y=".7" width="22.6" height="12.6" fill="url(#${id})" stroke="${colourOf(level)}" stroke-width="1.4"/></svg>`;
}
