// Where a person types. The host takes the focus from whatever has it when the pointer comes over
// the images: words that were being typed would go on as keys there, and decide on nodes.

import { takesText } from "./keys";

/** An element with text fields in its shadow root: they keep the caret until the person moves it. */
export class CaretKeeper extends HTMLElement {
  override blur(): void {
    if (!takesText(this.shadowRoot?.activeElement)) super.blur();
  }
}
