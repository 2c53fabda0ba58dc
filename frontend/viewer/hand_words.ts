// What the corner of the planes says of the hand: a brush that has no button, a node that may run
// into its neighbours, a window without a name.

import type { Corners } from "./corners";
import type { Room } from "./room";
import type { ToolName } from "./tools";

type Needs = Pick<Room, "session" | "views" | "tools" | "desk">;

const TOOLS: Partial<Record<ToolName, string>> = {
  sphere: "Sphere brush",
  threshold: "Brush within the node's HU",
  scissors: "Scissors: drag a circle to fill",
};

export function sayOfTheHand({ session, views, tools, desk }: Needs, corners: Corners): void {
  const node = desk.shaping.free ? session.node(session.selected) : undefined;
  const { width, centre } = views.voi;
  corners.say("tool", TOOLS[tools.active] ?? "");
  corners.say("free", node ? `Node ${node.number} may run into its neighbours` : "");
  corners.say("window", views.windowed ? `W ${Math.round(width)} · L ${Math.round(centre)}` : "");
}
