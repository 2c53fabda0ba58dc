// The settling screen's room: one consensus, its images, news and keys, brought together when the
// viewer opens it and taken apart when it leaves.

import { bindings } from "../keys/bindings";
import { openShelf } from "../shelf";
import { offerSignIn } from "../signin/card";
import { NewsSocket } from "../socket";
import { ConsensusApi } from "./client";
import { SettleSession } from "./consensus";
import type { Act } from "./contract";
import { Desk } from "./desk";
import { listenToKeys } from "./keys";
import { exposePanelHook } from "./panel_hook";
import { Telling } from "./presence";
import type { StageConsensus, ToolStage } from "./stage";

/** The images as the viewer made them; they start once the consensus is known. */
export type OpenStage = ToolStage & { start(consensus: StageConsensus): void };

const news = new EventTarget();
let current: SettleRoom | null = null;

function announce(room: SettleRoom | null): void {
  current = room;
  news.dispatchEvent(new Event("change"));
}

/** Calls back now and whenever the room changes; returns the end of it. */
export function watchSettling(listener: (room: SettleRoom | null) => void): () => void {
  const heard = () => listener(current);
  news.addEventListener("change", heard);
  heard();
  return () => news.removeEventListener("change", heard);
}

export function openSettling(stage: OpenStage, consensus: string): { stop(): void } {
  const room = new SettleRoom(stage, consensus);
  void room.start();
  return room;
}

export class SettleRoom extends EventTarget {
  session: SettleSession | null = null;
  desk: Desk | null = null;
  /** Why the room could not be opened. */
  failure = "";
  private socket: NewsSocket | null = null;
  private closed = false;
  private readonly ends: (() => void)[] = [];

  constructor(
    readonly stage: OpenStage,
    private readonly consensus: string,
  ) {
    super();
  }

  async start(): Promise<void> {
    const shelf = await openShelf<Act>(`${window.concord?.user ?? ""}/consensus/${this.consensus}`);
    const session = new SettleSession(new ConsensusApi(this.consensus), shelf);
    this.session = session;
    this.ends.push(offerSignIn(session));
    announce(this);
    try {
      await session.open();
    } catch (error) {
      this.failure = error instanceof Error ? error.message : String(error);
      session.changed();
      console.error(error);
    }
    if (!session.detail || this.closed) return;
    this.desk = new Desk(session, this.stage);
    this.desk.begin();
    this.on(this.stage, "ready", () => this.desk?.shown());
    this.stage.start(session.detail);
    exposePanelHook(this);
    announce(this);
    this.hearNews(session, this.desk);
    this.hear(session, this.desk);
  }

  private hear(session: SettleSession, desk: Desk): void {
    this.ends.push(
      listenToKeys(
        () => desk.phase,
        (action, stroke) => desk.run(action, stroke),
        (stroke) => desk.remap.take(stroke),
      ),
      this.stage.redraw.changed(() => desk.redrawn()),
    );
    this.on(window, "focus", () => session.outbox.start());
    this.on(window, "online", () => session.outbox.start());
    this.on(session, "change", () => desk.follow());
    for (const target of [desk.remap, bindings]) this.on(target, "change", () => desk.changed());
    for (const type of ["ready", "loading", "layout", "tool", "window"]) {
      this.on(this.stage, type, () => desk.changed());
    }
    this.on(this.stage, "failed", (event) => {
      session.warn(String((event as CustomEvent).detail ?? "The images could not be shown."));
      session.changed();
    });
  }

  private hearNews(session: SettleSession, desk: Desk): void {
    if (!session.detail) return;
    const audience = `consensus:${this.consensus}`;
    const since = { [audience]: session.detail.news_seq };
    this.socket = new NewsSocket(
      `/ws/consensus/${this.consensus}`,
      since,
      (item) => session.hear(item),
      () => session.catchUp(),
      () => session.see([]),
    );
    this.socket.open();
    if (session.detail.role === "observer") return;
    const telling = new Telling((message) => this.socket?.tell(message));
    telling.at(desk.whereabouts);
    this.on(desk, "change", () => telling.at(desk.whereabouts));
    this.ends.push(() => telling.stop());
  }

  private on(target: EventTarget, type: string, listener: (event: Event) => void): void {
    target.addEventListener(type, listener);
    this.ends.push(() => target.removeEventListener(type, listener));
  }

  stop(): void {
    this.closed = true;
    for (const end of this.ends.splice(0)) end();
    this.socket?.close();
    if (current === this) announce(null);
  }
}
