"""The record of a case as one file: handed out, and taken into another database."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import IO

from django.db import transaction

from backend.accounts.models import User
from backend.audit.services import record
from backend.errors import BadInput, WrongState
from backend.reading.models import Case
from backend.reports import reporting, sources
from backend.reports.models import Record, RecordEvent
from backend.reports.record.blobs import Blobs
from backend.reports.record.events import to_line
from backend.reports.record.files import BadRecord, read_record, write_record
from backend.store import store

_CHUNK = 1 << 20


@transaction.atomic
def hand_out_record(*, case: Case, actor: User | None) -> Iterator[bytes]:
    """The record of a case in parts, for someone to keep; recorded first, and so a part of itself.

    Raises `BlobFault` where a file the events name is missing or damaged.
    """
    reporting.describe(case)
    record("record.exported", case, actor=actor, chain=case.chain)
    source = sources.of_chain(case.chain)
    return write_record(source.events, Blobs(source.blob))


def take_record(file: IO[bytes]) -> Record:
    """Keep the record of a case that came from elsewhere.

    Raises:
        BadInput: `BAD_RECORD`, with what is wrong; nothing of it was taken.
        WrongState: the case lives here, or its record was taken before.
    """
    try:
        found = read_record(file)
        _require_new(found.chain)
        for name in found.blobs:
            store().put(found.blob(name), compress=True)
    except BadRecord as error:
        raise BadInput("BAD_RECORD", str(error), "Have it exported again.") from error
    file.seek(0)
    digest = hashlib.sha256()
    while part := file.read(_CHUNK):
        digest.update(part)
    last = found.events[-1]
    with transaction.atomic():
        _require_new(found.chain)
        kept = Record.objects.create(
            chain=found.chain,
            label=found.label,
            position=last.position,
            head=last.hash,
            sha256=digest.hexdigest(),
        )
        RecordEvent.objects.bulk_create(
            RecordEvent(
                record=kept,
                position=event.position,
                action=event.action,
                subject_id=event.subject_id,
                line=to_line(event),
            )
            for event in found.events
        )
        record(
            "record.imported",
            kept,
            actor=None,
            origin=found.chain,
            head=last.hash,
            zip=kept.sha256,
        )
    return kept


def _require_new(chain: str) -> None:
    if Case.objects.filter(pk=chain.removeprefix("case:")).exists():
        raise WrongState(
            "CASE_LIVES_HERE",
            "This case lives in this database; its record is a copy of what is here.",
            "Import it into another, empty one.",
        )
    if Record.objects.filter(chain=chain).exists():
        raise WrongState(
            "ALREADY_IMPORTED",
            "A record of this case was imported before.",
            "Use that one, or import this one into another, empty database.",
        )
