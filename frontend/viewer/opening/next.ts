// The next case of this reader: which it is, what of it is fetched ahead, and the way there without
// loading the viewer anew. The worklist says what is theirs to open; nothing else is asked for.

import { request } from "../api";
import { Opening } from "./opening";

/** Slices around the middle that are here before the reader comes. */
const SLICES_AHEAD = 12;
const OPEN_STATES: ReadonlySet<string> = new Set(["assigned", "open"]);

interface Row {
  reading: string;
  state: string;
  case: { label: string };
  url: string | null;
}

export interface Following {
  reading: string;
  label: string;
  url: string;
}

/** The first below `reading` in the worklist that can be read, else the first of all. */
export function following(rows: readonly Row[], reading: string): Following | null {
  const at = rows.findIndex((row) => row.reading === reading);
  const round = [...rows.slice(at + 1), ...rows.slice(0, Math.max(0, at))];
  for (const { reading: id, state, case: of, url } of round) {
    if (OPEN_STATES.has(state) && url) return { reading: id, label: of.label, url };
  }
  return null;
}

/** Announces "change" when it knows which case is next. */
export class NextCase extends EventTarget {
  found: Following | null = null;
  private ahead: Opening | null = null;
  private closed = false;

  constructor(private readonly reading: string) {
    super();
  }

  /** Looks which case is next and fetches its beginning; quiet where there is none. */
  async prepare(): Promise<void> {
    await this.look();
    if (this.closed || !this.found || this.ahead?.reading === this.found.reading) return;
    this.ahead?.stop();
    this.ahead = new Opening(this.found.reading, { early: SLICES_AHEAD, hold: true });
  }

  /** Its beginning is here. */
  get held(): boolean {
    return this.ahead?.held ?? false;
  }

  private async look(): Promise<void> {
    try {
      const answer = (await (await request("/api/worklist")).json()) as { results: Row[] };
      this.found = following(answer.results, this.reading);
      this.dispatchEvent(new Event("change"));
    } catch (error) {
      console.warn("The worklist could not be asked for the next case.", error);
    }
  }

  /** Opens it; false where there is none. The viewer leaves this case as at a change of address. */
  async go(): Promise<boolean> {
    if (!this.found) await this.look();
    const { found, ahead } = this;
    if (!found || this.closed) return false;
    if (ahead?.reading === found.reading) {
      this.ahead = null;
      window.concordOpening?.stop();
      window.concordOpening = ahead;
    } else {
      window.concordOpening = new Opening(found.reading, { early: SLICES_AHEAD, hold: false });
    }
    leadTo(found.url);
    return true;
  }

  stop(): void {
    this.closed = true;
    this.ahead?.stop();
    this.ahead = null;
  }
}

/** The host's router follows the history. */
function leadTo(url: string): void {
  const state = { usr: null, key: Math.random().toString(36).slice(2), idx: history.length };
  history.pushState(state, "", url);
  window.dispatchEvent(new PopStateEvent("popstate", { state }));
}
