// The tools of a reader above the images: few, each with its key.

import { sheet, text, write } from "./html";
import { keyFor } from "./keys";
import { TOKENS } from "./panel/styles";
import type { Room } from "./room";
import { watchRoom } from "./stage";
import { WINDOWS, type WindowName } from "./views";

const toolbarSheet = sheet(`${TOKENS}
  :host { display: block; }
  nav { display: flex; align-items: center; gap: 2px; }
  .group { display: flex; gap: 2px; padding: 0 9px; }
  .group + .group { border-left: 1px solid var(--line); }
  button { display: flex; align-items: center; gap: 6px; height: 30px; padding: 0 8px; color: var(--soft); font-size: 12px; white-space: nowrap; }
  button:hover:enabled { color: var(--ink); background: var(--hover); }
  button[aria-pressed="true"] { color: var(--accent); background: var(--accent-ground); }
  svg { width: 17px; height: 17px; fill: none; stroke: currentColor; stroke-width: 1.6; stroke-linecap: round; stroke-linejoin: round; }
  output { min-width: 38px; text-align: center; font-size: 12px; color: var(--soft); align-self: center; }
`);

const ICONS: Record<string, string> = {
  window:
    '<circle cx="12" cy="12" r="8"/><path d="M12 4a8 8 0 0 1 0 16z" fill="currentColor" stroke="none"/>',
  pan: '<path d="M12 3v18M3 12h18M12 3l-2.5 2.5M12 3l2.5 2.5M12 21l-2.5-2.5M12 21l2.5-2.5M3 12l2.5-2.5M3 12l2.5 2.5M21 12l-2.5-2.5M21 12l-2.5 2.5"/>',
  zoom: '<circle cx="10.5" cy="10.5" r="6"/><path d="m15 15 5 5M10.5 8v5M8 10.5h5"/>',
  brush:
    '<path d="m9.5 14.5 9-9.6a1.4 1.4 0 0 1 2 2l-9.6 9"/><path d="M9.3 14.6c-2.6-.3-4 1.2-4.2 3-.1 1.200-.9 2-2.100 2.400 3.600 1.200 8-.2 8-3.200 0-1-.7-1.900-1.700-2.200z"/>',
  eraser:
    '<path d="m4.500 15.500 9-9a1.800 1.800 0 0 1 2.500 0l3.500 3.500a1.800 1.800 0 0 1 0 2.500L13 19H8z"/><path d="m9 11 6 6M8 19h12"/>',
  newNode:
    '<circle cx="12" cy="12" r="8" stroke-dasharray="3 2.600"/><path d="M12 8.500v7M8.500 12h7"/>',
  crosshairs:
    '<circle cx="12" cy="12" r="5"/><path d="M12 2.500v6M12 15.500v6M2.500 12h6M15.500 12h6"/>',
  undo: '<path d="M8 5 4 9l4 4"/><path d="M4 9h10a5.500 5.500 0 0 1 0 11h-3"/>',
  reset: '<path d="M5 12a7 7 0 1 0 2.200-5.100"/><path d="M4.500 4v4h4"/>',
};

interface Button {
  action: string;
  label: string;
  pressed?: boolean;
  disabled?: boolean;
}

export class ToolbarElement extends HTMLElement {
  private room: Room | null = null;
  private readonly ends: (() => void)[] = [];

  connectedCallback(): void {
    const root = this.shadowRoot ?? this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [toolbarSheet];
    root.addEventListener("click", this.clicked);
    this.ends.push(
      watchRoom((room) => {
        this.room = room;
        for (const target of room ? [room.session, room.tools, room.views, room.commands] : []) {
          for (const type of ["change", "window"]) target.addEventListener(type, this.render);
        }
        this.render();
      }),
    );
  }

  disconnectedCallback(): void {
    for (const end of this.ends.splice(0)) end();
  }

  private readonly clicked = (event: Event) => {
    const button = (event.target as Element).closest<HTMLElement>("[data-act]");
    if (!button) return;
    this.room?.commands.run(button.dataset.act ?? "");
    button.blur();
  };

  private readonly render = () => {
    const { room } = this;
    let nav = this.shadowRoot?.querySelector("nav");
    if (!nav) {
      nav = document.createElement("nav");
      nav.setAttribute("aria-label", "Tools");
      this.shadowRoot?.append(nav);
    }
    if (!room) return write(nav, "");
    const { tools, views, session } = room;
    const pressed = (action: string) => tools.active === action;
    const draws = !session.writable;
    const windows = (Object.keys(WINDOWS) as WindowName[]).map((name) =>
      buttonHtml({ action: name, label: WINDOWS[name].label, pressed: views.window === name }),
    );
    write(
      nav,
      `<div class="group">
        ${iconHtml({ action: "window", label: "Window", pressed: pressed("window") })}
        ${iconHtml({ action: "pan", label: "Pan (middle button)", pressed: pressed("pan") })}
        ${iconHtml({ action: "zoom", label: "Zoom (right button)", pressed: pressed("zoom") })}
        ${iconHtml({ action: "crosshairs", label: "Crosshairs", pressed: pressed("crosshairs") })}
        ${iconHtml({ action: "reset", label: "Reset the view" })}
      </div>
      <div class="group">
        ${iconHtml({ action: "brush", label: "Brush", pressed: pressed("brush"), disabled: draws })}
        ${iconHtml({ action: "eraser", label: "Eraser", pressed: pressed("eraser"), disabled: draws })}
        <output data-testid="brush-size" title="Brush radius ([ and ])">${tools.brushMm} mm</output>
        ${iconHtml({ action: "newNode", label: "New node", disabled: draws })}
        ${iconHtml({ action: "undo", label: "Undo", disabled: !session.undoable })}
      </div>
      <div class="group">${windows.join("")}</div>`,
    );
  };
}

function attributes({ action, label, pressed, disabled }: Button): string {
  const key = keyFor(action);
  const title = text(key ? `${label} (${key})` : label);
  return `data-act="${action}" data-testid="tool-${action}" title="${title}" aria-label="${title}"
    ${pressed === undefined ? "" : `aria-pressed="${pressed}"`} ${disabled ? "disabled" : ""}`;
}

function iconHtml(button: Button): string {
  const key = keyFor(button.action);
  return `<button ${attributes(button)}><svg viewBox="0 0 24 24" aria-hidden="true">${ICONS[button.action] ?? ""}</svg>${key ? `<kbd>${key}</kbd>` : ""}</button>`;
}

function buttonHtml(button: Button): string {
  return `<button ${attributes(button)}>${text(button.label)} <kbd>${keyFor(button.action)}</kbd></button>`;
}
