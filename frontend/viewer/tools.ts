// The tools of a reader, in one tool group of our own. One tool at a time on the left button;
// middle pans, right zooms, the wheel always scrolls.

import { AXIAL, TOOL_GROUP } from "./layout";
import { cornerstoneTools, type Host, type ToolGroupLike } from "./ohif";

export type ToolName =
  | "window"
  | "pan"
  | "zoom"
  | "brush"
  | "sphere"
  | "threshold"
  | "eraser"
  | "scissors"
  | "reshape"
  | "crosshairs";

/** The host's tool under the left button; what has none is a gesture of our own. */
const PRIMARY: Record<ToolName, string | null> = {
  window: "WindowLevel",
  pan: "Pan",
  zoom: "Zoom",
  brush: "CircularBrush",
  sphere: "SphereBrush",
  threshold: "ThresholdBrush",
  eraser: "CircularEraser",
  scissors: "CircleScissor",
  reshape: null,
  crosshairs: "Crosshairs",
};
const BRUSHES: ReadonlySet<ToolName> = new Set(["brush", "sphere", "threshold", "eraser"]);
const SMALLEST_BRUSH_MM = 1;
const LARGEST_BRUSH_MM = 30;

export function createToolGroup({ servicesManager, extensionManager }: Host): void {
  const { toolNames } = extensionManager.getModuleEntry(
    "@ohif/extension-cornerstone.utilityModule.tools",
  ).exports;
  const { MouseBindings } = cornerstoneTools().Enums;
  const bound = (toolName: string | undefined, button: number | undefined) => ({
    toolName,
    bindings: [{ mouseButton: button }],
  });
  const radii = { minRadius: SMALLEST_BRUSH_MM / 2, maxRadius: LARGEST_BRUSH_MM };
  servicesManager.services.toolGroupService.createToolGroupAndAddTools(TOOL_GROUP, {
    active: [
      bound(toolNames.WindowLevel, MouseBindings.Primary),
      bound(toolNames.Pan, MouseBindings.Auxiliary),
      bound(toolNames.Zoom, MouseBindings.Secondary),
      bound(toolNames.StackScroll, MouseBindings.Wheel),
    ],
    passive: [
      {
        toolName: "CircularBrush",
        parentTool: "Brush",
        configuration: { activeStrategy: "FILL_INSIDE_CIRCLE", ...radii },
      },
      {
        toolName: "CircularEraser",
        parentTool: "Brush",
        configuration: { activeStrategy: "ERASE_INSIDE_CIRCLE", ...radii },
      },
      {
        toolName: "SphereBrush",
        parentTool: "Brush",
        configuration: { activeStrategy: "FILL_INSIDE_SPHERE", ...radii },
      },
      {
        toolName: "ThresholdBrush",
        parentTool: "Brush",
        configuration: { activeStrategy: "THRESHOLD_INSIDE_CIRCLE", ...radii },
      },
      { toolName: toolNames.CircleScissors },
    ],
    disabled: [
      {
        toolName: toolNames.Crosshairs,
        configuration: {
          disableOnPassive: true,
          autoPan: { enabled: false, panSize: 10 },
          viewportIndicators: false,
          getReferenceLineColor: (viewportId: string) =>
            viewportId === AXIAL ? "rgb(87, 199, 180)" : "rgb(74, 105, 102)",
        },
      },
    ],
  });
}

/** Which tool the left button holds, and how large the brush is. */
export class Tools extends EventTarget {
  active: ToolName = "window";
  brushMm = 4;

  constructor(private readonly host: Host) {
    super();
  }

  private get group(): ToolGroupLike | undefined {
    return this.host.servicesManager.services.toolGroupService.getToolGroup(TOOL_GROUP);
  }

  get paints(): boolean {
    return this.sized || this.active === "scissors";
  }

  /** The tool held is a brush: its size matters. */
  get sized(): boolean {
    return BRUSHES.has(this.active);
  }

  /** The densities the threshold brush takes. */
  limit(low: number, high: number): void {
    const threshold = { range: [low, high], isDynamic: false };
    this.group?.setToolConfiguration("ThresholdBrush", { threshold });
  }

  use(tool: ToolName): void {
    if (tool === "crosshairs" || this.active === "crosshairs") this.take(tool);
    else this.withoutDrawing(() => this.take(tool));
  }

  /**
   * The host draws every plane anew for each tool that is set, several for one switch; no image
   * changes with the tool in the hand. On 800 slices that was more than half of what a switch took.
   */
  private withoutDrawing(act: () => void): void {
    const engine =
      this.host.servicesManager.services.cornerstoneViewportService.getRenderingEngine();
    const draw = engine?.renderViewports;
    if (engine) engine.renderViewports = () => {};
    try {
      act();
    } finally {
      if (engine && draw) engine.renderViewports = draw;
    }
  }

  private take(tool: ToolName): void {
    const group = this.group;
    if (!group) return;
    const { MouseBindings } = cornerstoneTools().Enums;
    const before = PRIMARY[this.active];
    if (this.active === "crosshairs") group.setToolDisabled("Crosshairs");
    else if (this.active === "pan" || this.active === "zoom") this.rebind(group, this.active);
    else if (before) group.setToolPassive(before, { removeAllBindings: true });
    this.active = tool;
    const bindings: object[] = [{ mouseButton: MouseBindings.Primary }];
    if (tool === "pan") bindings.push({ mouseButton: MouseBindings.Auxiliary });
    if (tool === "zoom") bindings.push({ mouseButton: MouseBindings.Secondary });
    const primary = PRIMARY[tool];
    if (primary) group.setToolActive(primary, { bindings });
    if (this.sized) this.resize(0);
    this.dispatchEvent(new Event("change"));
  }

  /** Pan and zoom keep their own buttons when they give the left one back. */
  private rebind(group: ToolGroupLike, tool: "pan" | "zoom"): void {
    const { MouseBindings } = cornerstoneTools().Enums;
    const name = tool === "pan" ? "Pan" : "Zoom";
    group.setToolPassive(name, { removeAllBindings: true });
    const button = tool === "pan" ? MouseBindings.Auxiliary : MouseBindings.Secondary;
    group.setToolActive(name, { bindings: [{ mouseButton: button }] });
  }

  toggle(tool: ToolName): void {
    this.use(this.active === tool ? "window" : tool);
  }

  resize(stepMm: number): void {
    this.brushMm = Math.min(LARGEST_BRUSH_MM, Math.max(SMALLEST_BRUSH_MM, this.brushMm + stepMm));
    cornerstoneTools().utilities.segmentation.setBrushSizeForToolGroup(TOOL_GROUP, this.brushMm);
    this.dispatchEvent(new Event("change"));
  }
}
