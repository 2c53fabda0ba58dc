// What the viewer's modes have in common: OHIF's basic mode with route, panel, tools and keys
// of our own. A mode is loaded apart from the extension and shares the page only with it.

import type { Host } from "./ohif";
import { release } from "./opening/release";
import { createToolGroup } from "./tools";

const DEFAULT = "@ohif/extension-default";
const CORNERSTONE = "@ohif/extension-cornerstone";
const VERSION = "^3.0.0";
const IMAGES = `${DEFAULT}.sopClassHandlerModule.stack`;
const VIEWPORT = `${CORNERSTONE}.viewportModule.cornerstone`;

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

/** What the extension set on the page for this mode. */
export interface Room {
  enter(): void;
  leave(): void;
}

export interface ModeOptions {
  id: string;
  route: string;
  name: string;
  protocol: string;
  panel: string;
  panelWidth: number;
  toolbar: string;
  room(): Room | undefined;
}

export function viewerMode(options: ModeOptions) {
  return {
    id: options.id,
    async modeFactory({
      loadModules,
    }: {
      loadModules(names: string[]): Promise<{ modeInstance: ModeInstance }[]>;
    }) {
      const [basic] = await loadModules(["@ohif/mode-basic"]);
      const layout = basic?.modeInstance.routes[0]?.layoutInstance;
      if (!basic || !layout) throw new Error("OHIF's basic mode is missing from this build.");
      return instance(basic.modeInstance, layout, options);
    },
  };
}

function instance(base: ModeInstance, layout: Layout, options: ModeOptions) {
  return {
    ...base,
    id: options.id,
    routeName: options.route,
    displayName: options.name,
    hide: false,
    hangingProtocol: options.protocol,
    // Images alone: the host's other extensions (reports, segmentations, video, …) are not loaded.
    extensions: { [DEFAULT]: VERSION, [CORNERSTONE]: VERSION },
    sopClassHandlers: [IMAGES],
    isValidMode: () => ({ valid: true, description: "" }),
    initToolGroups: createToolGroup,
    toolGroupAdditions: {},
    toolbarButtons: [{ id: "ConcordTools", uiType: options.toolbar, props: {} }],
    toolbarSections: { primary: ["ConcordTools"] },
    modeCustomizations: {
      "ohif.hotkeyBindings": { $set: [] },
      // The server measures nodes; the host would count the whole volume after every stroke.
      "panelSegmentation.disableUpdateSegmentationStats": { $set: true },
      // A double click would leave one plane alone on the screen; two dabs of a brush are one, too.
      cornerstoneViewportClickCommands: { $set: {} },
      "viewportOverlay.topLeft": { $set: [] },
      "viewportOverlay.topRight": { $set: [] },
      "viewportOverlay.bottomLeft": { $set: [] },
      // Where one is stands at the bar of slices.
      "viewportOverlay.bottomRight": { $set: [] },
    },
    routes: [
      {
        path: options.route,
        layoutInstance: layout,
        layoutTemplate: () => ({
          id: layout.id,
          props: {
            ...layout.props,
            viewports: [{ namespace: VIEWPORT, displaySetsToDisplay: [IMAGES] }],
            leftPanels: [],
            leftPanelClosed: true,
            rightPanels: [options.panel],
            rightPanelClosed: false,
            rightPanelInitialExpandedWidth: options.panelWidth,
            rightPanelMinimumExpandedWidth: 320,
            rightPanelResizable: true,
          },
        }),
      },
    ],
    onModeEnter(host: Host) {
      base.onModeEnter.call(this, host);
      options.room()?.enter();
    },
    onModeExit(host: Host) {
      options.room()?.leave();
      base.onModeExit.call(this, host);
      release(host);
    },
  };
}
