// Who writes, as far as this browser knows: one id per tab, and whether the tab that took a lease
// still lives.

import { newId } from "./ids";

const CLIENT = "concord-client";
/** What the leases this browser took are kept under. */
export const LEASES = "concord-lease/";

let mine: string | null = null;

/**
 * Survives a reload, but is not shared with a duplicate of the tab: it lies in the tab's storage
 * only between two pages. One page that opens case after case keeps its own.
 */
export function takeClientId(): string {
  if (mine) return mine;
  const id = sessionStorage.getItem(CLIENT) ?? newId();
  sessionStorage.removeItem(CLIENT);
  window.addEventListener("pagehide", () => sessionStorage.setItem(CLIENT, id));
  mine = id;
  return id;
}

export interface LeaseMemory {
  /** This tab took the lease. */
  took(lease: string): void;
  /** This tab left the reading: what it took counts as abandoned. */
  left(): void;
  /** A tab of this browser took the lease, and is gone: the next may go on without asking. */
  isAbandoned(lease: string): Promise<boolean>;
}

/** A lock is held as long as its tab lives, however that ends. */
export function leaseMemory(reading: string): LeaseMemory {
  const key = `${LEASES}${reading}`;
  const nameOf = (lease: string) => `${LEASES}${lease}`;
  const locks: LockManager | undefined = navigator.locks;
  const releases: (() => void)[] = [];
  return {
    took(lease) {
      localStorage.setItem(key, lease);
      void locks?.request(
        nameOf(lease),
        () => new Promise<void>((release) => releases.push(release)),
      );
    },
    left() {
      for (const release of releases.splice(0)) release();
    },
    async isAbandoned(lease) {
      if (!locks || localStorage.getItem(key) !== lease) return false;
      return locks.request(nameOf(lease), { ifAvailable: true }, (lock) => lock !== null);
    },
  };
}
