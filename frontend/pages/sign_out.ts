// Signing out: changes that the server has not got are named first, and stay for their owner;
// once all are sent, nothing of this person stays on the computer.

import { countKept, forgetLeases } from "../viewer/kept";

const form = document.querySelector<HTMLFormElement>("form[data-signs-out]");
const said = document.querySelector<HTMLElement>("[data-kept]");

async function asked(event: SubmitEvent): Promise<void> {
  if (!form || form.dataset.sure) return;
  event.preventDefault();
  const user = form.dataset.signsOut ?? "";
  const kept = await countKept(user);
  if (kept === 0 || !said) {
    forgetLeases();
    leave();
    return;
  }
  const changes = kept === 1 ? "1 change is" : `${kept} changes are`;
  said.textContent = `${changes} not sent yet. Open the case again and they are sent by themselves. If you sign out now they stay on this computer, for you alone.`;
  said.hidden = false;
  const button = form.querySelector("button");
  if (button) button.textContent = "Sign out all the same";
  form.dataset.sure = "yes";
}

function leave(): void {
  if (!form) return;
  form.dataset.sure = "yes";
  form.requestSubmit();
}

form?.addEventListener("submit", (event) => void asked(event));
