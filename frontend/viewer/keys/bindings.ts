// The reading screen's keys, and the person's own keys of all screens, which are kept on the server
// and come with the viewer's configuration.

import { send } from "../api";
import { KEYS } from "../keys";
import { KeyTable, type Own } from "./table";

export { type Own, strokeWords } from "./table";

let own: Own = {};
let begun = false;
/** Announces "change" when a key means something else. */
export const bindings = new EventTarget();

export function mine(): Own {
  if (!begun) {
    begun = true;
    own = window.concord?.keys ?? {};
  }
  return own;
}

/** Every action can be meant at any time. */
export const READING_KEYS = new KeyTable(() => KEYS, mine, {
  nameOf: ({ action }) => action,
  meet: () => true,
});

export const keysOf = (action: string) => READING_KEYS.keysOf(action);
export const keyFor = (action: string) => READING_KEYS.keyFor(action);
export const actionOf = (stroke: string) => READING_KEYS.actionOf(stroke);
export const withKey = (action: string, stroke: string) => READING_KEYS.withKey(action, stroke);
export const withoutOwn = (action: string) => READING_KEYS.withoutOwn(action);

/** Uses these keys from now on, here and wherever the person signs in; throws when not saved. */
export async function useKeys(next: Own): Promise<void> {
  const before = mine();
  adopt(next);
  try {
    await send("PUT", "/api/me/keys", { keys: next });
  } catch (error) {
    adopt(before);
    throw error;
  }
}

export function adopt(next: Own): void {
  begun = true;
  own = next;
  bindings.dispatchEvent(new Event("change"));
}
