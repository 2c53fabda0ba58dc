"""What the upload page can do: begin a batch, send files whole or in pieces, go on, end it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import IO
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet, Sum
from django.utils import timezone

from backend.accounts.models import User
from backend.archive.findings import NotTaken
from backend.archive.models import Door, Receipt, Series
from backend.archive.origins import chosen_at
from backend.archive.receipts import close_receipt, open_receipt
from backend.archive.sources import (
    MAX_FILE_BYTES,
    Offer,
    is_zip,
    offers_of_upload,
)
from backend.archive.uploads import spool
from backend.archive.uploads.files import Said, row_of, rows_of, shown, take_all, taken
from backend.archive.uploads.locks import ended, ending, taking
from backend.archive.uploads.models import Upload, UploadedFile
from backend.errors import BadInput, ConcordError, Missing, WrongState

MAX_PIECE_BYTES = 16 << 20
MAX_FILES = 200_000
MAX_SEVERAL = 64
SOURCE = "upload page"


class NoRoom(ConcordError):
    """The spool is full: other uploads must end first."""

    status = 503


def open_upload(
    *, actor: User, receipt_id: UUID, source: str = "", files: int = 0, size: int = 0
) -> Upload:
    """The batch of that id, begun now or before; raises `WrongState` for another's or an ended one.

    `source` names where the files come from, one that is known (else `Missing`); a batch that was
    begun before keeps its own. What is said of files and bytes only tells people how much is still
    to come.
    """
    name = chosen_at(Door.UPLOAD, SOURCE, source)
    receipt = open_receipt(source=name, door=Door.UPLOAD, actor=actor, receipt_id=receipt_id)
    upload, _ = Upload.objects.get_or_create(receipt=receipt)
    if files or size:
        upload.files, upload.size = min(files, MAX_FILES), min(size, 1 << 60)
        upload.touched = timezone.now()
        upload.save(update_fields=["files", "size", "touched"])
    return upload


def unfinished(actor: User) -> QuerySet[Upload]:
    """A person's batches that did not end, newest first."""
    mine = Upload.objects.filter(receipt__actor=actor, receipt__closed_at=None)
    return mine.select_related("receipt").order_by("-receipt__started_at")


def begin_file(*, actor: User, receipt_id: UUID, said: Said) -> UploadedFile:
    """The row of a file that will come in pieces; its `received` says where to go on.

    Too large a file is kept aside at once, before any of it comes.

    Raises:
        NoRoom: other uploads fill the spool.
    """
    upload = open_upload(actor=actor, receipt_id=receipt_id)
    with taking(upload.pk, said.key):
        file = row_of(upload, said)
        if file.taken_at is not None:
            return file
        if said.size > settings.MAX_UPLOAD_BYTES:
            return taken(file, [_refused(said)])
        if file.received != spool.size(file.pk):  # The spool is what counts.
            file.received = min(file.received, spool.size(file.pk))
            file.save(update_fields=["received"])
        if not file.received:
            _require_room(file)
    return file


def add_piece(
    *, actor: User, file_id: UUID, offset: int, length: int, pieces: Iterable[bytes]
) -> UploadedFile:
    """Bytes of a file from `offset` on, flushed to the disk.

    Raises:
        WrongState: OTHER_OFFSET, with where to go on in `received`.
        NoRoom: other uploads filled the spool before its first bytes came.
        BadInput: TOO_MANY_BYTES; TOO_LARGE for a large file that is no zip.
    """
    with transaction.atomic():
        file = _file_of(actor, file_id, lock=True)
        if file.taken_at is not None:
            return file
        if offset != file.received:
            raise WrongState(
                "OTHER_OFFSET",
                f"{file.received} bytes of this file are here, not {offset}.",
                "Go on from where the server is.",
                received=file.received,
            )
        if length > MAX_PIECE_BYTES or offset + length > file.size:
            raise BadInput(
                "TOO_MANY_BYTES",
                "The piece is larger than what is left of the file, or than a piece may be.",
                f"Send at most {MAX_PIECE_BYTES} bytes at once, and no more than the file has.",
            )
        if not offset:  # Others may have begun since this one was told that there is room.
            _require_room(file)
        received = spool.append(file.pk, offset, pieces)
        if received > file.size:
            raise BadInput("TOO_MANY_BYTES", "More bytes came than were told.", "Send it again.")
        file.received = received
        file.save(update_fields=["received"])
        Upload.objects.filter(pk=file.upload_id).update(touched=timezone.now())
    limit = min(MAX_FILE_BYTES, settings.MAX_UPLOAD_BYTES)
    if file.size > limit and not is_zip(spool.head(file.pk, 4)):
        spool.drop(file.pk)
        raise BadInput("TOO_LARGE", *_too_large(file.size, limit))
    return file


