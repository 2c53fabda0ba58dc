// A second window of a reading, for another monitor: coronal, sagittal and what lies beside, cut
// where the first window stands. It asks for images and nothing else: no lease, no change.

import { channelOf, type Message, type Standing } from "../viewer/beside/channel";
import type { BesideList } from "../viewer/beside/contract";
import { besideWords } from "../viewer/beside/contract";
import { type Cut, cutOf, moved, pixelOf } from "../viewer/beside/cut";
import { besideLayer, heatLayer, rangeOf } from "../viewer/beside/layers";
import { drawLayers, type Layer } from "../viewer/beside/picture";
import { type DisplayVolume, parseVolume } from "../viewer/beside/volume";
import type { Camera, Point3 } from "../viewer/ohif";

type View = "axial" | "coronal" | "sagittal" | "beside";
const NAMES: Readonly<Record<View, string>> = {
  axial: "Axial",
  coronal: "Coronal",
  sagittal: "Sagittal",
  beside: "Beside",
};
const VIEWS = Object.keys(NAMES) as View[];
/** Which way each plane looks, and what is up: as the first window does. */
const LOOKING: Readonly<Record<View, Pick<Camera, "viewPlaneNormal" | "viewUp">>> = {
  axial: { viewPlaneNormal: [0, 0, -1], viewUp: [0, -1, 0] },
  coronal: { viewPlaneNormal: [0, -1, 0], viewUp: [0, 0, 1] },
  sagittal: { viewPlaneNormal: [1, 0, 0], viewUp: [0, 0, 1] },
  beside: { viewPlaneNormal: [0, 0, -1], viewUp: [0, -1, 0] },
};
const HERE: Point3 = [0, 0, 0];
const MARGIN = 1.02;

class SecondWindow {
  private readonly status = document.querySelector<HTMLElement>("[role=status]");
  private readonly nav = document.querySelector("nav");
  private readonly main = document.querySelector("main");
  private readonly shown = new Set<View>(["coronal", "sagittal"]);
  private readonly panes = new Map<View, HTMLElement>();
  private readonly volumes = new Map<string, DisplayVolume | null>();
  private list: BesideList | null = null;
  private standing: Standing | null = null;
  private waiting = 0;
  private followedBeside = false;

  constructor(private readonly reading: string) {}

  async open(): Promise<void> {
    this.buttons();
    const channel = channelOf(this.reading);
    channel.onmessage = ({ data }: MessageEvent<Message>) => {
      if ("standing" in data) this.follow(data.standing);
      if ("bye" in data) this.say("The window in which you read was closed.");
    };
    const answer = await fetch(`/api/readings/${this.reading}/beside`);
    if (!answer.ok) return this.say("These images are not shown to you here. Sign in again.");
    this.list = (await answer.json()) as BesideList;
    channel.postMessage({ hello: true } satisfies Message);
    window.addEventListener("resize", () => this.schedule());
    this.schedule();
  }

  private follow(standing: Standing): void {
    if (standing.beside && !this.followedBeside) this.shown.add("beside");
    if (!standing.beside) this.shown.delete("beside");
    this.followedBeside = standing.beside !== null;
    this.standing = standing;
    this.say(standing.node ? `Following · ${standing.node}` : "Following");
    this.buttons();
    this.schedule();
  }

  private say(words: string): void {
    if (this.status && this.status.textContent !== words) this.status.textContent = words;
  }

  private buttons(): void {
    if (!this.nav) return;
    for (const view of VIEWS) {
      let button = this.nav.querySelector<HTMLButtonElement>(`[data-view=${view}]`);
      if (!button) {
        button = document.createElement("button");
        button.dataset.view = view;
        button.textContent = NAMES[view];
        button.addEventListener("click", () => {
          if (!this.shown.delete(view)) this.shown.add(view);
          this.buttons();
          this.schedule();
        });
        this.nav.append(button);
      }
      button.setAttribute("aria-pressed", String(this.shown.has(view)));
      button.disabled = view === "beside" && !this.standing?.beside;
    }
  }

  private schedule(): void {
    this.waiting ||= requestAnimationFrame(() => {
      this.waiting = 0;
      this.draw();
    });
  }

