"""Files and folder entries that are on the disk before anything goes on."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from backend.store.interface import Bytes

# What a write that was cut off leaves behind begins so.
INCOMING = ".incoming-"


def write_whole(path: Path, data: Bytes) -> None:
    """Write beside, flush, rename: a file (mode 0600) is whole or not there.

    Its folder is there already, and is flushed by the caller (`flush_folders`).
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=INCOMING)
    try:
        with os.fdopen(handle, "wb", buffering=0) as file:
            rest = memoryview(data).cast("B")
            while rest.nbytes:
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def flush_folders(folders: Iterable[Path]) -> None:
    """Flush the entries of folders to the disk."""
    for folder in folders:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
