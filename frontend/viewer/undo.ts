// What can be taken back in this tab, and taken up again: the server keeps every step of both.

import type { Body } from "./contract";

export interface Step {
  /** The change this step undoes. */
  id: string;
  inverse: Body;
  original: Body;
}

export class UndoStacks {
  private done: Step[] = [];
  private undone: Step[] = [];

  get undoable(): boolean {
    return this.done.length > 0;
  }

  /** The change that an undo would take back. */
  get latest(): string | null {
    return this.done.at(-1)?.id ?? null;
  }

  /** A new change ends the way forward. */
  push(step: Step): void {
    this.undone = [];
    this.done.push(step);
  }

  clear(): void {
    this.done = [];
    this.undone = [];
  }

  /** Takes the last step back (or up again); `make` returns the id of the change it made. */
  move(direction: "undo" | "redo", make: (step: Step) => string | null): Step | null {
    const [from, to] = direction === "undo" ? [this.done, this.undone] : [this.undone, this.done];
    const step = from.pop();
    if (!step) return null;
    const id = make(step);
    if (id) to.push({ id, inverse: step.original, original: step.inverse });
    else from.push(step);
    return id ? step : null;
  }
}
