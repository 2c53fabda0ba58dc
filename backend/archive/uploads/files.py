"""The files of an upload: what the browser says of each, and what becomes of it."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from django.utils import timezone

from backend.archive.models import KeptAside
from backend.archive.sources import Offer, printable
from backend.archive.taking import take
from backend.archive.uploads import spool
from backend.archive.uploads.models import Upload, UploadedFile
from backend.errors import BadInput

_KEPT_TOLD = 50


@dataclass(frozen=True)
class Said:
    """A file as the browser names it: name with its folders, bytes, time of change (ms, 1970).

    `copy` counts files of one batch that are alike in all of this.
    """

    name: str
    size: int
    modified: int = 0
    copy: int = 0

    @property
    def key(self) -> str:
        """What it is known by when it is dropped again."""
        told = f"{self.name}\0{self.size}\0{self.modified}\0{self.copy}"
        return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()


def row_of(upload: Upload, said: Said) -> UploadedFile:
    """The row of a file, made where it is new."""
    return rows_of(upload, [said])[said.key]


def rows_of(upload: Upload, files: Sequence[Said]) -> dict[str, UploadedFile]:
    """The rows of files by their keys, made where they are new."""
    if any(said.size < 0 or not said.name for said in files):
        raise BadInput("BAD_FILE", "The file has no name, or no size.", "Choose it again.")
    made = [UploadedFile(upload=upload, key=said.key, size=said.size) for said in files]
    UploadedFile.objects.bulk_create(made, ignore_conflicts=True)
    Upload.objects.filter(pk=upload.pk).update(touched=timezone.now())
    found = UploadedFile.objects.filter(upload=upload, key__in=[said.key for said in files])
    return {file.key: file for file in found.select_related("upload__receipt")}


def taken(file: UploadedFile, offers: Iterable[Offer]) -> UploadedFile:
    """Take what is offered of a file, and note what became of it."""
    take_all(file.upload, [(file, offers)])
    spool.drop(file.pk)
    return file


def take_all(upload: Upload, files: Sequence[tuple[UploadedFile, Iterable[Offer]]]) -> None:
    """Take what is offered of some files, one after the other, and note what became of each."""
    owners: deque[UploadedFile] = deque()

    def offered() -> Iterator[Offer]:
        for file, offers in files:
            file.counts, file.kept = {}, []
            for offer in offers:
                owners.append(file)
                yield offer

    for one in take(receipt=upload.receipt, offers=offered()):
        file = owners.popleft()
        file.counts[one.outcome] = file.counts.get(one.outcome, 0) + 1
        if one.kept is not None and len(file.kept) < _KEPT_TOLD:
            file.kept.append(str(one.kept.pk))
    for file, _ in files:
        file.received, file.taken_at = file.size, timezone.now()
    UploadedFile.objects.bulk_update(
        [file for file, _ in files], ["counts", "kept", "received", "taken_at"]
    )


def shown(name: str) -> str:
    """A file's name as sentences give it."""
    return printable(name)[:512] or "a file without name"


def kept_of(file: UploadedFile) -> list[KeptAside]:
    """What was kept aside of a file (the first of a zip's)."""
    return list(KeptAside.objects.filter(pk__in=file.kept).order_by("at"))
