// The stage: the images of one consensus, the readers' outlines over them, and the brush.

import { alongTheImages } from "../askew";
import type { Voxel } from "../contract";
import { Geometry } from "../geometry";
import type { DisplaySet, Host } from "../ohif";
import { Tools } from "../tools";
import { WINDOWS, type WindowName } from "../views";
import { Arrival } from "./arrival";
import { type Box3, boxAround } from "./layers";
import { PLANES, placesCss } from "./layout";
import { type Size, sizeOf } from "./measure";
import { Overlay } from "./overlay";
import { RedrawDesk } from "./redraw";
import { compose, resolved, type Wish } from "./scene";
import type {
  Loading,
  StageCluster,
  StageConsensus,
  StageLayout,
  StageResolution,
  StageTool,
  ToolStage,
} from "./stage";
import { StageViews } from "./views";
import { type Kind, Volumes } from "./volumes";

export class Stage extends EventTarget implements ToolStage {
  readonly views: StageViews;
  readonly redraw: RedrawDesk;
  volumes: Volumes | null = null;
  private readonly tools: Tools;
  private readonly arrival: Arrival;
  private readonly overlays = new Map<string, Overlay>();
  private readonly filled = new Set<string>();
  private readonly ends: (() => void)[] = [];
  private readonly wish: Wish = {
    layout: "side_by_side",
    phase: "settle",
    selected: null,
    cluster: null,
    preview: null,
    step: null,
    redrawn: null,
    decided: false,
    difference: true,
    ai: true,
    map: false,
  };
  /** The layout that the map took the place of. */
  private unmapped: StageLayout = "side_by_side";
  private consensus: StageConsensus | null = null;
  private preparing: Promise<void> | null = null;
  private ready = false;
  private closed = false;
  private scheduled = false;

  constructor(private readonly host: Host) {
    super();
    this.views = new StageViews(host);
    this.tools = new Tools(host);
    this.arrival = new Arrival(() => this.views.volumes);
    this.redraw = new RedrawDesk({
      grid: () => this.consensus?.grid ?? null,
      solids: (side, cluster) => this.volumes?.of(side, cluster) ?? [],
      under: (event) => this.views.under(event),
      point: (event) => this.point(event),
      painted: () => this.schedule(),
    });
    for (const id of Object.keys(PLANES)) this.overlays.set(id, new Overlay(this.views, id));
  }

  get isReady(): boolean {
    return this.ready;
  }

  get loading(): Loading {
    const { complete, percent, lost } = this.arrival;
    return { complete: this.ready && complete, percent, lost };
  }

