// What a reader saw that the study does not ask for: told to the coordinator in words, with the
// slice on screen. Announces "change". What was written stays until just that was told.

import { ApiError, post, request } from "../api";
import { newId } from "../ids";

export interface Finding {
  id: string;
  words: string;
  /** Counted from the feet; null where none was named. */
  slice: number | null;
  reported_at: string;
  taken_up_at: string | null;
}

interface Draft {
  words: string;
  /** Sent again, it is still the one finding. */
  id: string;
  /** Sent before, with no answer: it may have arrived, in other words than stand here now. */
  tried: boolean;
}

const FIRST_TOLD =
  "What you sent first had arrived; it stands below. What stands here now is not told yet.";
const MORE = "What you sent is told. What you wrote since is not told yet.";
const SIGNED_OUT = "You are signed out. Sign in again, then tell it; your words stay here.";

/** Not told yet, by reading: the page may show another case and come back. */
const drafts = new Map<string, Draft>();

/** Words that a reload of this page would lose. */
export function anythingUntold(): boolean {
  return drafts.size > 0;
}

/** Also keeps something for a reader who must sign in again (signin/card.ts). */
export class Telling extends EventTarget {
  open = false;
  told: Finding[] = [];
  /** Why it could not be told. */
  failure = "";
  sending = false;
  private readonly draft: Draft;
  /** The words that were sent when the session had ended. */
  private turnedAway: string | null = null;

  constructor(
    private readonly reading: string,
    readonly slice: () => number | null,
  ) {
    super();
    this.draft = drafts.get(reading) ?? { words: "", id: newId(), tried: false };
  }

  private get path(): string {
    return `/api/readings/${this.reading}/incidental`;
  }

  get words(): string {
    return this.draft.words;
  }

  get untold(): boolean {
    return this.words.trim() !== "";
  }

  /** What is said of it beside the state of saving; "" where all is told. */
  get untoldWords(): string {
    if (this.untold) return "A finding is not told";
    return anythingUntold() ? "A finding of another case is not told" : "";
  }

  /** The reader's words as they stand now. */
  write(words: string): void {
    const before = this.untold;
    this.draft.words = words;
    if (this.untold) drafts.set(this.reading, this.draft);
    else drafts.delete(this.reading);
    if (before !== this.untold) this.changed();
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
      this.hold(((await answer.json()) as { findings: Finding[] }).findings);
      this.changed();
    } catch (error) {
      console.warn("What was told before could not be asked for.", error);
    }
  }

  private hold(found: Finding[]): void {
    const known = new Map([...this.told, ...found].map((one) => [one.id, one]));
    this.told = [...known.values()].sort((one, other) =>
      one.reported_at.localeCompare(other.reported_at),
    );
  }

  async tell(words: string): Promise<void> {
    this.write(words);
    if (!this.untold || this.sending) return;
    const { draft } = this;
    const { id, tried } = draft;
    const slice = this.slice();
    this.sending = draft.tried = true;
    this.failure = "";
    this.turnedAway = null;
    this.changed();
    try {
      const told = await post<Finding>(this.path, { id, words, slice });
      this.hold([told]);
      this.renew();
      if (tried && !(alike(told.words, words) && told.slice === slice)) this.failure = FIRST_TOLD;
      else if (this.words === words) this.write("");
      else if (this.untold) this.failure = MORE;
    } catch (error) {
      await this.refused(error, words);
    }
    this.sending = false;
    this.changed();
  }

  private async refused(error: unknown, words: string): Promise<void> {
    this.failure = error instanceof Error ? error.message : String(error);
    if (!(error instanceof ApiError)) return;
    if (error.signedOut) {
      this.failure = SIGNED_OUT;
      this.turnedAway = words;
    } else if (error.code === "ALREADY_TOLD") {
      this.failure = FIRST_TOLD;
      this.renew();
      await this.look();
    }
  }

  /** What is told next is another finding. */
  private renew(): void {
    Object.assign(this.draft, { id: newId(), tried: false });
  }

  get saveState(): "signed_out" | "saved" {
    return this.turnedAway !== null && this.untold ? "signed_out" : "saved";
  }

  /** Tells, once signed in again, what was to be told: nothing that was written since. */
  readonly outbox = {
    waiting: [],
    start: () => {
      if (this.turnedAway === this.words) return void this.tell(this.words);
      this.turnedAway = null;
      this.failure = "You are signed in again. Tell it now.";
      this.changed();
    },
  };

  private changed(): void {
    this.dispatchEvent(new Event("change"));
  }
}

/** The server trims what it keeps. */
function alike(kept: string, sent: string): boolean {
  const plain = (words: string) => words.replace(/\s+/g, " ").trim();
  return plain(kept) === plain(sent);
}
