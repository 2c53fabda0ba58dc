// The archive's upload: files, a folder or a zip, one request per file, with progress for each.

interface Kept {
  name: string;
  message: string;
  cure: string;
}
interface Taken {
  counts: Record<string, number>;
  kept: Kept[];
}
interface Judged {
  series: { modality: string; description: string; state: string; reason: string }[];
}
interface Item {
  name: string;
  file: File;
}

const AT_ONCE = 3;

function startUpload(form: HTMLFormElement): void {
  const drop = form.querySelector<HTMLElement>("#drop");
  const list = form.querySelector<HTMLUListElement>("#upload-list");
  const state = form.querySelector<HTMLElement>("#upload-state");
  const inputs = [...form.querySelectorAll<HTMLInputElement>('input[type="file"]')];
  const button = form.querySelector<HTMLButtonElement>('button[type="submit"]');
  if (!drop || !list || !state || !button) return;
  let running = false;

  const run = async (items: Item[]): Promise<void> => {
    if (running || items.length === 0) return;
    running = true;
    button.disabled = true;
    list.hidden = false;
    list.replaceChildren();
    const receipt = newId();
    const totals: Record<string, number> = {};
    let failed = 0;
    let done = 0;
    const queue = [...items];
    const tell = (): void => {
      state.textContent = `${done} of ${items.length} files sent. ${sentence(totals)}`;
    };
    const worker = async (): Promise<void> => {
      for (let item = queue.shift(); item; item = queue.shift()) {
        const line = document.createElement("li");
        const bar = document.createElement("progress");
        bar.max = 1;
        line.append(`${item.name} `, bar);
        list.append(line);
        try {
          const taken = await send(form, receipt, item, (share) => {
            bar.value = share;
          });
          for (const [what, count] of Object.entries(taken.counts)) {
            totals[what] = (totals[what] ?? 0) + count;
          }
          if (taken.kept.length === 0) line.remove();
          else line.replaceChildren(...taken.kept.map(notice));
        } catch (error) {
          failed += 1;
          line.replaceChildren(
            notice({
              name: item.name,
              message: `${item.name} was not sent: ${(error as Error).message}`,
              cure: "Upload it again; what is here already stays.",
            }),
          );
        }
        done += 1;
        tell();
      }
    };
    tell();
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    try {
      state.textContent = `${sentence(totals)} Judging the series …`;
      const judged = await close(form, receipt);
      state.textContent = `${sentence(totals)} ${verdict(judged)}`;
      await refresh();
    } catch (error) {
      state.textContent = `${sentence(totals)} ${(error as Error).message}`;
    }
    running = false;
    button.disabled = false;
    for (const input of inputs) input.value = "";
    if (failed === 0 && list.childElementCount === 0) list.hidden = true;
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void run(inputs.flatMap((input) => [...(input.files ?? [])].map(named)));
  });
  for (const kind of ["dragenter", "dragover"]) {
    drop.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.dataset.over = "";
    });
  }
  drop.addEventListener("dragleave", () => delete drop.dataset.over);
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    delete drop.dataset.over;
    const entries = [...(event.dataTransfer?.items ?? [])].map((item) => item.webkitGetAsEntry());
    void Promise.all(entries.map((entry) => (entry ? filesIn(entry) : []))).then((found) =>
      run(found.flat()),
    );
  });
}

function named(file: File): Item {
  return { name: file.webkitRelativePath || file.name, file };
}

async function filesIn(entry: FileSystemEntry): Promise<Item[]> {
  if (entry.isFile) {
    const file = await new Promise<File>((yes, no) => (entry as FileSystemFileEntry).file(yes, no));
    return [{ name: entry.fullPath.replace(/^\//, ""), file }];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: Item[] = [];
  for (;;) {
    // A reader gives at most 100 entries at a time, and none when it has given all.
    const some = await new Promise<FileSystemEntry[]>((yes, no) => reader.readEntries(yes, no));
    if (some.length === 0) return found;
    for (const one of some) found.push(...(await filesIn(one)));
  }
}

function send(
  form: HTMLFormElement,
  receipt: string,
  item: Item,
  progress: (share: number) => void,
): Promise<Taken> {
  const body = new FormData();
  body.append("receipt", receipt);
  body.append("name", item.name);
  body.append("file", item.file, item.file.name);
  return post<Taken>(form.action, body, token(form), progress);
}

function close(form: HTMLFormElement, receipt: string): Promise<Judged> {
  const body = new FormData();
  body.append("receipt", receipt);
  return post<Judged>(form.dataset.close ?? "", body, token(form), () => undefined);
}

// XMLHttpRequest, because fetch does not tell how much of a body was sent.
function post<T>(
  address: string,
  body: FormData,
  csrf: string,
  progress: (share: number) => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", address);
    request.setRequestHeader("X-CSRFToken", csrf);
    request.setRequestHeader("Accept", "application/json");
    request.responseType = "json";
    request.upload.onprogress = (event) => {
      if (event.lengthComputable) progress(event.loaded / event.total);
    };
    request.onerror = () => reject(new Error("the connection broke off."));
    request.onload = () => {
      if (request.status === 200) resolve(request.response as T);
      else reject(new Error(request.response?.message ?? `the server answered ${request.status}.`));
    };
    request.send(body);
  });
}

// The lists under the form, as the server shows them now.
async function refresh(): Promise<void> {
  const answer = await fetch(window.location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector("#archive-lists");
  if (fresh) document.querySelector("#archive-lists")?.replaceWith(fresh);
}

function token(form: HTMLFormElement): string {
  return form.querySelector<HTMLInputElement>('input[name="csrfmiddlewaretoken"]')?.value ?? "";
}

// crypto.randomUUID does not exist on plain-http hosts.
function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

function notice(kept: Kept): HTMLElement {
  const box = document.createElement("p");
  box.className = "notice warn";
  box.textContent = `${kept.message} ${kept.cure}`;
  return box;
}

function sentence(totals: Record<string, number>): string {
  const of = (what: string): number => totals[what] ?? 0;
  return `${of("stored")} stored, ${of("already_here")} already here, ${of("kept_aside")} kept aside.`;
}

function verdict(judged: Judged): string {
  const count = (state: string): number => judged.series.filter((s) => s.state === state).length;
  const bad = judged.series.filter((s) => s.state === "quarantined").map((s) => s.reason);
  return [`${count("volume")} series became volumes, ${bad.length} quarantined.`, ...bad].join(" ");
}

const form = document.querySelector<HTMLFormElement>("form#upload");
if (form) startUpload(form);

export {};
