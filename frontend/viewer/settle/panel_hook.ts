// A read-only window for browser tests: what the settling screen knows and what is half done.

import type { SettleRoom } from "./session";

export function exposePanelHook(room: SettleRoom): void {
  const hook = {
    get ready() {
      return Boolean(room.desk) && room.stage.loading.complete;
    },
    get state() {
      return room.session?.detail?.state ?? null;
    },
    get role() {
      return room.session?.detail?.role ?? null;
    },
    get tab() {
      return room.desk?.tab ?? null;
    },
    get phase() {
      return room.desk?.phase ?? null;
    },
    get discrepancies() {
      return structuredClone(room.session?.rows.map(({ found }) => found) ?? []);
    },
    get nodes() {
      return structuredClone(room.session?.nodes ?? []);
    },
    get evidence() {
      return structuredClone(room.session?.detail?.evidence ?? []);
    },
    get signing() {
      return structuredClone(room.session?.detail?.signing ?? null);
    },
    get present() {
      return structuredClone(room.session?.present ?? []);
    },
    /** The cluster, and in the later phases the agreed node, that is looked at. */
    get selected() {
      const { session, desk } = room;
      if (desk?.tab === "settle") return session?.discrepancy()?.cluster ?? null;
      return session?.node ?? null;
    },
    get choice() {
      return structuredClone(room.desk?.settling.choice ?? null);
    },
    get outbox() {
      const { session } = room;
      return {
        state: session?.saveState ?? "loading",
        waiting: session?.outbox.waiting.length ?? 0,
      };
    },
  };
  Object.defineProperty(window, "__concordSettle", {
    value: Object.freeze(hook),
    configurable: true,
  });
}
