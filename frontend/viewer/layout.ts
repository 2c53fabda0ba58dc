// The hanging protocol of a reading: axial soft tissue large, coronal and sagittal beside it.

import { STRATEGY } from "./opening/feed";

export const PROTOCOL = "concord-reading";
export const TOOL_GROUP = "concord";
export const AXIAL = "concord-axial";
export const CORONAL = "concord-coronal";
export const SAGITTAL = "concord-sagittal";
export const VIEWPORTS = [AXIAL, CORONAL, SAGITTAL] as const;

const syncGroups = [
  {
    type: "voi",
    id: "concord-window",
    source: true,
    target: true,
    options: { syncColormap: true },
  },
];

/** A viewport of one of our protocols, its window shared with the others. */
export function viewport(viewportId: string, orientation: string) {
  return {
    viewportOptions: {
      viewportId,
      toolGroupId: TOOL_GROUP,
      viewportType: "volume",
      orientation,
      initialImageOptions: { preset: "middle" },
      syncGroups,
    },
    displaySets: [{ id: "images", options: { voi: { windowWidth: 350, windowCenter: 60 } } }],
  };
}

export interface Place {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** One stage of volume viewports of the one series that can be reconstructed. */
export function protocol(options: {
  id: string;
  name: string;
  stage: string;
  rows: number;
  columns: number;
  places: Place[];
  viewports: object[];
  /** How the host loads the images; evenly over the volume where nothing else is said. */
  load?: string;
}) {
  return {
    id: options.id,
    name: options.name,
    locked: true,
    hasUpdatedPriorsInformation: false,
    createdDate: "2026-01-01T00:00:00.000Z",
    modifiedDate: "2026-01-01T00:00:00.000Z",
    availableTo: {},
    editableBy: {},
    numberOfPriorsReferenced: 0,
    protocolMatchingRules: [],
    imageLoadStrategy: options.load ?? "nth",
    toolGroupIds: [TOOL_GROUP],
    displaySetSelectors: {
      images: {
        seriesMatchingRules: [
          {
            weight: 1,
            attribute: "isReconstructable",
            constraint: { equals: { value: true } },
            required: true,
          },
        ],
      },
    },
    stages: [
      {
        name: options.stage,
        viewportStructure: {
          layoutType: "grid",
          properties: {
            rows: options.rows,
            columns: options.columns,
            layoutOptions: options.places,
          },
        },
        viewports: options.viewports,
      },
    ],
  };
}

const BESIDE: Place[] = [
  { x: 0, y: 0, width: 0.64, height: 1 },
  { x: 0.64, y: 0, width: 0.36, height: 0.5 },
  { x: 0.64, y: 0.5, width: 0.36, height: 0.5 },
];
/** On a monitor that stands upright. */
const BELOW: Place[] = [
  { x: 0, y: 0, width: 1, height: 0.56 },
  { x: 0, y: 0.56, width: 0.5, height: 0.44 },
  { x: 0.5, y: 0.56, width: 0.5, height: 0.44 },
];

export function readingProtocol() {
  return protocol({
    id: PROTOCOL,
    name: "Reading",
    stage: "Three planes",
    load: STRATEGY,
    rows: 2,
    columns: 2,
    places: window.innerHeight > window.innerWidth ? BELOW : BESIDE,
    viewports: [
      viewport(AXIAL, "axial"),
      viewport(CORONAL, "coronal"),
      viewport(SAGITTAL, "sagittal"),
    ],
  });
}
