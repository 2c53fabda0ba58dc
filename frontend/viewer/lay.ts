// Label numbers of one slice as the host shows them. Slices of a mask are mostly empty, so two
// voxels at a time are passed over.

/** Writes `shown` anew from `truth` (none: an empty slice); `dense` says which number shows which. */
export function lay(truth: Uint16Array | undefined, shown: Uint8Array, dense: Uint8Array): void {
  shown.fill(0);
  if (!truth) return;
  let at = 0;
  if (truth.byteOffset % 4 === 0) {
    const pairs = new Uint32Array(truth.buffer, truth.byteOffset, truth.length >> 1);
    for (let pair = 0; pair < pairs.length; pair += 1) {
      if (pairs[pair] === 0) continue;
      shown[2 * pair] = dense[truth[2 * pair] as number] as number;
      shown[2 * pair + 1] = dense[truth[2 * pair + 1] as number] as number;
    }
    at = 2 * pairs.length;
  }
  for (; at < truth.length; at += 1) shown[at] = dense[truth[at] as number] as number;
}
