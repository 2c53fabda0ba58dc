// The form to sign, over the list.

import { text } from "../html";
import type { Session } from "../session";

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
