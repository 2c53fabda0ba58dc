// The viewer's one mode: /viewer/lymph?StudyInstanceUIDs=…&reading=…
// Built on OHIF's basic mode; its route, panels, tools and keys are ours.

import { PROTOCOL } from "./layout";
import type { Host } from "./ohif";
import { createToolGroup } from "./tools";

const PANEL = "concord.panelModule.nodes";

interface Layout {
  id: string;
  props: Record<string, unknown>;
}

interface ModeInstance {
  routes: { path: string; layoutInstance: Layout }[];
  onModeEnter(this: unknown, host: Host): void;
  onModeExit(this: unknown, host: Host): void;
  [key: string]: unknown;
}

/** Set by our extension: the two files are loaded apart and share the page only. */
interface Room {
  enter(): void;
  leave(): void;
}

function room(): Room | undefined {
  return (window as { __concordRoom?: Room }).__concordRoom;
}

export default {
  id: "concord-mode",
  async modeFactory({
    loadModules,
  }: {
    loadModules(names: string[]): Promise<{ modeInstance: ModeInstance }[]>;
  }) {
    const [basic] = await loadModules(["@ohif/mode-basic"]);
    const layout = basic?.modeInstance.routes[0]?.layoutInstance;
    if (!basic || !layout) throw new Error("OHIF's basic mode is missing from this build.");
    const base = basic.modeInstance;
    return {
      ...base,
      id: "concord-mode",
      routeName: "lymph",
      displayName: "Reading",
      hide: false,
      hangingProtocol: PROTOCOL,
      isValidMode: () => ({ valid: true, description: "" }),
      initToolGroups: createToolGroup,
      toolGroupAdditions: {},
      toolbarButtons: [{ id: "ConcordTools", uiType: "concord.tools", props: {} }],
      toolbarSections: { primary: ["ConcordTools"] },
      modeCustomizations: {
        "ohif.hotkeyBindings": { $set: [] },
        // The server measures nodes; the host would count the whole volume after every stroke.
        "panelSegmentation.disableUpdateSegmentationStats": { $set: true },
        "viewportOverlay.topLeft": { $set: [] },
        "viewportOverlay.topRight": { $set: [] },
        "viewportOverlay.bottomLeft": { $set: [] },
      },
      routes: [
        {
          path: "lymph",
          layoutInstance: layout,
          layoutTemplate: () => ({
            id: layout.id,
            props: {
              ...layout.props,
              leftPanels: [],
              leftPanelClosed: true,
              rightPanels: [PANEL],
              rightPanelClosed: false,
              rightPanelInitialExpandedWidth: 344,
              rightPanelMinimumExpandedWidth: 320,
              rightPanelResizable: true,
            },
          }),
        },
      ],
      onModeEnter(host: Host) {
        base.onModeEnter.call(this, host);
        room()?.enter();
      },
      onModeExit(host: Host) {
        room()?.leave();
        base.onModeExit.call(this, host);
      },
    };
  },
};
