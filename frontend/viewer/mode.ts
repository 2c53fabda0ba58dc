// A reading: /viewer/lymph?StudyInstanceUIDs=…&reading=…

import { PROTOCOL } from "./layout";
import { type Room, viewerMode } from "./mode_base";

export default viewerMode({
  id: "concord-mode",
  route: "lymph",
  name: "Reading",
  protocol: PROTOCOL,
  panel: "concord.panelModule.nodes",
  panelWidth: 344,
  toolbar: "concord.tools",
  room: () => (window as { __concordRoom?: Room }).__concordRoom,
});
