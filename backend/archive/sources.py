"""What lies in a folder, a file or a zip: one offer per file, read when its turn comes.

Nothing is unpacked to disk. A zip's names are only names; one that would climb out of its folder,
a link, an encrypted or an oversized entry is offered as a problem, and the rest is read.
"""

from __future__ import annotations

import io
import lzma
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from django.conf import settings

from backend.archive.findings import Ignored, NotTaken

MAX_FILE_BYTES: int = settings.MAX_OBJECT_BYTES
MAX_ZIP_ENTRIES = 200_000
_SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06")
# What the readers of a zip's packings raise on bytes that are none of theirs.
_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    OSError,
    EOFError,
    NotImplementedError,
    ValueError,
)
_MARK = slice(128, 132)
# A data set without preamble begins with group 8 or 2; the last is big endian.
_FIRST_GROUPS = (b"\x08\x00", b"\x02\x00", b"\x00\x08")
# Control characters, ends of lines and paragraphs, turns of the direction of writing, surrogates.
_UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_JUNK = frozenset({"dicomdir", ".ds_store", "thumbs.db", "desktop.ini"})


@dataclass(frozen=True)
class Offer:
    """One file: its name as a person knows it, and how to get its bytes.

    `read` raises `NotTaken` or `Ignored`. Where `bytes_ahead` is not 0, it may be called in another
    thread and after further offers were asked for; about so many bytes then come.
    """

    name: str
    read: Callable[[], bytes]
    bytes_ahead: int = 0


def offers_of(paths: Iterable[Path]) -> Iterator[Offer]:
    """Every file in the paths, zips opened, in the order of their names."""
    for path in paths:
        if path.is_dir():
            yield from _folder(path)
        else:
            yield from _file(path, printable(path.name), path.parent)


def count(paths: Iterable[Path]) -> int:
    """How many offers `offers_of` will make, without reading any."""
    return sum(1 for _ in offers_of(paths))


def printable(name: str) -> str:
    """A file's name as it may be shown: without what would end a line, or move a terminal."""
    return _UNSHOWN.sub("\ufffd", name)


def is_zip(head: bytes) -> bool:
    """Whether a file that begins with these four bytes is a zip."""
    return head[:4] in _SIGNATURES


def may_be_dicom(data: bytes) -> bool:
    """Whether a file that begins so can be DICOM; its first 132 bytes are enough."""
    return data[_MARK] == b"DICM" or data[:2] in _FIRST_GROUPS


def not_dicom() -> NotTaken:
    """What is said of a file that is none."""
    return NotTaken(
        "NOT_DICOM",
        "{name} is not a DICOM file.",
        "Nothing to do if it does not belong to the study; otherwise export it as DICOM.",
    )


def offers_of_upload(name: str, file: IO[bytes], size: int) -> Iterator[Offer]:
    """One uploaded file, or what is in it if it is a zip."""
    head = file.read(4)
    file.seek(0)
    if head in _SIGNATURES:
        yield from _zip(file, name)
    else:
        yield Offer(name, lambda: _limited(file, size))


def _folder(root: Path) -> Iterator[Offer]:
    top = str(root)
    for folder, folders, names in os.walk(top, followlinks=False):
        folders.sort()
        shown = PurePosixPath(root.name, os.path.relpath(folder, top)).as_posix()
        before = "" if shown == "." else f"{shown}/"
        for name in sorted(names):
            yield from _file(Path(folder, name), printable(f"{before}{name}"), root)


