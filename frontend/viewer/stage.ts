// The room that is open now, for the elements OHIF creates when it likes.

import type { Room } from "./room";

const stage = new EventTarget();
let current: Room | null = null;

export function announceRoom(room: Room | null): void {
  current = room;
  stage.dispatchEvent(new Event("change"));
}

/** Calls back now and whenever the room changes; returns the end of it. */
export function watchRoom(listener: (room: Room | null) => void): () => void {
  const heard = () => listener(current);
  stage.addEventListener("change", heard);
  heard();
  return () => stage.removeEventListener("change", heard);
}
