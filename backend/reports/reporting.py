"""Making a case report, in the work process; and making it again, wherever its record is.

Making twice does no harm: a finished report is left as it is.
"""

from __future__ import annotations

import hashlib
import json
import logging
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import DatabaseError, transaction
from django.utils import timezone

from backend.accounts.models import User
from backend.archive.models import Series
from backend.archive.volume import load_volume
from backend.audit import history
from backend.audit.services import News, record
from backend.errors import ConcordError, WrongState
from backend.imaging.grid import require_same_grid
from backend.imaging.masks import canonical_json
from backend.jobs.queue import defer
from backend.reading.models import Case
from backend.reading.services.announcing import overseers_audience
from backend.reading.services.describing import case_facts
from backend.reading.workflow import SIGNED
from backend.reports import case_report, render, sources
from backend.reports.differences import differences
from backend.reports.history import stamp
from backend.reports.models import ExportState, Report
from backend.reports.record.blobs import frame_bytes
from backend.reports.record.case import DESCRIBED
from backend.store import BlobMissing, store

logger = logging.getLogger(__name__)

TASK = "reports.make_report"
# An unfinished report that nobody touched for this long is given to the work process again.
PATIENCE = timedelta(seconds=120)
_OPEN = (ExportState.QUEUED.value, ExportState.RUNNING.value)


@transaction.atomic
def request_report(*, case: Case, actor: User | None) -> Report:
    """Ask for a report of a case as it stands; the work process makes it."""
    if not case.readings.filter(state__in=[state.value for state in SIGNED]).exists():
        raise WrongState(
            "NOT_SIGNED",
            f"No reading of {case.label} is signed yet.",
            "Wait until a reader has submitted one.",
        )
    report = Report.objects.create(case=case, made_by=actor)
    _defer(report)
    record("report.requested", report, actor=actor, chain=case.chain, news=[_news(report)])
    return report


@transaction.atomic
def retry_report(*, report: Report, actor: User) -> Report:
    """Have a report that failed made once more."""
    report = _locked(report.pk)
    if report.state != ExportState.FAILED:
        raise WrongState(
            "NOT_FAILED",
            f"This report is {report.state}.",
            "Reload the page to see how far it is.",
        )
    report.state, report.message, report.progress = ExportState.QUEUED, "", 0.0
    report.touched, report.finished = timezone.now(), None
    report.save()
    _defer(report)
    record(
        "report.requested",
        report,
        actor=actor,
        chain=report.case.chain,
        news=[_news(report)],
        again=True,
    )
    return report


def _defer(report: Report) -> None:
    defer(TASK, queueing_lock=f"report:{report.pk}", report=str(report.pk))


def make_report(report_id: uuid.UUID) -> Report:
    """Make one report; its state says how it ended, and why."""
    report = _begin(report_id)
    if report.state != ExportState.RUNNING:
        return report
    try:
        describe(report.case)
        source = sources.of_chain(report.case.chain)
        manifest = _manifest(report, source)
        built = case_report.build(
            manifest, source.events, source.blob, lambda share: _progress(report, share)
        )
        return _finish(report, manifest, built)
    except DatabaseError:
        raise  # The database is away: the queue offers the report again.
    except Exception as error:
        logger.exception("report %s failed", report.pk)
        message = error.message if isinstance(error, ConcordError) else str(error)
        return _fail(report, message or type(error).__name__)


@transaction.atomic
def describe(case: Case) -> None:
    """Name every frame of a case's images by the hash of its pixels, in its chain, once.

    With them the record of a case can leave the house without the DICOM files, which name the
    patient. What the log of before does not say of the case is said here too.
    """
    case = Case.objects.select_for_update(of=("self",)).get(pk=case.pk)
    rows = history.stored_rows(chain=case.chain)
    if any(row[8] == DESCRIBED for row in rows):
        return
    grid, volume = load_volume(Series.objects.get(pk=case.series_id))
    require_same_grid(grid, case.grid)
    frames = [hashlib.sha256(frame_bytes(plane)).hexdigest() for plane in volume]
    record(
        DESCRIBED,
        case,
        actor=None,
        chain=case.chain,
        label=case.label,
        exclusions=case.exclusions,
        series_facts=case.facts,
        frames=store().put(canonical_json(frames), compress=True),
        told=case_facts(case),
    )


def _manifest(report: Report, source: sources.Source) -> dict[str, Any]:
    chain = report.case.chain
    stored = [
        fault.sentence
        for fault in history.verify(chain=chain).faults
        if fault.kind == "signed_record"
    ]
    return case_report.new_manifest(
        source.events[-1],
        report=str(report.pk),
        created=stamp(timezone.now()) or "",
        made_by=report.made_by.shown_name if report.made_by else "the system",
        stored_faults=stored,
    )


