"""Files and folder entries that are on the disk before anything goes on."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from typing import TypeAlias

from backend.store.interface import Bytes

# What a write that was cut off leaves behind begins so.
INCOMING = ".incoming-"

Where: TypeAlias = "str | os.PathLike[str]"


def write_whole(path: Where, data: Bytes) -> None:
    """Write beside, flush, rename: a file (mode 0600) is whole or not there.

    Its folder is there already, and is flushed by the caller (`flush_folders`).
    """
    temporary = os.path.join(os.path.dirname(path), INCOMING + secrets.token_hex(8))
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        try:
            rest = memoryview(data).cast("B")
            while rest.nbytes:
                rest = rest[os.write(file, rest) :]
            os.fsync(file)
        finally:
            os.close(file)
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def flush_folders(folders: Iterable[Where]) -> None:
    """Flush the entries of folders to the disk."""
    for folder in folders:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
