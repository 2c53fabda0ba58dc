// News of a reading. The socket carries news, not truth. Its address says which were heard last, so
// that after a gap the missed ones come first, in order, each once.

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
  private told: unknown = null;

  constructor(
    private readonly path: string,
    private readonly since: Record<string, number>,
    private readonly listen: (news: News) => void,
    /** The line is back after a gap, for who keeps no numbers. */
    private readonly returned: () => void = () => {},
    /** The line is gone: what was told beside the news is no longer known. */
    private readonly lost: () => void = () => {},
  ) {}

  open(): void {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const since = encodeURIComponent(JSON.stringify(this.since));
    const socket = new WebSocket(`${scheme}//${location.host}${this.path}?since=${since}`);
    this.socket = socket;
    socket.onopen = () => {
      if (this.failures > 0) this.returned();
      this.failures = 0;
      this.say();
    };
    socket.onmessage = (event) => this.hear(String(event.data));
    socket.onclose = () => {
      this.lost();
      this.reopen();
    };
  }

  /** Tells the server something that holds until the next; told anew on every new line. */
  tell(message: unknown): void {
    this.told = message;
    this.say();
  }

  private say(): void {
    const { socket, told } = this;
    if (told && socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(told));
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
