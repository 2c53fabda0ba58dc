// Requests to the server. A refusal becomes an ApiError with the server's own words;
// a broken line becomes Unreachable, which only means: try again later.

import type { Change, ChangeResult, Check, ReadingDetail, Signature } from "./contract";
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
export class Unreachable extends Error {}

const UNAVAILABLE = new Set([408, 425, 429, 500, 502, 503, 504]);

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
  if (UNAVAILABLE.has(response.status)) {
    throw new Unreachable(`The server is not ready (${response.status}). Try again in a moment.`);
  }
  throw new ApiError(response.status, await refusalOf(response));
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
  constructor(readonly reading: string) {}

  private get root(): string {
    return `/api/readings/${this.reading}`;
  }

  async detail(): Promise<ReadingDetail> {
    return (await (await request(this.root)).json()) as ReadingDetail;
  }

  async volume(mask: string): Promise<PackedMask> {
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
