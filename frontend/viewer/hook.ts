// A read-only window for browser tests: where things are and what the mask says.

import type { Plane } from "./contract";
import type { Room } from "./room";

export function exposeHook(room: Room): void {
  const { session, views, tools, seen } = room;
  const hook = {
    get ready() {
      return room.isReady;
    },
    get reading() {
      return session.detail?.id ?? null;
    },
    /** The case that comes next, once that is known. */
    get next() {
      return room.next.found?.reading ?? null;
    },
    /** Its beginning was fetched ahead. */
    get nextHeld() {
      return room.next.held;
    },
    get head() {
      return session.mask?.head ?? null;
    },
    get nodes() {
      return structuredClone(session.nodes);
    },
    get selected() {
      return session.selected;
    },
    get saveState() {
      return session.saveState;
    },
    get pending() {
      return session.outbox.waiting.length;
    },
    get tool() {
      return tools.active;
    },
    get window() {
      return views.window;
    },
    /** Width and centre (HU) of what is on screen. */
    get voi() {
      const { width, centre } = views.voi;
      return [Math.round(width), Math.round(centre)];
    },
    get focus() {
      return views.focus;
    },
    /** The click tool: what it holds and what it proposes. */
    get prompt() {
      const { active, waiting, failure, clicks, proposal, prompt, node } = room.prompting;
      return { active, waiting, failure, clicks, voxels: proposal?.voxels ?? 0, prompt, node };
    },
    /** The newer proposal: what waits for an answer, and what is looked at. */
    get newer() {
      const { active, at, waiting, failure } = room.offering;
      const kinds = waiting.map(({ kind, dice, present }) => ({ kind, dice, present }));
      return structuredClone({ active, at, failure, waiting: kinds });
    },
    /** What lies beside: which series there are, which is shown, how it lies. */
    get beside() {
      const { beside, slabs } = room.beside;
      const { list, chosen, shown, fused, trying, opacity } = beside;
      const offset = chosen && beside.offset(chosen);
      const loaded = Boolean(chosen && shown && beside.volume(chosen));
      const slab = slabs.slab.words;
      return structuredClone({ list, chosen, shown, fused, trying, opacity, offset, loaded, slab });
    },
    get order() {
      return session.order;
    },
    /** Where the view of a plane stands: what it is centred on, how near, which way it looks. */
    camera: (plane: Plane) => {
      const id = Object.keys(views.planes).find((each) => views.planes[each] === plane) ?? "";
      return structuredClone(new Map(views.cameras()).get(id)) ?? null;
    },
    /** Milliseconds that each step of a reshape took. */
    get reshapeSteps() {
      return [...room.desk.gesture.steps];
    },
    /** Milliseconds from each change to its answer with the measures. */
    get waits() {
      return [...session.waits];
    },
    get regions() {
      return structuredClone(session.regions);
    },
    seen: (plane: Plane) => seen.ranges(plane),
    /** Label number of the truth at a voxel. */
    labelAt: (sop: string, row: number, column: number) =>
      session.mask?.labelAt(session.detail?.grid.sop_uids.indexOf(sop) ?? -1, row, column) ?? 0,
    /** Dense number on screen at a voxel, as the host holds it. */
    shownAt: (slice: number, row: number, column: number) =>
      room.labelmap.shownAt(slice, row, column),
    denseOf: (node: string) => room.labelmap.dense(node),
    /** Page coordinates of a voxel's centre in a plane ("axial", "coronal", "sagittal"). */
    canvasPoint: (plane: Plane, slice: number, row: number, column: number) =>
      views.pagePoint(plane, [slice, row, column]),
  };
  Object.defineProperty(window, "__concord", {
    value: Object.freeze(hook),
    configurable: true,
  });
}
