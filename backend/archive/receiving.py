"""Taking files in, each on its own: one bad file is kept aside and harms no other."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal, TypeAlias
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from backend.archive.findings import Ignored, NotTaken
from backend.archive.judging import judge_batch
from backend.archive.metadata import clean_text
from backend.archive.models import Door, Instance, KeptAside, Receipt, Series
from backend.archive.parsing import Incoming, is_uid, parse
from backend.archive.sources import Offer, count, offers_of, offers_of_upload
from backend.archive.storing import counted, store_incoming
from backend.audit.services import News, record
from backend.errors import WrongState
from backend.store import store

if TYPE_CHECKING:
    from backend.accounts.models import User

logger = logging.getLogger(__name__)

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


def receive(
    paths: Iterable[Path | str],
    *,
    source: str,
    actor: User | None,
    progress: Progress | None = None,
) -> Receipt:
    """Take folders, files and zips; at the end judge what came. One batch.

    Every file ends as stored, already here, kept aside with a sentence, or ignored (DICOMDIR and
    the like). Never raises for a file.
    """
    places = [Path(p) for p in paths]
    total = count(places)
    receipt = open_receipt(source=source, door=Door.RECEIVE, actor=actor)
    for done, offer in enumerate(offers_of(places), start=1):
        take(receipt=receipt, offer=offer)
        if progress is not None:
            progress(done, total, offer.name)
    close_receipt(receipt=receipt, actor=actor)
    receipt.refresh_from_db()
    return receipt


def open_receipt(
    *, source: str, door: Door, actor: User | None, receipt_id: UUID | None = None
) -> Receipt:
    """A new batch; with `receipt_id`, the one that this person opened under it, if any."""
    if receipt_id is None:
        return Receipt.objects.create(source=source[:120], door=door, actor=actor)
    receipt, _ = Receipt.objects.get_or_create(
        id=receipt_id, defaults={"source": source[:120], "door": door, "actor": actor}
    )
    if receipt.actor_id != getattr(actor, "pk", None) or receipt.closed_at is not None:
        raise WrongState(
            "BATCH_CLOSED",
            "This batch of files has ended.",
            "Begin a new one; what is here already stays.",
        )
    return receipt


def take(*, receipt: Receipt, offer: Offer) -> Taken:
    """One offered file: read, parsed and stored, or kept aside. Never raises for the file."""
    data = b""
    incoming: Incoming | None = None
    try:
        data = offer.read()
        incoming = parse(offer.name, data)
        instance, new = store_incoming(receipt=receipt, incoming=incoming)
    except Ignored:
        counted(receipt, "ignored")
        return Taken(offer.name, "ignored")
    except NotTaken as problem:
        return _keep_aside(receipt, offer.name, problem, data, incoming)
    except OSError as error:
        logger.exception("%s could not be read or stored.", offer.name)
        failure = NotTaken(
            "NOT_STORED",
            f"{{name}} could not be read or stored ({error.strerror or 'input/output error'}).",
            "Check the disk, then send it again.",
        )
        return _keep_aside(receipt, offer.name, failure, b"", incoming)
    outcome: Outcome = "stored" if new else "already_here"
    counted(receipt, outcome)
    return Taken(offer.name, outcome, instance, None, incoming.sop_class_uid)


def take_upload(*, receipt: Receipt, name: str, file: IO[bytes], size: int) -> list[Taken]:
    """One uploaded file, or each file in an uploaded zip."""
    return [take(receipt=receipt, offer=o) for o in offers_of_upload(name, file, size)]


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
    receipt = open_receipt(source=source, door=Door.STOW, actor=actor)
    taken = []
    try:
        for number, read in enumerate(files, start=1):
            offer = Offer(f"part {number}", _of_study(read, f"part {number}", study_uid))
            taken.append(take(receipt=receipt, offer=offer))
    finally:  # Where the request breaks off, what came before stays.
        close_receipt(receipt=receipt, actor=actor, judge=False)
    return taken


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
    shown = clean_text(name)[:512] or "a file without name"
    looks_dicom = incoming is not None or data[128:132] == b"DICM"
    blob = store().put(data, compress=True) if data and looks_dicom else ""
    kept = KeptAside.objects.create(
        receipt=receipt,
        name=shown,
        code=problem.code,
        message=clean_text(problem.sentence(shown)),
        cure=problem.cure,
        sop_uid=problem.sop_uid if is_uid(problem.sop_uid) else "",
        series_uid=problem.series_uid if is_uid(problem.series_uid) else "",
        blob=blob,
    )
    counted(receipt, "kept_aside")
    sop_class = incoming.sop_class_uid if incoming else ""
    return Taken(name, "kept_aside", None, kept, sop_class)