@transaction.atomic
def _begin(report_id: uuid.UUID) -> Report:
    report = _locked(report_id)
    if report.state in _OPEN:
        report.state, report.progress, report.touched = ExportState.RUNNING, 0.02, timezone.now()
        report.save(update_fields=["state", "progress", "touched"])
    return report


def _locked(report_id: uuid.UUID) -> Report:
    found = Report.objects.select_for_update(of=("self",)).select_related("case", "made_by")
    return found.get(pk=report_id)


def _progress(report: Report, share: float) -> None:
    Report.objects.filter(pk=report.pk, state=ExportState.RUNNING).update(
        progress=share, touched=timezone.now()
    )


@transaction.atomic
def _finish(report: Report, manifest: dict[str, Any], built: case_report.Built) -> Report:
    report = _locked(report.pk)
    if report.state != ExportState.RUNNING:
        return report
    files = {name: store().put(data, compress=True) for name, data in built.files.items()}
    report.state, report.progress, report.finished = ExportState.READY, 1.0, timezone.now()
    report.manifest, report.files = manifest, files
    report.sealed = bool(built.facts["comparison"] or built.facts["evidence"])
    report.save()
    record(
        sources.MADE,
        report,
        actor=report.made_by,
        chain=report.case.chain,
        news=[_news(report)],
        manifest=store().put(canonical_json(manifest)),
        files=files,
        chain_position=manifest["chain"]["position"],
        chain_head=manifest["chain"]["hash"],
    )
    return report


@transaction.atomic
def _fail(report: Report, message: str) -> Report:
    report = _locked(report.pk)
    if report.state != ExportState.RUNNING:
        return report
    report.state, report.message, report.finished = ExportState.FAILED, message, timezone.now()
    report.save()
    record(
        "report.failed",
        report,
        actor=None,
        chain=report.case.chain,
        outcome="failure",
        reason=message,
        news=[_news(report)],
    )
    return report


def _news(report: Report) -> News:
    told = {"report": str(report.pk), "case": str(report.case_id), "state": report.state}
    return News(overseers_audience(report.case.project_id), "report.changed", told)


def offer_reports_again() -> int:
    """Give reports to the work process again whose maker is gone; how many."""
    stale = Report.objects.filter(state__in=_OPEN, touched__lt=timezone.now() - PATIENCE)
    count = 0
    for report in stale.only("pk")[:20]:
        with transaction.atomic():
            Report.objects.filter(pk=report.pk).update(touched=timezone.now())
            _defer(report)
        count += 1
    return count


@transaction.atomic
def note_look(*, report: Report, actor: User) -> None:
    """Record that someone opened a report."""
    record("report.opened", report, actor=actor, chain=report.case.chain, state=report.state)


@dataclass(frozen=True)
class Rebuilt:
    """What came of making a report again.

    `files` are `(name, SHA-256, whether it is the same)`; `differences` say where it is not.
    """

    files: tuple[tuple[str, str, bool], ...]
    differences: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether every file is the same, byte for byte."""
        return all(same for _, _, same in self.files)


def rebuild_report(report: str) -> Rebuilt:
    """Make a report again from the events and blobs of its case, and compare; writes nothing.

    Raises:
        NoSuchReport: nothing here tells of it.
        NotDescribed, BlobFault, NothingSigned: what it needs is not there.
    """
    source = sources.of_report(report)
    made = source.made(report).facts
    if "manifest" not in made:
        raise WrongState(
            "MADE_BY_AN_EARLIER_VERSION",
            "This report was made by a version of Concord that made reports from tables.",
            "Rebuild it with that version, or make a new report.",
        )
    manifest = json.loads(source.blob(made["manifest"]))
    built = case_report.build(manifest, source.events, source.blob)
    hashes = built.hashes()
    files = tuple(
        (name, digest, digest == made["files"].get(name)) for name, digest in hashes.items()
    )
    if all(same for _, _, same in files):
        return Rebuilt(files, ())
    found = ["The document is the same; its drawing differs (another version of the code?)."]
    if hashes["document"] != made["files"]["document"]:
        try:
            then = json.loads(source.blob(made["files"]["document"]))
        except BlobMissing:
            found = ["The document differs, and the stored one is not here to say where."]
        else:
            now = json.loads(render.canonical_json(json.loads(built.files["document"])))
            found = differences(then, now)
    return Rebuilt(files, tuple(found))
