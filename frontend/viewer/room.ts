// The reading room: one reading, its images, mask, tools, keys and news, brought together when
// the viewer opens a reading and taken apart when it leaves.

import { ReadingApi } from "./api";
import { Hatching } from "./appearance/hatching";
import { alongTheImages } from "./askew";
import { Axes } from "./axes";
import { Commands } from "./commands";
import type { SliceReader } from "./contact/cut";
import { sliceReader } from "./contact/pixels";
import { ContactSheet } from "./contact/sheet";
import type { Plane, Resume } from "./contract";
import { CoverageBars } from "./coverage/bar";
import { Geometry } from "./geometry";
import { listenToKeys } from "./keys";
import { Labelmap } from "./labelmap";
import { AXIAL, VIEWPORTS } from "./layout";
import { leaseMemory, takeClientId } from "./lease";
import { cornerstone, cornerstoneTools, type DisplaySet, type Host } from "./ohif";
import { enterPrompting } from "./prompt/enter";
import type { Prompting } from "./prompt/prompting";
import { ShapeDesk } from "./reshape/desk";
import { placeOf, restorePlace } from "./resume";
import { Seen } from "./seen";
import { Session } from "./session";
import { openShelf } from "./shelf";
import { offerSignIn } from "./signin/card";
import { NewsSocket } from "./socket";
import { Strokes } from "./strokes";
import { Tools } from "./tools";
import { VesselTest } from "./vessel/test";
import { Views } from "./views";

/** A neck in the axial view, in millimetres from the middle to the edge. */
const FIRST_ZOOM_MM = 110;

export class Room {
  readonly session: Session;
  readonly views: Views;
  readonly tools: Tools;
  readonly labelmap: Labelmap;
  readonly commands: Commands;
  readonly seen: Seen;
  readonly axes: Axes;
  readonly prompting: Prompting;
  readonly coverage: CoverageBars;
  readonly contact: ContactSheet;
  readonly vessel: VesselTest;
  readonly hatching: Hatching;
  readonly desk: ShapeDesk;
  private readonly strokes: Strokes;
  private socket: NewsSocket | null = null;
  private preparing: Promise<void> | null = null;
  private ready = false;
  private readonly filled = new Set<string>();
  private closed = false;
  private readonly undo: (() => void)[] = [];

  private constructor(
    private readonly host: Host,
    private readonly api: ReadingApi,
    session: Session,
  ) {
    this.session = session;
    this.views = new Views(host);
    this.tools = new Tools(host);
    this.labelmap = new Labelmap(host, session);
    this.axes = new Axes(session, this.views);
    this.desk = new ShapeDesk(session, this.labelmap, this.views, this.tools);
    this.commands = new Commands(
      session,
      this.views,
      this.labelmap,
      this.tools,
      this.axes,
      this.desk,
    );
    const prompts = enterPrompting(this, api.reading);
    this.prompting = prompts.prompting;
    this.undo.push(prompts.end);
    this.strokes = new Strokes({
      planeUnder: (path) => (this.tools.paints ? this.views.elementUnder(path) : null),
      begin: (path) => {
        const ends = [this.views.drawOnly(path), session.hold()];
        return () => {
          for (const end of ends) end();
        };
      },
      take: () => this.takeStroke(),
    });
    this.seen = new Seen(
      (body, leaving) => this.reportSeen(body, leaving),
      () => (this.vessel.running ? this.lastPlace : this.place()),
    );
    this.hatching = new Hatching(
      session,
      this.views,
      (node) => this.labelmap.hideRejected && session.node(node)?.decision === "rejected",
    );
    this.commands.verbs.hatching = () => {
      this.hatching.shown = !this.hatching.shown;
      this.hatching.draw();
    };
    this.vessel = new VesselTest(session, this.views, this.axes);
    this.commands.verbs.vessel = () => !this.contact.isOpen && this.vessel.start();
    this.contact = new ContactSheet(session, this.commands, this.views, () => this.slices());
    this.commands.verbs.contact = () => this.contact.toggle();
    this.coverage = new CoverageBars(session, this.views, this.seen);
    this.commands.verbs.nextUnseen = () => {
      const unseen = this.coverage.nextUnseen();
      if (unseen) this.views.scrollTo(unseen.plane, unseen.slice);
    };
  }

  static async open(host: Host, reading: string): Promise<Room> {
    const api = new ReadingApi(reading);
    const shelf = await openShelf(`${window.concord?.user ?? ""}/${reading}`);
    const session = new Session(api, shelf, takeClientId(), leaseMemory(reading));
    return new Room(host, api, session);
  }

  /** Images, mask and tools are all there. */
  get isReady(): boolean {
    return this.ready;
  }

  async start(): Promise<void> {
    const { cornerstoneViewportService: viewports } = this.host.servicesManager.services;
    const changed = viewports.EVENTS.VIEWPORT_DATA_CHANGED ?? "";
    const subscription = viewports.subscribe(changed, ({ viewportId }) => {
      if (viewportId) this.filled.add(viewportId);
      this.prepare();
    });
    this.undo.push(
      () => subscription.unsubscribe(),
      offerSignIn(this.session),
      this.desk.listen(),
      listenToKeys(
        (action) => this.strokes.afterwards(() => this.commands.run(action)),
        (digit) => this.commands.digit(digit),
        (stroke) => this.commands.remap.take(stroke) || this.contact.take(stroke),
        (action) => action === "vessel" && this.vessel.stop(),
      ),
      this.sizeByWheel(),
    );
    this.on(this.session, "voxels", (event) =>
      this.labelmap.repaint((event as CustomEvent<number[] | null>).detail),
    );
    this.on(this.session, "change", () => {
      this.labelmap.colour();
      this.axes.draw();
      this.desk.marks.draw();
      this.coverage.schedule();
    });
    this.on(this.session, "select", () => this.labelmap.activate(this.session.selected));
    this.on(this.views, "moved", (event) => {
      const { plane, slice } = (event as CustomEvent<{ plane: Plane; slice: number }>).detail;
      if (this.ready) this.seen.visit(plane, slice);
      this.coverage.schedule();
    });
    this.on(this.views, "drawn", (event) => {
      const { detail: drawn } = event as CustomEvent<string>;
      this.axes.draw(drawn);
      this.hatching.draw(drawn);
      this.axes.draw((event as CustomEvent<string>).detail);
      if ((event as CustomEvent<string>).detail === AXIAL) this.desk.marks.draw();
    });
    this.on(window, "focus", () => this.session.outbox.start());
    this.on(window, "online", () => this.session.outbox.start());
    await this.session.open();
    if (this.closed) return;
    this.hearNews();
    this.prepare();
  }

