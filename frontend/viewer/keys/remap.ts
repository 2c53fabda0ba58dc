// Giving an action another key: choose the action, press the key; a key that is taken says by
// what, and is taken over when it is pressed once more.

import { useKeys } from "./bindings";
import { type KeyTable, type Own, type Row, strokeWords } from "./table";

const HELD_ALONE =
  /^(?:(?:ctrl|meta|alt|shift)\+)*(?:shift|control|alt|meta|capslock|dead|altgraph)$/;
/** Text editing and moving the focus stay the browser's. */
const RESERVED = new Set(["tab", "enter", "f5", "f11", "f12", "ctrl+r", "ctrl+w", "ctrl+t"]);

/** Announces "change". */
export class Remap<K extends Row> extends EventTarget {
  /** The action that waits for its key. */
  action: string | null = null;
  notice = "";
  private pending = "";

  constructor(
    readonly table: KeyTable<K>,
    private readonly save: (keys: Own) => Promise<void> = useKeys,
  ) {
    super();
  }

  choose(action: string): void {
    this.action = this.action === action ? null : action;
    this.pending = "";
    this.notice = this.action
      ? `Press the key for “${this.table.labelOf(action)}”. Esc leaves it.`
      : "";
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
    const { action, table } = this;
    if (!action) return false;
    if (stroke === "escape") {
      this.leave();
      return true;
    }
    if (HELD_ALONE.test(stroke)) return true;
    const rival = table.rivalOf(action, stroke);
    const [label, key] = [table.labelOf(action), strokeWords(stroke)];
    if (RESERVED.has(stroke)) {
      this.notice = `${key} belongs to the browser. Press another key.`;
    } else if (rival?.fixed) {
      this.notice = `${key} is “${rival.label}” and stays so. Press another key.`;
    } else if (rival && this.pending !== stroke) {
      this.pending = stroke;
      this.notice = `${key} is “${rival.label}”. Press it again to take it over, or another key.`;
    } else {
      this.action = null;
      const lost = rival ? ` “${rival.label}” lost it.` : "";
      void this.keep(table.withKey(action, stroke), `${key} is now “${label}”.${lost}`);
    }
    this.changed();
    return true;
  }

  reset(action: string): void {
    void this.keep(
      this.table.withoutOwn(action),
      `“${this.table.labelOf(action)}” has its own key back.`,
    );
  }

  resetAll(): void {
    void this.keep(this.table.withoutAll(), "All keys are as they came.");
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
