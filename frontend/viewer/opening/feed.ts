// Fills the volume on screen with the slices that were fetched ahead. The host's own loader asks
// for every frame by itself, has a worker copy it, and draws all planes anew with every fiftieth;
// here slices go into its cache as they arrive, and the planes are drawn when the first is there,
// now and then, and at the end.

import { paceDrawing } from "../drawing";
import { cornerstone, type Host, type ImageVolume } from "../ohif";
import type { ArrivedSlice, Opening } from "./opening";

/** How the host's protocols name this way of loading. */
export const STRATEGY = "concord";
const DRAWN_EVERY_MS = 700;
const RENDERED = "CORNERSTONE_IMAGE_RENDERED";
const ONCE = { capture: true, once: true };

interface VolumeInput {
  volumeId: string;
}

interface Load {
  data: { viewportId: string; volumeInputArray: VolumeInput[] };
}

/** All our planes are volumes, which the host draws in one context: the other six are not made. */
export function makeOneContext(): void {
  const { getConfiguration, setConfiguration } = cornerstone();
  const now = getConfiguration();
  setConfiguration({ ...now, rendering: { ...now.rendering, webGlContextCount: 1 } });
}

/** Slices come from `take()`, which gives a reading's opening once; else the host loads. */
export function offerStrategy(host: Host, take: () => Opening | null): void {
  const { hangingProtocolService } = host.servicesManager.services;
  hangingProtocolService.registerImageLoadStrategy(STRATEGY, ({ data }: Load) => {
    paceDrawing(host);
    const volume = cornerstone().cache.getVolume(data.volumeInputArray[0]?.volumeId ?? "");
    if (volume) void fill(host, volume, take());
    return new Map([[data.viewportId, data.volumeInputArray]]);
  });
}

async function fill(host: Host, volume: ImageVolume, opening: Opening | null): Promise<void> {
  const { loadStatus } = volume;
  if (!loadStatus || loadStatus.loaded || loadStatus.loading) {
    opening?.stop(); // Nobody takes its slices: who waits for the last of them would wait for ever.
    return;
  }
  loadStatus.loading = true;
  if (opening) opening.feeds = true;
  const byHost = () => {
    opening?.isShown();
    loadStatus.loading = false;
    volume.autoRenderOnLoad = true;
    volume.load?.();
  };
  const images = await opening?.images();
  const ids = idsBySop(volume.imageIds ?? []);
  const fits =
    volume.dataType === "Int16Array" &&
    isPlain(volume.imageIds?.[0] ?? "") &&
    images?.sops.length === ids.size &&
    images.sops.every((sop) => ids.has(sop));
  if (!opening || !images || !fits) {
    opening?.stop();
    byHost();
    return;
  }
  volume.autoRenderOnLoad = false;
  volume.totalNumFrames = ids.size;
  const draw = pacedDrawing(host);
  let first = true;
  opening.listen({
    slice: (slice) => {
      const imageId = ids.get(images.sops[slice.index] ?? "");
      if (!imageId || !put(volume, imageId, slice, images)) return;
      if (first) window.addEventListener(RENDERED, () => opening.isShown(), ONCE);
      first = false;
      draw(false);
    },
    whole: () => {
      volume.autoRenderOnLoad = true;
      draw(true);
    },
    failed: (why) => {
      console.warn("The images are fetched one by one.", why);
      byHost();
    },
  });
}

/** Uptake is shown in units of its own, and an inverted image upside down: the host sees to both. */
function isPlain(imageId: string): boolean {
  const { metaData } = cornerstone();
  return (
    metaData.get("generalSeriesModule", imageId)?.modality !== "PT" &&
    metaData.get("imagePixelModule", imageId)?.photometricInterpretation === "MONOCHROME2"
  );
}

function idsBySop(imageIds: string[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const imageId of imageIds) {
    const sop = /\/instances\/([0-9.]+)\/frames\/1$/.exec(imageId)?.[1];
    if (sop) found.set(sop, imageId);
  }
  return found;
}

/** Into the host's cache, as its own loader would; false where it was there. */
function put(
  volume: ImageVolume,
  imageId: string,
  { values, low, high }: ArrivedSlice,
  { rows, columns }: { rows: number; columns: number },
): boolean {
  const { cache, metaData, utilities } = cornerstone();
  if (cache.getImageLoadObject(imageId)) return false;
  const plane = metaData.get("imagePlaneModule", imageId) ?? {};
  const voi = metaData.get("voiLutModule", imageId) as
    | { windowCenter?: number[]; windowWidth?: number[] }
    | undefined;
  const lut = metaData.get("modalityLutModule", imageId) ?? {};
  const rescale = {
    rescaleSlope: Number(lut.rescaleSlope ?? 1),
    rescaleIntercept: Number(lut.rescaleIntercept ?? 0),
    modality: String(metaData.get("generalSeriesModule", imageId)?.modality ?? ""),
  };
  const image = {
    imageId,
    dataType: "Int16Array",
    color: false,
    columnPixelSpacing: plane.columnPixelSpacing,
    rowPixelSpacing: plane.rowPixelSpacing,
    columns,
    rows,
    width: columns,
    height: rows,
    preScale: { enabled: true, scaled: true, scalingParameters: rescale },
    intercept: rescale.rescaleIntercept,
    slope: rescale.rescaleSlope,
    invert: false,
    minPixelValue: low,
    maxPixelValue: high,
    sizeInBytes: values.byteLength,
    windowCenter: voi?.windowCenter?.[0],
    windowWidth: voi?.windowWidth?.[0],
    numberOfComponents: 1,
    rgba: false,
    voxelManager: utilities.VoxelManager.createImageVoxelManager({
      scalarData: values,
      width: columns,
      height: rows,
      numberOfComponents: 1,
    }),
    getPixelData: () => values,
    getCanvas: undefined,
    imageQualityStatus: 8,
  };
  cache.putImageSync(imageId, image);
  volume.successCallback?.(imageId, image);
  return true;
}

/** Draws the planes: the first time at once, then at most so often; `last` draws for sure. */
function pacedDrawing(host: Host): (last: boolean) => void {
  let next = 0;
  return (last) => {
    const now = performance.now();
    if (!last && now < next) return;
    next = now + DRAWN_EVERY_MS;
    const { cornerstoneViewportService } = host.servicesManager.services;
    for (const id of host.servicesManager.services.viewportGridService
      .getState()
      .viewports.keys()) {
      cornerstoneViewportService.getCornerstoneViewport(id)?.render();
    }
  };
}
