// Who writes, as far as this browser knows: one id per tab, and the lease a closed tab left.

import { newId } from "./ids";

const CLIENT = "concord-client";

/**
 * Survives a reload, but is not shared with a duplicate of the tab: it lies in the tab's storage
 * only between two pages.
 */
export function takeClientId(): string {
  const id = sessionStorage.getItem(CLIENT) ?? newId();
  sessionStorage.removeItem(CLIENT);
  window.addEventListener("pagehide", () => sessionStorage.setItem(CLIENT, id));
  return id;
}

const keyOf = (reading: string) => `concord-left/${reading}`;

/** The page that held this lease is gone: the next one may go on without asking. */
export function noteLeft(reading: string, lease: string): void {
  localStorage.setItem(keyOf(reading), lease);
}

export function wasLeft(reading: string, lease: string): boolean {
  return localStorage.getItem(keyOf(reading)) === lease;
}

export function forgetLeft(reading: string): void {
  localStorage.removeItem(keyOf(reading));
}
