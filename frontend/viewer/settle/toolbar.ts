// The tools above the images of the settling screen; each says the key that does the same.

import { text, write } from "../html";
import { bindings } from "../keys/bindings";
import { type Button, iconHtml, toolbarSheet, wordHtml } from "../toolbar_parts";
import { WINDOWS, type WindowName } from "../views";
import { keyFor } from "./keys";
import { type StageTool, type ToolStage, turnOver, watchStage } from "./stage";

type Keyed = Omit<Button, "key">;
const icon = (button: Keyed) => iconHtml({ ...button, key: keyFor(button.action) });
const word = (button: Keyed) => wordHtml({ ...button, key: keyFor(button.action) });
const NEWS = ["ready", "shown", "tool", "window", "layout"];

export class SettleToolbarElement extends HTMLElement {
  private stage: ToolStage | null = null;
  private readonly ends: (() => void)[] = [];

  connectedCallback(): void {
    const root = this.shadowRoot ?? this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [toolbarSheet];
    root.addEventListener("click", this.clicked);
    this.ends.push(
      () => root.removeEventListener("click", this.clicked),
      watchStage((stage) => this.follow(stage)),
    );
    bindings.addEventListener("change", this.render);
    this.ends.push(() => bindings.removeEventListener("change", this.render));
  }

  disconnectedCallback(): void {
    for (const end of this.ends.splice(0)) end();
  }

  private follow(stage: ToolStage | null): void {
    this.stage = stage;
    if (stage) {
      for (const type of NEWS) stage.addEventListener(type, this.render);
      this.ends.push(() => {
        for (const type of NEWS) stage.removeEventListener(type, this.render);
      }, stage.redraw.changed(this.render));
    }
    this.render();
  }

  private readonly clicked = (event: Event) => {
    const button = (event.target as Element).closest<HTMLElement>("[data-act]");
    const { stage } = this;
    if (!button || !stage) return;
    const action = button.dataset.act ?? "";
    if (action in WINDOWS) stage.window(action as WindowName);
    else if (action === "overlay") turnOver(stage);
    else if (action === "map") stage.map(!stage.mapNow);
    else if (action === "difference") stage.difference(!stage.differenceNow);
    else if (action === "ai") stage.ai(!stage.aiNow);
    else if (action === "reset") stage.reset();
    else if (action === "undo") stage.redraw.undo();
    else stage.tool(action as StageTool);
    button.blur();
  };

  private readonly render = () => {
    let nav = this.shadowRoot?.querySelector("nav");
    if (!nav) {
      nav = document.createElement("nav");
      nav.setAttribute("aria-label", "Tools");
      this.shadowRoot?.append(nav);
    }
    write(nav, this.stage ? toolsHtml(this.stage) : "");
  };
}

function toolsHtml(stage: ToolStage): string {
  const held = (tool: StageTool) => stage.toolNow === tool;
  const off = stage.redraw.cluster === null;
  const settles = stage.phase === "settle";
  const mapped = settles && stage.mapNow;
  const overlaid = stage.layoutNow === "overlay" && !mapped;
  const brush = off
    ? ""
    : `<div class="group">
      ${icon({ action: "brush", label: "Brush", pressed: held("brush") })}
      ${icon({ action: "eraser", label: "Eraser", pressed: held("eraser") })}
      <output class="wide" data-testid="brush-size" title="Radius of the brush (${text(keyFor("smaller"))} and ${text(keyFor("larger"))})">radius ${stage.brushMm} mm</output>
      ${icon({ action: "undo", label: "Undo a stroke", disabled: !stage.redraw.undoable })}
    </div>`;
  const windows = (Object.keys(WINDOWS) as WindowName[]).map((name) =>
    word({ action: name, label: WINDOWS[name].label, pressed: stage.windowNow === name }),
  );
  // While a shape is drawn neither shows anything, and the brush needs the room.
  const looks = [
    word({
      action: "difference",
      label: "Difference",
      pressed: overlaid && settles && stage.differenceNow,
      disabled: !settles || !overlaid,
    }),
    word({ action: "map", label: "Map", pressed: mapped, disabled: !settles }),
  ].join("");
  const draws = settles && stage.sizeOf("AI") !== null;
  const ai = { action: "ai", label: "AI", pressed: draws && stage.aiNow, disabled: !draws };
  return `<div class="group">
      ${icon({ action: "window", label: "Window", pressed: held("window") })}
      ${icon({ action: "pan", label: "Pan (middle button)", pressed: held("pan") })}
      ${icon({ action: "zoom", label: "Zoom (right button)", pressed: held("zoom") })}
      ${icon({ action: "reset", label: "Reset the view" })}
    </div>
    <div class="group">
      ${word({ action: "overlay", label: "Overlay", pressed: overlaid && settles, disabled: !settles })}
      ${off ? looks : ""}
      ${stage.showsAi ? word(ai) : ""}
    </div>
    ${brush}
    <div class="group">${windows.join("")}</div>`;
}
