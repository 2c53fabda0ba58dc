// Images that lie askew to the patient (a tilted gantry): the planes follow the images, so that one
// slice of a view is one slice of theirs, and a stroke stays in it. The viewer would cut them along
// the patient, through several slices at once.

import type { Plane } from "./contract";
import type { Point3 } from "./ohif";
import type { Views } from "./views";

export interface Looking {
  viewPlaneNormal: Point3;
  viewUp: Point3;
}

/** Cosine of a quarter of a degree: what is straighter is looked at as it is. */
const STRAIGHT = 0.99999;

/** How each plane looks at images with these row and column directions; null where they are straight. */
export function lookingAlong(columns: Point3, rows: Point3): Record<Plane, Looking> | null {
  if (Math.abs(columns[0]) > STRAIGHT && Math.abs(rows[1]) > STRAIGHT) return null;
  // Towards the left, the back and the head, whichever way the images run.
  const left = towards(columns, 0);
  const back = towards(rows, 1);
  const head = towards(cross(columns, rows), 2);
  return {
    axial: { viewPlaneNormal: opposite(head), viewUp: opposite(back) },
    coronal: { viewPlaneNormal: opposite(back), viewUp: head },
    sagittal: { viewPlaneNormal: left, viewUp: head },
  };
}

/** Turns the views to the images, once these are known. */
export function alongTheImages(views: Views): void {
  const axes = views.geometry?.directions;
  const looking = axes && lookingAlong(...axes);
  if (!looking) return;
  for (const [id, plane] of Object.entries(views.planes)) {
    views.viewport(id)?.setOrientation?.(looking[plane]);
  }
}

function towards(direction: Point3, axis: 0 | 1 | 2): Point3 {
  return direction[axis] < 0 ? opposite(direction) : direction;
}

function opposite([x, y, z]: Point3): Point3 {
  return [-x, -y, -z];
}

function cross(a: Point3, b: Point3): Point3 {
  return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
}
