// The click tool in its room: keys, pointer, overlay, and when they come and go.

import type { Plane } from "../contract";
import { DRAWING } from "../hands";
import type { Room } from "../room";
import { PromptClient } from "./client";
import { listenToPrompts } from "./hand";
import { PromptOverlay } from "./overlay";
import { Prompting } from "./prompting";

/** Actions that pick up another tool: this one is put away. */
const OTHERS = new Set([...DRAWING, "crosshairs", "window", "pan", "zoom", "accept", "reject"]);

type Needs = Pick<Room, "session" | "views" | "labelmap" | "commands" | "tools">;

export function enterPrompting(room: Needs, reading: string) {
  const { session, views, labelmap, commands, tools } = room;
  const detail = () => session.detail;
  const prompting = new Prompting(session, new PromptClient(reading), (slices) =>
    labelmap.repaint(slices),
  );
  const overlay = new PromptOverlay(prompting, views, detail);
  const drawn = (event: Event) => {
    const id = (event as CustomEvent<string>).detail;
    overlay.drawPlane(id, views.planes[id] as Plane);
  };
  const changed = () => overlay.draw();
  prompting.addEventListener("change", changed);
  views.addEventListener("drawn", drawn);
  commands.intercept = (action) => {
    if (action === "prompt") {
      if (!prompting.active) tools.use("window");
      prompting.toggle();
      return true;
    }
    if (!prompting.active) return false;
    if (action === "undo") return prompting.back();
    if (action === "cancel" && prompting.drop()) return true;
    if (action === "cancel" || OTHERS.has(action)) prompting.leave();
    return false;
  };
  const listening = listenToPrompts(prompting, views, detail);
  const end = () => {
    listening();
    prompting.leave();
    views.removeEventListener("drawn", drawn);
    overlay.remove();
  };
  return { prompting, end };
}