def take_pieces(*, actor: User, file_id: UUID, name: str) -> UploadedFile:
    """Take a file whose pieces are all here; once, however often it is asked for."""
    file = _file_of(actor, file_id)
    with taking(file.upload_id, file.key):
        file.refresh_from_db()
        if file.taken_at is not None:
            return file
        _require_open(file)
        if file.received != file.size:
            raise WrongState(
                "NOT_WHOLE",
                f"{file.received} of {file.size} bytes of this file are here.",
                "Send the rest first.",
                received=file.received,
            )
        if not file.size:
            spool.append(file.pk, 0, ())
        with spool.opened(file.pk) as source:
            return taken(file, offers_of_upload(shown(name), source, file.size))


def take_whole(*, actor: User, receipt_id: UUID, said: Said, source: IO[bytes]) -> UploadedFile:
    """Take a file that came in one request; once, however often it is sent."""
    upload = open_upload(actor=actor, receipt_id=receipt_id)
    with taking(upload.pk, said.key):
        file = row_of(upload, said)
        if file.taken_at is not None:
            return file
        return taken(file, offers_of_upload(shown(said.name), source, said.size))


def take_several(
    *, actor: User, receipt_id: UUID, files: Sequence[tuple[Said, IO[bytes]]]
) -> list[UploadedFile]:
    """Take small files that came in one request, each once; they are stored together.

    Raises:
        BadInput: one has no name, two are the same by name and copy, or there are too many.
    """
    keys = [said.key for said, _ in files]
    if len(set(keys)) != len(keys) or not 0 < len(keys) <= MAX_SEVERAL:
        raise BadInput(
            "BAD_FILES",
            f"A request takes 1 to {MAX_SEVERAL} files, each once; this one has {len(keys)}.",
            "Send them in several requests.",
        )
    upload = open_upload(actor=actor, receipt_id=receipt_id)
    with taking(upload.pk, *keys):
        rows = rows_of(upload, [said for said, _ in files])
        fresh = [
            (rows[said.key], offers_of_upload(shown(said.name), source, said.size))
            for said, source in files
            if rows[said.key].taken_at is None
        ]
        take_all(upload, fresh)
        return [rows[key] for key in keys]


def end_upload(*, actor: User, receipt_id: UUID) -> tuple[Receipt, list[Series]]:
    """End a batch, whole or not; its series are judged now. Pieces of files are dropped.

    Raises `Missing` for another's.
    """
    receipt = Receipt.objects.filter(pk=receipt_id, actor=actor).first()
    if receipt is None:
        raise Missing("batch of files")
    with ending(receipt.pk):
        judged = close_receipt(receipt=receipt, actor=actor)
        _forget(receipt)
    return receipt, judged


def end_old_uploads() -> int:
    """End what nobody went on with for `settings.UPLOAD_HOURS`; return how many batches."""
    patience = timedelta(hours=settings.UPLOAD_HOURS)
    old = Upload.objects.filter(receipt__closed_at=None, touched__lt=timezone.now() - patience)
    count = 0
    for upload in old.select_related("receipt__actor")[:50]:
        close_receipt(receipt=upload.receipt, actor=None)
        _forget(upload.receipt)
        count += 1
    spool.drop_old(2 * patience.total_seconds())
    return count


def _forget(receipt: Receipt) -> None:
    files = UploadedFile.objects.filter(upload=receipt.pk)
    for file in files.filter(taken_at=None).only("pk"):
        spool.drop(file.pk)
    files.delete()


def _file_of(actor: User, file_id: UUID, *, lock: bool = False) -> UploadedFile:
    """A file of one of this person's batches; raises `Missing`."""
    rows = UploadedFile.objects.select_related("upload__receipt")
    if lock:
        rows = rows.select_for_update(of=("self",))
    file = rows.filter(pk=file_id, upload__receipt__actor=actor).first()
    if file is None:
        raise Missing("file")
    if file.taken_at is None:
        _require_open(file)
    return file


def _require_open(file: UploadedFile) -> None:
    if file.upload.receipt.closed_at is not None:
        raise ended()


def _refused(said: Said) -> Offer:
    """A file too large to be sent at all."""

    def read() -> bytes:
        message, cure = _too_large(said.size, settings.MAX_UPLOAD_BYTES)
        raise NotTaken("TOO_LARGE", message.replace("The file", "{name}", 1), cure)

    return Offer(shown(said.name), read)


def _too_large(size: int, limit: int) -> tuple[str, str]:
    message = f"The file has {size >> 20} MiB, more than the {limit >> 20} MiB allowed."
    return message, "Send it in parts, or have CONCORD_MAX_UPLOAD_BYTES raised."


def _require_room(file: UploadedFile) -> None:
    if not spool.has_room(file.size, _promised(file)):
        raise NoRoom(
            "NO_ROOM",
            "The server has no room for this file beside the uploads under way.",
            "It is tried again by itself; or cancel another upload.",
        )


def _promised(file: UploadedFile) -> int:
    """Bytes that other unfinished files will take in the spool."""
    others = UploadedFile.objects.filter(taken_at=None, received__gt=0).exclude(pk=file.pk)
    others = others.filter(upload__receipt__closed_at=None)
    return int(others.aggregate(all=Sum(F("size")))["all"] or 0)
