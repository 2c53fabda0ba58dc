"""The reports room's jobs in the work process."""

from __future__ import annotations

import uuid

from procrastinate.contrib.django import app

from backend.jobs.protocol import WORK_QUEUE
from backend.reports import exporting, reporting


@app.task(name=exporting.TASK, queue=WORK_QUEUE)
def make_export(export: str) -> None:
    """Write, read back and compare one export."""
    exporting.make_export(uuid.UUID(export))


@app.task(name=reporting.TASK, queue=WORK_QUEUE)
def make_report(report: str) -> None:
    """Make one case report."""
    reporting.make_report(uuid.UUID(report))
