import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type News, NewsSocket } from "../viewer/socket";

/** The network's end of a line: what was opened, and what the server says on it. */
class Line {
  static readonly OPEN = 1;
  static opened: Line[] = [];
  readyState = Line.OPEN;
  onopen: () => void = () => {};
  onmessage: (event: { data: string }) => void = () => {};
  onclose: () => void = () => {};

  constructor(readonly address: string) {
    Line.opened.push(this);
  }

  send(): void {}

  close(): void {
    this.onclose();
  }

  says(seq: number, type = "change.applied"): void {
    this.onmessage({ data: JSON.stringify({ type, audience: "reading:1", seq, payload: {} }) });
  }

  get since(): unknown {
    return JSON.parse(decodeURIComponent(this.address.split("since=")[1] ?? ""));
  }
}

const lineNow = () => Line.opened[Line.opened.length - 1] as Line;

describe("news of a reading", () => {
  const heard: number[] = [];
  let socket: NewsSocket;

  beforeEach(() => {
    Line.opened = [];
    heard.length = 0;
    vi.useFakeTimers();
    vi.stubGlobal("WebSocket", Line);
    vi.stubGlobal("window", globalThis);
    vi.stubGlobal("location", { protocol: "http:", host: "concord" });
    socket = new NewsSocket("/ws/readings/1", { "reading:1": 4 }, ({ seq }: News) => {
      heard.push(seq);
    });
    socket.open();
    lineNow().onopen();
  });

  afterEach(() => {
    socket.close();
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it("is heard once each, whatever comes again", () => {
    for (const seq of [4, 5, 6, 5, 6, 7]) lineNow().says(seq);
    expect(heard).toEqual([5, 6, 7]);
  });

  it("goes on after a gap where it was broken off", () => {
    expect(lineNow().since).toEqual({ "reading:1": 4 });
    lineNow().says(5);
    lineNow().close();
    vi.advanceTimersByTime(1_000);
    expect(Line.opened).toHaveLength(2);
    expect(lineNow().since).toEqual({ "reading:1": 5 });
    for (const seq of [5, 6]) lineNow().says(seq);
    expect(heard).toEqual([5, 6]);
  });

  it("is asked for ever more rarely while the line is down, and no more once the room is left", () => {
    for (let failed = 0; failed < 12; failed += 1) {
      lineNow().close();
      vi.advanceTimersByTime(25_000);
      expect(Line.opened).toHaveLength(failed + 2);
    }
    const { length } = Line.opened;
    lineNow().close();
    vi.advanceTimersByTime(10_000);
    expect(Line.opened).toHaveLength(length);
    socket.close();
    vi.advanceTimersByTime(60_000);
    expect(Line.opened).toHaveLength(length);
  });
});
