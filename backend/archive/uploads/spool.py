"""Where the pieces of large files wait until the file is whole: one file each, named by its row.

They are originals, with the patient's name in them, so they lie encrypted: AES in counter mode,
which can be gone on with and read at any place, under a key of the installation's secret key and
the file's id. Whoever copies the disk's files reads nothing; who has the secret key too, does.
"""

from __future__ import annotations

import io
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast
from uuid import UUID

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

# What must stay free on the disk beside a file that is to come.
SPARE_BYTES = 1 << 30
_SUFFIX = ".part"
# Django's own files of a request, unencrypted while it lasts: what a killed process left of them.
_REQUEST_SECONDS = 3600.0
_BLOCK = 16
_READ_BYTES = 1 << 16


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
    cipher = _cipher(file, offset)
    descriptor = os.open(_path(file), os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+b") as out:
        out.truncate(offset)
        out.seek(offset)
        for piece in pieces:
            out.write(cipher.update(piece))
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
    """The file, to be read in the clear."""
    with _path(file).open("rb", buffering=0) as raw:
        yield cast(IO[bytes], io.BufferedReader(_InTheClear(raw, file), _READ_BYTES))


def drop(file: UUID) -> None:
    """Remove it; it is no matter if it is gone."""
    _path(file).unlink(missing_ok=True)


def drop_old(seconds: float) -> int:
    """Remove what nobody wrote to for so long, also what a killed process left of a request."""
    count = 0
    for path in folder().iterdir():
        patience = seconds if path.suffix == _SUFFIX else min(seconds, _REQUEST_SECONDS)
        try:
            if path.is_file() and time.time() - path.stat().st_mtime > patience:
                path.unlink()
                count += 1
        except FileNotFoundError:
            continue
    return count


class _InTheClear(io.RawIOBase):
    """A file of the spool as it was sent; can be read at any place, as a zip is."""

    def __init__(self, raw: io.RawIOBase | Any, file: UUID) -> None:
        self._raw, self._file = raw, file
        self._cipher: CipherContext | None = None

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """Where the next byte comes from."""
        return int(self._raw.tell())

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go there."""
        self._cipher = None
        return int(self._raw.seek(offset, whence))

    def readinto(self, buffer: Any, /) -> int:
        """Fill the buffer, or some of it; 0 at the end."""
        if self._cipher is None:
            self._cipher = _cipher(self._file, self.tell())
        data = self._raw.read(len(buffer))
        buffer[: len(data)] = self._cipher.update(data)
        return len(data)


def _cipher(file: UUID, offset: int) -> CipherContext:
    """What encrypts and decrypts a file from `offset` on."""
    secret = settings.SECRET_KEY.encode()
    key = HKDF(SHA256(), 32, salt=file.bytes, info=b"concord upload spool").derive(secret)
    counter = (offset // _BLOCK).to_bytes(_BLOCK, "big")
    cipher = Cipher(algorithms.AES(key), modes.CTR(counter)).encryptor()
    cipher.update(bytes(offset % _BLOCK))
    return cipher


def _path(file: UUID) -> Path:
    return folder() / f"{file}{_SUFFIX}"
