// When the session has ended: a card over the images to sign in again on the spot, as the same
// person only. It never takes the caret, so that nobody types a password's neighbour into a case
// or a decision into a password.

import { ApiError, post } from "../api";
import { CaretKeeper } from "../caret";
import { sheet, text } from "../html";

/** Whoever keeps what could not be sent: a reading, a consensus, a finding that is told. */
export interface Keeper extends EventTarget {
  readonly saveState: string;
  readonly outbox: { readonly waiting: readonly unknown[]; start(): void };
}

const STYLES = `
  :host { position: fixed; left: 50%; top: 64px; transform: translateX(-50%); z-index: 60; }
  :host([hidden]) { display: none; }
  form { width: 340px; padding: 16px 18px; border-radius: 10px; background: #1d2428; color: #dbe3e5;
    border: 1px solid #dfb160; box-shadow: 0 12px 40px rgb(0 0 0 / 60%);
    font: 13px/1.45 system-ui, sans-serif; }
  h3 { margin: 0 0 4px; font-size: 14px; font-weight: 600; }
  p { margin: 0 0 10px; color: #97a5aa; }
  label { display: block; margin-bottom: 4px; }
  .line { display: flex; gap: 8px; }
  input { flex: 1; min-width: 0; padding: 7px 9px; border-radius: 6px; border: 1px solid #3a454b;
    background: #0f1315; color: inherit; font: inherit; }
  button { padding: 7px 14px; border: 0; border-radius: 6px; background: #57c7b4; color: #04211c;
    font: inherit; font-weight: 600; cursor: pointer; }
  button:disabled { opacity: .5; cursor: default; }
  input:focus-visible, button:focus-visible { outline: 2px solid #57c7b4; outline-offset: 2px; }
  .wrong { margin: 8px 0 0; color: #dfb160; min-height: 0; }
  .wrong:empty { display: none; }
`;

const styles = sheet(STYLES);

export class SignInCard extends CaretKeeper {
  private readonly root = this.attachShadow({ mode: "open" });
  private keepers: readonly Keeper[] = [];

  override connectedCallback(): void {
    super.connectedCallback();
    this.root.adoptedStyleSheets = [styles];
    this.root.innerHTML = `<form data-testid="sign-in-again" aria-label="Sign in again">
        <h3>Sign in again to go on</h3>
        <p role="status" data-testid="kept-words"></p>
        <label for="again">Password of ${text(window.concord?.name)}</label>
        <div class="line">
          <input id="again" name="password" type="password" autocomplete="current-password" required>
          <button type="submit">Sign in</button>
        </div>
        <p class="wrong" role="alert"></p>
      </form>`;
    this.root.addEventListener("submit", this.submitted);
    this.hidden = true;
  }

  watch(keepers: readonly Keeper[]): () => void {
    this.keepers = keepers;
    for (const keeper of keepers) keeper.addEventListener("change", this.render);
    this.render();
    return () => {
      for (const keeper of keepers) keeper.removeEventListener("change", this.render);
      this.remove();
    };
  }

  private readonly render = () => {
    const { turnedAway } = this;
    const ended = turnedAway.length > 0;
    if (!ended && !this.hidden) this.root.querySelector("form")?.reset();
    this.hidden = !ended;
    const words = this.root.querySelector('[data-testid="kept-words"]');
    const waiting = turnedAway.reduce((sum, { outbox }) => sum + outbox.waiting.length, 0);
    if (words) words.textContent = keptWords(waiting);
  };

  private get turnedAway(): Keeper[] {
    return this.keepers.filter(({ saveState }) => saveState === "signed_out");
  }

  private readonly submitted = async (event: Event) => {
    event.preventDefault();
    const form = event.target as HTMLFormElement;
    const button = form.querySelector("button");
    const wrong = form.querySelector(".wrong");
    const password = String(new FormData(form).get("password") ?? "");
    if (button) button.disabled = true;
    if (wrong) wrong.textContent = "";
    try {
      await post("/api/sign-in", { user: window.concord?.user ?? "", password });
      form.querySelector("input")?.blur();
      for (const keeper of this.turnedAway) keeper.outbox.start();
    } catch (error) {
      if (!(error instanceof ApiError)) console.error(error);
      if (wrong) wrong.textContent = error instanceof Error ? error.message : String(error);
    } finally {
      if (button) button.disabled = false;
    }
  };
}

function keptWords(waiting: number): string {
  if (!waiting) {
    return "What you wrote stays here and is told as soon as you sign in. You can go on reading.";
  }
  const changes = waiting === 1 ? "1 change is" : `${waiting} changes are`;
  return `${changes} kept on this computer and sent as soon as you sign in. You can go on reading.`;
}

/** Put the card over the viewer for as long as these keepers are open. */
export function offerSignIn(...keepers: Keeper[]): () => void {
  const card = document.createElement("concord-sign-in") as SignInCard;
  document.body.append(card);
  return card.watch(keepers);
}
