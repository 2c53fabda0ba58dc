"""Taking offered files in, each on its own: one bad file is kept aside and harms no other."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, TypeAlias

from django.db import transaction

from backend.archive.deidentify.doors import Change, change_for, label_of, seal
from backend.archive.deidentify.links import links
from backend.archive.deidentify.review import REVIEWED
from backend.archive.findings import Ignored, NotTaken
from backend.archive.metadata import clean_text
from backend.archive.models import Instance, KeptAside, Receipt, Review
from backend.archive.parsing import Incoming, is_uid, parse
from backend.archive.receipts import begin, count
from backend.archive.sources import Offer
from backend.archive.storing import Stored, store_all, store_new, write_ahead
from backend.errors import BadInput
from backend.store import store

logger = logging.getLogger(__name__)

# Files are stored some at a time: at most so many, and no more once so many bytes are held.
BATCH_FILES = 32
BATCH_BYTES = 64 << 20

# Files that lie on a disk are read, hashed and parsed while those before them are stored.
_AHEAD = ThreadPoolExecutor(max_workers=2, thread_name_prefix="reading")

Outcome: TypeAlias = Literal["stored", "already_here", "kept_aside", "ignored"]


@dataclass(frozen=True)
class Taken:
    """What became of one file."""

    name: str
    outcome: Outcome
    instance: Instance | None = None
    kept: KeptAside | None = None
    sop_class_uid: str = ""
    deidentified: bool = False


@dataclass(frozen=True)
class _Unfit:
    """A file that will not be stored: why, and its bytes where it had any."""

    name: str
    why: NotTaken | Ignored
    data: bytes = b""


Read: TypeAlias = "Incoming | _Unfit"


class _Batch:
    """Files read, or being read, that will be stored together."""

    def __init__(self) -> None:
        self._files: list[Read | Future[Read]] = []
        self._size = 0
        self.ahead = False
        self.written: Future[list[str]] | None = None

    def add(self, receipt: Receipt, offer: Offer) -> None:
        """Read one more file; in another thread where it may be read ahead."""
        if offer.bytes_ahead and not receipt.deidentified:
            self.ahead = True
            self._size += offer.bytes_ahead
            self._files.append(_AHEAD.submit(_hashed, offer))
        else:
            read = _read(offer, change_for(receipt))
            self._size += len(read.data)
            self._files.append(read)

    @property
    def full(self) -> bool:
        """Whether it is to be stored now."""
        return len(self._files) >= BATCH_FILES or self._size >= BATCH_BYTES

    def files(self) -> list[Read]:
        """All of them, waited for."""
        return [one.result() if isinstance(one, Future) else one for one in self._files]

    def write_ahead(self) -> None:
        """Have the bytes of those that can be stored brought to the disk meanwhile."""
        incoming = [one for one in self.files() if isinstance(one, Incoming)]
        self.written = write_ahead(incoming) if incoming else None


def take(*, receipt: Receipt, offers: Iterable[Offer], ends: bool = False) -> Iterator[Taken]:
    """Offered files: read, parsed and stored, or kept aside, in their order. Never raises for one.

    They are stored some at a time, so that rows and flushes to the disk are shared. With `ends`
    the receipt is closed with the last of them.
    """
    waiting: deque[_Batch] = deque()
    batch = _Batch()
    try:
        for offer in offers:
            batch.add(receipt, offer)
            if not batch.full:
                continue
            # Where it is read ahead: one batch is read, one written, of one the rows go in.
            if batch.ahead and waiting:
                waiting[-1].write_ahead()
            waiting.append(batch)
            while len(waiting) > 2 * batch.ahead:
                yield from _store(receipt, waiting.popleft())
            batch = _Batch()
    except BadInput:  # The source broke off: what came before stays.
        for one in [*waiting, batch]:
            _store(receipt, one)
        raise
    waiting.append(batch)
    while waiting:
        one = waiting.popleft()
        if waiting and waiting[0].ahead and waiting[0].written is None:
            waiting[0].write_ahead()
        yield from _store(receipt, one, ends=ends and not waiting)


def _read(offer: Offer, change: Change | None) -> Read:
    """One file as it can be stored, or why not; touches no database."""
    data = b""
    try:
        data = offer.read()
        return parse(offer.name, data, change)
    except Ignored as ignored:
        return _Unfit(offer.name, ignored)
    except NotTaken as problem:
        return _Unfit(offer.name, problem if change is None else change.said(problem), data)
    except OSError as error:
        return _Unfit(offer.name, _not_stored(error))


def _hashed(offer: Offer) -> Read:
    read = _read(offer, None)
    if isinstance(read, Incoming):
        _ = read.hash  # Remembered: the store need not find it again.
    return read


def _store(receipt: Receipt, batch: _Batch, *, ends: bool = False) -> list[Taken]:
    """Files in the content store, then all rows: of almost every batch in one transaction."""
    files = batch.files()
    if not files and not ends:
        return []
    incoming = [one for one in files if isinstance(one, Incoming)]
    aside = {id(one): _set_aside(receipt, one) for one in files if isinstance(one, _Unfit)}
    outcomes: list[Outcome] = [one.outcome for one in aside.values()]

    def settle(new: int) -> None:
        count(receipt, [*outcomes, *["stored"] * new], ended=ends)

    try:
        if receipt.deidentified and incoming:
            links().flush()  # Who is behind an object is known before the object is here.
        rows = store_new(receipt, incoming, settle, batch.written) if incoming else None
        if rows is not None:
            entered: Iterator[Stored] = iter([(row, True) for row in rows])
            return [_taken(receipt, one, entered, aside) for one in files]
        begin(receipt)
        stored = iter(store_all(receipt=receipt, incoming=incoming))
    except OSError as error:
        stored = iter([_not_stored(error) for _ in incoming])
    taken = [_taken(receipt, one, stored, aside) for one in files]
    outcomes = [one.outcome for one in taken]
    with transaction.atomic():
        settle(0)
    return taken


def _taken(
    receipt: Receipt, file: Read, stored: Iterator[Stored], aside: Mapping[int, Taken]
) -> Taken:
    if isinstance(file, _Unfit):
        return aside[id(file)]
    found = next(stored)
    if isinstance(found, NotTaken):
        data = b"" if found.code == "NOT_STORED" else file.data
        return _keep_aside(receipt, file.name, found, data, file)
    instance, new = found
    outcome: Outcome = "stored" if new else "already_here"
    return Taken(file.name, outcome, instance, None, file.sop_class_uid, receipt.deidentified)


def _set_aside(receipt: Receipt, unfit: _Unfit) -> Taken:
    if isinstance(unfit.why, Ignored):
        return Taken(unfit.name, "ignored")
    return _keep_aside(receipt, unfit.name, unfit.why, unfit.data, None)


def _not_stored(error: OSError) -> NotTaken:
    # Not the error's own words: they hold the file's name, which may be a patient's.
    why = error.strerror or "input/output error"
    logger.error("A file could not be read or stored: %s (%s)", type(error).__name__, why)
    return NotTaken(
        "NOT_STORED",
        f"{{name}} could not be read or stored ({why}).",
        "Check the disk, then send it again.",
    )


def _keep_aside(
    receipt: Receipt, name: str, problem: NotTaken, data: bytes, incoming: Incoming | None
) -> Taken:
    """A row the coordinator sees; the bytes too, where they are DICOM."""
    begin(receipt)
    given = clean_text(name)[:512] or "a file without name"
    shown = label_of(given) if receipt.deidentified else given
    looks_dicom = incoming is not None or problem.code not in ("NOT_DICOM", "EMPTY")
    kept = KeptAside(
        receipt=receipt,
        name=shown,
        code=problem.code,
        message=clean_text(problem.sentence(shown)),
        cure=problem.cure,
        sop_uid=problem.sop_uid if is_uid(problem.sop_uid) else "",
        series_uid=problem.series_uid if is_uid(problem.series_uid) else "",
        review=Review.WAITING if problem.code in REVIEWED else "",
    )
    original = receipt.deidentified and incoming is None
    if receipt.deidentified:
        bytes_kept = data if original and looks_dicom else b""
        kept.sealed = seal(kept.pk, given, bytes_kept) and bool(bytes_kept)
    if data and looks_dicom and not original:
        kept.blob = store().put(data, compress=True)
    kept.save(force_insert=True)
    sop_class = incoming.sop_class_uid if incoming else ""
    return Taken(name, "kept_aside", None, kept, sop_class)
