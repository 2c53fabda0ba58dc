// The stage: the images of one consensus, the readers' outlines over them, and the brush.

import { request } from "../api";
import type { Plane, Voxel } from "../contract";
import { Geometry } from "../geometry";
import type { DisplaySet, Host } from "../ohif";
import { Tools } from "../tools";
import { WINDOWS, type WindowName } from "../views";
import { type Box3, boxAround, combine, largestCuts, type Solid, solidsOf } from "./layers";
import { PLANES, placesCss } from "./layout";
import { Overlay } from "./overlay";
import { RedrawDesk } from "./redraw";
import { compose, type Wish } from "./scene";
import type {
  StageCluster,
  StageConsensus,
  StageLayout,
  StageResolution,
  StageTool,
  ToolStage,
} from "./stage";
import { StageViews } from "./views";

/** At least this much is seen around the middle of a cluster. */
const LEAST_HALF_MM = 32;
/** A large cluster fills about half of its plane. */
const ROOM_AROUND = 0.95;

type Kind = "x" | "y" | "ai" | "agreed";

export class Stage extends EventTarget implements ToolStage {
  readonly views: StageViews;
  readonly redraw: RedrawDesk;
  /** From the last `show` until every plane was drawn, in milliseconds. */
  shownMs: number | null = null;
  private readonly tools: Tools;
  private readonly overlays = new Map<string, Overlay>();
  private readonly solids: Record<Kind, readonly Solid[]> = { x: [], y: [], ai: [], agreed: [] };
  private readonly redrawn = new Map<string, Promise<readonly Solid[]>>();
  private readonly filled = new Set<string>();
  private readonly ends: (() => void)[] = [];
  private readonly wish: Wish = {
    layout: "side_by_side",
    phase: "settle",
    selected: null,
    cluster: null,
    preview: null,
    step: null,
    difference: true,
    ai: true,
  };
  private consensus: StageConsensus | null = null;
  private preparing: Promise<void> | null = null;
  private ready = false;
  private closed = false;
  private scheduled = false;
  private began = 0;
  private waiting = new Set<string>();

  constructor(private readonly host: Host) {
    super();
    this.views = new StageViews(host);
    this.tools = new Tools(host);
    this.redraw = new RedrawDesk({
      grid: () => this.consensus?.grid ?? null,
      solids: (side, cluster) => this.solidsOf(side, cluster),
      under: (event) => this.under(event),
      point: (event) => this.point(event),
      painted: () => this.schedule(),
    });
    for (const id of Object.keys(PLANES)) this.overlays.set(id, new Overlay(this.views, id));
  }

  get isReady(): boolean {
    return this.ready;
  }

  get phase() {
    return this.wish.phase;
  }

  get layoutNow(): StageLayout {
    return this.wish.layout;
  }

  get windowNow(): WindowName {
    return this.views.window;
  }

  get toolNow(): StageTool {
    return this.redraw.tool ?? (this.tools.active as StageTool);
  }

  get differenceNow(): boolean {
    return this.wish.difference;
  }

  get aiNow(): boolean {
    return this.wish.ai;
  }

  get showsAi(): boolean {
    return this.consensus?.show_ai ?? false;
  }

  get brushMm(): number {
    return this.redraw.brushMm;
  }

  get focus(): Voxel | null {
    return this.views.focus;
  }

  get selected(): number | null {
    return this.wish.selected;
  }

  solidsOf(kind: Kind, cluster: number): readonly Solid[] {
    return this.solids[kind].filter((solid) => solid.cluster === cluster);
  }

  /** Images and outlines of a consensus; called once, when it is known. */
  start(consensus: StageConsensus): void {
    this.consensus = consensus;
    this.prepare();
  }

  /** Hears the host until `stop`. */
  enter(): void {
    const style = document.createElement("style");
    style.textContent = `${placesCss()}
      [data-settle-brush] [data-viewportid] { cursor: crosshair; }`;
    document.head.append(style);
    this.arrange();
    const { cornerstoneViewportService: viewports } = this.host.servicesManager.services;
    const changed = viewports.EVENTS.VIEWPORT_DATA_CHANGED ?? "";
    const subscription = viewports.subscribe(changed, ({ viewportId }) => {
      if (viewportId) this.filled.add(viewportId);
      this.prepare();
    });
    const sizes = new ResizeObserver(() => this.schedule());
    const drawn = (event: Event) => this.drawn((event as CustomEvent<string>).detail);
    this.views.addEventListener("drawn", drawn);
    const retell = () => this.dispatchEvent(new Event("tool"));
    this.tools.addEventListener("change", retell);
    this.redraw.addEventListener("tool", retell);
    this.ends.push(
      () => style.remove(),
      () => subscription.unsubscribe(),
      () => sizes.disconnect(),
      () => this.views.removeEventListener("drawn", drawn),
      () => delete document.documentElement.dataset.settleLayout,
      this.redraw.listen(),
      this.views.resizeLightly(),
    );
    this.sizes = sizes;
  }

