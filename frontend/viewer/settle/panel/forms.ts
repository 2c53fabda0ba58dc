// What is written in the panel's forms: kept as it is typed, walked through by phrases, sent.

import { ApiError } from "../../api";
import type { SettleRoom } from "../session";
import { NOT_ASSESSABLE, phrases, sameShape } from "../words";

export class Forms {
  room: SettleRoom | null = null;
  /** The form whose field was filled from the draft. */
  private filled: Element | null = null;

  constructor(private readonly root: ShadowRoot) {}

  listen(): () => void {
    const listeners: [string, (event: Event) => void][] = [
      ["input", this.typed],
      ["change", this.picked],
      ["submit", this.submitted],
      ["keydown", this.walked as (event: Event) => void],
    ];
    for (const [type, listener] of listeners) this.root.addEventListener(type, listener);
    return () => {
      for (const [type, listener] of listeners) this.root.removeEventListener(type, listener);
    };
  }

  /** After a render: the draft goes into a form just opened; picks are ticked. */
  fill(): void {
    const { desk } = this.room ?? {};
    const form = this.root.querySelector('[data-form="say"]');
    const field = form?.querySelector<HTMLInputElement>("#rationale");
    const choice = desk?.settling.choice;
    if (field && choice && form !== this.filled) {
      field.value = desk.settling.draft(choice.discrepancy, choice.verb);
    }
    this.filled = form;
    for (const box of this.root.querySelectorAll<HTMLInputElement>(".picker input")) {
      box.checked = desk?.labelling.edit?.evidence.has(box.value) ?? false;
    }
  }

  phrase(words: string): void {
    const field = this.root.querySelector<HTMLInputElement>("#rationale, #reason");
    if (!field) return;
    field.value = words;
    field.focus();
    this.keep(field);
  }

  private keep(field: HTMLInputElement): void {
    const { settling, labelling } = this.room?.desk ?? {};
    if (field.id === "rationale" && settling?.choice) {
      settling.keep(settling.choice, field.value);
    } else if (labelling?.edit && labelling.edit.kind !== "necrosis") {
      if (field.id === "reason") labelling.edit.reason = field.value;
      if (field.id === "words") labelling.edit.rationale = field.value;
    }
  }

  private readonly typed = (event: Event) => {
    if (event.target instanceof HTMLInputElement) this.keep(event.target);
  };

  private readonly picked = (event: Event) => {
    const box = event.target as HTMLInputElement;
    if (box.dataset.actChange !== "pick") return;
    this.room?.desk?.labelling.toggle(box.value);
    this.room?.desk?.changed();
  };

  /** ↑ and ↓ walk through the phrases of the verb; they do nothing else in a field of one line. */
  private readonly walked = (event: KeyboardEvent) => {
    const field = event.composedPath()[0] as HTMLInputElement;
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const said = this.phrasesOf(field.id);
    if (!by || !said.length) return;
    event.preventDefault();
    const at = said.indexOf(field.value);
    const next = at < 0 && by < 0 ? said.length - 1 : (at + by + said.length) % said.length;
    this.phrase(said[next] ?? "");
  };

  private phrasesOf(field: string): string[] {
    const choice = this.room?.desk?.settling.choice;
    if (field === "reason") return NOT_ASSESSABLE;
    if (field !== "rationale" || !choice) return [];
    const { session } = this.room ?? {};
    const cluster = session?.cluster(session.discrepancy(choice.discrepancy)?.cluster);
    return phrases(choice.verb, choice.resolution, sameShape(cluster));
  }

  private readonly submitted = (event: Event) => {
    event.preventDefault();
    const form = event.target as HTMLFormElement;
    const { desk } = this.room ?? {};
    if (!desk) return;
    const said = (name: string) => String(new FormData(form).get(name) ?? "");
    const { session, settling, labelling } = desk;
    const hash = session.detail?.signing?.record_hash ?? "";
    const sends: Record<string, () => void> = {
      say: () => settling.send(said("rationale")),
      label: () => labelling.save(),
      necrosis: () => void this.ask(form, labelling.enterNecrosis(said("landmark"))),
      sign: () => void this.ask(form, session.sign(said("password"), hash)),
      cosign: () => void this.ask(form, session.sign(said("password"), hash, said("username"))),
      here: () => void this.ask(form, settling.agreeHere(said("username"), said("password"))),
      object: () => void this.ask(form, session.object(said("reason"))),
    };
    sends[form.dataset.form ?? ""]?.();
    desk.changed();
  };

  /** Waits for the server with the button at rest; a refusal says what to do next. */
  private async ask(form: HTMLFormElement, answer: Promise<void>): Promise<void> {
    const button = form.querySelector<HTMLButtonElement>("[type=submit]");
    const wrong = form.querySelector(".wrong");
    if (button) button.disabled = true;
    if (wrong) wrong.textContent = "";
    for (const field of form.querySelectorAll<HTMLInputElement>('[type="password"]')) {
      field.value = "";
    }
    try {
      await answer;
    } catch (error) {
      if (wrong) wrong.textContent = error instanceof Error ? error.message : String(error);
      if (error instanceof ApiError && ["RECORD_CHANGED", "MOVED_ON"].includes(error.code)) {
        this.room?.session?.catchUp();
      }
    }
    if (button) button.disabled = false;
    this.room?.desk?.changed();
  }
}
