// The long axis of a cloud of points, and planes along and across it. Pure.

import type { Point3 } from "../ohif";

export interface LongAxis {
  centre: Point3;
  /** Unit vector. */
  along: Point3;
  /** Half of what the points reach along it, mm. */
  reachMm: number;
}

const STEPS = 60;

export const dot = (a: Point3, b: Point3) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
export const plus = (a: Point3, b: Point3, by = 1): Point3 => [
  a[0] + by * b[0],
  a[1] + by * b[1],
  a[2] + by * b[2],
];
export const cross = (a: Point3, b: Point3): Point3 => [
  a[1] * b[2] - a[2] * b[1],
  a[2] * b[0] - a[0] * b[2],
  a[0] * b[1] - a[1] * b[0],
];

export function unit(a: Point3): Point3 {
  const length = Math.hypot(...a) || 1;
  return [a[0] / length, a[1] / length, a[2] / length];
}

/** What of `a` stands upright on the unit vector `on`; another upright where they are parallel. */
export function upright(a: Point3, on: Point3): Point3 {
  const rest = plus(a, on, -dot(a, on));
  if (Math.hypot(...rest) > 1e-3) return unit(rest);
  return upright(Math.abs(on[0]) < 0.9 ? [1, 0, 0] : [0, 1, 0], on);
}

/** Around `on`, by an angle. Both are unit vectors at right angles. */
export function turned(a: Point3, on: Point3, radians: number): Point3 {
  const side = cross(on, a);
  return plus(
    [a[0] * Math.cos(radians), a[1] * Math.cos(radians), a[2] * Math.cos(radians)],
    side,
    Math.sin(radians),
  );
}

/** The direction in which the points spread most; null for fewer than two. */
export function longAxis(points: readonly Point3[]): LongAxis | null {
  if (points.length < 2) return null;
  const sum = points.reduce((all, one) => plus(all, one), [0, 0, 0] as Point3);
  const centre = plus([0, 0, 0], sum, 1 / points.length);
  const spread = [0, 1, 2].map((i) =>
    [0, 1, 2].map((j) =>
      points.reduce(
        (all, point) =>
          all + ((point[i] ?? 0) - (centre[i] ?? 0)) * ((point[j] ?? 0) - (centre[j] ?? 0)),
        0,
      ),
    ),
  );
  // Power iteration; begun off the axes, so that no symmetric node holds it up.
  let along: Point3 = unit([0.31, 0.47, 0.83]);
  for (let step = 0; step < STEPS; step += 1) {
    const row = (i: number) => dot((spread[i] ?? [0, 0, 0]) as Point3, along);
    along = unit([row(0), row(1), row(2)]);
  }
  const reaches = points.map((point) => Math.abs(dot(plus(point, centre, -1), along)));
  return { centre, along, reachMm: Math.max(...reaches) };
}

/** Back and forth between −1 and 1, slower at the ends; begins in the middle. */
export function swing(seconds: number, period: number): number {
  return Math.sin((2 * Math.PI * seconds) / period);
}
