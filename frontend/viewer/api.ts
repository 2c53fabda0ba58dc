// Requests to the server. A refusal becomes an ApiError with the server's own words;
// a broken line becomes Unreachable, which only means: try again later.

import type { Change, ChangeResult, Check, ReadingDetail, Signature } from "./contract";
import type { Opening } from "./opening/opening";
import { type PackedMask, unpackMask } from "./packed";

export interface Refusal {
  error: string;
  message: string;
  cure?: string;
  holder?: string | null;
  head?: string;
  checks?: Check[];
}

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly refusal: Refusal,
  ) {
    super([refusal.message, refusal.cure].filter(Boolean).join(" "));
  }

  get code(): string {
    return this.refusal.error;
  }

  /** The session has ended: nothing is wrong with what was sent. */
  get signedOut(): boolean {
    return this.status === 401 || (this.status === 403 && /SIGN|AUTH|CSRF/i.test(this.code));
  }
}

/** No answer, or one that says nothing about the request (gateway, restart). */
export class Unreachable extends Error {
  constructor(
    words: string,
    /** The server asks to be left alone for so long. */
    readonly waitMs = 0,
  ) {
    super(words);
  }
}

const UNAVAILABLE = new Set([408, 425, 500, 502, 503, 504]);

function csrfToken(): string {
  return /(?:^|; )csrftoken=([^;]*)/.exec(document.cookie)?.[1] ?? "";
}

export async function request(path: string, options: RequestInit = {}): Promise<Response> {
  let response: Response;
  const headers = new Headers(options.headers);
  // A browser has one session for all its tabs: the server refuses where it is another person's.
  if (window.concord?.user) headers.set("X-Concord-User", window.concord.user);
  try {
    const how: RequestInit = { credentials: "same-origin", redirect: "manual", ...options };
    response = await fetch(path, { ...how, headers });
  } catch (error) {
    console.warn(String(error));
    throw new Unreachable("The server cannot be reached. Try again in a moment.");
  }
  if (response.ok) return response;
  if (response.type === "opaqueredirect") {
    throw new ApiError(401, { error: "SIGNED_OUT", message: "You are signed out." });
  }
  const seconds = Math.ceil(Number(response.headers.get("Retry-After"))) || 0;
  if (response.status === 429) {
    throw new Unreachable(await hurryWords(response, seconds), seconds * 1000);
  }
  if (UNAVAILABLE.has(response.status)) {
    const words = `The server is not ready (${response.status}). Try again in a moment.`;
    throw new Unreachable(words, seconds * 1000);
  }
  throw new ApiError(response.status, await refusalOf(response));
}

/** Of who asked too often: the server's own words, and when it hears again. */
async function hurryWords(response: Response, seconds: number): Promise<string> {
  const { message, error, cure } = await refusalOf(response);
  const words = error.startsWith("HTTP_") ? "Too many requests." : message;
  if (seconds > 0) return `${words} Try again in ${seconds} s.`;
  return `${words} ${cure ?? "Try again in a moment."}`;
}

async function refusalOf(response: Response): Promise<Refusal> {
  try {
    const body = (await response.json()) as Partial<Refusal> & { detail?: string };
    return {
      ...body,
      error: body.error ?? `HTTP_${response.status}`,
      message: body.message ?? body.detail ?? `The server answered ${response.status}.`,
    };
  } catch {
    return { error: `HTTP_${response.status}`, message: `The server answered ${response.status}.` };
  }
}

export function post<T>(path: string, body: object, keepalive = false): Promise<T> {
  return send("POST", path, body, keepalive);
}

export async function send<T>(
  method: "POST" | "PUT",
  path: string,
  body: object,
  keepalive = false,
): Promise<T> {
  const response = await request(path, {
    method,
    headers: { "Content-Type": "application/json", "X-CSRFToken": csrfToken() },
    body: JSON.stringify(body),
    keepalive,
  });
  return (response.status === 204 ? undefined : await response.json()) as T;
}

export class ReadingApi {
  constructor(
    readonly reading: string,
    /** What was asked for before this page's scripts were there. */
    private readonly ahead: Opening | null = null,
  ) {}

  private get root(): string {
    return `/api/readings/${this.reading}`;
  }

  async detail(): Promise<ReadingDetail> {
    const fetched = await this.ahead?.detail();
    return fetched ?? ((await (await request(this.root)).json()) as ReadingDetail);
  }

  async volume(mask: string): Promise<PackedMask> {
    const fetched = await this.ahead?.mask(mask);
    if (fetched) return unpackMask(fetched);
    const response = await request(`/api/masks/${mask}/volume`);
    return unpackMask(await response.arrayBuffer());
  }

  lease(client: string, takeOver: boolean): Promise<{ lease: string }> {
    return post(`${this.root}/lease`, { client, take_over: takeOver });
  }

  changes(lease: string, changes: Change[]): Promise<{ results: ChangeResult[] }> {
    return post(`${this.root}/changes`, { lease, changes });
  }

  seen(report: object, keepalive = false): Promise<void> {
    return post(`${this.root}/seen`, report, keepalive);
  }

  submit(body: {
    lease: string;
    head: string;
    password: string;
    meaning: string;
  }): Promise<{ state: string; signature: Signature }> {
    return post(`${this.root}/submit`, body);
  }
}
