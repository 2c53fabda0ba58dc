// The way back to the worklist, where OHIF has its logo.

import { sheet, text } from "./html";
import { TOKENS } from "./panel/styles";

const brandSheet = sheet(`${TOKENS}
  a { display: flex; align-items: center; gap: 9px; color: var(--soft); text-decoration: none; padding: 4px 6px; border-radius: 5px; }
  a:hover { color: var(--ink); }
  b { color: var(--ink); font-size: 15px; font-weight: 650; letter-spacing: .02em; }
  span { font-size: 12px; }
  i { width: 1px; height: 16px; background: var(--line); }
  em { font-style: normal; font-size: 11.5px; color: var(--faint); }
`);

export class BrandElement extends HTMLElement {
  connectedCallback(): void {
    if (this.shadowRoot) return;
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [brandSheet];
    const worklist = text(window.concord?.worklist ?? "/");
    root.innerHTML = `<a href="${worklist}" data-testid="to-worklist"><span aria-hidden="true">←</span><b>Concord</b>
      <i></i><span>Worklist</span><i></i><em>Research use only</em></a>`;
  }
}