  /** Of a proposed shape only once it was fetched. */
  sizeOf(resolution: StageResolution): Size | null {
    const spacing = this.consensus?.grid.spacing_mm;
    if (!this.ready || !this.volumes || !spacing) return null;
    const { solids } = this.volumes;
    return sizeOf(resolved(resolution, this.wish, solids, this.redraw.solid), spacing);
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

  get mapNow(): boolean {
    return this.wish.map;
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

  /** Images and outlines of a consensus; called once, when it is known. */
  start(consensus: StageConsensus): void {
    this.consensus = consensus;
    this.volumes = new Volumes(consensus.id);
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
    const drawn = (event: Event) => this.draw((event as CustomEvent<string>).detail);
    this.views.addEventListener("drawn", drawn);
    const retell = () => this.dispatchEvent(new Event("tool"));
    this.tools.addEventListener("change", retell);
    this.redraw.addEventListener("tool", retell);
    const loading = () => this.dispatchEvent(new Event("loading"));
    this.arrival.addEventListener("change", loading);
    this.ends.push(
      () => style.remove(),
      () => subscription.unsubscribe(),
      () => sizes.disconnect(),
      () => this.views.removeEventListener("drawn", drawn),
      () => delete document.documentElement.dataset.settleLayout,
      this.redraw.listen(),
      this.arrival.listen(),
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
    this.volumes?.close();
    this.ready = false;
  }

  show(cluster: StageCluster): void {
    this.wish.cluster = cluster;
    this.wish.selected = cluster.number;
    this.wish.preview = null;
    this.schedule();
    this.centre();
    this.dispatchEvent(new Event("shown"));
  }

  showNode(number: number): void {
    this.wish.selected = number;
    this.schedule();
    this.centre();
  }

  /** What is selected, in the middle of every plane. */
  private centre(): void {
    const { phase, selected, cluster } = this.wish;
    const spacing = this.consensus?.grid.spacing_mm;
    if (!this.ready || !this.volumes || !spacing || selected === null) return;
    const { agreed, x, y } = this.volumes.solids;
    const solids =
      phase === "agreed"
        ? agreed.filter(({ label }) => label === selected)
        : [...x, ...y].filter((solid) => solid.cluster === selected);
    const own = phase === "settle" ? (cluster?.box as unknown as Box3 | undefined) : null;
    const box = own ?? boxAround(solids.map((solid) => solid.box));
    if (box) this.views.fit(solids, box, spacing);
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
    if (kind !== "overlay") this.wish.map = false;
    this.arrange();
    this.dispatchEvent(new Event("layout"));
  }

  difference(on: boolean): void {
    this.wish.difference = on;
    this.schedule();
    this.dispatchEvent(new Event("layout"));
  }

  map(on: boolean): void {
    if (this.wish.map === on) return;
    if (on) this.unmapped = this.wish.layout;
    this.wish.map = on;
    this.layout(on ? "overlay" : this.unmapped);
    this.schedule();
    this.dispatchEvent(new Event("layout"));
  }

  ai(on: boolean): void {
    this.wish.ai = on;
    this.schedule();
    this.dispatchEvent(new Event("layout"));
  }

  preview(resolution: StageResolution | null, mask?: { step: string }, decided = false): void {
    this.wish.preview = resolution;
    this.wish.decided = decided;
    this.wish.step = mask?.step ?? null;
    this.schedule();
    if (resolution === "redrawn" && mask) void this.fetchRedrawn(mask.step);
  }

  async agreed(): Promise<void> {
    this.redraw.end();
    this.wish.preview = null;
    this.wish.phase = "agreed";
    this.layout("overlay");
    // While the images are being prepared, the agreed nodes come with them.
    if (this.ready) await this.volumes?.load("agreed", "ignored");
    else await this.preparing;
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
    this.window("soft");
    this.centre();
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
    alongTheImages(this.views);
    this.views.show(this.views.window);
    const kinds: Kind[] = consensus.show_ai ? ["x", "y", "ai"] : ["x", "y"];
    if (this.wish.phase === "agreed") kinds.push("agreed", "ignored");
    await this.volumes?.load(...kinds);
    const late = this.wish.phase === "agreed" && !kinds.includes("agreed");
    if (late) await this.volumes?.load("agreed", "ignored");
    if (this.closed) return;
    this.ready = true;
    this.arrange();
    this.centre();
    this.dispatchEvent(new Event("ready"));
  }

  private async fetchRedrawn(step: string): Promise<void> {
    this.wish.redrawn = null;
    const solids = await this.volumes?.ofStep(step);
    if (this.wish.step !== step) return;
    this.wish.redrawn = solids ?? null;
    this.schedule();
    // Its size is known now.
    this.dispatchEvent(new Event("layout"));
  }

  private arrange(): void {
    document.documentElement.dataset.settleLayout = this.wish.layout;
    this.views.arrange(this.wish.layout, this.ready);
    this.schedule();
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
    if (!this.ready || this.closed || !this.volumes) return;
    const { shape, spacing_mm: spacing } = this.consensus?.grid ?? {};
    if (!shape || !spacing) return;
    const scene = compose(id, this.wish, this.volumes.solids, {
      showAi: this.consensus?.show_ai ?? false,
      voxelMm3: spacing[0] * spacing[1] * spacing[2],
      drawing: this.redraw.solid,
    });
    this.overlays.get(id)?.draw(scene, shape);
  }

  private point(event: PointerEvent | null): void {
    const at = event && this.views.under(event);
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
