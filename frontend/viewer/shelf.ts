// Unsent changes on disk (IndexedDB), one shelf per user and reading or consensus.

import type { Change } from "./contract";
import type { Entry, Shelf } from "./outbox";

const DATABASE = "concord";
export const STORE = "outbox";

interface Row<C extends { id: string }> {
  owner: string;
  id: string;
  entry: Entry<C>;
}

export async function openShelf<C extends { id: string } = Change>(
  owner: string,
): Promise<Shelf<C>> {
  try {
    return new DiskShelf(await openDatabase(), owner);
  } catch (error) {
    console.warn("Unsent changes cannot be kept on this disk.", error);
    return new MemoryShelf();
  }
}

/** Every row of a person: their shelves begin with their id. */
export function ownedBy(user: string): IDBKeyRange {
  return IDBKeyRange.bound(`${user}/`, `${user}0`, false, true);
}

export function openDatabase(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(DATABASE, 1);
    opening.onupgradeneeded = () => {
      const store = opening.result.createObjectStore(STORE, { autoIncrement: true });
      store.createIndex("owner", "owner");
    };
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error);
  });
}

class DiskShelf<C extends { id: string }> implements Shelf<C> {
  constructor(
    private readonly database: IDBDatabase,
    private readonly owner: string,
  ) {}

  async all(): Promise<Entry<C>[]> {
    const entries: Entry<C>[] = [];
    await this.walk("readonly", (cursor) => {
      entries.push((cursor.value as Row<C>).entry);
    });
    return entries;
  }

  add(entry: Entry<C>): Promise<void> {
    const transaction = this.database.transaction(STORE, "readwrite", { durability: "strict" });
    const row: Row<C> = { owner: this.owner, id: entry.change.id, entry };
    transaction.objectStore(STORE).add(row);
    return finished(transaction);
  }

  remove(ids: string[]): Promise<void> {
    return this.walk("readwrite", (cursor) => {
      if (ids.includes((cursor.value as Row<C>).id)) cursor.delete();
    });
  }

  /** Visits this owner's rows in the order they were added. */
  private walk(mode: IDBTransactionMode, visit: (cursor: IDBCursorWithValue) => void) {
    const transaction = this.database.transaction(STORE, mode);
    const request = transaction.objectStore(STORE).index("owner").openCursor(this.owner);
    request.onsuccess = () => {
      if (!request.result) return;
      visit(request.result);
      request.result.continue();
    };
    return finished(transaction);
  }
}

function finished(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onerror = () => reject(transaction.error);
    transaction.onabort = () => reject(transaction.error);
  });
}

/** Where the disk is closed to us (private windows): better than nothing. */
export class MemoryShelf<C extends { id: string } = Change> implements Shelf<C> {
  private entries: Entry<C>[] = [];

  all(): Promise<Entry<C>[]> {
    return Promise.resolve([...this.entries]);
  }

  add(entry: Entry<C>): Promise<void> {
    this.entries.push(entry);
    return Promise.resolve();
  }

  remove(ids: string[]): Promise<void> {
    this.entries = this.entries.filter(({ change }) => !ids.includes(change.id));
    return Promise.resolve();
  }
}
