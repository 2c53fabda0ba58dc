"""The record of a case as one zip: `record.json`, `events.jsonl`, and `blobs/<SHA-256>`.

Nothing else may be in it. Reading it trusts nothing: names, sizes, hashes and the chain are checked
before anything is kept.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

from backend.reports.record.blobs import Blobs
from backend.reports.record.case import described
from backend.reports.record.events import Event, UnreadableEvent, faults_of, of_line, to_line
from backend.reports.record.named import named_blobs

FORMAT, VERSION = "concord-record", 1
LIST, EVENTS, BLOBS = "record.json", "events.jsonl", "blobs/"
LARGEST_BLOB = 1 << 30
LARGEST_TEXT = 512 << 20
LARGEST_TOTAL = 16 << 30
MOST_ENTRIES = 200_000
# zip needs a date for each entry; this is the first it can tell.
_DATE = (1980, 1, 1, 0, 0, 0)
_CHUNK = 1 << 20
_CHAIN = re.compile(r"case:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NAME = re.compile(r"blobs/([0-9a-f]{64})")


class BadRecord(ValueError):
    """This is no whole record of a case. Have it exported again."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"{detail} Have the record exported again; nothing of it was taken.")


def write_record(events: Sequence[Event], blobs: Blobs) -> Iterator[bytes]:
    """The zip in parts, as they are written; raises `BlobFault` before the first.

    The same events and blobs give the same bytes. Every blob is read and hashed once before, so
    that no zip is begun that cannot be ended.
    """
    names = named_blobs(events, blobs)
    for name in names:
        blobs.bytes_of(name)
    listed = {
        "format": FORMAT,
        "version": VERSION,
        "chain": events[-1].chain,
        "label": described(events)["label"],
        "events": len(events),
        "head": {"position": events[-1].position, "hash": events[-1].hash},
        "blobs": names,
    }
    lines = "".join(to_line(event) + "\n" for event in events)
    return _zip(listed, lines, names, blobs)


def _zip(listed: dict[str, Any], lines: str, names: list[str], blobs: Blobs) -> Iterator[bytes]:
    drain = _Drain()
    with zipfile.ZipFile(drain, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as out:
        out.writestr(_entry(LIST), json.dumps(listed, sort_keys=True, indent=1))
        out.writestr(_entry(EVENTS), lines.encode())
        yield drain.taken()
        for name in names:
            out.writestr(_entry(BLOBS + name), blobs.bytes_of(name))
            yield drain.taken()
    yield drain.taken()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _DATE)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o600 << 16
    return entry


class _Drain(io.RawIOBase):
    """A file that only grows, emptied as it is read."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        """Yes, and no more than that."""
        return True

    def write(self, data: Any) -> int:
        """Take bytes."""
        self._parts.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        """What was written since it was asked last."""
        parts, self._parts = self._parts, []
        return b"".join(parts)


@dataclass(frozen=True)
class ReadRecord:
    """A record that was read and found whole, its blobs still in the zip."""

    chain: str
    label: str
    events: tuple[Event, ...]
    blobs: tuple[str, ...]
    archive: zipfile.ZipFile

    def blob(self, name: str) -> bytes:
        """A blob's bytes, hashed again; raises `BadRecord`."""
        data = _bytes(self.archive, BLOBS + name, LARGEST_BLOB)
        if hashlib.sha256(data).hexdigest() != name:
            raise BadRecord(f"The file {name} is not what its name says.")
        return data


def read_record(file: IO[bytes]) -> ReadRecord:
    """Read a record and check it whole; raises `BadRecord`, naming what is wrong."""
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise BadRecord("This is no zip file.") from error
    inside = _names(archive)
    listed = _listed(archive)
    events = _events(archive, listed)
    missing = [name for name in listed["blobs"] if name not in inside]
    if missing:
        raise BadRecord(f"The file {missing[0]} is missing from it.")
    extra = inside - set(listed["blobs"])
    if extra:
        raise BadRecord(f"It holds the file {min(extra)}, which it does not list.")
    if _label(events) != listed["label"]:
        raise BadRecord(f"“{LIST}” names the case otherwise than its events do.")
    record = ReadRecord(
        listed["chain"], listed["label"], tuple(events), tuple(listed["blobs"]), archive
    )
    for name in record.blobs:
        record.blob(name)
    try:
        needed = named_blobs(events, Blobs(_of(record)))
    except BadRecord:
        raise
    except (ValueError, TypeError) as error:
        raise BadRecord("A file that its events name cannot be read.") from error
    lost = [name for name in needed if name not in inside]
    if lost:
        raise BadRecord(f"Its events name the file {lost[0]}, which is missing from it.")
    return record


