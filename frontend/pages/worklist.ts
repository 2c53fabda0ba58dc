// The worklist, what was deferred, and the list of cases, live: rows come again when news says so,
// and a running AI moves its bar in place.

import { type News, NewsSocket } from "../viewer/socket";

interface Htmx {
  ajax(verb: string, path: string, options: { target: string; swap: string }): Promise<void>;
}

const LISTS: Record<string, string> = {
  worklist: "/worklist/rows/",
  deferred: "/worklist/deferred/",
  cases: "/cases/rows/",
};
const GATHER_MS = 150;

let gathering = 0;

/** One request for a burst of news. */
function refresh(): void {
  clearTimeout(gathering);
  gathering = window.setTimeout(() => {
    const { htmx } = window as { htmx?: Htmx };
    for (const [id, path] of Object.entries(LISTS)) {
      if (!document.getElementById(id)) continue;
      void htmx?.ajax("GET", path, { target: `#${id}`, swap: "innerHTML" });
    }
  }, GATHER_MS);
}

/** True when the row was on the page and showed a bar. */
function advance(reading: string, stage: string, progress: number): boolean {
  const row = document.querySelector(`[data-reading="${CSS.escape(reading)}"]`);
  const bar = row?.querySelector<HTMLProgressElement>(".ai progress");
  if (!row || !bar || row.getAttribute("data-ai") !== "running") return false;
  bar.value = progress;
  const percent = row.querySelector("[data-percent]");
  if (percent) percent.textContent = `${Math.round(100 * progress)} %`;
  const words = row.querySelector("[data-stage]");
  if (words && stage) words.textContent = stage;
  return true;
}

function hear({ type, payload }: News): void {
  if (type === "run.progress") {
    const { reading, stage, progress } = payload;
    if (advance(String(reading), String(stage ?? ""), Number(progress ?? 0))) return;
  }
  if (type !== "hello") refresh();
}

// What came between the drawing of the page and the opening of the line is asked for.
const drawn = document.querySelector<HTMLMetaElement>('meta[name="news-seen"]');
const seen = JSON.parse(drawn?.content || "{}");
new NewsSocket("/ws/me", seen, hear, refresh).open();
