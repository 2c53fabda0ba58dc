"""Where the pieces of large files wait until the file is whole: one file each, named by its row."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from uuid import UUID

from django.conf import settings

# What must stay free on the disk beside a file that is to come.
SPARE_BYTES = 1 << 30
_SUFFIX = ".part"


def folder() -> Path:
    """`$CONCORD_STATE/spool`, made where it is not."""
    found = Path(settings.SPOOL)
    found.mkdir(parents=True, exist_ok=True)
    return found


def has_room(size: int, promised: int) -> bool:
    """Whether a file of `size` may come, beside what others were promised."""
    if promised + size > settings.SPOOL_BYTES:
        return False
    return shutil.disk_usage(folder()).free > size + SPARE_BYTES


def append(file: UUID, offset: int, pieces: Iterable[bytes]) -> int:
    """Write pieces from `offset` on, flushed to the disk; return how many bytes there are then.

    What lies behind the offset (of a write that was cut off) is dropped first.
    """
    descriptor = os.open(_path(file), os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+b") as out:
        out.truncate(offset)
        out.seek(offset)
        for piece in pieces:
            out.write(piece)
        out.flush()
        os.fsync(out.fileno())
        return out.tell()


def size(file: UUID) -> int:
    """How many bytes there are; 0 where the file is gone."""
    try:
        return _path(file).stat().st_size
    except FileNotFoundError:
        return 0


def head(file: UUID, count: int) -> bytes:
    """The first bytes."""
    with opened(file) as source:
        return source.read(count)


@contextmanager
def opened(file: UUID) -> Iterator[IO[bytes]]:
    """The file, to be read."""
    with _path(file).open("rb") as source:
        yield source


def drop(file: UUID) -> None:
    """Remove it; it is no matter if it is gone."""
    _path(file).unlink(missing_ok=True)


def drop_old(seconds: float) -> int:
    """Remove what nobody wrote to for so long; return how many files."""
    count = 0
    for path in folder().glob(f"*{_SUFFIX}"):
        try:
            if time.time() - path.stat().st_mtime > seconds:
                path.unlink()
                count += 1
        except FileNotFoundError:
            continue
    return count


def _path(file: UUID) -> Path:
    return folder() / f"{file}{_SUFFIX}"
