// One small mask, with the hashes the server's own code gave for it and for what is done to it.

import type { ManifestRecord, NodeRecord, ReadingDetail } from "../viewer/contract";
import type { Patch } from "../viewer/patch";

export const A = "6f2c1f6e-9d0a-4c5b-8a51-3c1d2e4f5a60";
export const B = "0b1d4c7e-2f3a-4b5c-9d6e-7f8091a2b3c4";
export const LATE = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee";
export const NEW = "c0ffee00-1234-4abc-8def-0123456789ab";

export const MANIFEST: ManifestRecord = {
  geometry: `${"0".repeat(63)}1`,
  labels: [
    [1, A],
    [2, B],
    [300, LATE],
  ],
  parents: [],
  slices: [
    [0, "22d45d18e195c3b0cd0be2f0f81e47bc9e56c1a2760df7a31414f0af2ab30b6e"],
    [2, "7adc92ddedec3503a58b1d961e1111122c162a5b5d67ebf286804fe36d38ca4a"],
  ],
  version: 1,
};
export const EMPTY_HEAD = "8b1bb72f46cd27fe23383a415ade5f05f1614ab139945a1ce8e6108153bf321b";
export const HEAD = "3a6a8d09cc599976a42bb9c1ee880459f2ac5ae32214e61c5181b3f3fe98fd9c";
/** After `PATCH`, and after one more change without voxels. */
export const PATCHED = "5aae2f9360d2730f235cdc37637f5ece53512ebc619c558e355ac48551da81dc";
export const DECIDED = "ba34d96d7385c35aaa79416d823d6908707ac539f1e0209edbf753612dc62417";

export const PATCH: Patch = {
  nodes: [A, NEW],
  slices: [
    {
      index: 0,
      box: [1, 1, 3, 4],
      runs: [
        [0, 1, 0],
        [2, 2, 1],
        [5, 1, 2],
      ],
    },
    { index: 2, box: [2, 3, 4, 4], runs: [[0, 2, 0]] },
  ],
};
/** Slice 0 after the patch, row by row. */
export const SLICE_0_AFTER = [0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 0, 301, 0, 0, 0, 0, 0, 0];

export const PACKED =
  "rAEAAHsiZ2VvbWV0cnkiOiIwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAxIiwibGFiZWxzIjpbWzEsIjZmMmMxZjZlLTlkMGEtNGM1Yi04YTUxLTNjMWQyZTRmNWE2MCJdLFsyLCIwYjFkNGM3ZS0yZjNhLTRiNWMtOWQ2ZS03ZjgwOTFhMmIzYzQiXSxbMzAwLCJhYWFhYWFhYS1iYmJiLTRjY2MtOGRkZC1lZWVlZWVlZWVlZWUiXV0sInNoYXBlIjpbMyw0LDVdLCJzbGljZXMiOlt7ImluZGV4IjowLCJzaGEyNTYiOiIyMmQ0NWQxOGUxOTVjM2IwY2QwYmUyZjBmODFlNDdiYzllNTZjMWEyNzYwZGY3YTMxNDE0ZjBhZjJhYjMwYjZlIn0seyJpbmRleCI6Miwic2hhMjU2IjoiN2FkYzkyZGRlZGVjMzUwM2E1OGIxZDk2MWUxMTExMTIyYzE2MmE1YjVkNjdlYmYyODY4MDRmZTM2ZDM4Y2E0YSJ9XX0gICAgAAAAAAAAAAAAAAAAAQABAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAACwBAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAgAAAAAAAAAAAAIAAAA=";

export function packedBytes(): ArrayBuffer {
  return Uint8Array.from(atob(PACKED), (sign) => sign.charCodeAt(0)).buffer;
}

export function nodeRecord(uuid: string, label: number): NodeRecord {
  return {
    uuid,
    label,
    number: label,
    origin: "ai",
    side: null,
    level: null,
    decision: "undecided",
    reason: null,
    impression: null,
    doubt: false,
    empty: false,
    measures: null,
  };
}

export function readingDetail(): ReadingDetail {
  return {
    id: "11111111-1111-4111-8111-111111111111",
    slot: "R1",
    state: "open",
    head: HEAD,
    base: HEAD,
    ai_mask: HEAD,
    case: {
      id: "22222222-2222-4222-8222-222222222222",
      label: "LN-0001",
      protocol: {
        code: "LN-CT",
        name: "",
        required_planes: ["axial"],
        reject_reasons: ["vessel", "muscle"],
      },
      excluded: [],
    },
    study_uid: "1.2",
    series_uid: "1.2.3",
    dicomweb: "",
    grid: {
      shape: [3, 4, 5],
      spacing_mm: [1, 1, 1],
      sop_uids: ["1.0", "1.1", "1.2"],
      geometry: MANIFEST.geometry,
    },
    ai: { state: "ready", progress: 1, stage: "", message: "", model: null },
    labels: MANIFEST.labels,
    manifest: MANIFEST,
    nodes: [nodeRecord(A, 1), nodeRecord(B, 2), nodeRecord(LATE, 300)],
    checks: [],
    can_submit: false,
    lease: { mine: false, holder: null, id: null },
    seen: {},
    resume: {},
    news_seq: 0,
    signature: null,
  };
}
