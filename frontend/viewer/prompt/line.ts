// One line over the axial plane: what is proposed, and which keys matter now.

import { write } from "../html";
import { AXIAL } from "../layout";
import type { Views } from "../views";

const STYLE = `position:absolute;left:50%;bottom:34px;transform:translateX(-50%);pointer-events:none;
  width:max-content;max-width:calc(100% - 104px);padding:6px 12px;border-radius:6px;background:rgba(13,18,20,.88);
  border:1px solid rgba(87,199,180,.35);color:#e6ecee;font:500 12.5px/1.45 system-ui,sans-serif;
  font-variant-numeric:tabular-nums;text-align:center`;

export class ProposalLine {
  private readonly line = document.createElement("div");

  constructor(
    private readonly views: Views,
    testid: string,
  ) {
    this.line.setAttribute("style", STYLE);
    this.line.setAttribute("role", "status");
    this.line.dataset.testid = testid;
  }

  /** "" takes it away. */
  say(html: string): void {
    const element = this.views.viewport(AXIAL)?.element;
    if (!html || !element) {
      this.remove();
      return;
    }
    if (this.line.parentNode !== element) element.append(this.line);
    write(this.line, html);
  }

  remove(): void {
    this.line.remove();
  }
}
