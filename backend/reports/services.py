"""The verbs of exports: ask for a file, hand it out. Those of reports: `reporting`."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction

from backend.accounts.models import User
from backend.audit.services import record
from backend.errors import BadInput, Missing, WrongState
from backend.reading.models import Consensus, Reading
from backend.reports.agreed import require_exportable
from backend.reports.exporting import enqueue
from backend.reports.models import Export, ExportFormat, ExportState
from backend.store import store

OF_A_READING = (ExportFormat.SEG.value, ExportFormat.NIFTI.value)


@transaction.atomic
def request_export(*, reading: Reading, file_format: str, actor: User | None) -> Export:
    """Ask for a file of a signed reading's effective mask; the work process makes it."""
    _require_format(file_format, OF_A_READING)
    if reading.effective is None:
        raise WrongState(
            "NOT_SIGNED", "This reading is not signed yet.", "Wait until its reader has submitted."
        )
    export = Export(reading=reading, format=file_format, mask_hash=reading.effective.hash)
    return _request(export, actor)


@transaction.atomic
def request_consensus_export(
    *, consensus: Consensus, file_format: str, actor: User | None
) -> Export:
    """Ask for a file of a published consensus; the work process makes it."""
    _require_format(file_format, ExportFormat.values)
    mask = require_exportable(consensus, file_format)
    export = Export(consensus=consensus, format=file_format, mask_hash=mask.hash)
    return _request(export, actor)


def _require_format(file_format: str, known: Sequence[str]) -> None:
    if file_format not in known:
        names = " or ".join([", ".join(known[:-1]), known[-1]])
        raise BadInput("UNKNOWN_FORMAT", f"Exports are {names}.", "Choose one of them.")


def _request(export: Export, actor: User | None) -> Export:
    export.requested_by = actor
    export.save(force_insert=True)
    enqueue(export)
    record(
        "export.requested",
        export,
        actor=actor,
        chain=export.case.chain,
        **export.told,
        format=export.format,
        mask=export.mask_hash,
    )
    return export


@transaction.atomic
def hand_out(*, export: Export, actor: User, sidecar: bool = False) -> bytes:
    """The file of a ready export (or what stands beside it), for someone to keep; recorded."""
    if export.state != ExportState.READY:
        raise WrongState(
            "EXPORT_NOT_READY",
            export.message or f"This export is {export.state}.",
            "Ask for it again."
            if export.state == ExportState.FAILED
            else "Wait until it is ready.",
            possible=["request"] if export.state == ExportState.FAILED else ["wait"],
        )
    blob = export.sidecar_blob if sidecar else export.blob
    if not blob:
        raise Missing("file")
    data = store().read(blob)
    record(
        "export.downloaded",
        export,
        actor=actor,
        chain=export.case.chain,
        **export.told,
        file=blob,
    )
    return data
