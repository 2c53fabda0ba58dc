"""Taking files in at the doors: a folder, an upload, a STOW request."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import takewhile
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeAlias

from backend.archive.findings import NotTaken
from backend.archive.models import Door, Receipt
from backend.archive.parsing import parse
from backend.archive.receipts import close_receipt, new_receipt, open_receipt
from backend.archive.sources import Offer, count, offers_of, offers_of_upload
from backend.archive.taking import Taken, take

if TYPE_CHECKING:
    from backend.accounts.models import User

Progress: TypeAlias = Callable[
    [int, int, str], object
]  # Files done, files in all, this one's name.


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

    A batch that is stored at one go has its row, its images and its end in one transaction.

    Args:
        files: give the bytes of each part; may raise `NotTaken`.
        actor: who sends.
        source: what the receipt is called.
        study_uid: the only study that may come in, where the address names one.
    """
    receipt = new_receipt(
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
        return list(take(receipt=receipt, offers=offers, ends=True))
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
