// Where a person types. The host takes the focus from whatever has it when the pointer comes over
// the images: words that were being typed would go on as keys there, and decide on nodes. It also
// keeps a press on the images from moving the focus, so the press itself is listened for.

import { takesText } from "./keys";

/** An element with text fields in its shadow root: they keep the caret until the person presses
 * somewhere else. */
export class CaretKeeper extends HTMLElement {
  private readonly letGo = (event: PointerEvent) => {
    if (!event.composedPath().includes(this) && document.activeElement === this) super.blur();
  };

  connectedCallback(): void {
    document.addEventListener("pointerdown", this.letGo, true);
  }

  disconnectedCallback(): void {
    document.removeEventListener("pointerdown", this.letGo, true);
  }

  override blur(): void {
    if (!takesText(this.shadowRoot?.activeElement)) super.blur();
  }
}
