// The two sheets over the list: the keys, and the form to sign.

import { text } from "../html";
import { KEYS, type Key } from "../keys";
import type { Session } from "../session";

export function helpHtml(): string {
  const groups: Key["group"][] = ["Nodes", "Label", "Draw", "Image"];
  const parts = groups.map((group) => {
    const rows = KEYS.filter((key) => key.group === group).map(
      ({ keys, label }) =>
        `<dt>${keys.slice(0, 2).map(keyHtml).join(" ")}</dt><dd>${text(label)}</dd>`,
    );
    return `<h4>${group}</h4><dl>${rows.join("")}</dl>`;
  });
  return `<h3>Keys</h3>${parts.join("")}
    <h4>Mouse</h4><dl><dt>Wheel</dt><dd>Scroll the slices</dd><dt>Right drag</dt><dd>Zoom</dd>
    <dt>Middle drag</dt><dd>Pan</dd><dt>Left drag</dt><dd>The chosen tool</dd></dl>
    <p class="buttons" style="margin-top:16px"><button class="plain" data-act="help">Close</button></p>`;
}

function keyHtml(name: string): string {
  const words: Record<string, string> = { arrowup: "↑", arrowdown: "↓", escape: "Esc" };
  return `<kbd>${words[name] ?? name.replace("shift+", "⇧").replace("ctrl+", "Ctrl ").toUpperCase()}</kbd>`;
}

export function submitHtml(session: Session): string {
  const { nodes, mask, detail } = session;
  const count = (decision: string) => nodes.filter((node) => node.decision === decision).length;
  const labelled = nodes.filter(({ impression }) => impression?.value === "metastatic").length;
  const kept = nodes.length - count("rejected");
  return `<form data-testid="submit-form" data-head="${text(mask?.head)}">
    <h3>Sign ${text(detail?.case.label)}</h3>
    <ul class="facts">
      <li><b>${kept}</b> nodes kept: ${count("accepted")} accepted, ${count("reshaped")} reshaped, ${count("added")} added</li>
      <li><b>${count("rejected")}</b> rejected</li>
      <li><b>${labelled}</b> marked metastatic; unmarked counts as non-metastatic, not as proven benign</li>
      <li>${nodes.filter(({ doubt }) => doubt).length} in doubt</li>
    </ul>
    <h4>Record</h4><div class="hash">${text(mask?.head)}</div>
    <p class="meaning">By signing, ${text(window.concord?.name ?? "I")} declares: <b>I am the author of this reading.</b>
      It can no longer be changed.</p>
    <label for="password">Your password</label>
    <input id="password" name="password" type="password" autocomplete="current-password" required data-testid="submit-password">
    <p class="wrong" data-testid="submit-error" role="alert"></p>
    <div class="buttons">
      <button type="button" class="plain" data-act="closeSubmit">Back</button>
      <button class="primary" type="submit" data-testid="submit-sign">Sign and submit</button>
    </div>
  </form>`;
}
