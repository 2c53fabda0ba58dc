// What a reader saw that the study does not ask for: told to the coordinator in words, with the
// slice on screen. Announces "change". What was written stays until it is told.

import { post, request } from "../api";
import { newId } from "../ids";

export interface Finding {
  id: string;
  words: string;
  /** Counted from the feet; null where none was named. */
  slice: number | null;
  reported_at: string;
  taken_up_at: string | null;
}

export class Telling extends EventTarget {
  open = false;
  told: Finding[] = [];
  words = "";
  /** Why it could not be told. */
  failure = "";
  sending = false;
  /** Sent again, it is still the one finding. */
  private id = newId();

  constructor(
    private readonly reading: string,
    readonly slice: () => number | null,
  ) {
    super();
  }

  private get path(): string {
    return `/api/readings/${this.reading}/incidental`;
  }

  toggle(): void {
    this.open = !this.open;
    if (this.open) void this.look();
    this.changed();
  }

  close(): void {
    if (!this.open) return;
    this.open = false;
    this.changed();
  }

  /** What was told before, and what came of it. */
  private async look(): Promise<void> {
    try {
      const answer = await request(this.path);
      this.told = ((await answer.json()) as { findings: Finding[] }).findings;
      this.changed();
    } catch (error) {
      console.warn("What was told before could not be asked for.", error);
    }
  }

  async tell(words: string): Promise<void> {
    this.words = words;
    if (!words.trim() || this.sending) return;
    this.sending = true;
    this.failure = "";
    this.changed();
    try {
      const body = { id: this.id, words, slice: this.slice() };
      this.told = [...this.told, await post<Finding>(this.path, body)];
      this.id = newId();
      this.words = "";
    } catch (error) {
      this.failure = error instanceof Error ? error.message : String(error);
    }
    this.sending = false;
    this.changed();
  }

  private changed(): void {
    this.dispatchEvent(new Event("change"));
  }
}
