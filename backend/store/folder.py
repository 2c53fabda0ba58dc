"""The content store in a folder: `ab/abcd…` or `ab/abcd….zst`, flushed to the disk.

One level of folders: of two, most new blobs began a folder of their own, and a folder and the entry
of a folder had to be flushed for each. Blobs that lie two folders deep (`ab/cd/abcd…`), where they
were kept before, are found there and stay.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from backend.store.durable import INCOMING, flush_folders, write_whole
from backend.store.interface import (
    PACKED,
    QUARANTINE,
    WAITING,
    BlobMissing,
    Bytes,
    ContentStore,
    Entry,
    enough,
    is_name,
    named,
    pack,
    part_of,
    pieces,
    unpack,
)

# A blob that is put again counts as new, so that nobody takes it for an orphan meanwhile.
_TOUCH_SECONDS = 3600.0


class FolderStore(ContentStore):
    """Blobs in a folder of this machine."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._top = str(root)
        # Folders whose own entries this process has seen to be on the disk; none is ever removed.
        self._lasting: set[str] = set()

    @property
    def where(self) -> str:
        """The folder."""
        return str(self.root)

    def put(self, data: Bytes, *, compress: bool = False, name: str | None = None) -> str:
        """Write, flush, rename, flush the folders."""
        name = named(name or hashlib.sha256(data).hexdigest())
        changed = self._place(name, data, compress=compress)
        flush_folders(changed)
        self._lasting |= changed
        return name

    def put_many(
        self, datas: Sequence[Bytes], names: Sequence[str | None] | None = None
    ) -> list[str]:
        """Hash, write and flush in threads; each folder is flushed once."""

        def one(data: Bytes, name: str | None) -> tuple[str, set[str]]:
            name = named(name or hashlib.sha256(data).hexdigest())
            return name, self._place(name, data, compress=False)

        placed = list(WAITING.map(one, datas, names or [None] * len(datas)))
        changed = set().union(*(folders for _, folders in placed))
        list(WAITING.map(lambda folder: flush_folders((folder,)), changed))
        self._lasting |= changed
        return [name for name, _ in placed]

    def exists(self, name: str) -> bool:
        """Whether either form is a file."""
        return any(os.path.isfile(path) for path in (*self._plain(name), *self._packed(name)))

    def read(self, name: str) -> bytes:
        """The plain file, else the packed one."""
        data = _bytes_of(self._plain(name))
        return unpack(self._packed_bytes(name)) if data is None else data

    def read_zstd(self, name: str) -> bytes:
        """The packed file, else the plain one packed now."""
        data = _bytes_of(self._packed(name))
        return pack(self.read(name)) if data is None else data

    def read_range(self, name: str, offset: int, length: int) -> bytes:
        """Cut out of the plain file."""
        file = _opened(self._plain(name))
        if file is None:
            return part_of(unpack(self._packed_bytes(name)), name, offset, length)
        with file:
            return enough(os.pread(file.fileno(), length, offset), name, length)

    def chunks(self, name: str) -> Iterator[bytes]:
        """One open file, read to its end."""
        for places, packed in ((self._plain(name), False), (self._packed(name), True)):
            file = _opened(places)
            if file is not None:
                return _read_out(file, packed=packed)
        raise BlobMissing(name)

    def path(self, name: str) -> Path:
        """The plain file."""
        for plain in self._plain(name):
            if os.path.isfile(plain):
                return Path(plain)
        raise BlobMissing(name)

    def writable(self) -> bool:
        """Makes a file and removes it."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.root, prefix=INCOMING):
                return True
        except OSError:
            return False

    def entries(self) -> Iterator[Entry]:
        """Folder by folder."""
        yield from self._listed(self.root, 0)

    def _listed(self, folder: Path, depth: int) -> Iterator[Entry]:
        try:
            found = sorted(os.scandir(folder), key=lambda one: one.name)
        except FileNotFoundError:
            return
        for one in found:
            if one.is_dir(follow_symlinks=False):
                if depth < 2 and len(one.name) == 2:
                    yield from self._listed(Path(one.path), depth + 1)
                continue
            stem = one.name.removesuffix(PACKED)
            leftover = one.name.startswith(INCOMING)
            if not leftover and (depth < 1 or not is_name(stem)):
                continue  # Nothing of ours.
            try:
                told = one.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # A write that has just ended.
            yield Entry(
                place=one.path,
                name="" if leftover else stem,
                packed=one.name.endswith(PACKED),
                size=told.st_size,
                modified=told.st_mtime,
            )

    def opened(self, entry: Entry) -> IO[bytes]:
        """The file."""
        try:
            return Path(entry.place).open("rb")
        except FileNotFoundError:
            raise BlobMissing(entry.name) from None

    def set_aside(self, entry: Entry) -> str:
        """Renamed into `quarantine/`, under a name that nothing there has."""
        source = Path(entry.place)
        if source.stat().st_mtime != entry.modified:
            return ""
        target = self.root / QUARANTINE / source.name
        target.parent.mkdir(parents=True, exist_ok=True)
        number = 1
        while target.exists():
            number += 1
            target = target.with_name(f"{source.name}.{number}")
        os.replace(source, target)
        flush_folders({source.parent, target.parent, self.root})
        return str(target)

    def discard(self, entry: Entry) -> None:
        """Removed; it is no matter if it is gone."""
        Path(entry.place).unlink(missing_ok=True)

    def _plain(self, name: str) -> tuple[str, str]:
        """Where a plain blob lies, and where it may lie of before."""
        above = f"{self._top}/{named(name)[:2]}"
        return f"{above}/{name}", f"{above}/{name[2:4]}/{name}"

    def _packed(self, name: str) -> tuple[str, str]:
        here, before = self._plain(name)
        return here + PACKED, before + PACKED

    def _packed_bytes(self, name: str) -> bytes:
        data = _bytes_of(self._packed(name))
        if data is None:
            raise BlobMissing(name)
        return data

    def _place(self, name: str, data: Bytes, *, compress: bool) -> set[str]:
        """Write the blob unless it is here; return the folders that must be flushed for it.

        Also for one that is here: another process may have renamed it a moment ago. One of another
        length lost some of its bytes, and is written anew where it lies.
        """
        plain = self._plain(name)
        for path in plain:
            size = _size(path)
            if size is not None:
                whole = size == memoryview(data).nbytes
                return self._touched(path) if whole else self._write(path, data)
        if not compress:
            return self._write(plain[0], data)
        packed = self._packed(name)
        for path in packed:
            if _size(path) is not None:
                return self._touched(path)
        return self._write(packed[0], pack(data))

    def _touched(self, path: str) -> set[str]:
        if time.time() - os.stat(path).st_mtime > _TOUCH_SECONDS:
            os.utime(path)
        return self._unsure(os.path.dirname(path))

    def _write(self, path: str, data: Bytes) -> set[str]:
        """Write it whole; return the folders whose entries may not be on the disk."""
        folder = os.path.dirname(path)
        try:
            write_whole(path, data)
        except FileNotFoundError:  # As for every first blob of a folder.
            self._lasting.discard(folder)
            os.makedirs(folder, exist_ok=True)
            write_whole(path, data)
        return self._unsure(folder)

    def _unsure(self, folder: str) -> set[str]:
        """The folder, and those above it up to the first whose own entry is on the disk."""
        found = {folder}
        while folder != self._top and folder not in self._lasting:
            folder = os.path.dirname(folder)
            found.add(folder)
        return found


def _opened(places: Sequence[str]) -> IO[bytes] | None:
    """The first of these files that is here, unbuffered; None where none is."""
    for path in places:
        with suppress(FileNotFoundError):
            return open(path, "rb", buffering=0)
    return None


def _bytes_of(places: Sequence[str]) -> bytes | None:
    """All bytes of the first of these files that is here; None where none is."""
    file = _opened(places)
    if file is None:
        return None
    with file:
        return file.read()


def _size(path: str) -> int | None:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return None


def _read_out(file: IO[bytes], *, packed: bool) -> Iterator[bytes]:
    with file:
        yield from pieces(file, packed=packed)