  private sizes: ResizeObserver | null = null;

  /** Takes everything off the page and lets go of the voxels. */
  stop(): void {
    this.closed = true;
    for (const end of this.ends.splice(0)) end();
    for (const overlay of this.overlays.values()) overlay.remove();
    for (const kind of ["x", "y", "ai", "agreed"] as const) this.solids[kind] = [];
    this.redrawn.clear();
    this.ready = false;
  }

  show(cluster: StageCluster): void {
    this.wish.cluster = cluster;
    this.wish.selected = cluster.number;
    this.wish.preview = null;
    this.schedule();
    const solids = (["x", "y"] as const).flatMap((side) => this.solidsOf(side, cluster.number));
    this.fit(solids, cluster.box as unknown as Box3);
  }

  showNode(number: number): void {
    this.wish.selected = number;
    this.schedule();
    const solids = this.solids.agreed.filter(({ label }) => label === number);
    const box = boxAround(solids.map((solid) => solid.box));
    if (box) this.fit(solids, box);
  }

  select(number: number | null): void {
    this.wish.selected = number;
    const clusters = this.consensus?.clusters ?? [];
    this.wish.cluster = clusters.find((cluster) => cluster.number === number) ?? null;
    this.wish.preview = null;
    this.schedule();
  }

  layout(kind: StageLayout): void {
    if (this.wish.layout === kind) return;
    this.wish.layout = kind;
    this.arrange();
    this.dispatchEvent(new Event("layout"));
  }

  difference(on: boolean): void {
    this.wish.difference = on;
    this.schedule();
    this.dispatchEvent(new Event("layout"));
  }

  ai(on: boolean): void {
    this.wish.ai = on;
    this.schedule();
    this.dispatchEvent(new Event("layout"));
  }

  preview(resolution: StageResolution | null, mask?: { step: string }): void {
    this.wish.preview = resolution;
    this.wish.step = mask?.step ?? null;
    this.schedule();
    if (resolution === "redrawn" && mask) void this.fetchRedrawn(mask.step);
  }

  async agreed(): Promise<void> {
    this.redraw.end();
    this.wish.preview = null;
    this.wish.phase = "agreed";
    this.layout("overlay");
    if (this.ready) this.solids.agreed = await this.volume("agreed");
    this.schedule();
  }

  readers(): void {
    this.wish.phase = "settle";
    this.schedule();
    this.dispatchEvent(new Event("layout"));
  }

  window(name: WindowName): void {
    if (!(name in WINDOWS)) return;
    this.views.show(name);
    this.dispatchEvent(new Event("window"));
  }

  tool(name: StageTool): void {
    const draws = name === "brush" || name === "eraser";
    this.redraw.use(draws ? name : null);
    if (!draws) this.tools.use(name);
  }

  resizeBrush(stepMm: number): void {
    this.redraw.resize(stepMm);
  }

  reset(): void {
    this.views.reset();
    if (this.wish.phase === "agreed" && this.wish.selected) this.showNode(this.wish.selected);
    else if (this.wish.cluster) this.show(this.wish.cluster);
  }

  /** Once the consensus and all planes are there: outlines go over the images. */
  private prepare(): void {
    const { consensus, images } = this;
    const filled = Object.keys(PLANES).every((id) => this.filled.has(id));
    if (this.closed || !filled || !this.views.ready || !consensus || !images) return;
    this.preparing ??= this.mount(consensus, images).catch((error: unknown) => {
      this.preparing = null;
      const detail = error instanceof Error ? error.message : String(error);
      this.dispatchEvent(new CustomEvent("failed", { detail }));
      console.error(error);
    });
    for (const id of Object.keys(PLANES)) this.attach(id);
  }

  private attach(id: string): void {
    this.views.attach(id);
    const element = this.views.viewport(id)?.element;
    if (element) this.sizes?.observe(element);
  }

  private get images(): DisplaySet | undefined {
    const series = this.consensus?.series_uid;
    return this.host.servicesManager.services.displaySetService
      .getActiveDisplaySets()
      .find((set) => set.SeriesInstanceUID === series && set.imageIds?.length);
  }

