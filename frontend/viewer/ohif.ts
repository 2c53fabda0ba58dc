// The parts of the host that we use, typed narrowly. Services come through the extension hooks;
// cornerstone and its tools are set on window by OHIF's cornerstone extension.

import type { Engine } from "./drawing";

export type Point3 = [number, number, number];
export type Point2 = [number, number];

export interface Subscription {
  unsubscribe(): void;
}

export interface DisplaySet {
  displaySetInstanceUID: string;
  Modality: string;
  SeriesInstanceUID: string;
  imageIds?: string[];
}

export interface Segment {
  segmentIndex: number;
  label: string;
  active: boolean;
  locked: boolean;
  cachedStats: Record<string, unknown>;
}

export interface SegmentationService {
  EVENTS: Record<string, string>;
  subscribe(event: string, listener: (event: unknown) => void): Subscription;
  createLabelmapForDisplaySet(
    displaySet: DisplaySet,
    options: { segmentationId: string; label: string; segments: Record<number, Segment> },
  ): Promise<string>;
  addSegmentationRepresentation(
    viewportId: string,
    options: { segmentationId: string; type: string },
  ): Promise<void>;
  getSegmentation(segmentationId: string): { segments: Record<number, Segment> } | undefined;
  addSegment(
    segmentationId: string,
    config: { segmentIndex: number; label: string; active?: boolean; color?: number[] },
  ): void;
  setActiveSegment(segmentationId: string, segmentIndex: number): void;
  setStyle(specifier: Record<string, string>, style: Record<string, unknown>): void;
}

export interface ToolGroupLike {
  hasTool(name: string): boolean;
  setToolActive(name: string, options: { bindings: object[] }): void;
  setToolPassive(name: string, options?: { removeAllBindings?: boolean }): void;
  setToolDisabled(name: string): void;
  setToolConfiguration(name: string, configuration: object): void;
  getToolInstance(name: string): { setToolCenter?(point: Point3): void } | undefined;
}

export interface Services {
  segmentationService: SegmentationService;
  displaySetService: { getActiveDisplaySets(): DisplaySet[] };
  hangingProtocolService: {
    /** Those on screen, as the host's own store holds them. */
    studies: Study[];
    registerImageLoadStrategy<T>(name: string, load: (asked: T) => Map<string, unknown>): void;
  };
  viewportGridService: {
    EVENTS: Record<string, string>;
    subscribe(event: string, listener: (event: unknown) => void): Subscription;
    getActiveViewportId(): string;
    setActiveViewportId(id: string): void;
    getState(): { viewports: Map<string, { viewportId: string }> };
  };
  cornerstoneViewportService: {
    EVENTS: Record<string, string>;
    subscribe(event: string, listener: (event: { viewportId?: string }) => void): Subscription;
    getCornerstoneViewport(id: string): Viewport | null;
    resize(): void;
    getRenderingEngine(): RenderingEngine | null;
  };
  toolGroupService: {
    createToolGroupAndAddTools(id: string, tools: Record<string, object[]>): void;
    getToolGroup(id: string): ToolGroupLike | undefined;
  };
  customizationService: { setCustomizations(customizations: object): void };
  panelService: { activatePanel(id: string, force: boolean): void };
}

interface RenderingEngine extends Partial<Engine> {
  resize(immediate: boolean, keepCamera: boolean): void;
  renderViewports(ids: string[]): void;
  _implementation?: Engine;
}

/** What the host was told of a study; it never forgets one by itself. */
export interface Study {
  StudyInstanceUID: string;
  series: object[];
}

export interface SeriesAsked {
  studyInstanceUID: string;
  seriesInstanceUID?: string;
}

/** One for each visit to a mode: the host makes it anew with the roots of the address. */
export interface DicomWebClient {
  searchForSeries(asked: SeriesAsked): Promise<object[]>;
  retrieveSeriesMetadata(asked: SeriesAsked): Promise<object[]>;
}

export interface DataSource {
  query: { studies: { search(asked: { studyInstanceUid?: string }): Promise<object[]> } };
  retrieve: { getWadoDicomWebClient(): DicomWebClient };
  /** Forgets an answer; `name` is that of the source, a colon, and the study's UID. */
  deleteStudyMetadataPromise(name: string): void;
}

export interface Host {
  servicesManager: { services: Services };
  commandsManager: { runCommand(name: string, options?: object): unknown };
  extensionManager: {
    getModuleEntry(id: string): { exports: { toolNames: Record<string, string> } };
    getActiveDataSource(): DataSource[];
  };
}

export interface Camera {
  focalPoint: Point3;
  position: Point3;
  viewPlaneNormal: Point3;
  viewUp: Point3;
  parallelScale: number;
}

