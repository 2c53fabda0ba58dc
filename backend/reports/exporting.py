"""Making an export: write the file, read it back, compare all of it, and only then keep it.

Runs in the work process. Doing it twice does no harm: a finished export is left as it is.
"""

from __future__ import annotations

import hashlib
import logging
import uuid
from datetime import timedelta
from typing import Any

from django.db import DatabaseError, transaction
from django.utils import timezone
from procrastinate.contrib.django import app

from backend.audit.services import News, record
from backend.errors import ConcordError
from backend.jobs.protocol import WORK_QUEUE
from backend.reading.models import Consensus
from backend.reading.services.announcing import overseers_audience
from backend.reports.agreed import agreed_content
from backend.reports.formats import FORMATS, Content, content_of, sidecar_of
from backend.reports.models import Export, ExportState
from backend.store import store

logger = logging.getLogger(__name__)

TASK = "reports.make_export"
# An unfinished export that nobody touched for this long is given to the work process again.
PATIENCE = timedelta(seconds=120)
_OPEN = (ExportState.QUEUED.value, ExportState.RUNNING.value)


def enqueue(export: Export) -> None:
    """Give an export to the work process, in the caller's transaction."""
    app.configure_task(TASK, queue=WORK_QUEUE).defer(export=str(export.pk))


def make_export(export_id: uuid.UUID) -> Export:
    """Make one export; its state says how it ended, and why."""
    export = _begin(export_id)
    if export.state != ExportState.RUNNING:
        return export
    try:
        content = _content(export)
        _progress(export, 0.2)
        data = FORMATS[export.format].write(content, export.pk)
        _progress(export, 0.6)
        verification = compare(data, export.format, content)
        sidecar = sidecar_of(export.format, content, verification["sha256"])
        return _finish(export, data, sidecar, verification)
    except DatabaseError:
        raise  # The database is away: the queue offers the export again.
    except Exception as error:
        logger.exception("export %s failed", export.pk)
        message = error.message if isinstance(error, ConcordError) else str(error)
        return _fail(export, message or type(error).__name__)


def _content(export: Export) -> Content:
    source = export.source
    return agreed_content(source) if isinstance(source, Consensus) else content_of(source)


def compare(data: bytes, file_format: str, content: Content) -> dict[str, Any]:
    """Read a written file back and compare it; raises `NotTheMask` or `NotTheTable`."""
    form = FORMATS[file_format]
    same = form.same(form.read(data, content), content)
    return {
        "equal": True,
        **same,
        "sha256": hashlib.sha256(data).hexdigest(),
        "mask": content.mask_hash,
    }


@transaction.atomic
def _begin(export_id: uuid.UUID) -> Export:
    export = _locked(export_id)
    if export.state in _OPEN:
        export.state, export.progress, export.touched = ExportState.RUNNING, 0.05, timezone.now()
        export.save(update_fields=["state", "progress", "touched"])
    return export


def _locked(export_id: uuid.UUID) -> Export:
    return (
        Export.objects.select_for_update(of=("self",))
        .select_related(
            "reading__case",
            "reading__effective",
            "reading__ai_mask",
            "consensus__case__project",
            "consensus__case__protocol",
            "consensus__mask",
        )
        .get(pk=export_id)
    )


def _progress(export: Export, share: float) -> None:
    Export.objects.filter(pk=export.pk, state=ExportState.RUNNING).update(
        progress=share, touched=timezone.now()
    )


@transaction.atomic
def _finish(
    export: Export, data: bytes, sidecar: bytes | None, verification: dict[str, Any]
) -> Export:
    blob = store().put(data)
    beside = store().put(sidecar) if sidecar is not None else ""
    export = _locked(export.pk)
    if export.state != ExportState.RUNNING:
        return export
    export.state, export.progress, export.blob = ExportState.READY, 1.0, blob
    export.size, export.verification, export.sidecar_blob = len(data), verification, beside
    export.filename = filename_of(export)
    export.finished = timezone.now()
    export.save()
    record(
        "export.made",
        export,
        actor=None,
        chain=export.case.chain,
        news=[_news(export)],
        **export.told,
        format=export.format,
        mask=export.mask_hash,
        file=blob,
        sidecar=beside or None,
        verification=verification,
    )
    return export


@transaction.atomic
def _fail(export: Export, message: str) -> Export:
    export = _locked(export.pk)
    if export.state != ExportState.RUNNING:
        return export
    export.state, export.message = ExportState.FAILED, message
    export.finished = timezone.now()
    export.save()
    record(
        "export.failed",
        export,
        actor=None,
        chain=export.case.chain,
        outcome="failure",
        reason=message,
        news=[_news(export)],
        **export.told,
        format=export.format,
    )
    return export


def _news(export: Export) -> News:
    told = {"export": str(export.pk), "case": str(export.case.pk), "state": export.state}
    return News(overseers_audience(export.case.project_id), "export.changed", told)


def filename_of(export: Export) -> str:
    """What a downloaded file is called: case, slot or version, start of the mask's hash."""
    suffix = FORMATS[export.format].suffix
    named = export.named.replace(" ", "-")
    return f"{export.case.label}_{named}_{export.mask_hash[:12]}{suffix}"


def offer_again() -> int:
    """Give exports to the work process again whose maker is gone; how many."""
    stale = Export.objects.filter(state__in=_OPEN, touched__lt=timezone.now() - PATIENCE)
    count = 0
    for export in stale.only("pk")[:20]:
        with transaction.atomic():
            Export.objects.filter(pk=export.pk).update(touched=timezone.now())
            enqueue(export)
        count += 1
    return count
