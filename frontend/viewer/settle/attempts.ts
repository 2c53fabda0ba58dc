// Asking with a person waiting: one id per thing asked until the server answers, so that asking
// again after a broken line is the same act.

import { Unreachable } from "../api";
import { newId } from "../ids";

export class Attempts {
  private readonly ids = new Map<string, string>();

  async ask<T>(what: string, send: (client: string) => Promise<T>): Promise<T> {
    const id = this.ids.get(what) ?? newId();
    this.ids.set(what, id);
    try {
      const answer = await send(id);
      this.ids.delete(what);
      return answer;
    } catch (error) {
      if (!(error instanceof Unreachable)) this.ids.delete(what);
      throw error;
    }
  }
}
