// The archive's upload: files, folders and zips by drop or choice, with progress for each, pause,
// resume after a lost network, an ended session or a closed page, and a verdict for each series.

import { type Chosen, chosenIn, droppedIn } from "./upload/files";
import { type Item, overlap, Queue } from "./upload/queue";
import { type Batch, serverAt } from "./upload/server";
import { View } from "./upload/view";
import { bytes, files, number } from "./upload/words";

function startUpload(form: HTMLFormElement): void {
  const server = serverAt(form.action);
  const limit = Number(form.dataset.limit);
  const drop = form.querySelector<HTMLElement>("#drop");
  const before = form.querySelector<HTMLElement>("#unfinished");
  // There is a choice only where there are several.
  const source = form.querySelector<HTMLSelectElement>("#source");
  const inputs = [...form.querySelectorAll<HTMLInputElement>('input[type="file"]')];
  if (!drop || !before) return;
  let unfinished: Batch[] = [];
  let queue: Queue | null = null;

  const view = new View(form, {
    pause: () => queue?.pause(),
    resume: () => queue?.resume(),
    cancel: () => {
      const left = queue ? queue.items.length - queue.filesDone : 0;
      const ask = `Stop here? ${files(left)} will not be sent. What is here already stays.`;
      if (window.confirm(ask)) queue?.cancel();
    },
    tryNow: () => queue?.tryNow(),
  });

  const start = (chosen: Chosen[]): void => {
    if (chosen.length === 0) return;
    if (queue?.sending && queue.phase !== "judging") {
      queue.add(chosen);
      return;
    }
    const [best] = unfinished
      .map((batch) => ({ batch, alike: overlap(chosen, batch) }))
      .filter(({ alike }) => alike > 0)
      .sort((a, b) => b.alike - a.alike);
    unfinished = unfinished.filter((batch) => batch !== best?.batch);
    tellUnfinished();
    // A batch that goes on is of the source it was begun with.
    if (source && best) source.value = best.batch.source;
    const changed = (item?: Item): void => {
      view.changed(item);
      form.dataset.phase = begun.phase;
      if (source) source.disabled = begun.sending;
      if (begun.phase === "ended") void refresh();
    };
    const begun: Queue = new Queue(server, limit, changed, source?.value ?? "");
    queue = begun;
    view.begin(begun);
    begun.add(chosen, best?.batch ?? null);
  };

  const tellUnfinished = (): void => {
    before.hidden = unfinished.length === 0;
    before.replaceChildren(...unfinished.map(toldOf));
  };

  const toldOf = (batch: Batch): HTMLElement => {
    const box = document.createElement("div");
    box.className = "notice warn";
    const here = batch.here.filter((row) => row[1]).length;
    const words = document.createElement("p");
    const all = batch.files ? ` of ${number(batch.files)} (${bytes(batch.bytes)})` : "";
    const from = source ? ` from “${batch.source}”` : "";
    // As the page writes times: 2026-11-21 18:00.
    const at = new Date(batch.started).toLocaleString("sv", {
      dateStyle: "short",
      timeStyle: "short",
    });
    words.textContent =
      `An upload begun ${at}${from} did not end: ${files(here)}${all} are here. ` +
      "Drop the same folder again, and only what is missing is sent.";
    const end = document.createElement("button");
    end.type = "button";
    end.textContent = "End it with what is here";
    end.addEventListener("click", () => {
      end.disabled = true;
      server.close(batch.receipt).then(
        () => {
          unfinished = unfinished.filter((one) => one !== batch);
          tellUnfinished();
          void refresh();
        },
        (error: Error) => {
          end.disabled = false;
          words.textContent = error.message;
        },
      );
    });
    box.append(words, end);
    return box;
  };

  form.addEventListener("submit", (event) => event.preventDefault());
  for (const input of inputs) {
    input.addEventListener("change", () => {
      start(chosenIn(input));
      input.value = "";
    });
  }
  // Anywhere on the page: a drop beside the field would make the browser leave.
  for (const kind of ["dragenter", "dragover"]) {
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.dataset.over = "";
    });
  }
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) delete drop.dataset.over;
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    delete drop.dataset.over;
    void droppedIn(event.dataTransfer).then(start);
  });
  window.addEventListener("online", () => queue?.halt && queue.tryNow());
  window.addEventListener("focus", () => queue?.halt?.kind === "signed_out" && queue.tryNow());
  window.addEventListener("beforeunload", (event) => {
    if (queue?.sending && queue.phase !== "paused") event.preventDefault();
  });
  server.unfinished().then(
    (found) => {
      unfinished = found.filter((batch) => batch.receipt !== queue?.receipt);
      tellUnfinished();
    },
    () => undefined, // Without it one only has to send again what is here already.
  );
}

// The lists under the form, as the server shows them now.
async function refresh(): Promise<void> {
  const answer = await fetch(window.location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector("#archive-lists");
  if (fresh) document.querySelector("#archive-lists")?.replaceWith(fresh);
}

const form = document.querySelector<HTMLFormElement>("form#upload");
if (form) startUpload(form);
