"""Reports and exports as the API and the pages show them."""

from __future__ import annotations

from typing import Any

from backend.reports.models import Export, ExportState, Report

# What follows a report's address → the name of the file, and what it is.
ENDINGS = {
    ".html": ("html", "text/html; charset=utf-8"),
    ".pdf": ("pdf", "application/pdf"),
    ".json": ("document", "application/json"),
    ".csv": ("csv", "text/csv; charset=utf-8"),
    "-steps.csv": ("steps", "text/csv; charset=utf-8"),
    "-readings.csv": ("readings", "text/csv; charset=utf-8"),
}


def report_json(report: Report) -> dict[str, Any]:
    """How far a report is, where its files lie, and their hashes."""
    ready = report.state == ExportState.READY
    return {
        "report": str(report.pk),
        "state": report.state,
        "progress": report.progress,
        "message": report.message,
        "url": f"/reports/{report.pk}/",
        "files": {
            name: {
                "url": f"/api/reports/{report.pk}{ending}",
                "sha256": report.files[name],
            }
            for ending, (name, _) in ENDINGS.items()
            if ready and name in report.files
        },
    }


def export_json(export: Export) -> dict[str, Any]:
    """How far an export is."""
    ready = export.state == ExportState.READY
    return {
        "export": str(export.pk),
        "reading": str(export.reading_id) if export.reading_id else None,
        "consensus": str(export.consensus_id) if export.consensus_id else None,
        "format": export.format,
        "state": export.state,
        "progress": export.progress,
        "message": export.message,
        "mask": export.mask_hash,
        "filename": export.filename,
        "size": export.size,
        "verification": export.verification,
        "file": f"/api/exports/{export.pk}/file" if ready else None,
        "sidecar": f"/api/exports/{export.pk}/sidecar" if export.sidecar_blob else None,
    }
