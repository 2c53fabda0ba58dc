// What a reader is told about a proposal.

const UNSURE: Record<string, string> = {
  no_tissue: "no soft tissue at the click",
  no_fat_between: "no fat between it and what lies beside it",
  neighbour: "touches another node",
  size_limit: "reaches the largest size that is looked at",
  end_of_scan: "reaches the end of the scan",
  faint: "its edge is faint",
};

export function unsureWords(unsure: readonly string[]): string {
  return unsure.map((one) => UNSURE[one] ?? one).join(" · ");
}

export function millilitres(voxels: number, spacing: readonly number[]): string {
  const ml = (voxels * (spacing[0] ?? 0) * (spacing[1] ?? 0) * (spacing[2] ?? 0)) / 1000;
  return `${ml < 1 ? ml.toFixed(2) : ml.toFixed(1)} ml`;
}
