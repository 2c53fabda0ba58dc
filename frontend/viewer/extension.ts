// The extension OHIF loads: panel, toolbar, layout, and the hand-over to the reading room.

import { BrandElement } from "./brand";
import { dressHost } from "./chrome";
import { exposeHook } from "./hook";
import { readingProtocol } from "./layout";
import { element, type Host } from "./ohif";
import { answerAhead } from "./opening/answering";
import { makeOneContext, offerStrategy } from "./opening/feed";
import { FilledPlanes } from "./opening/filled";
import { type Opening, takeOpening } from "./opening/opening";
import { PanelElement } from "./panel/panel";
import { Room } from "./room";
import { enterSettling, leaveSettling } from "./settle/enter";
import { settlingProtocol } from "./settle/layout";
import { SettlePanelElement } from "./settle/panel/panel";
import { SettleToolbarElement } from "./settle/toolbar";
import { SignInCard } from "./signin/card";
import { announceRoom } from "./stage";
import { ToolbarElement } from "./toolbar";

let host: Host | null = null;
let room: Room | null = null;
/** Slices on their way, for the volume that is made next. */
let images: Opening | null = null;

async function enter(): Promise<void> {
  leave();
  const reading = new URLSearchParams(location.search).get("reading");
  if (!host || !reading) return;
  const opening = takeOpening(reading);
  if (opening) answerAhead(host, opening);
  images = opening;
  // From now on: what was fetched ahead may be on screen before the room is there.
  const planes = new FilledPlanes(host);
  const opened = await Room.open(host, reading, planes, opening);
  room = opened;
  announceRoom(opened);
  exposeHook(opened);
  try {
    await opened.start();
  } catch (error) {
    opened.session.notice = error instanceof Error ? error.message : String(error);
    opened.session.changed();
    console.error(error);
  }
}

function leave(): void {
  room?.stop();
  room = null;
  announceRoom(null);
}

export default {
  id: "concord",
  preRegistration(context: Host) {
    host = context;
    makeOneContext();
    offerStrategy(context, () => {
      const taken = images;
      images = null;
      return taken;
    });
    customElements.define("concord-panel", PanelElement);
    customElements.define("concord-tools", ToolbarElement);
    customElements.define("concord-brand", BrandElement);
    customElements.define("concord-sign-in", SignInCard);
    customElements.define("concord-settle-panel", SettlePanelElement);
    customElements.define("concord-settle-tools", SettleToolbarElement);
    dressHost();
    Object.assign(window, {
      __concordRoom: { enter: () => void enter(), leave },
      __concordSettling: { enter: () => enterSettling(context), leave: leaveSettling },
    });
  },
  getPanelModule() {
    return [
      {
        name: "nodes",
        iconName: "tab-segmentation",
        iconLabel: "Nodes",
        label: "Nodes",
        component: () => element("concord-panel"),
      },
      {
        name: "settle",
        iconName: "tab-segmentation",
        iconLabel: "Settling",
        label: "Settling",
        component: () => element("concord-settle-panel"),
      },
    ];
  },
  getToolbarModule() {
    return [
      { name: "concord.tools", defaultComponent: () => element("concord-tools") },
      { name: "concord.settleTools", defaultComponent: () => element("concord-settle-tools") },
    ];
  },
  getHangingProtocolModule() {
    return [readingProtocol(), settlingProtocol()].map((protocol) => ({
      name: protocol.id,
      protocol,
    }));
  },
};
