// What the server is asked, and the four ways in which it does not do it.

export interface Said {
  name: string;
  size: number;
  modified: number;
  copy: number;
}

export interface Problem {
  name: string;
  code: string;
  message: string;
  cure: string;
}

export interface Told {
  file: string;
  received: number;
  taken: boolean;
  counts: Record<string, number>;
  kept: Problem[];
}

export interface Batch {
  receipt: string;
  started: string;
  source: string;
  files: number;
  bytes: number;
  counts: Record<string, number>;
  // Key of a file, and whether it is here whole (1) or in part (0).
  here: [string, number][];
}

export interface SeriesVerdict {
  modality: string;
  description: string;
  images: number;
  state: string;
  code: string;
  reason: string;
  next: { label: string; address: string }[];
}

export interface Verdict {
  counts: Record<string, number>;
  series: SeriesVerdict[];
}

// The request did not get through, or the server cannot just now: it is tried again.
export class Lost extends Error {}

// Nobody is signed in any more: it is tried again, once somebody is.
export class SignedOut extends Error {}

// The server says no, with a sentence and a cure.
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly cure: string,
    readonly received: number | null,
  ) {
    super(message);
  }
}

export type Progress = (bytes: number) => void;

export interface Server {
  open(receipt: string, source: string, files: number, bytes: number): Promise<Batch>;
  unfinished(): Promise<Batch[]>;
  whole(receipt: string, said: Said, file: Blob, progress: Progress): Promise<Told>;
  // What became of each, in their order.
  several(receipt: string, said: Said[], files: Blob[], progress: Progress): Promise<Told[]>;
  begin(receipt: string, said: Said): Promise<Told>;
  piece(file: string, offset: number, bytes: Blob, progress: Progress): Promise<Told>;
  take(file: string, name: string): Promise<Told>;
  close(receipt: string): Promise<Verdict>;
}

interface ErrorBody {
  error?: string;
  message?: string;
  cure?: string;
  received?: number;
}

export function serverAt(root: string): Server {
  return {
    open: (receipt, source, files, bytes) =>
      post(`${root}/batches`, form({ receipt, source, files, bytes })),
    unfinished: async () => {
      const answer = await ask<{ batches: Batch[] }>("GET", `${root}/batches`, null);
      return answer.batches;
    },
    whole: (receipt, said, file, progress) => {
      const body = new FormData();
      for (const [name, value] of Object.entries({ receipt, ...said })) {
        body.append(name, String(value));
      }
      body.append("file", file, "file");
      return post(root, body, (bytes) => progress(Math.min(bytes, file.size)));
    },
    several: async (receipt, said, files, progress) => {
      const body = new FormData();
      body.append("receipt", receipt);
      for (const { name, modified, copy } of said) {
        body.append("name", name);
        body.append("modified", String(modified));
        body.append("copy", String(copy));
      }
      for (const file of files) body.append("file", file, "file");
      const answer = await post<{ files: Told[] }>(`${root}/several`, body, progress);
      return answer.files;
    },
    begin: (receipt, said) => post(`${root}/begin`, form({ receipt, ...said })),
    piece: (file, offset, bytes, progress) =>
      post(`${root}/files/${file}?offset=${offset}`, bytes, progress),
    take: (file, name) => post(`${root}/files/${file}/take`, form({ name })),
    close: (receipt) => post(`${root}/close`, form({ receipt })),
  };
}

function form(fields: Record<string, string | number>): URLSearchParams {
  return new URLSearchParams(Object.entries(fields).map(([name, value]) => [name, String(value)]));
}

function post<T>(
  address: string,
  body: FormData | URLSearchParams | Blob,
  progress?: Progress,
): Promise<T> {
  return ask("POST", address, body, progress);
}

// XMLHttpRequest, because fetch does not tell how much of a body was sent.
function ask<T>(
  method: string,
  address: string,
  body: FormData | URLSearchParams | Blob | null,
  progress?: Progress,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, address);
    request.setRequestHeader("Accept", "application/json");
    // The cookie, not the page's form: signing in in another tab changes it.
    if (method !== "GET") request.setRequestHeader("X-CSRFToken", token());
    if (body instanceof Blob) request.setRequestHeader("Content-Type", "application/octet-stream");
    request.responseType = "json";
    if (progress) {
      request.upload.onprogress = (event) => progress(event.loaded);
    }
    const lost = (): void => reject(new Lost("The server cannot be reached."));
    request.onerror = lost;
    request.onabort = lost;
    request.ontimeout = lost;
    request.onload = () => {
      const told = (request.response ?? {}) as ErrorBody;
      if (request.status === 200 && request.response) resolve(request.response as T);
      else reject(failure(request.status, told));
    };
    request.send(body);
  });
}

function failure(status: number, told: ErrorBody): Error {
  const message = told.message ?? `The server answered ${status}.`;
  if (status === 401) return new SignedOut(message);
  // A token of before signing in again is tried again with the new one.
  if (status >= 500 || status === 408 || status === 429 || told.error === "FORM_EXPIRED") {
    return new Lost(message);
  }
  if (status === 200) return new Lost("The answer was cut off.");
  return new Refused(status, told.error ?? "", message, told.cure ?? "", told.received ?? null);
}

function token(): string {
  return /(?:^|; )csrftoken=([^;]*)/.exec(document.cookie)?.[1] ?? "";
}

// crypto.randomUUID does not exist on plain-http hosts.
export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
