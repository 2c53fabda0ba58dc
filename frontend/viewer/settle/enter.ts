// The settling screen is entered and left: images first, then the list that drives them.

import type { Host } from "../ohif";
import { Stage } from "./images";
import { openSettling } from "./session";
import { announceStage } from "./stage";
import { exposeStage } from "./stage_hook";

let leave = () => {};

export function enterSettling(host: Host): void {
  leaveSettling();
  const consensus = new URLSearchParams(location.search).get("consensus");
  if (!consensus) return;
  const stage = new Stage(host);
  stage.enter();
  announceStage(stage);
  exposeStage(stage);
  const room = openSettling(stage, consensus);
  leave = () => {
    room.stop();
    announceStage(null);
    stage.stop();
  };
}

export function leaveSettling(): void {
  leave();
  leave = () => {};
}
