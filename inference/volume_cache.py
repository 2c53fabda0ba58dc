"""Series a worker fetched, kept on its disk: the next click on one is answered at once.

A series is one file of HU (int16, memory-mapped when read) and one of its header. The oldest in
use goes when the folder is full. Nothing in it is of lasting worth: it may be deleted any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

DEFAULT_BYTES = 4 << 30


@dataclass(frozen=True)
class VolumeCache:
    """Volumes in `folder`, `limit_bytes` at most (one is always kept)."""

    folder: Path
    limit_bytes: int = DEFAULT_BYTES

    def keep(
        self, series: str, geometry_hash: str, header: dict[str, Any], volume: NDArray[np.int16]
    ) -> None:
        """Keep a series; whole or not at all. A full disk is no reason to fail: it is not kept."""
        path = self._path(series, geometry_hash)
        with contextlib.suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._whole(path.with_suffix(".json")) as stream:
                stream.write(json.dumps(header).encode())
            with self._whole(path) as stream:
                np.save(stream, volume)
            self._make_room(path)

    def find(
        self, series: str, geometry_hash: str
    ) -> tuple[dict[str, Any], NDArray[np.int16]] | None:
        """Header and volume (read-only, mapped) of a series; None where it is not kept."""
        path = self._path(series, geometry_hash)
        try:
            header: dict[str, Any] = json.loads(path.with_suffix(".json").read_text())
            volume = np.load(path, mmap_mode="r")
            os.utime(path)
        except (OSError, ValueError, EOFError):
            return None
        if list(volume.shape) != list(header["grid"]["shape"]) or volume.dtype != np.int16:
            return None
        return header, volume

    def _path(self, series: str, geometry_hash: str) -> Path:
        name = hashlib.sha256(f"{series}\n{geometry_hash}".encode()).hexdigest()
        return self.folder / f"{name}.npy"

    @contextlib.contextmanager
    def _whole(self, path: Path) -> Iterator[IO[bytes]]:
        """A file that takes its name when it is whole, and leaves nothing behind before."""
        handle, name = tempfile.mkstemp(dir=self.folder, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as stream:
                yield stream
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def _make_room(self, newest: Path) -> None:
        kept = sorted(self.folder.glob("*.npy"), key=lambda path: path.stat().st_mtime)
        used = sum(path.stat().st_size for path in kept)
        for path in kept:
            if used <= self.limit_bytes or path == newest:
                continue
            used -= path.stat().st_size
            # Who has it mapped reads on: the file goes when the last one closes it.
            path.unlink(missing_ok=True)
            path.with_suffix(".json").unlink(missing_ok=True)