def _label(events: Sequence[Event]) -> Any:
    try:
        return described(events)["label"]
    except (LookupError, ValueError, TypeError) as error:
        raise BadRecord("Its events do not describe the case.") from error


def _of(record: ReadRecord) -> Any:
    inside = set(record.blobs)

    def blob(name: str) -> bytes:
        if name not in inside:
            raise BadRecord(f"Its events name the file {name}, which is missing from it.")
        return record.blob(name)

    return blob


def _names(archive: zipfile.ZipFile) -> set[str]:
    """The blobs inside, by their names; raises `BadRecord` for anything that has no place here."""
    entries = archive.infolist()
    if len(entries) > MOST_ENTRIES:
        raise BadRecord(f"It holds more than {MOST_ENTRIES} files.")
    total = 0
    found: dict[str, None] = {}
    for entry in entries:
        total += entry.file_size
        if entry.filename in found:
            raise BadRecord(f"It holds “{entry.filename[:80]}” twice.")
        found[entry.filename] = None
        if entry.flag_bits & 1:
            raise BadRecord("It is encrypted.")
        if entry.filename not in (LIST, EVENTS) and not _NAME.fullmatch(entry.filename):
            raise BadRecord(f"“{entry.filename[:80]}” has no place in a record.")
    if total > LARGEST_TOTAL:
        raise BadRecord(f"Unpacked it would be larger than {LARGEST_TOTAL >> 30} GB.")
    return {match[1] for name in found if (match := _NAME.fullmatch(name))}


def _bytes(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """One file of the zip, never more of it than `most` bytes."""
    try:
        with archive.open(name) as stream:
            data = stream.read(most + 1)
    except KeyError:
        raise BadRecord(f"“{name}” is missing from it.") from None
    except (zipfile.BadZipFile, OSError, NotImplementedError, EOFError, ValueError) as error:
        raise BadRecord(f"“{name}” cannot be unpacked.") from error
    except Exception as error:
        # zlib and its like raise errors of their own for damaged data.
        raise BadRecord(f"“{name}” cannot be unpacked.") from error
    if len(data) > most:
        raise BadRecord(f"“{name}” is larger than {most >> 20} MB.")
    return data


def _listed(archive: zipfile.ZipFile) -> dict[str, Any]:
    try:
        found = json.loads(_bytes(archive, LIST, LARGEST_TEXT))
    except (ValueError, RecursionError) as error:
        if isinstance(error, BadRecord):
            raise
        raise BadRecord(f"“{LIST}” cannot be read.") from error
    kinds = {"chain": str, "label": str, "events": int, "head": dict, "blobs": list}
    if (
        not isinstance(found, dict)
        or (found.get("format"), found.get("version")) != (FORMAT, VERSION)
        or any(not isinstance(found.get(name), kind) for name, kind in kinds.items())
        or not _CHAIN.fullmatch(found["chain"])
        or len(found["label"]) > 64
        or any(not isinstance(name, str) for name in found["blobs"])
        or len(set(found["blobs"])) != len(found["blobs"])
    ):
        raise BadRecord(f"“{LIST}” does not describe a record of this version.")
    return found


def _events(archive: zipfile.ZipFile, listed: dict[str, Any]) -> list[Event]:
    try:
        # Only a line feed ends a line: what people wrote may hold U+2028 and its like.
        lines = _bytes(archive, EVENTS, LARGEST_TEXT).decode().removesuffix("\n").split("\n")
        events = [of_line(line, f"Line {place}") for place, line in enumerate(lines, 1)]
    except UnreadableEvent as error:
        raise BadRecord(str(error)) from error
    except UnicodeDecodeError as error:
        raise BadRecord(f"“{EVENTS}” is no text.") from error
    if not events or any(event.chain != listed["chain"] for event in events):
        raise BadRecord("Its events are not those of one case.")
    faults = faults_of(events)
    if faults:
        raise BadRecord(f"Its chain does not hold: {' '.join(faults[:3])}")
    head = {"position": events[-1].position, "hash": events[-1].hash}
    if listed["head"] != head or listed["events"] != len(events):
        raise BadRecord("Its last events are missing: the head it names is not the last event’s.")
    return events
