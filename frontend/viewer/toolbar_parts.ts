// Buttons of a toolbar above the images: small, each with its key.

import { sheet, text } from "./html";
import { TOKENS } from "./panel/styles";

export const toolbarSheet = sheet(`${TOKENS}
  :host { display: block; }
  nav { display: flex; align-items: center; gap: 2px; }
  .group { display: flex; gap: 2px; padding: 0 9px; }
  .group + .group { border-left: 1px solid var(--line); }
  button { display: flex; align-items: center; gap: 6px; height: 30px; padding: 0 8px; color: var(--soft); font-size: 12px; white-space: nowrap; }
  button:hover:enabled { color: var(--ink); background: var(--hover); }
  button[aria-pressed="true"], button[aria-pressed="true"]:hover:enabled { color: var(--accent); background: var(--accent-ground); }
  svg { width: 17px; height: 17px; fill: none; stroke: currentColor; stroke-width: 1.6; stroke-linecap: round; stroke-linejoin: round; }
  @media (max-width: 1400px) {
    .group { padding: 0 5px; }
    button { padding: 0 6px; gap: 5px; }
  }
  /* What does not fit beside the panel would be cut off: the keys stand in the titles, too. */
  @media (max-width: 1580px) {
    kbd { display: none; }
  }
  @media (max-width: 1200px) {
    .group { padding: 0 2px; gap: 1px; }
    button { padding: 0 4px; }
    output { min-width: 34px; }
  }
  output.wide { white-space: nowrap; padding: 0 4px; }
  output { min-width: 38px; text-align: center; font-size: 12px; color: var(--soft); align-self: center; }
`);

const ICONS: Record<string, string> = {
  window:
    '<circle cx="12" cy="12" r="8"/><path d="M12 4a8 8 0 0 1 0 16z" fill="currentColor" stroke="none"/>',
  pan: '<path d="M12 3v18M3 12h18M12 3l-2.5 2.5M12 3l2.5 2.5M12 21l-2.5-2.5M12 21l2.5-2.5M3 12l2.5-2.5M3 12l2.5 2.5M21 12l-2.5-2.5M21 12l-2.5 2.5"/>',
  zoom: '<circle cx="10.5" cy="10.5" r="6"/><path d="m15 15 5 5M10.5 8v5M8 10.5h5"/>',
  brush:
    '<path d="m9.5 14.5 9-9.6a1.4 1.4 0 0 1 2 2l-9.6 9"/><path d="M9.3 14.6c-2.6-.3-4 1.2-4.2 3-.1 1.200-.9 2-2.100 2.400 3.600 1.200 8-.2 8-3.200 0-1-.7-1.900-1.700-2.200z"/>',
  reshape:
    '<circle cx="12" cy="12" r="4.500"/><path d="M12 4.500V2m0 0-1.800 1.800M12 2l1.800 1.800M12 19.500V22m0 0-1.800-1.800M12 22l1.800-1.800M4.500 12H2m0 0 1.800-1.800M2 12l1.800 1.800M19.500 12H22m0 0-1.800-1.800M22 12l-1.800 1.800"/>',
  eraser:
    '<path d="m4.500 15.500 9-9a1.800 1.800 0 0 1 2.500 0l3.500 3.500a1.800 1.800 0 0 1 0 2.500L13 19H8z"/><path d="m9 11 6 6M8 19h12"/>',
  newNode:
    '<circle cx="12" cy="12" r="8" stroke-dasharray="3 2.600"/><path d="M12 8.500v7M8.500 12h7"/>',
  prompt:
    '<path d="M12 3.500a7.500 7.500 0 0 1 8 8c0 4-3.500 8-8.500 8a8 8 0 0 1-8-7.500c0-4 3.500-8.500 8.500-8.500z" stroke-dasharray="3 2.600"/><path d="m10 9.500 1.800 7 1.500-3.200 3.200-1.500z" fill="currentColor"/>',
  crosshairs:
    '<circle cx="12" cy="12" r="5"/><path d="M12 2.500v6M12 15.500v6M2.500 12h6M15.500 12h6"/>',
  undo: '<path d="M8 5 4 9l4 4"/><path d="M4 9h10a5.500 5.500 0 0 1 0 11h-3"/>',
  contact: '<path d="M4 5h7v6H4zM13 5h7v6h-7zM4 13h7v6H4zM13 13h7v6h-7z"/>',
  slab: '<path d="M4 8.500 12 5l8 3.500-8 3.500z"/><path d="m4 12 8 3.500 8-3.500M4 15.500 12 19l8-3.500"/>',
  beside:
    '<rect x="3.500" y="5" width="7.500" height="14" rx="1"/><rect x="13" y="5" width="7.500" height="14" rx="1" stroke-dasharray="3 2.600"/>',
  fuse: '<circle cx="9.500" cy="12" r="5.500"/><circle cx="14.500" cy="12" r="5.500"/>',
  reset: '<path d="M5 12a7 7 0 1 0 2.200-5.100"/><path d="M4.500 4v4h4"/>',
};

export interface Button {
  action: string;
  /** As on the board; empty where it has none. */
  key: string;
  label: string;
  pressed?: boolean;
  disabled?: boolean;
}

function attributes({ action, key, label, pressed, disabled }: Button): string {
  const title = text(key ? `${label} (${key})` : label);
  return `data-act="${action}" data-testid="tool-${action}" title="${title}" aria-label="${title}"
    ${pressed === undefined ? "" : `aria-pressed="${pressed}"`} ${disabled ? "disabled" : ""}`;
}

const keyHtml = (key: string) => (key ? `<kbd>${text(key)}</kbd>` : "");

export function iconHtml(button: Button): string {
  const icon = ICONS[button.action] ?? "";
  return `<button ${attributes(button)}><svg viewBox="0 0 24 24" aria-hidden="true">${icon}</svg>${keyHtml(button.key)}</button>`;
}

export function wordHtml(button: Button): string {
  return `<button ${attributes(button)}>${text(button.label)} ${keyHtml(button.key)}</button>`;
}
