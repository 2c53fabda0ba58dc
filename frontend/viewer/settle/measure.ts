// The size of a shape before the server has it: long and short axis as the server draws them, on
// the slice region with the longest long axis, and the volume. A preview; the server's word counts.

import type { Voxel } from "../contract";
import { combine, cut, type Solid } from "./layers";

export interface Size {
  long_mm: number;
  short_mm: number;
  volume_mm3: number;
}

type Point = readonly [number, number];
/** Lengths closer than this, in millimetres, are the same. */
const TIE_MM = 1e-9;

const known = new WeakMap<Uint8Array, Size | null>();

/** Of several solids as one; null where there are none. Remembered until `unmeasured`. */
export function sizeOf(solids: readonly Solid[], spacing: Voxel): Size | null {
  const [first] = solids;
  if (!first) return null;
  let found = known.get(first.data);
  if (found === undefined) {
    found = measured(solids, spacing);
    known.set(first.data, found);
  }
  return found;
}

/** To be called when voxels were painted: what was measured of them is no longer true. */
export function unmeasured(data: Uint8Array): void {
  known.delete(data);
}

function measured(solids: readonly Solid[], spacing: Voxel): Size | null {
  const whole = combine(solids, [], (inside) => inside);
  if (!whole) return null;
  const [z0, , , z1] = whole.box;
  let [long, short] = [0, 0];
  for (let index = z0; index < z1; index += 1) {
    const plane = cut(whole, "axial", index);
    if (!plane) continue;
    for (const region of regions(plane.data, plane.columns)) {
      const [lad, sad] = axes(region, plane.columns, spacing);
      const longer = lad > long + TIE_MM;
      if (longer || (Math.abs(lad - long) <= TIE_MM && sad > short)) [long, short] = [lad, sad];
    }
  }
  const voxels = whole.data.reduce((sum, value) => sum + value, 0);
  const volume = voxels * spacing[0] * spacing[1] * spacing[2];
  return { long_mm: long, short_mm: short, volume_mm3: volume };
}

/** Places of a plane that hang together, also by a corner. */
function regions(data: Uint8Array, columns: number): number[][] {
  const seen = new Uint8Array(data.length);
  const found: number[][] = [];
  for (let start = 0; start < data.length; start += 1) {
    if (!data[start] || seen[start]) continue;
    const region = [start];
    seen[start] = 1;
    for (const at of region) {
      const column = at % columns;
      for (const down of [-columns, 0, columns]) {
        for (const right of [-1, 0, 1]) {
          const next = at + down + right;
          const across = column + right;
          if (across < 0 || across >= columns || !data[next] || seen[next]) continue;
          seen[next] = 1;
          region.push(next);
        }
      }
    }
    found.push(region);
  }
  return found;
}

/** Long and short axis in mm, of the hull of the region's outline through its voxels' edges. */
function axes(region: readonly number[], columns: number, spacing: Voxel): [number, number] {
  const hull = hullOf(outermost(region, columns)).map(
    ([row, column]) => [(row * spacing[1]) / 2, (column * spacing[2]) / 2] as const,
  );
  const pairs = hull.flatMap((a, at) => hull.slice(at + 1).map((b) => [a, b] as const));
  const lengths = pairs.map(([a, b]) => Math.hypot(a[0] - b[0], a[1] - b[1]));
  const long = Math.max(...lengths);
  const chords = pairs
    .filter((_, at) => (lengths[at] ?? 0) >= long - TIE_MM)
    .map(([a, b]) => widestChord(hull, a, b));
  return [long, Math.max(...chords)];
}

/** The outer edges of the first and last voxel of every row and column, in half voxels. */
function outermost(region: readonly number[], columns: number): [number, number][] {
  const ends = [new Map<number, [number, number]>(), new Map<number, [number, number]>()] as const;
  for (const at of region) {
    const place = [Math.floor(at / columns), at % columns] as const;
    for (const along of [0, 1] as const) {
      const [line, value] = [place[along], place[1 - along] ?? 0];
      const [low, high] = ends[along].get(line) ?? [value, value];
      ends[along].set(line, [Math.min(low, value), Math.max(high, value)]);
    }
  }
  const points: [number, number][] = [];
  for (const [row, [low, high]] of ends[0])
    points.push([2 * row, 2 * low - 1], [2 * row, 2 * high + 1]);
  for (const [column, [low, high]] of ends[1]) {
    points.push([2 * low - 1, 2 * column], [2 * high + 1, 2 * column]);
  }
  return points;
}

/** Vertices of the convex hull, in order around it. */
function hullOf(points: [number, number][]): Point[] {
  const ordered = points.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const chain = (line: readonly Point[]) => {
    const kept: Point[] = [];
    for (const point of line) {
      while (kept.length > 1) {
        const [a, b] = kept.slice(-2) as [Point, Point];
        const turn = (b[0] - a[0]) * (point[1] - a[1]) - (b[1] - a[1]) * (point[0] - a[0]);
        if (turn > 0) break;
        kept.pop();
      }
      kept.push(point);
    }
    return kept.slice(0, -1);
  };
  return [...chain(ordered), ...chain(ordered.toReversed())];
}

/** The longest chord of a hull perpendicular to the line from one vertex to another. */
function widestChord(hull: readonly Point[], from: Point, to: Point): number {
  const length = Math.hypot(to[0] - from[0], to[1] - from[1]);
  const [a, b] = [(to[0] - from[0]) / length, (to[1] - from[1]) / length];
  const turned = hull.map(([row, column]) => [row * a + column * b, column * a - row * b] as const);
  const widths = turned.map(([u]) => {
    const across = turned.flatMap(([u0, v0], at) => {
      const [u1, v1] = turned[(at + 1) % turned.length] ?? [u0, v0];
      if (u < Math.min(u0, u1) - TIE_MM || u > Math.max(u0, u1) + TIE_MM) return [];
      if (Math.abs(u1 - u0) <= TIE_MM) return [v0, v1];
      return [v0 + ((v1 - v0) * (u - u0)) / (u1 - u0)];
    });
    return Math.max(...across) - Math.min(...across);
  });
  return Math.max(...widths);
}
