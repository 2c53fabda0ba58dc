// Everything that shapes nodes, brought together for a reading room: gestures, one-key shapes,
// cuts and merges, marks and calipers, and the verbs they answer to.

import type { Labelmap } from "../labelmap";
import { AXIAL } from "../layout";
import type { DisplaySet } from "../ohif";
import type { Session } from "../session";
import { Hands } from "../split/hands";
import { Marks } from "../split/marks";
import { Pointing } from "../split/pointing";
import type { ToolName, Tools } from "../tools";
import { AXIS, type Views } from "../views";
import { Densities } from "./densities";
import { Gesture } from "./gesture";
import { Shaping } from "./shaping";

/** One press of the keys that grow and shrink. */
const NUDGE_MM = 0.5;
/** From the top of the axial plane to the hint. */
const HINT_PX = 52;

export class ShapeDesk {
  readonly shaping: Shaping;
  readonly gesture: Gesture;
  readonly pointing: Pointing;
  readonly marks: Marks;
  readonly hands: Hands;
  private ready = false;

  constructor(
    session: Session,
    labelmap: Labelmap,
    private readonly views: Views,
    private readonly tools: Tools,
  ) {
    this.shaping = new Shaping(session, labelmap);
    const viewportUnder = (path: EventTarget[]) => (this.ready ? views.viewportUnder(path) : null);
    const geometry = () => views.geometry;
    this.gesture = new Gesture(this.shaping, {
      viewportUnder,
      geometry,
      held: () => tools.active === "reshape",
      hold: () => session.hold(),
    });
    this.pointing = new Pointing({ viewportUnder, geometry, place: () => this.place() });
    this.marks = new Marks(session, views);
    this.hands = new Hands(session, labelmap, this.pointing, {
      axisOf: (id) => {
        const plane = views.planes[id];
        return plane ? AXIS[plane] : null;
      },
      axial: () => views.slice("axial"),
    });
  }

  /** The images are there. */
  mount(sops: readonly string[], images: DisplaySet): void {
    this.shaping.densities = new Densities(sops, images);
    this.ready = true;
  }

  /** Hears pointer and keys before anyone else. */
  listen(): () => void {
    const ends = [this.pointing.listen(), this.gesture.listen()];
    return () => {
      for (const end of ends) end();
    };
  }

  /** `hold` takes a tool, and says what is missing where none can be used. */
  verbs(hold: (tool: ToolName) => void): Record<string, () => void> {
    const { shaping, hands } = this;
    return {
      reshape: () => hold("reshape"),
      sphere: () => hold("sphere"),
      scissors: () => hold("scissors"),
      threshold: () => {
        const band = shaping.band();
        if (!band) return;
        this.tools.limit(band.low, band.high);
        hold("threshold");
      },
      grow: () => shaping.nudge(NUDGE_MM),
      shrink: () => shaping.nudge(-NUDGE_MM),
      snap: () => shaping.snap(),
      fill: () => shaping.fill(),
      smooth: () => shaping.smooth(),
      bridge: () => shaping.bridge(),
      free: () => {
        shaping.free = !shaping.free;
      },
      split: () => hands.split(),
      merge: () => hands.merge(),
      mark: () => hands.mark(),
      measure: () => hands.measure(),
    };
  }

  private place(): { x: number; y: number; width: number } {
    const box = this.views.viewport(AXIAL)?.element.getBoundingClientRect();
    if (!box) return { x: 400, y: 80, width: 800 };
    return { x: box.left + box.width / 2, y: box.top + HINT_PX, width: box.width };
  }
}