  stop(): void {
    this.closed = true;
    for (const undo of this.undo) undo();
    this.socket?.close();
    this.coverage.stop();
    this.contact.close();
    this.vessel.stop();
    if (this.ready) this.seen.stop();
  }

  /** Alt and the wheel size the brush; the plain wheel always scrolls. */
  private sizeByWheel(): () => void {
    const listener = (event: WheelEvent) => {
      if (!event.altKey || !this.views.elementUnder(event.composedPath())) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      this.commands.run(event.deltaY < 0 ? "larger" : "smaller");
    };
    window.addEventListener("wheel", listener, { capture: true, passive: false });
    return () => window.removeEventListener("wheel", listener, { capture: true });
  }

  private on(target: EventTarget, type: string, listener: (event: Event) => void): void {
    target.addEventListener(type, listener, { capture: true });
    this.undo.push(() => target.removeEventListener(type, listener, { capture: true }));
  }

  private hearNews(): void {
    const { detail } = this.session;
    if (!detail) return;
    const since = { [`reading:${detail.id}`]: detail.news_seq };
    this.socket = new NewsSocket(`/ws/readings/${detail.id}`, since, (news) => {
      this.session.hear(news);
      this.prompting.hear(news);
    });
    this.socket.open();
  }

  /** Once the truth and the three planes are both there: the mask goes on screen. */
  private prepare(): void {
    const filled = VIEWPORTS.every((id) => this.filled.has(id));
    if (this.closed || !filled || !this.session.detail || !this.views.ready || !this.images) return;
    this.preparing ??= this.mount().catch((error: unknown) => {
      this.preparing = null;
      this.session.notice = String(error instanceof Error ? error.message : error);
      this.session.changed();
      console.error(error);
    });
    void this.preparing.then(async () => {
      for (const id of VIEWPORTS) {
        await this.labelmap.show(id);
        this.views.attach(id);
      }
    });
  }

  private async reportSeen(body: object, leaving: boolean): Promise<void> {
    const { session } = this;
    if (session.closed) return;
    if (!session.writable) throw new Error("Only the writer reports what was seen.");
    await this.api.seen(body, leaving);
    const waits = session.checks.some(({ code, ok }) => !ok && code.startsWith("PLANE"));
    if (waits && !leaving) await session.recheck();
  }

  private get images(): DisplaySet | undefined {
    const series = this.session.detail?.series_uid;
    return this.host.servicesManager.services.displaySetService
      .getActiveDisplaySets()
      .find((set) => set.SeriesInstanceUID === series && set.imageIds?.length);
  }

  private reader: SliceReader | null = null;

  /** The images as they arrive. */
  private slices(): SliceReader | null {
    const { images } = this;
    const { detail } = this.session;
    if (images && detail) this.reader ??= sliceReader(images, detail.grid.sop_uids);
    return this.reader;
  }

  private async mount(): Promise<void> {
    const { session, views, images } = this;
    const { detail } = session;
    if (!detail || !images) return;
    views.geometry = new Geometry(detail.grid, images);
    alongTheImages(views);
    this.desk.mount(detail.grid.sop_uids, images);
    await this.labelmap.create(images);
    for (const id of VIEWPORTS) {
      await this.labelmap.show(id);
      views.attach(id);
    }
    this.hearStrokes();
    this.ready = true;
    this.seen.start(detail.seen);
    this.restore();
  }

  private lastPlace: Resume = {};

  private place(): Resume {
    this.lastPlace = placeOf(this);
    return this.lastPlace;
  }

  /** Everything as it was left; else the first undecided node. */
  private restore(): void {
    const kept: Resume = this.session.detail?.resume ?? {};
    this.views.zoom(FIRST_ZOOM_MM);
    if (!restorePlace(this, kept)) {
      const { selected } = this.session;
      if (kept.focus) this.views.centre(kept.focus);
      else if (selected) this.commands.goTo(selected);
      else this.commands.run("nextUndecided");
    }
    for (const plane of ["axial", "coronal", "sagittal"] as const) {
      const slice = this.views.slice(plane);
      if (slice !== null) this.seen.visit(plane, slice);
    }
  }

  private hearStrokes(): void {
    const modified = cornerstoneTools().Enums.Events.SEGMENTATION_DATA_MODIFIED ?? "";
    this.on(cornerstone().eventTarget, modified, () => {
      if (!this.labelmap.busy) this.strokes.painted();
    });
    this.undo.push(this.strokes.listen());
  }

  private takeStroke(): void {
    const { session, labelmap } = this;
    const owner = session.writable ? session.selected : null;
    const patch = labelmap.takeStroke(owner, this.desk.shaping.free);
    if (!patch) return;
    if (!session.paint(patch)) labelmap.repaint(patch.slices.map(({ index }) => index));
  }
}
