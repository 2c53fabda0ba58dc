"""What a content store does, wherever its bytes lie.

A blob is named by the SHA-256 of its *uncompressed* bytes, whether it is kept plain or as zstd, so
that a browser, a worker and the server agree on its name whatever the compressor.
"""

from __future__ import annotations

import hashlib
import io
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeAlias

import zstandard

Bytes: TypeAlias = "bytes | bytearray | memoryview"

ZSTD_LEVEL = 3
MAX_BLOB_BYTES = 2 << 30
CHUNK_BYTES = 1 << 20
PACKED = ".zst"
QUARANTINE = "quarantine"
_NAME = re.compile(r"[0-9a-f]{64}")

# Waiting for a disk or a network; several blobs wait together.
WAITING = ThreadPoolExecutor(max_workers=8, thread_name_prefix="blobs")


class BlobMissing(LookupError):
    """The content store holds no blob of that name. Run `manage.py verify_store --repair`."""


class BlobShort(OSError):
    """A blob ends before the bytes that were asked for. Run `manage.py verify_store --repair`."""


@dataclass(frozen=True)
class Entry:
    """One thing that lies in the store: `place` is its path or key, `modified` seconds since 1970.

    `name` is the blob's name, "" for a leftover of a write that was cut off.
    """

    place: str
    name: str
    packed: bool
    size: int
    modified: float


class ContentStore(ABC):
    """Blobs by name. Bytes are durable before `put` returns; nothing is ever overwritten."""

    @property
    @abstractmethod
    def where(self) -> str:
        """For people: the folder, or the address of the bucket. Holds no secret."""

    @abstractmethod
    def put(self, data: Bytes, *, compress: bool = False, name: str | None = None) -> str:
        """Keep `data`; return the SHA-256 (hex) of the uncompressed bytes. Idempotent, durable.

        `name` is that hash, where the caller has it already. A blob whose bytes are here with
        another length (the disk lost some) is written anew.
        """

    def put_many(
        self, datas: Sequence[Bytes], names: Sequence[str | None] | None = None
    ) -> list[str]:
        """Keep several blobs, plain; they wait for the disk or the network together."""
        known = names or [None] * len(datas)
        pairs = zip(datas, known, strict=True)
        return list(WAITING.map(lambda pair: self.put(pair[0], name=pair[1]), pairs))

    @abstractmethod
    def exists(self, name: str) -> bool:
        """Whether the blob is here, plain or compressed."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """The blob's uncompressed bytes; raises `BlobMissing`."""

    @abstractmethod
    def read_zstd(self, name: str) -> bytes:
        """The blob as zstd, compressing now if it is kept plain; raises `BlobMissing`."""

    @abstractmethod
    def read_range(self, name: str, offset: int, length: int) -> bytes:
        """Some uncompressed bytes; quick for a blob that is kept plain.

        Raises:
            BlobMissing: there is no such blob.
            BlobShort: it ends before `offset + length`.
        """

    @abstractmethod
    def chunks(self, name: str) -> Iterator[bytes]:
        """The blob's uncompressed bytes, a mebibyte at most at a time; raises `BlobMissing`."""

    @abstractmethod
    def path(self, name: str) -> Path:
        """Where a plain blob lies as a file of this machine.

        Raises `BlobMissing` where it does not, be it that this store has no files at all: then
        `read_range` has its bytes.
        """

    @abstractmethod
    def writable(self) -> bool:
        """Whether the store takes writes now (asked by `/readyz`)."""

    @abstractmethod
    def entries(self) -> Iterator[Entry]:
        """Everything that lies here but what is in quarantine, leftovers of cut writes too."""

    @abstractmethod
    def opened(self, entry: Entry) -> IO[bytes]:
        """The bytes of an entry as they lie here, to be read once from the start."""

    @abstractmethod
    def set_aside(self, entry: Entry) -> str:
        """Move an entry into quarantine, out of everyone's sight; return where it lies then.

        "" where it was put again since it was listed: it stays.
        """

    @abstractmethod
    def discard(self, entry: Entry) -> None:
        """Remove a leftover for good."""

    def is_whole(self, entry: Entry, progress: Callable[[int], object] | None = None) -> bool:
        """Whether an entry's bytes have the hash that it is named by; read in pieces.

        `progress` is told how many uncompressed bytes each piece has.
        """
        digest = hashlib.sha256()
        with closing(self.opened(entry)) as file:
            try:
                for piece in pieces(file, packed=entry.packed):
                    digest.update(piece)
                    if progress is not None:
                        progress(len(piece))
            except zstandard.ZstdError:
                return False
        return digest.hexdigest() == entry.name


def pieces(file: IO[bytes], *, packed: bool) -> Iterator[bytes]:
    """Uncompressed bytes of an open file; raises `zstandard.ZstdError` for a broken stream."""
    source: IO[bytes] = zstandard.ZstdDecompressor().stream_reader(file) if packed else file
    while piece := source.read(CHUNK_BYTES):
        yield piece


def is_name(name: str) -> bool:
    """Whether this can be the name of a blob at all."""
    return _NAME.fullmatch(name) is not None


def named(name: str) -> str:
    """The name itself; raises `BlobMissing` for what can be none (`../../etc/passwd`)."""
    if not is_name(name):
        raise BlobMissing(name)
    return name


def pack(data: Bytes) -> bytes:
    """As zstd, its size told in front."""
    packed: bytes = zstandard.ZstdCompressor(ZSTD_LEVEL).compress(data)
    return packed


def unpack(data: bytes) -> bytes:
    """From zstd; raises `zstandard.ZstdError`."""
    plain: bytes = zstandard.ZstdDecompressor().decompress(data, max_output_size=MAX_BLOB_BYTES)
    return plain


def part_of(data: bytes, name: str, offset: int, length: int) -> bytes:
    """A part of bytes in memory; raises `BlobShort`."""
    part = io.BytesIO(data)
    part.seek(offset)
    return enough(part.read(length), name, length)


def enough(data: bytes, name: str, length: int) -> bytes:
    """The bytes, if there are as many as were asked for; raises `BlobShort`."""
    if len(data) != length:
        raise BlobShort(f"{name} ends before the bytes that were asked for")
    return data
