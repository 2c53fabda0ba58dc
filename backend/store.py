"""The content store: bytes addressed by the SHA-256 of what they mean, kept in one folder.

A blob is named by the hash of its *uncompressed* bytes, whether it is kept plain or as zstd, so
that a browser, a worker and the server agree on its name whatever the compressor. Bytes are
flushed to the disk before `put` returns; nothing is ever overwritten.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import zstandard

ZSTD_LEVEL = 3
MAX_BLOB_BYTES = 2 << 30


_FILES = ThreadPoolExecutor(max_workers=8, thread_name_prefix="blobs")


class BlobMissing(LookupError):
    """The content store holds no blob of that name. Run `manage.py verify_audit` and restore it."""


class ContentStore:
    """A folder of blobs, two levels deep: `ab/cd/abcd….zst` or `ab/cd/abcd…`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, data: bytes, *, compress: bool = False) -> str:
        """Keep `data`; return the SHA-256 (hex) of the uncompressed bytes. Idempotent, durable."""
        name = hashlib.sha256(data).hexdigest()
        if self.exists(name):
            return name
        if compress:
            self._write(self._zstd_path(name), zstandard.ZstdCompressor(ZSTD_LEVEL).compress(data))
        else:
            self._write(self._plain_path(name), data)
        return name

    def put_many(self, datas: Sequence[bytes]) -> list[str]:
        """Keep several blobs; flushing to the disk is waiting, so they wait together."""
        return list(_FILES.map(self.put, datas))

    def exists(self, name: str) -> bool:
        """Whether the blob is here, plain or compressed."""
        return self._plain_path(name).is_file() or self._zstd_path(name).is_file()

    def read(self, name: str) -> bytes:
        """The blob's uncompressed bytes; raises `BlobMissing`."""
        plain = self._plain_path(name)
        if plain.is_file():
            return plain.read_bytes()
        packed = self._zstd_path(name)
        if packed.is_file():
            return zstandard.ZstdDecompressor().decompress(
                packed.read_bytes(), max_output_size=MAX_BLOB_BYTES
            )
        raise BlobMissing(name)

    def read_zstd(self, name: str) -> bytes:
        """The blob as zstd, compressing now if it is kept plain; raises `BlobMissing`."""
        packed = self._zstd_path(name)
        if packed.is_file():
            return packed.read_bytes()
        return zstandard.ZstdCompressor(ZSTD_LEVEL).compress(self.read(name))

    def open(self, name: str) -> BinaryIO:
        """An open file of a plain blob, for byte ranges; raises `BlobMissing`."""
        try:
            return self._plain_path(name).open("rb")
        except FileNotFoundError:
            raise BlobMissing(name) from None

    def path(self, name: str) -> Path:
        """Where a plain blob lies; raises `BlobMissing`."""
        plain = self._plain_path(name)
        if not plain.is_file():
            raise BlobMissing(name)
        return plain

    def writable(self) -> bool:
        """Whether the store takes writes now (asked by `/readyz`)."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.root):
                return True
        except OSError:
            return False

    def _plain_path(self, name: str) -> Path:
        if len(name) != 64 or not all(c in "0123456789abcdef" for c in name):
            raise BlobMissing(name)
        return self.root / name[:2] / name[2:4] / name

    def _zstd_path(self, name: str) -> Path:
        plain = self._plain_path(name)
        return plain.with_name(plain.name + ".zst")

    @staticmethod
    def _write(path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".incoming-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        for folder in (path.parent, path.parent.parent):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


@lru_cache
def _store_at(root: Path) -> ContentStore:
    return ContentStore(root)


def store() -> ContentStore:
    """The content store of this installation (`$CONCORD_STATE/content`)."""
    from django.conf import settings

    return _store_at(Path(settings.CONTENT_ROOT))
