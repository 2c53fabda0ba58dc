// One tile: a node's axial and coronal picture with its outline, and a line of words.

import { shownColour } from "../colours";
import type { Voxel } from "../contract";
import { text, write } from "../html";
import type { Mask } from "../mask";
import { SIDE_WORDS } from "../order";
import type { ShownNode } from "../projection";
import { DECISIONS, IMPRESSIONS, REASONS } from "../words";
import { type Cut, type CutPlane, outlineOf, paintCut, type SliceReader, type Window } from "./cut";

const CUTS: readonly CutPlane[] = ["axial", "coronal"];
const OUTLINE_PX = 1.25;
const SHADOW = "rgba(0, 0, 0, .55)";

export interface Scene {
  mask: Mask;
  shape: Voxel;
  spacingMm: Voxel;
  edgeMm: number;
  edgePx: number;
  window: Window;
  slice: SliceReader;
}

export class Tile {
  readonly element = document.createElement("div");
  private readonly canvases = new Map<CutPlane, HTMLCanvasElement>();
  private readonly words = document.createElement("div");
  /** What the pictures on screen show; "" while they wait for slices. */
  private painted = "";

  constructor(readonly node: string) {
    this.element.className = "tile";
    this.element.dataset.testid = "tile";
    this.element.dataset.node = node;
    this.element.setAttribute("role", "option");
    const pictures = document.createElement("div");
    pictures.className = "pictures";
    for (const plane of CUTS) {
      const canvas = document.createElement("canvas");
      canvas.setAttribute("aria-hidden", "true");
      this.canvases.set(plane, canvas);
      pictures.append(canvas);
    }
    this.words.className = "words";
    this.element.append(pictures, this.words);
  }

  describe(node: ShownNode, selected: boolean): void {
    const { element } = this;
    const rejected = node.decision === "rejected";
    const [red, green, blue] = shownColour(node.label, rejected);
    element.style.setProperty("--node", `rgb(${red},${green},${blue})`);
    element.dataset.decision = node.decision;
    element.setAttribute("aria-selected", String(selected));
    element.id = `tile-${node.uuid}`;
    element.setAttribute("aria-label", spoken(node));
    write(this.words, wordsHtml(node));
  }

  /** Paints what is not on screen yet; false while slices are missing. */
  paint(node: ShownNode, scene: Scene): boolean {
    const { measures } = node;
    if (!measures) return true;
    const [slice, row, column] = middleOf(node);
    const state = [slice, row, column, scene.edgePx, scene.edgeMm, scene.mask.head].join();
    const look = `${state},${scene.window.centre},${scene.window.width},${node.decision === "rejected"}`;
    if (this.painted === look) return true;
    const base = { ...scene, centre: [slice, row, column] as Voxel };
    const done = CUTS.every((plane) => this.paintPlane({ ...base, plane }, node, scene));
    this.element.dataset.ready = String(done);
    if (done) this.painted = look;
    return done;
  }

  private paintPlane(cut: Cut, node: ShownNode, scene: Scene): boolean {
    const canvas = this.canvases.get(cut.plane);
    const pen = canvas?.getContext("2d");
    if (!canvas || !pen) return true;
    const picture = new ImageData(cut.edgePx, cut.edgePx);
    if (!paintCut(cut, scene.window, scene.slice, picture.data)) return false;
    if (canvas.width !== cut.edgePx) canvas.width = cut.edgePx;
    if (canvas.height !== cut.edgePx) canvas.height = cut.edgePx;
    pen.putImageData(picture, 0, 0);
    const own = scene.mask.numberOf(node.uuid);
    const lines = outlineOf(cut, (z, y, x) => scene.mask.labelAt(z, y, x) === own);
    const [red, green, blue] = shownColour(node.label, node.decision === "rejected");
    stroke(pen, lines, SHADOW, 2 * OUTLINE_PX * devicePixelRatio);
    stroke(pen, lines, `rgb(${red},${green},${blue})`, OUTLINE_PX * devicePixelRatio);
    return true;
  }
}

function stroke(pen: CanvasRenderingContext2D, lines: number[], colour: string, width: number) {
  pen.strokeStyle = colour;
  pen.lineWidth = width;
  pen.lineCap = "square";
  pen.beginPath();
  for (let at = 0; at < lines.length; at += 4) {
    pen.moveTo(lines[at] ?? 0, lines[at + 1] ?? 0);
    pen.lineTo(lines[at + 2] ?? 0, lines[at + 3] ?? 0);
  }
  pen.stroke();
}

/** On the slice that gave the short axis, in the middle of what the node reaches. */
function middleOf({ measures }: ShownNode): Voxel {
  if (!measures) return [0, 0, 0];
  const [, row, column] = measures.centroid_vox;
  return [measures.slice_index, Math.round(row), Math.round(column)];
}

function sizeWords({ measures, stale }: ShownNode): string {
  if (!measures || stale) return "…";
  return `${measures.lad_text} × ${measures.sad_text}`;
}

function stateWords({ decision, reason }: ShownNode): string {
  if (decision === "undecided") return "";
  return decision === "rejected" && reason ? (REASONS[reason] ?? reason) : DECISIONS[decision];
}

function wordsHtml(node: ShownNode): string {
  const place = [node.side, node.level].filter(Boolean).join(" ");
  const state = stateWords(node);
  const said = node.impression ? IMPRESSIONS[node.impression.value].short : "";
  // For the mouse alone: the keyboard has its keys, and an option holds nothing to focus.
  const acts =
    '<span class="acts"><span data-act="accept" title="Accept">✓</span><span data-act="askReason" title="Reject">✕</span></span>';
  return `<span class="number"><i></i>${node.number}</span><span class="place">${text(place)}</span>
    <span class="size">${text(sizeWords(node))}</span>
    <span class="state">${node.doubt ? '<b class="doubt">?</b>' : ""}${said ? `<b>${said}</b>` : ""}${
      state ? `<b class="${node.decision}" data-testid="tile-decision">${text(state)}</b>` : ""
    }</span>${acts}`;
}

/** For those who hear the sheet. */
function spoken(node: ShownNode): string {
  const place = [node.side && SIDE_WORDS[node.side].toLowerCase(), node.level].filter(Boolean);
  return [
    `Node ${node.number}`,
    place.length ? place.join(" ") : "side and level not set",
    `${sizeWords(node)} mm`,
    stateWords(node) || "undecided",
    node.impression ? IMPRESSIONS[node.impression.value].long : "",
    node.doubt ? "in doubt" : "",
  ]
    .filter(Boolean)
    .join(", ");
}