  private async mount(consensus: StageConsensus, images: DisplaySet): Promise<void> {
    this.views.geometry = new Geometry(consensus.grid, images);
    this.views.show(this.views.window);
    const kinds: Kind[] = consensus.show_ai ? ["x", "y", "ai"] : ["x", "y"];
    if (this.wish.phase === "agreed") kinds.push("agreed");
    const volumes = await Promise.all(kinds.map((kind) => this.volume(kind)));
    if (this.closed) return;
    kinds.forEach((kind, place) => {
      this.solids[kind] = volumes[place] ?? [];
    });
    this.ready = true;
    this.arrange();
    const { phase, selected, cluster } = this.wish;
    if (phase === "agreed" && selected) this.showNode(selected);
    else if (cluster) this.show(cluster);
    this.dispatchEvent(new Event("ready"));
  }

  private async volume(name: string): Promise<Solid[]> {
    const response = await request(`/api/consensus/${this.consensus?.id}/volumes/${name}`);
    return solidsOf(await response.arrayBuffer());
  }

  private async fetchRedrawn(step: string): Promise<void> {
    let fetched = this.redrawn.get(step);
    if (!fetched) {
      fetched = this.volume(`redrawn?step=${encodeURIComponent(step)}`);
      this.redrawn.set(step, fetched);
      fetched.catch(() => this.redrawn.delete(step));
    }
    const solids = await fetched;
    if (this.wish.step !== step) return;
    this.wish.redrawn = solids;
    this.schedule();
  }

  private arrange(): void {
    document.documentElement.dataset.settleLayout = this.wish.layout;
    this.views.arrange(this.wish.layout, this.ready);
    this.schedule();
  }

  private fit(solids: readonly Solid[], box: Box3): void {
    const spacing = this.consensus?.grid.spacing_mm;
    if (!this.ready || !spacing) return;
    this.began = performance.now();
    this.shownMs = null;
    this.waiting = new Set(this.views.shownIds);
    const whole = combine(solids, [], (inside) => inside);
    const [z0, r0, c0, z1, r1, c1] = box;
    const middle: Voxel = [(z0 + z1 - 1) / 2, (r0 + r1 - 1) / 2, (c0 + c1 - 1) / 2];
    const best: Voxel = whole ? largestCuts(whole) : (middle.map(Math.round) as Voxel);
    const extents = [(z1 - z0) * spacing[0], (r1 - r0) * spacing[1], (c1 - c0) * spacing[2]];
    const halfMm = Math.max(LEAST_HALF_MM, ROOM_AROUND * Math.max(...extents));
    for (const [id, plane] of Object.entries(PLANES)) {
      const target: Voxel = [...middle];
      const axis = { axial: 0, coronal: 1, sagittal: 2 }[plane] as 0 | 1 | 2;
      target[axis] = best[axis];
      this.views.look(id, target, halfMm);
    }
  }

  private drawn(id: string): void {
    this.draw(id);
    if (!this.waiting.delete(id) || this.waiting.size) return;
    this.shownMs = performance.now() - this.began;
  }

  /** All outlines again before the next frame. */
  private schedule(): void {
    if (this.scheduled || !this.ready) return;
    this.scheduled = true;
    requestAnimationFrame(() => {
      this.scheduled = false;
      for (const id of this.views.shownIds) this.draw(id);
    });
  }

  private draw(id: string): void {
    if (!this.ready || this.closed) return;
    const scene = compose(id, this.wish, this.solids, {
      showAi: this.consensus?.show_ai ?? false,
      drawing: this.redraw.solid,
    });
    this.overlays.get(id)?.draw(scene);
  }

  private under(event: MouseEvent): { id: string; plane: Plane; voxel: Voxel } | null {
    const path = event.composedPath();
    for (const id of this.views.shownIds) {
      const element = this.views.viewport(id)?.element;
      if (!element || (event.type !== "pointermove" && !path.includes(element))) continue;
      const { left, top, width, height } = element.getBoundingClientRect();
      const [x, y] = [event.clientX - left, event.clientY - top];
      if (x < 0 || y < 0 || x > width || y > height) continue;
      const voxel = this.views.voxelAt(id, [x, y]);
      const plane = this.views.planes[id];
      if (voxel && plane) return { id, plane, voxel };
    }
    return null;
  }

  private point(event: PointerEvent | null): void {
    const at = event && this.under(event);
    for (const [id, overlay] of this.overlays) {
      if (!event || at?.id !== id) {
        overlay.brush(null);
        continue;
      }
      const box = this.views.viewport(id)?.element.getBoundingClientRect();
      const point = [event.clientX - (box?.left ?? 0), event.clientY - (box?.top ?? 0)] as const;
      overlay.brush([...point], this.redraw.brushMm * this.views.scale(id));
    }
  }
}
