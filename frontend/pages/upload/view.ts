// Draws a batch: numbers and one bar on top, then what went wrong, then every file by its folder.
// Drawn at most once a frame; a file's cell is touched only when that file changed.

import { leafOf } from "./files";
import { type Item, type Queue, settled } from "./queue";
import type { Problem, SeriesVerdict } from "./server";
import * as words from "./words";

const CELLS_AT_MOST = 3000;
const PROBLEMS_AT_MOST = 200;
const ANNOUNCE_MS = 8000;

interface Folder {
  root: HTMLDetailsElement;
  told: HTMLElement;
  bar: HTMLProgressElement;
  cells: HTMLElement;
  items: Item[];
}

export interface Hands {
  pause: () => void;
  resume: () => void;
  cancel: () => void;
  tryNow: () => void;
}

export class View {
  private readonly part = new Map<string, HTMLElement>();
  private readonly folders = new Map<string, Folder>();
  private readonly cells = new Map<Item, HTMLElement>();
  private readonly touched = new Set<Item>();
  private known = 0;
  private problems = 0;
  private frame = 0;
  private announced = 0;
  private clock = 0;
  private shown: Queue | null = null;

  constructor(
    private readonly root: HTMLElement,
    hands: Hands,
  ) {
    for (const found of root.querySelectorAll<HTMLElement>("[data-part]")) {
      this.part.set(found.dataset.part ?? "", found);
    }
    this.button("pause").addEventListener("click", hands.pause);
    this.button("resume").addEventListener("click", hands.resume);
    this.button("cancel").addEventListener("click", hands.cancel);
    this.button("try-now").addEventListener("click", hands.tryNow);
  }

  // A new batch: nothing of the last one stays.
  begin(queue: Queue): void {
    this.shown = queue;
    this.folders.clear();
    this.cells.clear();
    this.touched.clear();
    this.known = this.problems = 0;
    for (const name of ["files", "problems", "verdict"]) this.get(name).replaceChildren();
    this.get("verdict-box").hidden = true;
    this.get("problems-box").hidden = true;
    this.get("batch").hidden = false;
    window.clearInterval(this.clock);
    this.clock = window.setInterval(() => this.later(), 500);
    this.later();
  }

  changed(item?: Item): void {
    if (item) this.touched.add(item);
    this.later();
  }

  private later(): void {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      if (this.shown) this.draw(this.shown);
    });
  }

  private draw(queue: Queue): void {
    this.addNew(queue);
    const folders = new Set<Folder>();
    for (const item of this.touched) {
      this.drawCell(item);
      const folder = this.folders.get(item.folder);
      if (folder) folders.add(folder);
      if (item.state === "problem") this.addProblems(item);
    }
    this.touched.clear();
    for (const folder of folders) this.drawFolder(folder);
    this.drawNumbers(queue);
    this.drawState(queue);
    if (!queue.sending) window.clearInterval(this.clock);
    if (queue.verdict && this.get("verdict-box").hidden) this.drawVerdict(queue.verdict.series);
  }

  private addNew(queue: Queue): void {
    for (; this.known < queue.items.length; this.known += 1) {
      const item = queue.items[this.known];
      if (!item) continue;
      const folder = this.folders.get(item.folder) ?? this.addFolder(item.folder);
      folder.items.push(item);
      this.touched.add(item);
      if (folder.items.length > CELLS_AT_MOST) continue;
      const cell = document.createElement("li");
      cell.title = `${item.said.name} (${words.bytes(item.said.size)})`;
      cell.append(made("span", "leaf", leafOf(item.said.name)), made("span", "num small", ""));
      folder.cells.append(cell);
      this.cells.set(item, cell);
    }
  }

  private addFolder(name: string): Folder {
    const root = document.createElement("details");
    root.open = this.folders.size < 3;
    root.className = "folder";
    const summary = document.createElement("summary");
    const told = made("span", "muted small num", "");
    const bar = document.createElement("progress");
    bar.max = 1;
    bar.setAttribute("aria-label", `Progress of ${name || "files"}`);
    summary.append(made("span", "name", name || "Files"), told, bar);
    const cells = made("ul", "cells", "");
    root.append(summary, cells);
    this.get("files").append(root);
    const folder = { root, told, bar, cells, items: [] };
    this.folders.set(name, folder);
    return folder;
  }

  private drawCell(item: Item): void {
    const cell = this.cells.get(item);
    if (!cell) return;
    if (cell.dataset.state !== item.state) cell.dataset.state = item.state;
    const told = cell.lastElementChild;
    const text = words.stateOf(item);
    cell.toggleAttribute("data-plain", text === "stored");
    if (told && told.textContent !== text) told.textContent = text;
  }

  private drawFolder(folder: Folder): void {
    const done = folder.items.filter(settled).length;
    let size = 0;
    let sent = 0;
    for (const item of folder.items) {
      size += item.said.size;
      sent += settled(item) ? item.said.size : item.sent;
    }
    const all = folder.items.length;
    folder.told.textContent = `${words.number(done)} of ${words.files(all)}, ${words.bytes(size)}`;
    folder.bar.value = size > 0 ? sent / size : done / Math.max(1, all);
    folder.root.dataset.done = String(done === all);
  }

  private addProblems(item: Item): void {
    const list = this.get("problems");
    for (const problem of item.problems) {
      this.problems += 1;
      if (this.problems > PROBLEMS_AT_MOST) continue;
      list.append(row(problem));
    }
    item.problems = [];
    this.get("problems-box").hidden = this.problems === 0;
    const more = this.problems - PROBLEMS_AT_MOST;
    this.get("problems-title").textContent =
      `${words.files(this.problems)} not taken${more > 0 ? `; the first ${PROBLEMS_AT_MOST}` : ""}`;
  }

  private drawNumbers(queue: Queue): void {
    const { bytes: size, bytesSent: sent, filesDone: done } = queue;
    const rate = queue.phase === "running" && !queue.halt ? queue.rate : 0;
    const set = (name: string, text: string): void => {
      const place = this.get(name);
      if (place.textContent !== text) place.textContent = text;
    };
    set("files-done", words.number(done));
    set("files-all", `of ${words.files(queue.items.length)}`);
    set("bytes-done", words.bytes(sent));
    set("bytes-all", `of ${words.bytes(size)}`);
    set("rate", rate > 0 ? `${words.bytes(rate)}/s` : "");
    set("left", queue.phase === "running" ? words.timeLeft(size - sent, rate) : "");
    const bar = this.get("bar") as HTMLProgressElement;
    bar.value = size > 0 ? sent / size : 0;
    bar.dataset.halted = String(queue.halt !== null || queue.phase === "paused");
    set("counts", words.outcome(queue.counts) + hereBefore(queue));
  }

  private drawState(queue: Queue): void {
    const running = queue.phase === "running";
    this.button("pause").hidden = !running;
    this.button("resume").hidden = queue.phase !== "paused";
    this.button("cancel").hidden = !running && queue.phase !== "paused";
    this.button("try-now").hidden = queue.halt === null;
    this.get("sign-in").hidden = queue.halt?.kind !== "signed_out";
    const text = stateOf(queue);
    const state = this.get("state");
    state.dataset.kind = queue.halt || queue.failure ? "warn" : "";
    if (state.textContent !== text) state.textContent = text;
    this.announce(queue, text);
  }

  // For who listens: every change of state at once, the numbers now and then.
  private announce(queue: Queue, text: string): void {
    const now = Date.now();
    const place = this.get("announced");
    const kind = `${queue.phase} ${queue.halt?.kind ?? ""}`;
    if (place.dataset.kind === kind && (now - this.announced < ANNOUNCE_MS || !queue.sending)) {
      return;
    }
    place.dataset.kind = kind;
    this.announced = now;
    const { filesDone, items } = queue;
    place.textContent = `${text} ${filesDone} of ${words.files(items.length)} done.`;
  }

  private drawVerdict(series: SeriesVerdict[]): void {
    const body = this.get("verdict");
    body.replaceChildren(...series.map(verdictRow));
    this.get("verdict-box").hidden = series.length === 0;
  }

  private get(name: string): HTMLElement {
    const found = this.part.get(name);
    if (!found) throw new Error(`The page has no part ${name}.`);
    return found;
  }

  private button(name: string): HTMLElement {
    return this.get(name);
  }
}

