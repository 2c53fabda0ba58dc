// What lies beside, brought into a reading: its keys, what it draws, and the second window.

import { Corners } from "../corners";
import { sayOfTheHand } from "../hand_words";
import { AXIAL, SAGITTAL } from "../layout";
import type { Point3 } from "../ohif";
import type { Room } from "../room";
import { Slabs } from "../slab";
import { Beside } from "./beside";
import { channelOf, type Message, type Standing } from "./channel";
import { Chooser } from "./chooser";
import { Fusion } from "./fusion";
import { greyWindow, Pane } from "./pane";

export interface BesideRoom {
  beside: Beside;
  slabs: Slabs;
  /** Asks what there is. */
  look(): void;
  /** Keys while something of it lies over the planes. */
  take(stroke: string): boolean;
  /** A plane nobody sees. */
  covers(plane: string): boolean;
  end(): void;
}

export function enterBeside(room: Room, reading: string): BesideRoom {
  const { session, views, commands, tools } = room;
  const corners = new Corners(views);
  const slabs = new Slabs(views, corners);
  const beside = new Beside(reading, () => middleOf(room));
  const pane = new Pane(beside, views, session);
  const chooser = new Chooser(beside);
  const fusion = new Fusion(beside, views, session, corners);
  const channel = channelOf(reading);
  const events = new AbortController();
  const on = (target: EventTarget, type: string, listener: (event: Event) => void) =>
    target.addEventListener(type, listener, { signal: events.signal });

  let telling = 0;
  const tell = () => {
    telling ||= requestAnimationFrame(() => {
      telling = 0;
      const standing = standingOf(room, beside);
      if (standing) channel.postMessage({ standing } satisfies Message);
    });
  };
  const draw = () => {
    pane.draw();
    fusion.draw();
    chooser.draw(views.viewport(AXIAL)?.element ?? null);
    corners.draw();
    if (beside.notice && !beside.shown) {
      session.notice = beside.notice;
      beside.notice = "";
      session.changed();
    }
    commands.dispatchEvent(new Event("change"));
    tell();
  };
  on(beside, "change", draw);
  on(views, "drawn", (event) => {
    const { detail: drawn } = event as CustomEvent<string>;
    if (drawn === AXIAL || drawn === SAGITTAL) pane.draw();
    fusion.draw(drawn);
    corners.draw();
    tell();
  });
  const say = () => sayOfTheHand(room, corners);
  on(views, "window", () => {
    pane.draw();
    say();
    tell();
  });
  on(session, "select", () => {
    fusion.draw();
    say();
  });
  on(session, "change", say);
  on(tools, "change", () => {
    slabs.held(tools.active);
    say();
  });
  on(window, "pointermove", (event) => fusion.point(event as PointerEvent));
  on(channel, "message", (event) => {
    if ("hello" in ((event as MessageEvent<Message>).data ?? {})) tell();
  });

  Object.assign(commands.verbs, {
    slab: () => slabs.cycle(),
    beside: () => beside.toggle(),
    besideChoose: () => beside.chooser(),
    fuse: () => beside.fuse(),
    fuseFainter: () => beside.fade(-1),
    fuseStronger: () => beside.fade(1),
    reset: () => {
      slabs.thin();
      views.reset();
    },
    secondWindow: () => {
      window.open(
        `/readings/${reading}/window/`,
        `concord-${reading}`,
        "popup,width=1200,height=900",
      );
    },
  });
  return {
    beside,
    slabs,
    look: () => void beside.open(),
    take: (stroke) => chooser.take(stroke) || pane.take(stroke),
    covers: (plane) => beside.shown && plane === "sagittal",
    end: () => {
      events.abort();
      cancelAnimationFrame(telling);
      channel.postMessage({ bye: true } satisfies Message);
      channel.close();
      pane.remove();
      chooser.remove();
      fusion.remove();
      corners.remove();
    },
  };
}

function middleOf({ session, views }: Room): Point3 | null {
  const shape = session.detail?.grid.shape;
  if (!shape || !views.geometry) return null;
  return views.geometry.world([(shape[0] - 1) / 2, (shape[1] - 1) / 2, (shape[2] - 1) / 2]);
}

function standingOf({ session, views }: Room, beside: Beside): Standing | null {
  const { focus, geometry } = views;
  const scale = views.viewport(AXIAL)?.getCamera().parallelScale;
  if (!focus || !geometry || !scale) return null;
  const node = session.node(session.selected);
  const { chosen, pet, heat } = beside;
  return {
    focus: geometry.world(focus),
    scale,
    window: greyWindow(views),
    beside: chosen && beside.shown ? { id: chosen.id, offset: beside.offset(chosen) } : null,
    pet: heat && pet ? { id: pet.id, offset: heat.offset, opacity: beside.opacity } : null,
    node: node ? `Node ${node.number}` : "",
  };
}
