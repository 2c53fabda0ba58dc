// The curves of a training: fetched when a point is told of, drawn as SVG. Left and right lead from
// point to point; what a point says stands below in words.

type Point = [step: number, seconds: number, loss: number];
type Figures = { step: number } & Record<string, number | null>;
interface Curves {
  training: Point[];
  validation: Point[];
  figures: Figures[] | null;
}

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 760;
const HEIGHT = 260;
const EDGE = { left: 46, right: 26, top: 12, bottom: 30 };
const GATHER_MS = 250;
const NAMES = { training: "in training", validation: "on validation people" };

let drawn: Curves | null = null;
let chosen: number | null = null;
let gathering = 0;

function element(name: string, attributes: Record<string, string | number>, text = ""): SVGElement {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  made.textContent = text;
  return made;
}

/** A round step that divides `most` into two to five parts. */
export function stepOf(most: number): number {
  const rough = most / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const unit = [1, 2, 5, 10].find((one) => one * power >= rough) ?? 10;
  return unit * power;
}

/** Seconds of processor time in words. */
export function time(seconds: number): string {
  if (seconds < 120) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  if (seconds < 7200) return `${(seconds / 60).toFixed(0)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

function scales({ training, validation }: Curves) {
  const all = [...training, ...validation];
  const most = Math.max(...all.map((point) => point[1]), 1);
  const highest = Math.max(...all.map((point) => point[2]), 0.1);
  const loss = Math.ceil(highest / stepOf(highest)) * stepOf(highest);
  const across = WIDTH - EDGE.left - EDGE.right;
  const down = HEIGHT - EDGE.top - EDGE.bottom;
  return {
    most,
    loss,
    x: (seconds: number) => EDGE.left + (seconds / most) * across,
    y: (value: number) => EDGE.top + (1 - value / loss) * down,
  };
}

function grid(plot: SVGElement, { most, loss, x, y }: ReturnType<typeof scales>): void {
  for (let value = 0; value <= loss * 1.001; value += stepOf(loss)) {
    const at = y(value);
    plot.append(
      element("line", {
        x1: EDGE.left,
        x2: WIDTH - EDGE.right,
        y1: at,
        y2: at,
        class: "curve-grid",
      }),
      element(
        "text",
        { x: EDGE.left - 8, y: at + 4, class: "curve-name end" },
        `${+value.toFixed(3)}`,
      ),
    );
  }
  for (let seconds = 0; seconds <= most; seconds += stepOf(most)) {
    const name = { x: x(seconds), y: HEIGHT - 10, class: "curve-name middle" };
    plot.append(element("text", name, time(seconds)));
  }
}

function line(plot: SVGElement, kind: "training" | "validation", at: ReturnType<typeof scales>) {
  const points = (drawn?.[kind] ?? []).map(
    ([, s, loss]) => `${at.x(s).toFixed(1)},${at.y(loss).toFixed(1)}`,
  );
  plot.append(
    element("polyline", {
      points: points.join(" "),
      class: `curve-line curve-${kind}`,
      "data-curve": kind,
    }),
  );
  if (kind === "validation" || points.length === 1)
    for (const point of points) {
      const [cx, cy] = point.split(",");
      plot.append(
        element("circle", { cx: cx ?? 0, cy: cy ?? 0, r: 3, class: `curve-dot curve-${kind}` }),
      );
    }
}

function every(): { kind: "training" | "validation"; point: Point }[] {
  const of = (kind: "training" | "validation") =>
    (drawn?.[kind] ?? []).map((point) => ({ kind, point }));
  return [...of("training"), ...of("validation")].sort((a, b) => a.point[1] - b.point[1]);
}

function words(): string {
  const all = every();
  const told = (one: (typeof all)[number] | undefined) =>
    one &&
    `loss ${one.point[2].toFixed(3)} ${NAMES[one.kind]} after ${one.point[0]} steps, ${time(one.point[1])}`;
  if (chosen !== null) return `Point ${chosen + 1} of ${all.length}: ${told(all[chosen])}.`;
  const last = (["training", "validation"] as const)
    .map((kind) => told(all.filter((one) => one.kind === kind).at(-1)))
    .filter(Boolean);
  return `Newest: ${last.join("; ")}.`;
}

function draw(): void {
  const panel = document.querySelector<HTMLElement>("[data-curves]");
  const plot = panel?.querySelector<SVGElement>("[data-plot]");
  const said = panel?.querySelector("[data-words]");
  if (!panel || !plot || !said || !drawn) return;
  const all = every();
  panel.dataset.points = String(all.length);
  plot.replaceChildren();
  if (all.length === 0) return;
  const at = scales(drawn);
  grid(plot, at);
  line(plot, "training", at);
  line(plot, "validation", at);
  const mark = chosen === null ? undefined : all[chosen];
  if (mark) {
    const [, seconds, loss] = mark.point;
    const [x, y] = [at.x(seconds), at.y(loss)];
    plot.append(
      element("line", {
        x1: x,
        x2: x,
        y1: EDGE.top,
        y2: HEIGHT - EDGE.bottom,
        class: "curve-mark",
      }),
      element("circle", { cx: x, cy: y, r: 5, class: `curve-dot curve-${mark.kind}` }),
    );
  }
  said.textContent = words();
  figures(panel);
}

function figures(panel: HTMLElement): void {
  const table = panel.querySelector<HTMLElement>("[data-figures]");
  const newest = drawn?.figures?.at(-1);
  if (!table || !newest) return;
  table.hidden = false;
  for (const row of table.querySelectorAll<HTMLElement>("[data-figure]")) {
    const value = newest[row.dataset.figure ?? ""];
    const cell = row.querySelector("[data-value]");
    row.hidden = value === null || value === undefined;
    if (cell && typeof value === "number") cell.textContent = value.toFixed(3);
  }
}

async function fetched(): Promise<void> {
  const address = document.querySelector<HTMLElement>("[data-curves]")?.dataset.curves;
  if (!address) return;
  const answer = await fetch(address, { headers: { Accept: "application/json" } });
  if (!answer.ok) return;
  drawn = (await answer.json()) as Curves;
  if (chosen !== null && chosen >= every().length) chosen = null;
  draw();
}

/** Have the curves fetched and drawn; what is told at once is fetched once. */
export function curvesChanged(): void {
  if (gathering) return;
  gathering = window.setTimeout(() => {
    gathering = 0;
    void fetched();
  }, GATHER_MS);
}

function moved(event: KeyboardEvent): void {
  if (!(event.target as Element).matches("[data-plot]")) return;
  const last = every().length - 1;
  const to = {
    ArrowLeft: (chosen ?? last + 1) - 1,
    ArrowRight: (chosen ?? last) + 1,
    Home: 0,
    End: last,
    Escape: null,
  }[event.key];
  if (to === undefined || last < 0) return;
  event.preventDefault();
  chosen = to === null ? null : Math.min(Math.max(to, 0), last);
  draw();
}

/** Begin: draw what is there, and again whenever the page's body came anew. */
export function watchCurves(): void {
  if (!document.querySelector("[data-curves]")) return;
  document.addEventListener("keydown", moved);
  document.body.addEventListener("htmx:afterSwap", () => {
    draw();
    curvesChanged();
  });
  void fetched();
}
