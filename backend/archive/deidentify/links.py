"""The store of links: who is behind a pseudonym and which UID behind which. Encrypted, apart.

A folder of its own (`CONCORD_PSEUDONYM_STORE`): an SQLite file of ciphertexts, and a file for
each original that was kept aside. The key lies in another file; who has the database, the content
store and this folder but not the key learns nobody's name. Nothing here is needed to read: a lost
folder costs the way back, a lost key also the pseudonyms to come.

Back up the folder and the key, each to its own place. Both belong on a local disk: SQLite's locks
hold between the processes of one machine.
"""

from __future__ import annotations

import fcntl
import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings

from backend.archive.deidentify.keys import Keys, KeyUnusable, make_key, read_key
from backend.store.durable import flush_folders, write_whole

DATABASE = "links.sqlite3"
_BUSY_SECONDS = 60
_SCHEMA = """
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS people (
    pseudonym TEXT NOT NULL, digest BLOB NOT NULL, owner BLOB NOT NULL, sealed BLOB NOT NULL,
    PRIMARY KEY (pseudonym, digest)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS uids (mapped TEXT PRIMARY KEY, sealed BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (id TEXT PRIMARY KEY, sealed BLOB NOT NULL) WITHOUT ROWID;
"""


class PseudonymTaken(OSError):
    """Two people would get one pseudonym: nothing of the second is stored."""


@dataclass
class _Pending:
    """What was seen and is not yet on the disk."""

    people: dict[tuple[str, bytes], tuple[bytes, str]] = field(default_factory=dict)
    uids: dict[str, str] = field(default_factory=dict)


