// The host's brushes in their room: a stroke begins, is taken as one change of the selected node,
// and is drawn in the other planes.

import { SEGMENTATION } from "./labelmap";
import { cornerstone, cornerstoneTools } from "./ohif";
import type { Room } from "./room";
import { Strokes } from "./strokes";

type Needs = Pick<Room, "session" | "views" | "labelmap" | "tools" | "desk" | "commands">;

/** The longest that planes which are not under the hand stay as they were after a stroke. */
const RESTING_MS = 150;

interface Painted {
  segmentationId: string;
  modifiedSlicesToUse?: number[];
}

export function strokesOf({ session, views, labelmap, tools, desk }: Needs): Strokes {
  return new Strokes({
    planeUnder: (path) => (tools.paints ? views.elementUnder(path) : null),
    begin: (path) => {
      const draw = views.drawOnly(path);
      const release = session.hold();
      return () => {
        release();
        // Drawing takes the machine: what was painted goes first, if that is not for long.
        draw(session.outbox.answered(RESTING_MS));
      };
    },
    take: () => {
      const owner = session.writable ? session.selected : null;
      const patch = labelmap.takeStroke(owner, desk.shaping.free);
      if (!patch) return;
      if (!session.paint(patch)) labelmap.repaint(patch.slices.map(({ index }) => index));
    },
  });
}

/** Hears what the host paints, once the mask is on screen; returns the end of it. */
export function hearStrokes({ labelmap }: Needs, strokes: Strokes): () => void {
  const modified = cornerstoneTools().Enums.Events.SEGMENTATION_DATA_MODIFIED ?? "";
  const { eventTarget } = cornerstone();
  const listener = (event: Event) => {
    const { detail } = event as CustomEvent<Painted>;
    if (labelmap.busy || detail.segmentationId !== SEGMENTATION) return;
    labelmap.frames.brushed(detail.modifiedSlicesToUse);
    strokes.painted();
  };
  eventTarget.addEventListener(modified, listener, { capture: true });
  const end = strokes.listen();
  return () => {
    eventTarget.removeEventListener(modified, listener, { capture: true });
    end();
  };
}

/** Alt and the wheel size the brush; the plain wheel always scrolls. Returns the end of it. */
export function sizeByWheel({ views, commands }: Needs): () => void {
  const listener = (event: WheelEvent) => {
    if (!event.altKey || !views.elementUnder(event.composedPath())) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    commands.run(event.deltaY < 0 ? "larger" : "smaller");
  };
  window.addEventListener("wheel", listener, { capture: true, passive: false });
  return () => window.removeEventListener("wheel", listener, { capture: true });
}
