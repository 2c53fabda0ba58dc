"""Is the content store whole? Every blob hashed again, every name in the database looked up.

Damaged, missing, orphaned and left over: found, told, and repaired as far as it goes. Nothing is
deleted but leftovers of writes that were cut off; what has no place is moved into quarantine.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Literal, TypeAlias

from backend.store.interface import (
    CHUNK_BYTES,
    PACKED,
    WAITING,
    BlobMissing,
    ContentStore,
    Entry,
    is_name,
    pieces,
)
from backend.store.references import Column

Kind: TypeAlias = Literal["damaged", "missing", "orphan", "leftover"]
KINDS: tuple[tuple[Kind, str], ...] = (
    ("damaged", "damaged"),
    ("missing", "missing"),
    ("orphan", "orphaned"),
    ("leftover", "left over"),
)
Progress: TypeAlias = Callable[[int, int], object]  # Blobs hashed, blobs to hash.

LEFTOVER_SECONDS = 3600.0
ORPHAN_SECONDS = 86400.0
_AT_ONCE = 16


@dataclass
class Fault:
    """One thing that is not as it should be; `repaired` says what was done, "" if nothing was."""

    kind: Kind
    name: str
    sentence: str
    cure: str
    repaired: str = ""


@dataclass
class Verdict:
    """What a verification found."""

    where: str
    blobs: int = 0
    size: int = 0
    hashed: int = 0
    named: int = 0
    faults: list[Fault] = field(default_factory=list)

    def of(self, kind: Kind) -> list[Fault]:
        """The faults of one kind."""
        return [fault for fault in self.faults if fault.kind == kind]

    @property
    def holds(self) -> bool:
        """Nothing that is needed is missing or damaged (any more)."""
        return all(f.repaired for f in self.faults if f.kind in ("damaged", "missing"))


@dataclass(frozen=True)
class Wanted:
    """How thorough, and what may be done.

    Attributes:
        fast: only whether everything is there; nothing is hashed.
        sample: hash only so many blobs, drawn by chance.
        repair: do what can be done about the faults.
        backups: files and folders in which missing blobs are looked for, whatever their names.
        orphan_seconds: a blob that nothing names is an orphan only once it is so old: its row may
            still be on its way.
    """

    fast: bool = False
    sample: int | None = None
    repair: bool = False
    backups: Sequence[Path] = ()
    orphan_seconds: float = ORPHAN_SECONDS


def verify(
    store: ContentStore,
    columns: Sequence[Column],
    wanted: Wanted,
    progress: Progress | None = None,
) -> Verdict:
    """Verify a store against the columns that name its blobs."""
    verdict = Verdict(store.where)
    now = time.time()
    forms: dict[bytes, int] = {}
    leftovers: list[Entry] = []
    for entry in store.entries():
        if not entry.name:
            leftovers.append(entry)
            continue
        verdict.blobs += 1
        verdict.size += entry.size
        key = bytes.fromhex(entry.name)
        forms[key] = forms.get(key, 0) + 1
    for entry in _damaged(store, verdict, wanted, progress):
        verdict.faults.append(_damage(store, entry, wanted))
        forms[bytes.fromhex(entry.name)] -= 1
    here = {key for key, count in forms.items() if count > 0}
    _find_missing(store, columns, here, verdict, wanted)
    for entry in leftovers:
        if now - entry.modified > LEFTOVER_SECONDS:
            verdict.faults.append(_leftover(store, entry, wanted))
    _find_orphans(store, columns, verdict, wanted, now)
    return verdict


def _damaged(
    store: ContentStore, verdict: Verdict, wanted: Wanted, progress: Progress | None
) -> Iterator[Entry]:
    if wanted.fast:
        return
    chosen: Iterable[Entry] = (entry for entry in store.entries() if entry.name)
    total = verdict.blobs
    if wanted.sample is not None:
        chosen = _drawn(chosen, wanted.sample)
        total = min(total, wanted.sample)
    source = iter(chosen)
    while some := list(islice(source, _AT_ONCE)):
        for entry, whole in zip(some, WAITING.map(lambda e: _whole(store, e), some), strict=True):
            verdict.hashed += 1
            if not whole:
                yield entry
        if progress is not None:
            progress(verdict.hashed, max(total, verdict.hashed))


def _whole(store: ContentStore, entry: Entry) -> bool:
    try:
        return store.is_whole(entry)
    except BlobMissing:  # Removed since it was listed; whether it is needed is found out below.
        return True


def _drawn(entries: Iterable[Entry], count: int) -> list[Entry]:
    """`count` of the entries by chance, each as likely (reservoir sampling)."""
    drawn: list[Entry] = []
    chance = random.SystemRandom()
    for number, entry in enumerate(entries):
        if number < count:
            drawn.append(entry)
        elif (place := chance.randrange(number + 1)) < count:
            drawn[place] = entry
    return drawn


def _damage(store: ContentStore, entry: Entry, wanted: Wanted) -> Fault:
    fault = Fault(
        "damaged",
        entry.name,
        f"The bytes of {entry.name} do not have the hash that they are named by.",
        "Run verify_store --repair: it moves them aside; then what is lost is told as missing.",
    )
    if wanted.repair:
        fault.repaired = _moved(store, entry)
    return fault


def _moved(store: ContentStore, entry: Entry) -> str:
    place = store.set_aside(entry)
    return f"Moved aside: {place}." if place else "Left: it was put again meanwhile."


def _leftover(store: ContentStore, entry: Entry, wanted: Wanted) -> Fault:
    fault = Fault(
        "leftover",
        "",
        f"{entry.place} is left over of a write that was cut off.",
        "Run verify_store --repair: it removes it. Nothing was acknowledged of it.",
    )
    if wanted.repair:
        store.discard(entry)
        fault.repaired = "Removed."
    return fault


def _find_missing(
    store: ContentStore,
    columns: Sequence[Column],
    here: set[bytes],
    verdict: Verdict,
    wanted: Wanted,
) -> None:
    lost: dict[str, tuple[Column, str]] = {}
    named: set[bytes] = set()
    for column in columns:
        if not column.required:
            continue
        for row, name in column.rows():
            if not is_name(name):
                continue
            key = bytes.fromhex(name)
            named.add(key)
            # A blob may have come after the store was listed.
            if key not in here and name not in lost and not store.exists(name):
                lost[name] = column, row
    verdict.named = len(named)
    faults = {name: _missing(name, *place) for name, place in sorted(lost.items())}
    verdict.faults.extend(faults.values())
    if wanted.repair and faults:
        _from_backups(store, faults, wanted.backups)
        for name, fault in faults.items():
            if not fault.repaired:
                fault.repaired = _made_again(store, columns, name)


def _missing(name: str, column: Column, row: str) -> Fault:
    cure = "Run verify_store --repair, with --from where a backup of the content store lies."
    return Fault(
        "missing",
        name,
        f"{name} is missing; {column.label} of {row} names it.",
        f"{cure} {column.cure}".strip(),
    )


def _from_backups(store: ContentStore, faults: dict[str, Fault], backups: Sequence[Path]) -> None:
    """Take missing blobs from files whose bytes have their hash."""
    for path in _files(backups):
        name = _hash_of(path)
        if name in faults and not faults[name].repaired:
            data = b"".join(_bytes_of(path))
            store.put(data, compress=path.suffix == PACKED, name=name)
            faults[name].repaired = f"Taken from {path}."


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        yield from (p for p in sorted(path.rglob("*")) if p.is_file()) if path.is_dir() else (path,)


def _bytes_of(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        if path.suffix == PACKED:
            yield from pieces(file, packed=True)
        else:
            while piece := file.read(CHUNK_BYTES):
                yield piece


def _hash_of(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        for piece in _bytes_of(path):
            digest.update(piece)
    except Exception:  # noqa: BLE001  no readable file, or no zstd: not what is looked for
        return ""
    return digest.hexdigest()


def _made_again(store: ContentStore, columns: Sequence[Column], name: str) -> str:
    for column in columns:
        data = column.remake(name) if column.remake is not None else None
        if data is not None and hashlib.sha256(data).hexdigest() == name:
            store.put(data, compress=True, name=name)
            return f"Made again from {column.model}."
    forgotten = [c.label for c in columns if c.forget is not None and c.forget(name)]
    return f"Will be made again when asked for ({', '.join(forgotten)})." if forgotten else ""


def _find_orphans(
    store: ContentStore,
    columns: Sequence[Column],
    verdict: Verdict,
    wanted: Wanted,
    now: float,
) -> None:
    """What nothing names. The names are read after the list: a row comes after its blob."""
    old = [e for e in store.entries() if e.name and now - e.modified > wanted.orphan_seconds]
    if not old:
        return
    named = {bytes.fromhex(n) for c in columns for _, n in c.rows() if is_name(n)}
    for entry in old:
        if bytes.fromhex(entry.name) in named:
            continue
        fault = Fault(
            "orphan",
            entry.name,
            f"Nothing names {entry.name} ({entry.size} bytes).",
            "Nothing to do. With --repair it is moved into quarantine, if nothing is missing.",
        )
        verdict.faults.append(fault)
        # While something is missing, what it names is unknown too.
        if wanted.repair and verdict.holds:
            fault.repaired = _moved(store, entry)
