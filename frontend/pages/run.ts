// A run's page, live: progress and the worker's gauge move in place; when the state changes the
// page's body comes again. C and R lead to its buttons, Enter presses them.

import { type News, NewsSocket } from "../viewer/socket";
import { curvesChanged, watchCurves } from "./curves";

interface Htmx {
  ajax(verb: string, path: string, options: Record<string, string>): Promise<void>;
}

const GATHER_MS = 120;
let gathering = 0;

function refresh(): void {
  clearTimeout(gathering);
  gathering = window.setTimeout(() => {
    const { htmx } = window as { htmx?: Htmx };
    const how = { target: "#run", select: "#run", swap: "outerHTML" };
    void htmx?.ajax("GET", location.pathname, how);
  }, GATHER_MS);
}

function advance(stage: string, progress: number): boolean {
  const bar = document.querySelector<HTMLProgressElement>("[data-progress]");
  const percent = document.querySelector("[data-percent]");
  const state = document.querySelector<HTMLElement>("#run")?.dataset.state;
  if (!bar || state !== "running") return false;
  bar.value = 100 * progress;
  if (percent) percent.textContent = `${Math.round(100 * progress)} %`;
  const now = document.querySelector("[data-stage-now]");
  if (now) now.textContent = stage;
  for (const step of document.querySelectorAll<HTMLElement>(".steps [data-stage]")) {
    if (step.dataset.stage === stage) step.setAttribute("aria-current", "step");
    else step.removeAttribute("aria-current");
  }
  return true;
}

function bytes(count: number): string {
  const gib = count / 2 ** 30;
  return gib >= 1 ? `${gib.toFixed(1)} GB` : `${(count / 2 ** 20).toFixed(0)} MB`;
}

function meter(name: string, value: number | undefined, most: number, text: string): void {
  const found = document.querySelector<HTMLElement>(`[data-meter="${name}"]`);
  const bar = found?.querySelector("progress");
  const words = found?.querySelector("[data-value]");
  if (!found || !bar || !words || value === undefined) return;
  found.hidden = false;
  bar.max = most;
  bar.value = value;
  words.textContent = text;
}

function gauge(said: Record<string, number | undefined>): void {
  const { cpu, gpu, memory_bytes: memory, gpu_memory_bytes: gpuMemory } = said;
  if (cpu !== undefined) meter("cpu", 100 * cpu, 100, `${Math.round(100 * cpu)} %`);
  if (gpu !== undefined) meter("gpu", 100 * gpu, 100, `${Math.round(100 * gpu)} %`);
  if (memory !== undefined)
    meter("memory", memory, said.memory_limit_bytes ?? memory, bytes(memory));
  if (gpuMemory !== undefined)
    meter("gpu_memory", gpuMemory, said.gpu_memory_limit_bytes ?? gpuMemory, bytes(gpuMemory));
}

function hear({ type, payload }: News): void {
  if (type === "hello") return;
  if (type === "run.point") curvesChanged();
  else if (type === "run.gauge") gauge(payload as Record<string, number>);
  else if (type === "run.progress" && advance(String(payload.stage), Number(payload.progress)))
    return;
  else if (type !== "run.metrics") refresh();
}

document.addEventListener("keydown", (event) => {
  const typing = (event.target as HTMLElement).closest("input, select, textarea");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  document
    .querySelector<HTMLElement>(`[data-key="${CSS.escape(event.key.toLowerCase())}"]`)
    ?.focus();
});

const run = document.querySelector<HTMLElement>("#run")?.dataset.run;
const drawn = document.querySelector<HTMLMetaElement>('meta[name="news-seen"]');
const seen = JSON.parse(drawn?.content || "{}");
if (run) new NewsSocket(`/ws/runs/${run}`, seen, hear, refresh).open();
watchCurves();
