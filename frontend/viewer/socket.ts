// News of a reading. The socket carries news, not truth: after a gap it asks for what it missed.

export interface News {
  type: string;
  audience: string;
  seq: number;
  payload: Record<string, unknown>;
}

const SHORTEST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 20_000;

export class NewsSocket {
  private socket: WebSocket | null = null;
  private failures = 0;
  private closed = false;
  private timer = 0;

  constructor(
    private readonly path: string,
    private readonly since: Record<string, number>,
    private readonly listen: (news: News) => void,
    /** The line is back after a gap, for who keeps no numbers. */
    private readonly returned: () => void = () => {},
  ) {}

  open(): void {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}${this.path}`);
    this.socket = socket;
    socket.onopen = () => {
      if (this.failures > 0) this.returned();
      this.failures = 0;
      socket.send(JSON.stringify({ since: this.since }));
    };
    socket.onmessage = (event) => this.hear(String(event.data));
    socket.onclose = () => this.reopen();
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
    this.socket?.close();
  }

  private hear(text: string): void {
    const news = JSON.parse(text) as News;
    if (typeof news.seq === "number" && news.audience) {
      if (news.seq <= (this.since[news.audience] ?? 0)) return;
      this.since[news.audience] = news.seq;
    }
    this.listen(news);
  }

  private reopen(): void {
    if (this.closed) return;
    this.failures += 1;
    const pause = Math.min(LONGEST_PAUSE_MS, SHORTEST_PAUSE_MS * 2 ** (this.failures - 1));
    this.timer = window.setTimeout(() => this.open(), pause * (0.75 + Math.random() / 2));
  }
}
