// What of one person lies on this computer: changes not sent yet, and the leases of their tabs.

import { LEASES } from "./lease";
import { openDatabase, ownedBy, STORE } from "./shelf";

/** How many changes of this person wait to be sent; 0 where the disk is closed to us. */
export async function countKept(user: string): Promise<number> {
  try {
    const database = await openDatabase();
    const index = database.transaction(STORE).objectStore(STORE).index("owner");
    return await new Promise((resolve, reject) => {
      const counting = index.count(ownedBy(user));
      counting.onsuccess = () => resolve(counting.result);
      counting.onerror = () => reject(counting.error);
    });
  } catch (error) {
    console.warn("Unsent changes cannot be looked for on this disk.", error);
    return 0;
  }
}

/** Forget which leases this browser took. Changes are gone from the disk once they are sent. */
export function forgetLeases(): void {
  for (const key of Object.keys(localStorage)) {
    if (key.startsWith(LEASES)) localStorage.removeItem(key);
  }
}
