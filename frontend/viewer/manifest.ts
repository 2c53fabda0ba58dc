// The name of a mask: SHA-256 of its canonical manifest, the same bytes the server hashes.
// crypto.subtle does not exist on plain-http hosts, so the hash is computed in JavaScript.

import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import type { ManifestRecord } from "./contract";

const VERSION = 1;

/** Keys sorted, no spaces, labels and slices ascending by number, parents as given. */
export function canonicalManifest(manifest: ManifestRecord): string {
  const ascending = (a: [number, string], b: [number, string]) => a[0] - b[0];
  return JSON.stringify({
    geometry: manifest.geometry,
    labels: [...manifest.labels].sort(ascending),
    parents: manifest.parents,
    slices: [...manifest.slices].sort(ascending),
    version: VERSION,
  });
}

export function manifestHash(manifest: ManifestRecord): string {
  return bytesToHex(sha256(utf8ToBytes(canonicalManifest(manifest))));
}

/** Of the uncompressed uint16 little-endian labels of one slice, row-major. */
export function sliceHash(plane: Uint16Array): string {
  return bytesToHex(sha256(new Uint8Array(plane.buffer, plane.byteOffset, plane.byteLength)));
}
