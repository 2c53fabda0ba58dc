"""Parts of the pages about reports: marks in a report, the files of a case."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import template
from django.template.defaultfilters import filesizeformat

from backend.reports.models import Export, ExportState, Report

register = template.Library()


@register.filter
def node_kind(row: dict[str, Any]) -> str:
    """How a row is marked: `kept`, `added` or `rejected`."""
    if row["group"] == "rejected":
        return "rejected"
    return "added" if row["ai_sad_mm"] is None else "kept"


@register.simple_tag
def files_of(case: UUID | str) -> dict[str, Any]:
    """The reports and exports of a case, newest first; `waiting` while one is being made."""
    reports = Report.objects.filter(case_id=case).select_related("reading")
    exports = Export.objects.filter(reading__case_id=case).select_related("reading")
    rows = [_report_row(report) for report in reports] + [_export_row(e) for e in exports]
    rows.sort(key=lambda row: row["created"], reverse=True)
    waiting = any(row["state"] in (ExportState.QUEUED, ExportState.RUNNING) for row in rows)
    return {"rows": rows, "waiting": waiting}


def _report_row(report: Report) -> dict[str, Any]:
    return {
        "name": "Case report",
        "slot": report.reading.slot,
        "created": report.created,
        "state": ExportState.READY.value,
        "words": f"made by {report.made_by.shown_name}" if report.made_by else "made",
        "url": f"/reports/{report.pk}/",
        "verb": "Open",
        "download": False,
    }


def _export_row(export: Export) -> dict[str, Any]:
    ready = export.state == ExportState.READY
    words = {
        ExportState.QUEUED.value: "waiting to be written",
        ExportState.RUNNING.value: "being written and compared",
        ExportState.READY.value: "read back: equal voxel by voxel, " + filesizeformat(export.size),
        ExportState.FAILED.value: export.message,
    }
    return {
        "name": export.get_format_display(),
        "slot": export.reading.slot,
        "created": export.created,
        "state": export.state,
        "words": words[export.state],
        "progress": export.progress,
        "url": f"/api/exports/{export.pk}/file" if ready else None,
        "verb": "Save",
        "download": True,
    }
