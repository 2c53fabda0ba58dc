"""The reports room's jobs in the work process."""

from __future__ import annotations

import uuid

from procrastinate.contrib.django import app

from backend.jobs.protocol import WORK_QUEUE
from backend.reports import exporting, reporting, trying
from backend.reports.training import registering
from backend.reports.training.keeping import REGISTER_TASK


@app.task(name=exporting.TASK, queue=WORK_QUEUE)
def make_export(export: str) -> None:
    """Write, read back and compare one export."""
    exporting.make_export(uuid.UUID(export))


@app.task(name=reporting.TASK, queue=WORK_QUEUE)
def make_report(report: str) -> None:
    """Make one case report."""
    reporting.make_report(uuid.UUID(report))


@app.task(name=trying.TASK, queue=WORK_QUEUE)
def compare_models(comparison: str) -> None:
    """Measure one comparison of two models."""
    trying.measure_comparison(uuid.UUID(comparison))


@app.task(name=REGISTER_TASK, queue=WORK_QUEUE)
def register_training(training: str) -> None:
    """Write the folder of what was trained, and register it."""
    registering.register_training(uuid.UUID(training))
