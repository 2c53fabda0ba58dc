"""Parts of the pages about reports: the files of a case."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import template
from django.db.models import Q
from django.template.defaultfilters import filesizeformat

from backend.archive.remotes.managing import remotes
from backend.errors import ConcordError
from backend.reading.models import Consensus
from backend.reading.workflow import SIGNED
from backend.reports.agreed import WAITING
from backend.reports.models import Export, ExportFormat, ExportState, Report
from backend.reports.pushing import may_leave, may_push
from backend.reports.selectors import reportable_case_for, reports_of
from backend.reports.timeline_selectors import may_audit

register = template.Library()


@register.simple_tag(takes_context=True)
def files_of(context: dict[str, Any], case: UUID | str) -> dict[str, Any]:
    """The reports and exports of a case, newest first; `waiting` while one is being made.

    `agreed` is the newest version of its consensus and which files of it may be asked for;
    `timeline` says whether this person may read what happened.
    """
    user = context["request"].user
    audits = may_audit(user, case)
    reports = reports_of(user).filter(case_id=case).select_related("made_by")
    exports = Export.objects.filter(
        Q(reading__case_id=case) | Q(consensus__case_id=case)
    ).select_related("reading", "consensus")
    if not audits:
        exports = exports.exclude(format=ExportFormat.CSV)
    archives = _remotes_for(user, case)
    rows = [_report_row(report) for report in reports]
    rows += [
        {**_export_row(e), "export": e.pk, "push": archives if may_leave(e) else []}
        for e in exports
    ]
    rows.sort(key=lambda row: row["created"], reverse=True)
    waiting = any(row["state"] in (ExportState.QUEUED, ExportState.RUNNING) for row in rows)
    return {
        "rows": rows,
        "waiting": waiting,
        "pushable": any(row.get("push") for row in rows),
        "agreed": _agreed(case, audits=audits),
        "may_report": _may_report(user, case),
        "timeline": audits,
    }


def _agreed(case: UUID | str, *, audits: bool) -> dict[str, Any] | None:
    """The version of the consensus whose files can be had, else the one that is being made."""
    found = Consensus.objects.filter(case_id=case).order_by("-version")
    consensus = found.filter(published_at__isnull=False).first() or found.first()
    if consensus is None:
        return None
    published = consensus.published_at is not None
    formats = [
        form for form in ExportFormat if published and (audits or form is not ExportFormat.CSV)
    ]
    return {
        "id": consensus.pk,
        "version": consensus.version,
        "published": consensus.published_at,
        "why_not": "" if published else WAITING.get(consensus.state, ""),
        "formats": [{"value": form.value, "label": form.label} for form in formats],
    }


def _remotes_for(user: Any, case: UUID | str) -> list[str]:
    """The other archives this person may push an export of the case to."""
    if not may_push(user, UUID(str(case))):
        return []
    return [remote.name for remote in remotes()]


def _may_report(user: Any, case: UUID | str) -> bool:
    """Whether this person may have a report made now, and there is a reading to report."""
    try:
        found = reportable_case_for(user, UUID(str(case)))
    except ConcordError:
        return False
    return found.readings.filter(state__in=[state.value for state in SIGNED]).exists()


def _report_row(report: Report) -> dict[str, Any]:
    words = {
        ExportState.QUEUED.value: "waiting to be made",
        ExportState.RUNNING.value: "being made",
        ExportState.READY.value: f"made by {report.made_by.shown_name}"
        if report.made_by
        else "made",
        ExportState.FAILED.value: report.message,
    }
    return {
        "name": "Case report",
        "slot": "",
        "created": report.created,
        "state": report.state,
        "words": words[report.state],
        "progress": report.progress,
        "url": f"/reports/{report.pk}/",
        "verb": "Open",
        "download": False,
    }


def _export_row(export: Export) -> dict[str, Any]:
    ready = export.state == ExportState.READY
    words = {
        ExportState.QUEUED.value: "waiting to be written",
        ExportState.RUNNING.value: "being written and compared",
        ExportState.READY.value: f"{_compared(export)}, {filesizeformat(export.size)}",
        ExportState.FAILED.value: export.message,
    }
    return {
        "name": export.get_format_display(),
        "slot": export.named,
        "created": export.created,
        "state": export.state,
        "words": words[export.state],
        "progress": export.progress,
        "url": f"/api/exports/{export.pk}/file" if ready else None,
        "verb": "Save",
        "download": True,
        "sidecar": f"/api/exports/{export.pk}/sidecar" if export.sidecar_blob else None,
    }


def _compared(export: Export) -> str:
    each = "cell by cell" if export.format == ExportFormat.CSV else "voxel by voxel"
    return f"read back: equal {each}"