def _file(path: Path, shown: str, root: Path) -> Iterator[Offer]:
    problem = _unsafe_file(path, root)
    if problem is not None:
        yield _refused(shown, problem)
        return
    if _is_junk(shown):
        yield _ignored(shown)
        return
    size = 0
    try:
        with path.open("rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            zipped = file.read(4) in _SIGNATURES
            if zipped:
                with io.BufferedReader(file) as archive:
                    yield from _zip(archive, shown)
    except OSError as error:
        problem = NotTaken(
            "UNREADABLE_FILE",
            f"{{name}} cannot be opened ({error.strerror}).",
            "Check the path and its permissions.",
        )
        yield _refused(shown, problem)
        return
    if not zipped:
        yield Offer(shown, lambda: _read_file(path), size)


def _unsafe_file(path: Path, root: Path) -> NotTaken | None:
    """Links that lead out of the folder, and what is no file (pipes, devices)."""
    with suppress(OSError, RuntimeError):  # A link that leads to itself is a RuntimeError.
        kind = path.lstat().st_mode
        if stat.S_ISREG(kind):
            return None
        if stat.S_ISLNK(kind) and not path.resolve(strict=True).is_relative_to(root.resolve()):
            return NotTaken(
                "LINK_OUTSIDE",
                "{name} is a link that leads out of the folder.",
                "Give the folder that it leads to, or copy the file in.",
            )
        if stat.S_ISREG(path.stat().st_mode):
            return None
    return NotTaken(
        "NOT_A_FILE",
        "{name} is not there, or is not an ordinary file.",
        "Check the path; a link must lead to a file.",
    )


def _read_file(path: Path) -> bytes:
    with path.open("rb", buffering=0) as file:
        return _limited(file, os.fstat(file.fileno()).st_size)


def _limited(file: IO[bytes], size: int) -> bytes:
    _require_size(size)
    return _whole(file, size)


def _require_size(size: int) -> None:
    limit = min(MAX_FILE_BYTES, settings.MAX_UPLOAD_BYTES)
    if size > limit:
        raise _too_large(size, limit)


def _whole(file: IO[bytes], most: int) -> bytes:
    """All its bytes, `most` at most; of what is no DICOM, however long, the first alone."""
    head = file.read(_MARK.stop)
    if len(head) < _MARK.stop:
        return head
    if head[:4] in _SIGNATURES:
        return head  # A zip in a zip.
    if not may_be_dicom(head):
        raise not_dicom()
    file.seek(0)
    return file.read(most)


def _too_large(size: int, limit: int) -> NotTaken:
    return NotTaken(
        "TOO_LARGE",
        f"{{name}} has {size >> 20} MiB, more than the {limit >> 20} MiB allowed for one file.",
        "Send the series as single-frame images, or raise CONCORD_MAX_UPLOAD_BYTES.",
    )


def _zip(file: IO[bytes], shown: str) -> Iterator[Offer]:
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        problem = NotTaken(
            "ZIP_DAMAGED",
            "{name} is a zip that cannot be opened: damaged or cut off.",
            "Make the zip again, or send the files themselves.",
        )
        yield _refused(shown, problem)
        return
    with archive:
        entries = [e for e in archive.infolist() if not e.is_dir()]
        total = sum(entry.file_size for entry in entries)
        if total > settings.MAX_UPLOAD_BYTES or len(entries) > MAX_ZIP_ENTRIES:
            problem = NotTaken(
                "ZIP_TOO_LARGE",
                f"{{name}} would unpack to {len(entries)} files of {total >> 20} MiB, more than "
                f"the {MAX_ZIP_ENTRIES} files or {settings.MAX_UPLOAD_BYTES >> 20} MiB allowed.",
                "Send it in parts, or raise CONCORD_MAX_UPLOAD_BYTES.",
            )
            yield _refused(shown, problem)
            return
        if not entries:
            problem = NotTaken(
                "ZIP_EMPTY", "{name} is a zip without a file in it.", "Make it again."
            )
            yield _refused(shown, problem)
        for entry in entries:
            yield _entry(archive, entry, f"{shown}/{printable(entry.filename)}")


def _entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, shown: str) -> Offer:
    problem = _unsafe_entry(entry)
    if problem is not None:
        return _refused(shown, problem)
    if _is_junk(entry.filename):
        return _ignored(shown)
    return Offer(shown, lambda: _read_entry(archive, entry))


def _unsafe_entry(entry: zipfile.ZipInfo) -> NotTaken | None:
    name = entry.filename.replace("\\", "/")
    if name.startswith("/") or name[1:2] == ":" or ".." in name.split("/"):
        return NotTaken(
            "ZIP_PATH_OUTSIDE",
            "{name} has a path in its zip that climbs out of the folder; it was not read.",
            "Do not trust this zip: ask its sender, and make a new one from the images.",
        )
    if stat.S_ISLNK(entry.external_attr >> 16):
        return NotTaken(
            "ZIP_LINK",
            "{name} is a link inside its zip; it was not followed.",
            "Put the file itself into the zip.",
        )
    if entry.flag_bits & 0x1:
        return NotTaken(
            "ZIP_ENCRYPTED",
            "{name} is encrypted in its zip.",
            "Unpack the zip with its password and send the files.",
        )
    limit = min(MAX_FILE_BYTES, settings.MAX_UPLOAD_BYTES)
    if entry.file_size > limit:
        return _too_large(entry.file_size, limit)
    return None


def _read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    try:
        with archive.open(entry) as file:
            data = _whole(file, entry.file_size + 1)
    except _UNREADABLE:
        raise NotTaken(
            "ZIP_DAMAGED",
            "{name} cannot be read from its zip: damaged, or packed in a way not known here.",
            "Make the zip again, or send the file itself.",
        ) from None
    if data[:4] in _SIGNATURES:
        raise NotTaken(
            "ZIP_IN_ZIP",
            "{name} is a zip inside a zip; it was not opened.",
            "Unpack the outer zip and send the inner one.",
        )
    return data


def _is_junk(name: str) -> bool:
    parts = name.lower().replace("\\", "/").split("/")
    return parts[-1] in _JUNK or parts[-1].startswith("._") or "__macosx" in parts


def _refused(name: str, problem: NotTaken) -> Offer:
    def read() -> bytes:
        raise problem

    return Offer(name, read)


def _ignored(name: str) -> Offer:
    def read() -> bytes:
        raise Ignored(name)

    return Offer(name, read)
