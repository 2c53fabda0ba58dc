// Volumes cut along a plane and drawn on a canvas: one in grey, one in heat over it.

import type { Point3 } from "../ohif";
import { type Cut, coarser, moved, reslice } from "./cut";
import { paintGrey, paintHeat, type Range } from "./paint";
import type { DisplayVolume } from "./volume";

export interface Layer {
  volume: DisplayVolume;
  /** From the positions of the plane to the volume's. */
  offset: Point3;
  range: Range;
  /** Heat of this opacity; else grey. */
  heat?: number;
}

/** What is soft needs fewer pixels: a PET's are some millimetres wide. */
const HEAT_EVERY = 2;

const shades = new WeakMap<HTMLCanvasElement, HTMLCanvasElement>();

export function drawLayers(canvas: HTMLCanvasElement, cut: Cut, layers: readonly Layer[]): void {
  if (canvas.width !== cut.width || canvas.height !== cut.height) {
    canvas.width = cut.width;
    canvas.height = cut.height;
  }
  const context = canvas.getContext("2d");
  if (!context || !cut.width || !cut.height) return;
  context.clearRect(0, 0, cut.width, cut.height);
  for (const layer of layers) {
    if (layer.heat === undefined) {
      context.putImageData(greyOf(layer, cut), 0, 0);
      continue;
    }
    const few = coarser(cut, HEAT_EVERY);
    const shade = shadeOf(canvas, few);
    shade.getContext("2d")?.putImageData(heatOf(layer, few), 0, 0);
    context.drawImage(shade, 0, 0, few.width * HEAT_EVERY, few.height * HEAT_EVERY);
  }
}

function greyOf({ volume, offset, range }: Layer, cut: Cut): ImageData {
  const image = new ImageData(cut.width, cut.height);
  paintGrey(reslice(volume, moved(cut, offset)), range, image.data);
  return image;
}

function heatOf({ volume, offset, range, heat = 0 }: Layer, cut: Cut): ImageData {
  const image = new ImageData(cut.width, cut.height);
  paintHeat(reslice(volume, moved(cut, offset)), range, heat, image.data);
  return image;
}

function shadeOf(canvas: HTMLCanvasElement, { width, height }: Cut): HTMLCanvasElement {
  let shade = shades.get(canvas);
  if (!shade) {
    shade = document.createElement("canvas");
    shades.set(canvas, shade);
  }
  if (shade.width !== width || shade.height !== height) {
    shade.width = width;
    shade.height = height;
  }
  return shade;
}
