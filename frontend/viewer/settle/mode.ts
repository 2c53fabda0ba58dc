// Settling two readings: /viewer/settle?StudyInstanceUIDs=…&consensus=…

import { type Room, viewerMode } from "../mode_base";
import { PROTOCOL } from "./layout";

export default viewerMode({
  id: "concord-settle-mode",
  route: "settle",
  name: "Settling",
  protocol: PROTOCOL,
  panel: "concord.panelModule.settle",
  panelWidth: 372,
  toolbar: "concord.settleTools",
  room: () => (window as { __concordSettling?: Room }).__concordSettling,
});
