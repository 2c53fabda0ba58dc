// A newer proposal in its room: keys, overlay, place, and when they come and go.

import type { Plane, Voxel } from "../contract";
import { DRAWING } from "../hands";
import type { Room } from "../room";
import { ProposalClient } from "./client";
import { Offering } from "./offering";
import { ProposalOverlay } from "./overlay";

type Needs = Pick<Room, "session" | "views" | "labelmap" | "commands" | "tools" | "prompting">;

/** Actions that take up something else: the list is put away. */
const OTHERS = new Set([...DRAWING, "prompt", "contact", "submit"]);

export function enterOffering(room: Needs, reading: string) {
  const { session, views, labelmap, commands, tools, prompting } = room;
  const offering = new Offering(session, new ProposalClient(reading), (slices) =>
    labelmap.repaint(slices),
  );
  const overlay = new ProposalOverlay(offering, views, session);
  const drawn = (event: Event) => {
    const id = (event as CustomEvent<string>).detail;
    overlay.drawPlane(id, views.planes[id] as Plane);
  };
  const goThere = () => {
    const at = offering.current?.at_vox;
    if (at && !commands.still) views.centre(at.map(Math.round) as Voxel);
  };
  offering.addEventListener("change", () => {
    overlay.draw();
    session.changed();
  });
  offering.addEventListener("at", goThere);
  views.addEventListener("drawn", drawn);
  const others = commands.intercept;
  commands.intercept = (action) => {
    if (action === "newer") {
      if (!offering.active) {
        tools.use("window");
        prompting.leave();
      }
      offering.toggle();
      return true;
    }
    if (!offering.active) return others(action);
    if (action === "cancel") offering.leave();
    else if (action === "previous") offering.step(-1);
    else if (action === "next") offering.step(1);
    else if (action === "undo") return offering.back();
    else {
      if (OTHERS.has(action)) offering.end();
      return others(action);
    }
    return true;
  };
  const events = new AbortController();
  window.addEventListener(
    "keydown",
    (event) => {
      if (event.key !== "Enter" || event.ctrlKey || event.metaKey || !offering.active) return;
      if (event.repeat || commands.signing) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      offering.take();
    },
    { signal: events.signal, capture: true },
  );
  const end = () => {
    events.abort();
    views.removeEventListener("drawn", drawn);
    overlay.remove();
  };
  return { offering, end };
}
