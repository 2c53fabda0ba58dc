// Giving an action another key: choose the action, press the key; a key that is taken says by
// what, and is taken over when it is pressed once more.

import { actionOf, labelOf, type Own, strokeWords, useKeys, withKey, withoutOwn } from "./bindings";

const HELD_ALONE =
  /^(?:(?:ctrl|meta|alt|shift)\+)*(?:shift|control|alt|meta|capslock|dead|altgraph)$/;
/** Text editing and moving the focus stay the browser's. */
const RESERVED = new Set(["tab", "enter", "f5", "f11", "f12", "ctrl+r", "ctrl+w", "ctrl+t"]);

/** Announces "change". */
export class Remap extends EventTarget {
  /** The action that waits for its key. */
  action: string | null = null;
  notice = "";
  private pending = "";

  constructor(private readonly save: (keys: Own) => Promise<void> = useKeys) {
    super();
  }

  choose(action: string): void {
    this.action = this.action === action ? null : action;
    this.pending = "";
    this.notice = this.action ? `Press the key for “${labelOf(action)}”. Esc leaves it.` : "";
    this.changed();
  }

  leave(): void {
    this.action = null;
    this.pending = "";
    this.notice = "";
    this.changed();
  }

  /** True when the stroke was meant for here. */
  take(stroke: string): boolean {
    const { action } = this;
    if (!action) return false;
    if (stroke === "escape") {
      this.leave();
      return true;
    }
    if (HELD_ALONE.test(stroke)) return true;
    const other = actionOf(stroke);
    if (RESERVED.has(stroke)) {
      this.notice = `${strokeWords(stroke)} belongs to the browser. Press another key.`;
    } else if (other && other !== action && this.pending !== stroke) {
      this.pending = stroke;
      this.notice = `${strokeWords(stroke)} is “${labelOf(other)}”. Press it again to take it over, or another key.`;
    } else {
      this.action = null;
      const lost = other && other !== action ? ` “${labelOf(other)}” lost it.` : "";
      void this.keep(
        withKey(action, stroke),
        `${strokeWords(stroke)} is now “${labelOf(action)}”.${lost}`,
      );
    }
    this.changed();
    return true;
  }

  reset(action: string): void {
    void this.keep(withoutOwn(action), `“${labelOf(action)}” has its own key back.`);
  }

  resetAll(): void {
    void this.keep({}, "All keys are as they came.");
  }

  private async keep(keys: Own, words: string): Promise<void> {
    this.pending = "";
    try {
      await this.save(keys);
      this.notice = words;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.notice = `The keys were not saved and stay as they were. ${why}`;
    }
    this.changed();
  }

  private changed(): void {
    this.dispatchEvent(new Event("change"));
  }
}