  private draw(): void {
    const { main } = this;
    if (!main) return;
    const views = VIEWS.filter((view) => this.shown.has(view));
    for (const [view, pane] of this.panes) if (!views.includes(view)) pane.remove();
    main.dataset.count = String(views.length);
    for (const view of views) {
      const pane = this.pane(view);
      if (pane.parentNode !== main) main.append(pane);
      pane.style.order = String(VIEWS.indexOf(view));
    }
    for (const view of views) this.fill(view);
  }

  private pane(view: View): HTMLElement {
    let pane = this.panes.get(view);
    if (!pane) {
      pane = document.createElement("figure");
      pane.dataset.testid = `second-${view}`;
      pane.innerHTML =
        "<canvas></canvas><i data-axis=x></i><i data-axis=y></i><figcaption></figcaption>";
      this.panes.set(view, pane);
    }
    return pane;
  }

  private fill(view: View): void {
    const { standing } = this;
    const pane = this.pane(view);
    const canvas = pane.querySelector("canvas");
    const words = pane.querySelector("figcaption");
    const read = this.list && this.volume(this.list.read);
    const of = view === "beside" ? this.besideLayer() : null;
    if (words) words.textContent = this.words(view);
    const { clientWidth: width, clientHeight: height } = pane;
    if (!canvas || !read || !width || !height) return;
    const focus = standing?.focus ?? read.middle;
    const cut = this.cut(view, read, focus, width, height);
    const window = standing?.window ?? { low: -115, high: 235 };
    const layers: Layer[] =
      view === "beside" ? (of ? [of] : []) : [{ volume: read, offset: HERE, range: window }];
    const heat = view === "beside" ? null : this.heat();
    drawLayers(canvas, cut, heat ? [...layers, heat] : layers);
    const [x, y] = pixelOf(cut, focus);
    const [across, upright] = pane.querySelectorAll<HTMLElement>("i");
    if (across) across.style.top = `${y}px`;
    if (upright) upright.style.left = `${x}px`;
  }

  /** The axial planes stand as the first window's; the others show the whole body, and stay. */
  private cut(view: View, read: DisplayVolume, focus: Point3, width: number, height: number): Cut {
    const looking = LOOKING[view];
    if (view === "axial" || view === "beside") {
      const parallelScale = this.standing?.scale ?? 110;
      return cutOf({ ...looking, focalPoint: focus, parallelScale }, width, height);
    }
    const [slices, rows, columns] = read.shape;
    const [z, y, x] = read.header.grid.spacing_mm;
    const wide = view === "coronal" ? columns * x : rows * y;
    const parallelScale = (MARGIN * Math.max(slices * z, (wide * height) / width)) / 2;
    const { middle } = read;
    const focalPoint: Point3 =
      view === "coronal" ? [middle[0], focus[1], middle[2]] : [focus[0], middle[1], middle[2]];
    return moved(cutOf({ ...looking, focalPoint, parallelScale }, width, height), HERE);
  }

  private besideLayer(): Layer | null {
    const { beside } = this.standing ?? {};
    const series = this.list?.series.find(({ id }) => id === beside?.id);
    const volume = series && this.volume(series.volume);
    if (!beside || !series || !volume) return null;
    return besideLayer(series, volume, beside.offset, this.standing?.window ?? rangeOf(volume));
  }

  private heat(): Layer | null {
    const { pet } = this.standing ?? {};
    const series = this.list?.series.find(({ id }) => id === pet?.id);
    const volume = series && this.volume(series.volume);
    return pet && volume ? heatLayer(volume, pet.offset, pet.opacity) : null;
  }

  private words(view: View): string {
    if (view !== "beside") return NAMES[view];
    const series = this.list?.series.find(({ id }) => id === this.standing?.beside?.id);
    return series ? besideWords(series) : NAMES.beside;
  }

  /** The voxels behind an address; null while they are on their way. */
  private volume(address: string): DisplayVolume | null {
    const found = this.volumes.get(address);
    if (found !== undefined) return found;
    this.volumes.set(address, null);
    void (async () => {
      try {
        const answer = await fetch(address);
        if (!answer.ok) throw new Error(`The images did not come (${answer.status}).`);
        this.volumes.set(address, parseVolume(await answer.arrayBuffer()));
      } catch (error) {
        this.say(error instanceof Error ? error.message : String(error));
      }
      this.schedule();
    })();
    return null;
  }
}

const { reading } = document.body.dataset;
if (reading) void new SecondWindow(reading).open();
