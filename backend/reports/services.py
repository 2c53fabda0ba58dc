"""The verbs of the reports room: make a report, make it again, ask for an export, hand it out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4

from django.db import transaction
from django.utils import timezone

from backend.accounts.models import User
from backend.audit.services import record
from backend.errors import BadInput, Missing, WrongState
from backend.reading.models import Consensus, Reading
from backend.reports import case_report, render
from backend.reports.agreed import require_exportable
from backend.reports.differences import differences
from backend.reports.exporting import enqueue
from backend.reports.models import Export, ExportFormat, ExportState, Report
from backend.store import store

OF_A_READING = (ExportFormat.SEG.value, ExportFormat.NIFTI.value)


def build_case_report(*, reading: Reading, actor: User | None) -> Report:
    """Make a report of a signed reading and keep it: facts, document and page as blobs."""
    created = timezone.now()
    report = Report(id=uuid4(), case=reading.case, reading=reading, created=created, made_by=actor)
    manifest = case_report.new_manifest(reading, report=report.pk, created=created, made_by=actor)
    built = case_report.build(reading, manifest)
    store().put(render.canonical_json(built.facts), compress=True)
    report.manifest = manifest
    report.document_blob = store().put(built.document, compress=True)
    report.html_blob = store().put(built.html)
    with transaction.atomic():
        report.save(force_insert=True)
        record(
            "report.made",
            report,
            actor=actor,
            chain=reading.case.chain,
            reading=str(reading.pk),
            html=report.html_blob,
            document=report.document_blob,
            chain_position=manifest["chain"]["position"],
            chain_head=manifest["chain"]["hash"],
        )
    return report


@dataclass(frozen=True)
class Rebuilt:
    """What came of making a report again: whether it is the same, byte for byte, or where not."""

    same: bool
    sha256: str
    differences: tuple[str, ...]


def rebuild_report(*, report: Report) -> Rebuilt:
    """Make a report again from its manifest and compare; writes nothing."""
    built = case_report.build(report.reading, report.manifest)
    stored = store().read(report.html_blob)
    found: list[str] = []
    if built.html != stored:
        then = json.loads(store().read(report.document_blob))
        found = differences(then, json.loads(built.document))
        facts_blob = report.manifest["inputs"]["facts"]
        if case_report.facts_hash(built.facts) != facts_blob and store().exists(facts_blob):
            was = json.loads(store().read(facts_blob))
            now = json.loads(render.canonical_json(built.facts))
            found = [f"facts.{line}" for line in differences(was, now)] + found
        found = found or ["The document is the same; its drawing differs (another code version?)."]
    return Rebuilt(built.html == stored, store().put(built.html), tuple(found))


@transaction.atomic
def note_look(*, report: Report, actor: User) -> None:
    """Record that someone opened a report."""
    record(
        "report.opened",
        report,
        actor=actor,
        chain=report.case.chain,
        reading=str(report.reading_id),
        html=report.html_blob,
    )


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
