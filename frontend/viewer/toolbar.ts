// The tools of a reader above the images: few, each with its key.

import { write } from "./html";
import { keyFor } from "./keys";
import { bindings } from "./keys/bindings";
import type { Room } from "./room";
import { watchRoom } from "./stage";
import { type Button, iconHtml, toolbarSheet, wordHtml } from "./toolbar_parts";
import { WINDOWS, type WindowName } from "./views";

type Keyed = Omit<Button, "key">;
const icon = (button: Keyed) => iconHtml({ ...button, key: keyFor(button.action) });
const word = (button: Keyed) => wordHtml({ ...button, key: keyFor(button.action) });

export class ToolbarElement extends HTMLElement {
  private room: Room | null = null;
  private readonly ends: (() => void)[] = [];
  /** What ends when another reading is shown. */
  private readonly roomEnds: (() => void)[] = [];

  connectedCallback(): void {
    const root = this.shadowRoot ?? this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [toolbarSheet];
    root.addEventListener("click", this.clicked);
    this.ends.push(
      watchRoom((room) => {
        this.room = room;
        for (const end of this.roomEnds.splice(0)) end();
        for (const target of room
          ? [
              room.session,
              room.tools,
              room.views,
              room.commands,
              room.prompting,
              room.beside.beside,
              bindings,
            ]
          : []) {
          for (const type of ["change", "window"]) {
            target.addEventListener(type, this.render);
            this.roomEnds.push(() => target.removeEventListener(type, this.render));
          }
        }
        this.render();
      }),
    );
  }

  disconnectedCallback(): void {
    for (const end of [...this.ends.splice(0), ...this.roomEnds.splice(0)]) end();
    this.room = null;
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
    const pressed = (action: string) => tools.active === action && !room.prompting.active;
    const draws = !session.writable;
    const windows = (Object.keys(WINDOWS) as WindowName[]).map((name) =>
      word({
        action: name,
        label: WINDOWS[name].label,
        pressed: views.window === name && !views.windowed,
      }),
    );
    write(
      nav,
      `<div class="group">
        ${icon({ action: "window", label: "Window", pressed: pressed("window") })}
        ${icon({ action: "pan", label: "Pan (middle button)", pressed: pressed("pan") })}
        ${icon({ action: "zoom", label: "Zoom (right button)", pressed: pressed("zoom") })}
        ${icon({ action: "crosshairs", label: "Crosshairs", pressed: pressed("crosshairs") })}
        ${icon({ action: "reset", label: "Reset the view" })}
        ${icon({ action: "contact", label: "Contact sheet" })}
      </div>
      <div class="group">
        ${icon({ action: "brush", label: "Brush", pressed: pressed("brush"), disabled: draws })}
        ${icon({ action: "reshape", label: "Reshape: drag the edge (or hold Shift and drag)", pressed: pressed("reshape"), disabled: draws })}
        ${icon({ action: "eraser", label: "Eraser", pressed: pressed("eraser"), disabled: draws })}
        <output data-testid="brush-size" title="Brush radius ([ and ])">${tools.brushMm} mm</output>
        ${icon({ action: "newNode", label: "New node", disabled: draws })}
        ${
          room.prompting.offered
            ? icon({
                action: "prompt",
                label: "Missed node: click into it",
                pressed: room.prompting.active,
                disabled: draws,
              })
            : ""
        }
        ${icon({ action: "undo", label: "Undo", disabled: !session.undoable })}
      </div>
      <div class="group">${windows.join("")}
        ${icon({ action: "slab", label: "Slab thickness", pressed: room.beside.slabs.slab.mm > 0 })}
      </div>
      ${besideHtml(room)}`,
    );
  };
}

/** Only where there is something to lay beside. */
function besideHtml({ beside: { beside } }: Room): string {
  if (!beside.list.length) return "";
  const fuse = beside.pet
    ? icon({ action: "fuse", label: "PET over the CT", pressed: beside.fused })
    : "";
  return `<div class="group">
      ${icon({ action: "beside", label: "Prior, follow-up or PET beside", pressed: beside.shown })}${fuse}
    </div>`;
}