function stateOf(queue: Queue): string {
  if (queue.halt) {
    const seconds = Math.max(0, Math.ceil((queue.halt.again - Date.now()) / 1000));
    return `${queue.halt.message} Trying again ${seconds > 0 ? `in ${seconds} s` : "now"}.`;
  }
  if (queue.failure) return `${queue.failure.message} ${queue.failure.cure}`;
  switch (queue.phase) {
    case "paused":
      return queue.items.some((item) => item.state === "sending" || item.state === "reading")
        ? "Pausing; what is on its way still arrives."
        : "Paused. Nothing is lost if you close this page.";
    case "judging":
      return "All files are here. Judging the series.";
    case "ended":
      return endOf(queue);
    default:
      return "Sending.";
  }
}

function endOf(queue: Queue): string {
  const series = queue.verdict?.series ?? [];
  if (series.length === 0) return "Done. No series gained an image.";
  const many = (state: string): number => series.filter((one) => one.state === state).length;
  const volumes = many("volume");
  const told = [
    ...(volumes ? [`${volumes} series ${volumes === 1 ? "is a volume" : "are volumes"}`] : []),
    ...(many("quarantined") ? [`${many("quarantined")} quarantined`] : []),
    ...(many("set_aside") ? [`${many("set_aside")} set aside`] : []),
    ...(many("pending") ? [`${many("pending")} still arriving`] : []),
  ];
  return `Done. ${told.join(", ")}.`;
}

function hereBefore(queue: Queue): string {
  const here = queue.counts.here ?? 0;
  return here > 0 ? `; ${words.number(here)} came before` : "";
}

function row(problem: Problem): HTMLElement {
  const item = document.createElement("li");
  const name = made("strong", "name", leafOf(problem.name) || problem.name);
  name.title = problem.name;
  item.append(name, made("span", "", problem.message));
  if (problem.cure) item.append(made("span", "muted", problem.cure));
  return item;
}

function verdictRow(series: SeriesVerdict): HTMLElement {
  const line = document.createElement("tr");
  const name = `${series.modality} ${series.description}`.trim() || "without description";
  const head = made("th", "", name);
  head.setAttribute("scope", "row");
  const verdict = words.verdictOf(series);
  const state = document.createElement("td");
  state.append(made("span", `tag ${verdict.look}`, verdict.words));
  const next = document.createElement("td");
  for (const { label, address } of series.next) {
    const link = document.createElement("a");
    link.href = address;
    link.textContent = label;
    next.append(link, document.createElement("br"));
  }
  if (series.next.length === 0) next.append(made("span", "muted", nowhere(series)));
  line.append(head, made("td", "num", words.number(series.images)), state);
  line.append(made("td", "", words.whyOf(series)), next);
  return line;
}

function nowhere(series: SeriesVerdict): string {
  if (series.state === "volume") return "No protocol takes it.";
  return series.state === "quarantined" ? "See “Quarantined series” below." : "–";
}

function made(tag: string, look: string, text: string): HTMLElement {
  const element = document.createElement(tag);
  if (look) element.className = look;
  element.textContent = text;
  return element;
}