export interface Viewport {
  id: string;
  element: HTMLDivElement;
  canvas: HTMLCanvasElement;
  getCamera(): Camera;
  setCamera(camera: Partial<Camera>): void;
  resetCamera(options?: object): void;
  resetProperties?(): void;
  setProperties(properties: { voiRange: { lower: number; upper: number } }): void;
  getProperties(): { voiRange?: { lower: number; upper: number } };
  worldToCanvas(point: Point3): Point2;
  canvasToWorld(point: Point2): Point3;
  render(): void;
  /** Of a viewport that cuts volumes. */
  getAllVolumeIds?(): string[];
  setOrientation?(along: { viewPlaneNormal: Point3; viewUp: Point3 }): void;
  getDefaultActor?(): { uid: string } | undefined;
  /** 0 as it lies, 1 the brightest, 3 the mean. */
  setBlendMode?(blend: number, actors: string[]): void;
  /** In millimetres; under 0.1 it is one slice. */
  setSlabThickness?(mm: number, actors: string[]): void;
}

/** A volume as far as it is here; counts are missing where it came all at once. */
export interface ImageVolume {
  loadStatus?: { loaded: boolean; loading?: boolean };
  dataType?: string;
  autoRenderOnLoad?: boolean;
  load?(): void;
  /** A slice is in the cache: its part of the texture is taken anew with the next drawing. */
  successCallback?(imageId: string, image: object): void;
  framesLoaded?: number;
  framesProcessed?: number;
  totalNumFrames?: number;
  imageIds?: string[];
  voxelManager?: { resetModifiedSlices(): void };
}

export interface LabelmapImage {
  referencedImageId: string;
  rows: number;
  columns: number;
  voxelManager: { getScalarData(): Uint8Array };
  /** From stored values to the unit read in, unless that was done on loading. */
  slope?: number;
  intercept?: number;
  preScale?: { scaled?: boolean };
}

interface Rendering {
  /** How many WebGL contexts are made; volumes are all drawn in the first. */
  webGlContextCount?: number;
}

interface Cornerstone {
  getConfiguration(): { rendering: Rendering };
  setConfiguration(configuration: { rendering: Rendering }): void;
  eventTarget: EventTarget;
  Enums: { Events: Record<string, string> };
  cache: {
    getImage(imageId: string): LabelmapImage | undefined;
    getImageLoadObject(imageId: string): object | undefined;
    putImageSync(imageId: string, image: object): void;
    purgeCache(): void;
    getVolume(volumeId: string): ImageVolume | undefined;
  };
  metaData: { get(kind: string, imageId: string): Record<string, unknown> | undefined };
  imageLoadPoolManager: { clearRequestStack(kind: string): void };
  utilities: {
    VoxelManager: { createImageVoxelManager(options: object): object };
    HistoryMemo?: { DefaultHistoryMemo: { size: number } };
  };
}

interface CornerstoneTools {
  Enums: { Events: Record<string, string>; MouseBindings: Record<string, number> };
  segmentation: {
    state: {
      getSegmentation(
        id: string,
      ):
        | { representationData: { Labelmap: { imageIds: string[]; volumeId?: string } } }
        | undefined;
      getSegmentationRepresentations(
        viewportId: string,
        specifier: { segmentationId: string },
      ): { segments: Record<number, { visible: boolean }> }[];
    };
    config: {
      color: {
        getSegmentIndexColor(viewportId: string, id: string, index: number): number[] | null;
      };
    };
    triggerSegmentationEvents: {
      triggerSegmentationDataModified(id: string, frames?: number[]): void;
      triggerSegmentationRepresentationModified(viewportId: string, id: string, type: string): void;
    };
  };
  utilities: {
    segmentation: {
      setBrushSizeForToolGroup(toolGroupId: string, size: number, toolName?: string): void;
    };
  };
}

declare global {
  interface Window {
    cornerstone?: Cornerstone;
    cornerstoneTools?: CornerstoneTools;
    config?: object;
    concord?: {
      user: string;
      name: string;
      worklist: string;
      keys?: Record<string, string[]>;
    };
  }
}

export function cornerstone(): Cornerstone {
  if (!window.cornerstone) throw new Error("The image library has not started. Reload the page.");
  return window.cornerstone;
}

export function cornerstoneTools(): CornerstoneTools {
  if (!window.cornerstoneTools) throw new Error("The tools have not started. Reload the page.");
  return window.cornerstoneTools;
}

/** A React 18 element, spelled out: the host renders it, a custom element does the rest. */
export function element(type: string, props: Record<string, unknown> = {}): object {
  return {
    $$typeof: Symbol.for("react.element"),
    type,
    key: null,
    ref: null,
    props,
    _owner: null,
    _store: {},
  };
}
