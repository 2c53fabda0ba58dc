// The reading room: one reading, its images, mask, tools, keys and news, brought together when
// the viewer opens a reading and taken apart when it leaves.

import { ReadingApi } from "./api";
import { Hatching } from "./appearance/hatching";
import { alongTheImages } from "./askew";
import { Axes } from "./axes";
import { type BesideRoom, enterBeside } from "./beside/enter";
import { breaks } from "./breaks";
import { Commands } from "./commands";
import type { SliceReader } from "./contact/cut";
import { sliceReader } from "./contact/pixels";
import { ContactSheet } from "./contact/sheet";
import type { Plane, Resume } from "./contract";
import { CoverageBars } from "./coverage/bar";
import { Geometry } from "./geometry";
import { anythingUntold, Telling } from "./incidental/telling";
import { listenToKeys } from "./keys";
import { Labelmap } from "./labelmap";
import { AXIAL, VIEWPORTS } from "./layout";
import { leaseMemory, takeClientId } from "./lease";
import type { DisplaySet, Host } from "./ohif";
import type { FilledPlanes } from "./opening/filled";
import { NextCase } from "./opening/next";
import type { Opening } from "./opening/opening";
import { hearStrokes, sizeByWheel, strokesOf } from "./painting";
import { enterPrompting } from "./prompt/enter";
import type { Prompting } from "./prompt/prompting";
import { enterOffering } from "./proposal/enter";
import type { Offering } from "./proposal/offering";
import { ShapeDesk } from "./reshape/desk";
import { placeOf, restorePlace } from "./resume";
import { Seen } from "./seen";
import { Session } from "./session";
import { openShelf } from "./shelf";
import { offerSignIn } from "./signin/card";
import { NewsSocket } from "./socket";
import type { Strokes } from "./strokes";
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
  readonly offering: Offering;
  readonly coverage: CoverageBars;
  readonly contact: ContactSheet;
  readonly vessel: VesselTest;
  readonly hatching: Hatching;
  readonly desk: ShapeDesk;
  readonly beside: BesideRoom;
  readonly next: NextCase;
  readonly telling: Telling;
  private readonly strokes: Strokes;
  private socket: NewsSocket | null = null;
  private preparing: Promise<void> | null = null;
  private ready = false;
  private closed = false;
  private readonly undo: (() => void)[] = [];

  private constructor(
    private readonly host: Host,
    private readonly api: ReadingApi,
    session: Session,
    private readonly planes: FilledPlanes,
    private readonly ahead: Opening | null,
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
    const newer = enterOffering(this, api.reading);
    this.offering = newer.offering;
    this.undo.push(prompts.end, newer.end);
    this.strokes = strokesOf(this);
    this.seen = new Seen(
      (body, leaving) => this.reportSeen(body, leaving),
      () => (this.vessel.running ? this.lastPlace : this.place()),
    );
    this.hatching = new Hatching(
      session,
      this.views,
      (node) => this.labelmap.hideRejected && session.node(node)?.decision === "rejected",
    );
    this.next = new NextCase(api.reading);
    this.telling = new Telling(api.reading, () => this.axialSlice);
    this.commands.verbs.incidental = () => this.telling.toggle();
    this.commands.putAway = () => this.telling.close();
    this.commands.verbs.nextCase = () => this.next.go();
    this.commands.verbs.hatching = () => {
      this.hatching.shown = !this.hatching.shown;
      this.hatching.draw();
    };
    this.beside = enterBeside(this, api.reading);
    this.undo.push(this.beside.end);
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

  static async open(
    host: Host,
    reading: string,
    planes: FilledPlanes,
    ahead: Opening | null,
  ): Promise<Room> {
    const api = new ReadingApi(reading, ahead);
    const shelf = await openShelf(`${window.concord?.user ?? ""}/${reading}`);
    const session = new Session(api, shelf, takeClientId(), leaseMemory(reading));
    return new Room(host, api, session, planes, ahead);
  }

  /** Images, mask and tools are all there, and the reader has not gone on to another case. */
  get isReady(): boolean {
    return this.ready && !this.closed;
  }

  async start(): Promise<void> {
    this.on(this.planes, "filled", () => this.prepare());
    this.undo.push(
      () => this.planes.stop(),
      offerSignIn(this.session, this.telling),
      this.desk.listen(),
      listenToKeys(
        (action) => this.strokes.afterwards(() => this.commands.run(action)),
        (digit) => this.commands.digit(digit),
        (stroke) =>
          this.commands.remap.take(stroke) || this.contact.take(stroke) || this.beside.take(stroke),
        (action) => action === "vessel" && this.vessel.stop(),
      ),
      sizeByWheel(this),
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
      if (this.ready && !this.beside.covers(plane)) this.seen.visit(plane, slice);
      this.coverage.schedule();
    });
    this.on(this.views, "drawn", (event) => {
      const { detail: drawn } = event as CustomEvent<string>;
      this.axes.draw(drawn);
      this.hatching.draw(drawn);
      if (drawn === AXIAL) this.desk.marks.draw();
    });
    for (const type of ["pointermove", "keydown", "wheel"])
      this.on(window, type, () => breaks.sign(performance.now()));
    for (const type of ["focus", "online"])
      this.on(window, type, () => this.session.outbox.start());
    this.on(window, "beforeunload", (event) => {
      if (anythingUntold()) event.preventDefault();
    });
    await this.session.open();
    if (this.closed) return;
    this.hearNews();
    this.prepare();
    await this.ahead?.shown; // Nothing else is asked for while the first image is on its way.
    if (this.closed) return;
    void this.offering.look();
    this.beside.look();
  }

  stop(): void {
    this.closed = true;
    for (const undo of this.undo) undo();
    this.socket?.close();
    this.session.leave();
    this.next.stop();
    this.ahead?.stop();
    this.coverage.stop();
    this.contact.close();
    this.vessel.stop();
    if (this.ready) this.seen.stop();
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
      this.offering.hear(news);
    });
    this.socket.open();
    this.offering.restore(detail.resume.left);
  }

  /** Once the truth and the three planes are both there: the mask goes on screen. */
  private prepare(): void {
    const filled = this.planes.all(VIEWPORTS);
    if (this.closed || !filled || !this.session.detail || !this.views.ready || !this.images) return;
    this.preparing ??= this.mount().catch((error: unknown) => {
      this.preparing = null;
      this.session.notice = String(error instanceof Error ? error.message : error);
      this.session.changed();
      console.error(error);
    });
    void this.preparing.then(async () => {
      for (const id of VIEWPORTS) {
        if (!this.isReady) return;
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

  /** The axial slice on screen; null where the images were moved out of it. */
  private get axialSlice(): number | null {
    const slice = this.views.slice("axial");
    const slices = this.session.detail?.grid.shape[0] ?? 0;
    return slice !== null && slice >= 0 && slice < slices ? slice : null;
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
    await this.ahead?.shown; // Making the mask takes as long as showing the first image.
    if (this.closed) return;
    views.geometry = new Geometry(detail.grid, images);
    alongTheImages(views);
    this.desk.mount(detail.grid.sop_uids, images);
    await this.labelmap.create(images, () => !this.closed);
    for (const id of VIEWPORTS) {
      if (this.closed) return;
      await this.labelmap.show(id);
      views.attach(id);
    }
    if (this.closed) return;
    this.undo.push(hearStrokes(this, this.strokes));
    this.ready = true;
    this.seen.start(detail.seen);
    this.restore();
    void Promise.resolve(this.ahead?.whole).then(() => this.next.prepare());
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
}
