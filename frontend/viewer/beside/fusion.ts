// PET over the images: a sheet of heat above each plane, cut along with it; and its uptake under
// the cursor and in the selected node.

import type { Voxel } from "../contract";
import type { Corners } from "../corners";
import type { Session } from "../session";
import type { Views } from "../views";
import type { Beside } from "./beside";
import { type Cut, plus } from "./cut";
import { drawLayers, type Layer } from "./picture";
import { SUV } from "./volume";

export class Fusion {
  private readonly sheets = new Map<string, HTMLCanvasElement>();
  private cursor = "";
  private uptake = { of: "", words: "" };

  constructor(
    private readonly beside: Beside,
    private readonly views: Views,
    private readonly session: Session,
    private readonly corners: Corners,
  ) {}

  /** Draws over every plane, or over the one viewport that was drawn. */
  draw(viewportId?: string): void {
    const { heat } = this.beside;
    for (const id of Object.keys(this.views.planes)) {
      if (viewportId && id !== viewportId) continue;
      const cut = heat && this.cutOf(id);
      const sheet = this.sheets.get(id);
      if (!heat || !cut) sheet?.remove();
      else drawLayers(this.sheetOf(id), cut, [heat]);
    }
    this.say();
  }

  remove(): void {
    for (const sheet of this.sheets.values()) sheet.remove();
  }

  /** The uptake under the pointer. */
  readonly point = (event: PointerEvent): void => {
    const { heat } = this.beside;
    if (!heat) return;
    const viewport = this.views.viewportUnder(event.composedPath());
    let words = "";
    if (viewport) {
      const { left, top } = viewport.element.getBoundingClientRect();
      const world = viewport.canvasToWorld([event.clientX - left, event.clientY - top]);
      const value = heat.volume.at(...heat.volume.voxel(plus(world, heat.offset)));
      words = Number.isNaN(value) ? "" : ` · ${told(heat, value)} at the cursor`;
    }
    if (words === this.cursor) return;
    this.cursor = words;
    this.say();
  };

  private say(): void {
    const { heat, opacity } = this.beside;
    if (!heat) {
      this.corners.say("pet", "");
      return;
    }
    const { unit } = heat.volume;
    const range = unit === SUV ? `SUVbw 0–${heat.range.high}` : heat.volume.header.facts.words;
    this.corners.say(
      "pet",
      `PET · ${range} · ${Math.round(100 * opacity)} %${this.nodeWords(heat)}${this.cursor}`,
    );
  }

  /** The highest value within the selected node's voxels. */
  private nodeWords(heat: Layer): string {
    const { session } = this;
    const node = session.node(session.selected);
    const of = `${node?.uuid} ${session.mask?.head} ${heat.offset}`;
    if (this.uptake.of !== of) {
      const highest = node ? this.highestIn(heat, node.uuid, node.measures?.box_vox) : null;
      const words = highest === null ? "" : ` · node ${node?.number} max ${told(heat, highest)}`;
      this.uptake = { of, words };
    }
    return this.uptake.words;
  }

  private highestIn(heat: Layer, node: string, box?: number[]): number | null {
    const { mask } = this.session;
    const number = mask?.numberOf(node);
    const { geometry } = this.views;
    if (!mask || !number || !geometry || box?.length !== 6) return null;
    const [z0 = 0, y0 = 0, x0 = 0, z1 = 0, y1 = 0, x1 = 0] = box;
    let highest: number | null = null;
    for (let z = z0; z < z1; z += 1) {
      for (let y = y0; y < y1; y += 1) {
        for (let x = x0; x < x1; x += 1) {
          if (mask.labelAt(z, y, x) !== number) continue;
          const at: Voxel = [z, y, x];
          const value = heat.volume.at(...heat.volume.voxel(plus(geometry.world(at), heat.offset)));
          if (value > (highest ?? Number.NEGATIVE_INFINITY)) highest = value;
        }
      }
    }
    return highest;
  }

  private cutOf(id: string): Cut | null {
    const viewport = this.views.viewport(id);
    const { clientWidth: width = 0, clientHeight: height = 0 } = viewport?.element ?? {};
    if (!viewport || !width || !height) return null;
    const corner = viewport.canvasToWorld([0.5, 0.5]);
    const minus = (to: readonly number[]) =>
      [
        (to[0] ?? 0) - corner[0],
        (to[1] ?? 0) - corner[1],
        (to[2] ?? 0) - corner[2],
      ] as Cut["corner"];
    const across = minus(viewport.canvasToWorld([1.5, 0.5]));
    const down = minus(viewport.canvasToWorld([0.5, 1.5]));
    return { width, height, corner: [corner[0], corner[1], corner[2]], across, down };
  }

  private sheetOf(id: string): HTMLCanvasElement {
    let sheet = this.sheets.get(id);
    if (!sheet) {
      sheet = document.createElement("canvas");
      sheet.dataset.testid = `fused-${this.views.planes[id]}`;
      sheet.setAttribute("aria-hidden", "true");
      sheet.setAttribute(
        "style",
        "position:absolute;inset:0;width:100%;height:100%;pointer-events:none",
      );
      this.sheets.set(id, sheet);
    }
    const element = this.views.viewport(id)?.element;
    if (element && sheet.parentNode !== element) {
      element.insertBefore(sheet, element.querySelector(":scope > svg"));
    }
    return sheet;
  }
}

function told({ volume }: Layer, value: number): string {
  return volume.unit === SUV ? `SUV ${value.toFixed(1)}` : value.toFixed(0);
}
