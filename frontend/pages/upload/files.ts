// What a person chose or dropped: every file with its folders' names, in the order of the names.

export interface Chosen {
  name: string;
  file: File;
}

export function chosenIn(input: HTMLInputElement): Chosen[] {
  return inOrder(
    [...(input.files ?? [])].map((file) => ({ name: file.webkitRelativePath || file.name, file })),
  );
}

// The entries must be asked for before the event ends; what is in them is read afterwards.
export function droppedIn(transfer: DataTransfer | null): Promise<Chosen[]> {
  const items = [...(transfer?.items ?? [])].filter((item) => item.kind === "file");
  const entries = items.map((item) => item.webkitGetAsEntry());
  const loose = [...(transfer?.files ?? [])];
  return Promise.all(
    entries.map((entry, at): Promise<Chosen[]> => {
      const file = loose[at];
      if (entry) return filesIn(entry);
      return Promise.resolve(file ? [{ name: file.name, file }] : []);
    }),
  ).then((found) => inOrder(found.flat()));
}

async function filesIn(entry: FileSystemEntry): Promise<Chosen[]> {
  if (entry.isFile) {
    const file = await new Promise<File>((yes, no) => (entry as FileSystemFileEntry).file(yes, no));
    return [{ name: entry.fullPath.replace(/^\//, ""), file }];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: Chosen[] = [];
  for (;;) {
    // A reader gives at most 100 entries at a time, and none when it has given all.
    const some = await new Promise<FileSystemEntry[]>((yes, no) => reader.readEntries(yes, no));
    if (some.length === 0) return found;
    for (const one of some) found.push(...(await filesIn(one)));
  }
}

const order = new Intl.Collator("en", { numeric: true });

function inOrder(found: Chosen[]): Chosen[] {
  return found.sort((a, b) => order.compare(a.name, b.name));
}

// "neck/series 2/IM0001" lies in "neck/series 2"; a file chosen alone in "".
export function folderOf(name: string): string {
  return name.slice(0, Math.max(0, name.lastIndexOf("/")));
}

export function leafOf(name: string): string {
  return name.slice(name.lastIndexOf("/") + 1);
}
