// Who else is at the table: told by the server while it is so, and where this person looks, told to
// the others. Nothing of it is kept, and nothing on screen moves by it.

import type { Present, Role, Whereabouts } from "./contract";
import type { Shown } from "./shown";
import { byWords } from "./words";

/** Rows passed while a key is held are not told one by one. */
const PAUSE_MS = 150;

/** Tells the latest place, at most one in a while. */
export class Telling {
  private told = "";
  private waiting: Whereabouts | null = null;
  private timer = 0;

  constructor(private readonly tell: (message: { looking: Whereabouts }) => void) {}

  at(place: Whereabouts): void {
    this.waiting = place;
    if (!this.timer) this.flush();
  }

  private flush(): void {
    const { waiting } = this;
    this.timer = 0;
    this.waiting = null;
    if (!waiting || JSON.stringify(waiting) === this.told) return;
    this.told = JSON.stringify(waiting);
    this.tell({ looking: waiting });
    this.timer = setTimeout(() => this.flush(), PAUSE_MS) as unknown as number;
  }

  stop(): void {
    clearTimeout(this.timer);
  }
}

/** One sentence for each who is there. */
export function presentWords(session: Shown): string[] {
  const role = session.detail?.role ?? "observer";
  return session.present.map((one) => `${byWords(one.who, role)} ${whereWords(session, one)}`);
}

function whereWords(session: Shown, { phase, discrepancy, node }: Present): string {
  if (phase === "sign") return "is at the signatures";
  if (phase === "label") return node === null ? "is at the labels" : `looks at node ${node}`;
  const found = discrepancy ? session.discrepancy(discrepancy) : undefined;
  return found ? `looks at ${found.cluster}` : "is here";
}

/** Who looks at a discrepancy, or at an agreed node; "" where nobody else does. */
export function lookingWords(
  session: Shown,
  at: { discrepancy: string } | { node: number },
): string {
  const role: Role = session.detail?.role ?? "observer";
  const here = session.present.filter((one) =>
    "discrepancy" in at
      ? one.phase === "settle" && one.discrepancy === at.discrepancy
      : one.phase === "label" && one.node === at.node,
  );
  return here.map(({ who }) => byWords(who, role)).join(" and ");
}