class Links:
    """The store of one folder. `remember…` is quick and in memory; `flush` puts it on the disk."""

    def __init__(self, folder: Path, keys: Keys) -> None:
        self.folder, self.keys = folder, keys
        self._lock = threading.Lock()
        self._pending = _Pending()

    def prepare(self) -> None:
        """Make the tables; raises `KeyUnusable` where they were written with another key."""
        with self._open() as database:
            database.execute("PRAGMA journal_mode = WAL")  # Readers do not wait for a writer.
            database.executescript(_SCHEMA)
            database.execute(
                "INSERT OR IGNORE INTO about VALUES ('key', ?)", (self.keys.fingerprint,)
            )
            written = database.execute("SELECT value FROM about WHERE name = 'key'").fetchone()[0]
        if written != self.keys.fingerprint:
            raise KeyUnusable(
                "PSEUDONYM_KEY",
                "The pseudonym key is not the one the store of pseudonyms was written with.",
                "Put back the key that belongs to CONCORD_PSEUDONYM_STORE.",
            )

    def remember_person(self, pseudonym: str, identity: str, facts: dict[str, str]) -> None:
        """Who is behind a pseudonym: what their objects say of them."""
        text = json.dumps(facts, sort_keys=True, ensure_ascii=False)
        owner = self.keys.tag("owner", identity)[:16]
        digest = self.keys.tag("person", text)[:16]
        with self._lock:
            self._pending.people[pseudonym, digest] = owner, text

    def remember_uid(self, mapped: str, original: str) -> None:
        """Which UID is behind a mapped one."""
        with self._lock:
            self._pending.uids[mapped] = original

    def flush(self) -> None:
        """Put all that was remembered on the disk, before anything that rests on it is stored.

        Raises:
            OSError: it could not be written; it stays remembered.
            PseudonymTaken: see there.
        """
        with self._lock:
            now, self._pending = self._pending, _Pending()
        if not now.people and not now.uids:
            return
        try:
            self._write(now)
        except BaseException:
            with self._lock:
                self._pending.people = now.people | self._pending.people
                self._pending.uids = now.uids | self._pending.uids
            raise

    def _write(self, now: _Pending) -> None:
        keys = self.keys
        with self._open() as database:
            known = _known(database, list(now.uids))
            database.execute("BEGIN IMMEDIATE")
            for (pseudonym, digest), (owner, text) in now.people.items():
                others = database.execute(
                    "SELECT 1 FROM people WHERE pseudonym = ? AND owner <> ?", (pseudonym, owner)
                )
                if others.fetchone() is not None:
                    raise PseudonymTaken(PseudonymTaken.__doc__)
                sealed = keys.sealed(text.encode(), pseudonym)
                database.execute(
                    "INSERT OR IGNORE INTO people VALUES (?, ?, ?, ?)",
                    (pseudonym, digest, owner, sealed),
                )
            database.executemany(
                "INSERT OR IGNORE INTO uids VALUES (?, ?)",
                [
                    (mapped, keys.sealed(original.encode(), mapped))
                    for mapped, original in now.uids.items()
                    if mapped not in known
                ],
            )
            database.execute("COMMIT")

    def people(self, pseudonym: str) -> list[dict[str, str]]:
        """What the objects of this pseudonym said of the person; [] where nobody has it."""
        with self._open() as database:
            found = database.execute(
                "SELECT sealed FROM people WHERE pseudonym = ?", (pseudonym,)
            ).fetchall()
        return [json.loads(self.keys.opened(sealed, pseudonym)) for (sealed,) in found]

    def gave(self, uid: str, pseudonym: str) -> bool:
        """Whether both the UID and the pseudonym were given out here."""
        with self._lock:
            waiting = {name for name, _ in self._pending.people}
            if uid in self._pending.uids and pseudonym in waiting:
                return True
        with self._open() as database:
            found = database.execute(
                "SELECT EXISTS (SELECT 1 FROM uids WHERE mapped = ?) "
                "AND EXISTS (SELECT 1 FROM people WHERE pseudonym = ?)",
                (uid, pseudonym),
            )
            return bool(found.fetchone()[0])

    def original_uid(self, mapped: str) -> str:
        """The UID behind a mapped one, "" where none is known."""
        with self._open() as database:
            found = database.execute(
                "SELECT sealed FROM uids WHERE mapped = ?", (mapped,)
            ).fetchone()
        return self.keys.opened(found[0], mapped).decode() if found else ""

    def keep_file(self, file_id: UUID, name: str, data: bytes) -> None:
        """Keep a file that was not taken, its name and its bytes, where nobody reads them."""
        label = str(file_id)
        if data:
            self._write_file(self._place(file_id), self.keys.sealed(data, label))
        with self._open() as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute(
                "INSERT OR REPLACE INTO files VALUES (?, ?)",
                (label, self.keys.sealed(name.encode("utf-8", "replace"), label)),
            )
            database.execute("COMMIT")

    def file_names(self, file_ids: list[UUID]) -> dict[UUID, str]:
        """The names of files that were kept, of those that are known."""
        labels = [str(one) for one in file_ids]
        with self._open() as database:
            found = _chosen(database, "SELECT id, sealed FROM files WHERE id IN", labels)
        return {UUID(label): self.keys.opened(sealed, label).decode() for label, sealed in found}

    def file_bytes(self, file_id: UUID) -> bytes:
        """The bytes of a file that was kept; raises `FileNotFoundError`."""
        return self.keys.opened(self._place(file_id).read_bytes(), str(file_id))

    def drop_file(self, file_id: UUID) -> None:
        """Forget the bytes of a file that was kept."""
        self._place(file_id).unlink(missing_ok=True)

    def _place(self, file_id: UUID) -> Path:
        return self.folder / "kept" / f"{file_id}.sealed"

    @staticmethod
    def _write_file(path: Path, data: bytes) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(path, data)
        flush_folders([path.parent])

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection of its own, in autocommit; SQLite's errors come out as `OSError`."""
        try:
            database = sqlite3.connect(
                self.folder / DATABASE, timeout=_BUSY_SECONDS, isolation_level=None
            )
            try:
                database.execute("PRAGMA synchronous = FULL")  # A commit is on the disk.
                yield database
            finally:
                database.close()
        except sqlite3.Error as error:
            raise OSError(f"The store of pseudonyms: {error}") from error


def _known(database: sqlite3.Connection, mapped: list[str]) -> set[str]:
    """Those that are there: they need no second encryption."""
    return {
        found for (found,) in _chosen(database, "SELECT mapped FROM uids WHERE mapped IN", mapped)
    }


def _chosen(database: sqlite3.Connection, question: str, values: list[str]) -> list[Any]:
    found: list[Any] = []
    for start in range(0, len(values), 500):
        some = values[start : start + 500]
        found += database.execute(f"{question} ({','.join('?' * len(some))})", some).fetchall()
    return found


def links() -> Links:
    """The store of this installation; raises `KeyUnusable`."""
    return _links_at(Path(settings.PSEUDONYM_STORE), Path(settings.PSEUDONYM_KEY_FILE))


@lru_cache(maxsize=8)
def _links_at(folder: Path, key_file: Path) -> Links:
    """Opened once for each process. A key is made only where nothing was ever de-identified."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / ".opening").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not key_file.exists() and not (folder / DATABASE).exists() and not _ever_needed():
            make_key(key_file)
        found = Links(folder, read_key(key_file))
        found.prepare()
    return found


def _ever_needed() -> bool:
    from backend.archive.models import Receipt

    return Receipt.objects.filter(deidentified=True).exists()
