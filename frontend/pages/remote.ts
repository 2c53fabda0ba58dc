// The page of another archive, live: bars of transfers move in place, and the list comes again when
// the state of one changed.

import { type News, NewsSocket } from "../viewer/socket";

interface Htmx {
  ajax(verb: string, path: string, options: { target: string; swap: string }): Promise<void>;
}

const GATHER_MS = 150;
let gathering = 0;

/** One request for a burst of news. */
function refresh(): void {
  clearTimeout(gathering);
  gathering = window.setTimeout(() => {
    const path = document.getElementById("transfers")?.dataset.refresh;
    const { htmx } = window as { htmx?: Htmx };
    if (path) void htmx?.ajax("GET", path, { target: "#transfers", swap: "outerHTML" });
  }, GATHER_MS);
}

/** True when the transfer is on the page and shows a bar. */
function advance(transfer: string, got: number, expected: number): boolean {
  const row = document.querySelector(`[data-transfer="${CSS.escape(transfer)}"]`);
  const bar = row?.querySelector<HTMLProgressElement>("progress");
  if (!row || !bar || row.getAttribute("data-state") !== "running") return false;
  bar.max = Math.max(expected, 1);
  bar.value = got;
  const words = row.querySelector("[data-words]");
  if (words) words.textContent = `${got} of ${expected}`;
  return true;
}

function onPage(transfer: string): boolean {
  return document.querySelector(`[data-transfer="${CSS.escape(transfer)}"]`) !== null;
}

function hear({ type, payload }: News): void {
  const transfer = String(payload?.transfer ?? "");
  if (type === "transfer.progress") {
    const got = Number(payload.moved ?? 0) + Number(payload.there ?? 0);
    if (advance(transfer, got, Number(payload.expected ?? 0)) || !onPage(transfer)) return;
    refresh();
  }
  if (type === "transfer.changed") refresh();
}

/** How much is ticked, beside the button that pulls it. */
function count(form: HTMLFormElement): void {
  const ticked = (name: string): number =>
    form.querySelectorAll(`input[name="${name}"]:checked`).length;
  const [studies, series] = [ticked("study"), ticked("series")];
  const parts = [];
  if (studies) parts.push(`${studies} ${studies === 1 ? "study" : "studies"}`);
  if (series) parts.push(`${series} series`);
  const words = form.querySelector("[data-chosen]");
  if (words) {
    words.textContent = parts.join(", ") || "Tick studies, or open one and tick series.";
  }
  const button = form.querySelector<HTMLButtonElement>("[data-pull]");
  if (button) button.disabled = parts.length === 0;
}

document.addEventListener("change", (event) => {
  const form = (event.target as HTMLElement).closest<HTMLFormElement>("form#choice");
  if (form) count(form);
});
document.addEventListener("htmx:afterSwap", () => {
  const form = document.querySelector<HTMLFormElement>("form#choice");
  if (form) count(form);
});
document.addEventListener("submit", (event) => {
  const question = (event as SubmitEvent).submitter?.getAttribute("data-confirm");
  if (question && !window.confirm(question)) event.preventDefault();
});

// What was refused (cancelled by another meanwhile, for example) is said, and the list comes again.
document.addEventListener("htmx:responseError", (event) => {
  const request = (event as CustomEvent<{ xhr?: XMLHttpRequest }>).detail.xhr;
  const list = document.getElementById("transfers");
  if (!list) return;
  document.getElementById("refused")?.remove();
  const box = document.createElement("p");
  box.id = "refused";
  box.className = "notice bad";
  box.setAttribute("role", "alert");
  box.textContent = words(request);
  list.before(box);
  refresh();
});

function words(request?: XMLHttpRequest): string {
  try {
    const said = JSON.parse(request?.responseText ?? "");
    return `${said.message} ${said.cure}`;
  } catch {
    return `The server answered ${request?.status ?? "nothing"}. Reload the page.`;
  }
}

const seen = JSON.parse(document.getElementById("news-seen")?.textContent ?? "{}");
new NewsSocket("/ws/me", seen, hear, refresh).open();
