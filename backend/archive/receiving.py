"""Taking files in, each on its own: one bad file is kept aside and harms no other."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal, TypeAlias
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from backend.archive.deidentify.doors import change_for, label_of, seal
from backend.archive.deidentify.links import links
from backend.archive.deidentify.review import REVIEWED
from backend.archive.findings import Ignored, NotTaken
from backend.archive.judging import judge_batch
from backend.archive.metadata import clean_text
from backend.archive.models import Door, Instance, KeptAside, Receipt, Review, Series
from backend.archive.origins import as_is_source, source_of
from backend.archive.parsing import Incoming, is_uid, parse
from backend.archive.sources import Offer, count, offers_of, offers_of_upload
from backend.archive.storing import Stored, counted, store_all
from backend.audit.services import News, record
from backend.errors import BadInput, WrongState
from backend.store import store

if TYPE_CHECKING:
    from backend.accounts.models import User

logger = logging.getLogger(__name__)

# Files are stored some at a time: at most so many, and no more once so many bytes are held.
BATCH_FILES = 32
BATCH_BYTES = 64 << 20

Outcome: TypeAlias = Literal["stored", "already_here", "kept_aside", "ignored"]
Progress: TypeAlias = Callable[
    [int, int, str], object
]  # Files done, files in all, this one's name.


@dataclass(frozen=True)
class Taken:
    """What became of one file."""

    name: str
    outcome: Outcome
    instance: Instance | None = None
    kept: KeptAside | None = None
    sop_class_uid: str = ""
    deidentified: bool = False


class Stopped(Exception):
    """Somebody stopped it. What came stays; the same again takes only the rest."""

    def __init__(self, receipt: Receipt, total: int) -> None:
        super().__init__(
            f"Stopped after {receipt.total} of {total} files. What came stays and was judged; "
            "receive the same again, and the rest is taken."
        )
        self.receipt = receipt


def receive(
    paths: Iterable[Path | str],
    *,
    source: str,
    actor: User | None,
    progress: Progress | None = None,
    as_is: bool = False,
    stopping: Callable[[], bool] = lambda: False,
) -> Receipt:
    """Take folders, files and zips; at the end judge what came. One batch.

    With `as_is` nothing is de-identified (`origins.as_is_source`).

    Every file ends as stored, already here, kept aside with a sentence, or ignored (DICOMDIR and
    the like). Never raises for a file.

    Raises:
        Stopped: `stopping` said so between two files; the batch is ended in good order.
    """
    places = [Path(p) for p in paths]
    total = count(places)
    receipt = open_receipt(source=source, door=Door.RECEIVE, actor=actor, as_is=as_is)
    offers = takewhile(lambda _: not stopping(), offers_of(places))
    for done, taken in enumerate(take(receipt=receipt, offers=offers), start=1):
        if progress is not None:
            progress(done, total, taken.name)
    close_receipt(receipt=receipt, actor=actor)
    receipt.refresh_from_db()
    if stopping() and receipt.total < total:
        raise Stopped(receipt, total)
    return receipt


def open_receipt(
    *,
    source: str,
    door: Door,
    actor: User | None,
    receipt_id: UUID | None = None,
    origin: str = "",
    as_is: bool = False,
) -> Receipt:
    """A new batch; with `receipt_id`, the one that this person opened under it, if any.

    Args:
        source: what it is called.
        door: how it comes in.
        actor: who sends it.
        receipt_id: chosen by the sender.
        origin: the name of its `Source`, where that is not `source`: says if it is de-identified.
        as_is: it is taken as it is.

    Raises:
        WrongState: the batch has ended, or is another's.
        KeyUnusable: it is to be de-identified and the key is missing.
    """
    place = as_is_source if as_is else source_of
    found = place(door=door, name=origin or source, actor=actor)
    deidentified = found is not None and found.deidentify
    if deidentified:
        links()  # Without the key nothing is taken.
    fields = {
        "source": source[:120],
        "door": door,
        "actor": actor,
        "origin": found,
        "deidentified": deidentified,
    }
    if receipt_id is None:
        return Receipt.objects.create(**fields)
    receipt, _ = Receipt.objects.get_or_create(id=receipt_id, defaults=fields)
    if receipt.actor_id != getattr(actor, "pk", None) or receipt.closed_at is not None:
        raise WrongState(
            "BATCH_CLOSED",
            "This batch of files has ended.",
            "Begin a new one; what is here already stays.",
        )
    return receipt


def take(*, receipt: Receipt, offers: Iterable[Offer]) -> Iterator[Taken]:
    """Offered files: read, parsed and stored, or kept aside, in their order. Never raises for one.

    They are stored some at a time, so that rows and flushes to the disk are shared.
    """
    waiting: list[Taken | Incoming] = []
    size = 0
    try:
        for offer in offers:
            read = _read(receipt, offer)
            waiting.append(read)
            size += len(read.data) if isinstance(read, Incoming) else 0
            if len(waiting) >= BATCH_FILES or size >= BATCH_BYTES:
                yield from _store(receipt, waiting)
                waiting, size = [], 0
    except BadInput:  # The source broke off: what came before stays.
        _store(receipt, waiting)
        raise
    yield from _store(receipt, waiting)


def _read(receipt: Receipt, offer: Offer) -> Taken | Incoming:
    data, change = b"", change_for(receipt)
    try:
        data = offer.read()
        return parse(offer.name, data, change)
    except Ignored:
        return Taken(offer.name, "ignored")
    except NotTaken as problem:
        said = problem if change is None else change.said(problem)
        return _keep_aside(receipt, offer.name, said, data, None)
    except OSError as error:
        return _keep_aside(receipt, offer.name, _not_stored(error), b"", None)


def _store(receipt: Receipt, waiting: Sequence[Taken | Incoming]) -> list[Taken]:
    incoming = [one for one in waiting if isinstance(one, Incoming)]
    try:
        if receipt.deidentified and incoming:
            links().flush()  # Who is behind an object is known before the object is here.
        stored = iter(store_all(receipt=receipt, incoming=incoming))
    except OSError as error:
        stored = iter([_not_stored(error) for _ in incoming])
    taken = [
        _taken(receipt, one, next(stored)) if isinstance(one, Incoming) else one for one in waiting
    ]
    counted(receipt, (one.outcome for one in taken))
    return taken


def _taken(receipt: Receipt, incoming: Incoming, stored: Stored) -> Taken:
    if isinstance(stored, NotTaken):
        data = b"" if stored.code == "NOT_STORED" else incoming.data
        return _keep_aside(receipt, incoming.name, stored, data, incoming)
    instance, new = stored
    outcome: Outcome = "stored" if new else "already_here"
    kind = incoming.sop_class_uid
    return Taken(incoming.name, outcome, instance, None, kind, receipt.deidentified)


def _not_stored(error: OSError) -> NotTaken:
    # Not the error's own words: they hold the file's name, which may be a patient's.
    why = error.strerror or "input/output error"
    logger.error("A file could not be read or stored: %s (%s)", type(error).__name__, why)
    return NotTaken(
        "NOT_STORED",
        f"{{name}} could not be read or stored ({why}).",
        "Check the disk, then send it again.",
    )


def take_upload(*, receipt: Receipt, name: str, file: IO[bytes], size: int) -> list[Taken]:
    """One uploaded file, or each file in an uploaded zip."""
    return list(take(receipt=receipt, offers=offers_of_upload(name, file, size)))


def store_instances(
    *,
    files: Iterable[Callable[[], bytes]],
    actor: User | None,
    source: str,
    study_uid: str | None = None,
) -> list[Taken]:
    """One STOW request: a batch whose series wait until they are quiet.

    Args:
        files: give the bytes of each part; may raise `NotTaken`.
        actor: who sends.
        source: what the receipt is called.
        study_uid: the only study that may come in, where the address names one.
    """
    receipt = open_receipt(
        source=source,
        door=Door.STOW,
        actor=actor,
        origin=actor.get_username() if actor is not None else "",
    )
    offers = (
        Offer(f"part {number}", _of_study(read, f"part {number}", study_uid))
        for number, read in enumerate(files, start=1)
    )
    try:
        return list(take(receipt=receipt, offers=offers))
    finally:  # Where the request breaks off, what came before stays.
        close_receipt(receipt=receipt, actor=actor, judge=False)


def _of_study(read: Callable[[], bytes], name: str, study_uid: str | None) -> Callable[[], bytes]:
    if study_uid is None:
        return read

    def checked() -> bytes:
        data = read()
        incoming = parse(name, data)
        if incoming.study_uid != study_uid:
            raise NotTaken(
                "OTHER_STUDY",
                "{name} belongs to another study than the address it was sent to.",
                "Send it to /dicom-web/studies, or to its own study.",
                incoming.sop_uid,
                incoming.series_uid,
            )
        return data

    return checked


def close_receipt(*, receipt: Receipt, actor: User | None, judge: bool = True) -> list[Series]:
    """End a batch; with `judge`, its series are judged at once. Returns what was judged."""
    with transaction.atomic():
        locked = Receipt.objects.select_for_update().get(pk=receipt.pk)
        if locked.closed_at is not None:
            return []
        locked.closed_at = timezone.now()
        locked.save(update_fields=["closed_at"])
        record(
            "receipt.closed",
            locked,
            actor=actor,
            door=locked.door,
            source=locked.source,
            deidentified=locked.deidentified,
            stored=locked.stored,
            already_here=locked.already_here,
            kept_aside=locked.kept_aside,
            ignored=locked.ignored,
            news=[News("coordinators", "archive.changed", {"receipt": str(locked.pk)})],
        )
    return judge_batch(receipt) if judge else []


def _keep_aside(
    receipt: Receipt, name: str, problem: NotTaken, data: bytes, incoming: Incoming | None
) -> Taken:
    """A row the coordinator sees; the bytes too, where they are DICOM."""
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
