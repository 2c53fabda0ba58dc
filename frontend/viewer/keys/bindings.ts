// Which keys start which action: the built-in table, with the reader's own keys over it. The
// reader's are kept on the server and come with the viewer's configuration.

import { send } from "../api";
import { KEYS } from "../keys";

export type Own = Readonly<Record<string, readonly string[]>>;

let own: Own = {};
let begun = false;
/** Announces "change" when a key means something else. */
export const bindings = new EventTarget();

function mine(): Own {
  if (!begun) {
    begun = true;
    own = window.concord?.keys ?? {};
  }
  return own;
}

export function keysOf(action: string): readonly string[] {
  return mine()[action] ?? KEYS.find((key) => key.action === action)?.keys ?? [];
}

/** An action's first key as it stands on the board; "" where it has none. */
export function keyFor(action: string): string {
  return strokeWords(keysOf(action)[0] ?? "");
}

export function actionOf(stroke: string): string | undefined {
  return KEYS.find(({ action }) => keysOf(action).includes(stroke))?.action;
}

export function labelOf(action: string): string {
  return KEYS.find((key) => key.action === action)?.label ?? action;
}

export function isOwn(action: string): boolean {
  return action in mine();
}

/** The reader's keys after one action was given one key, which is taken from whoever had it. */
export function withKey(action: string, stroke: string): Own {
  const other = actionOf(stroke);
  const next: Record<string, readonly string[]> = { ...mine(), [action]: [stroke] };
  if (other && other !== action) next[other] = keysOf(other).filter((key) => key !== stroke);
  return next;
}

/** The reader's keys with one action's built-in keys back, as far as nobody else has them. */
export function withoutOwn(action: string): Own {
  const { [action]: _gone, ...rest } = mine();
  const taken = new Set(Object.values(rest).flat());
  const built = KEYS.find((key) => key.action === action)?.keys ?? [];
  const free = built.filter((key) => !taken.has(key));
  return free.length === built.length ? rest : { ...rest, [action]: free };
}

/** Uses these keys from now on, here and wherever the reader signs in; throws when not saved. */
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

const WORDS: Readonly<Record<string, string>> = {
  arrowup: "↑",
  arrowdown: "↓",
  arrowleft: "←",
  arrowright: "→",
  escape: "Esc",
  space: "Space",
  enter: "Enter",
};

/** A stroke as it stands on the board: "ctrl+z" → "Ctrl Z", "shift+e" → "⇧E". */
export function strokeWords(stroke: string): string {
  const parts = stroke === "+" ? ["+"] : stroke.split("+");
  const key = parts.pop() ?? "";
  const held = parts.map(
    (part) => ({ shift: "⇧", ctrl: "Ctrl ", meta: "⌘", alt: "Alt " })[part] ?? `${part} `,
  );
  return held.join("") + (WORDS[key] ?? key.toUpperCase());
}
