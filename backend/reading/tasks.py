"""The reading room's jobs in the work process."""

from __future__ import annotations

from uuid import UUID

from procrastinate.contrib.django import app

from backend.jobs.protocol import WORK_QUEUE
from backend.reading.models import Case
from backend.reading.services import compare_readings
from backend.reading.services.comparing import TASK


@app.task(name=TASK, queue=WORK_QUEUE)
def compare(case: str) -> None:
    """Compare the two submitted readings of one case."""
    found = Case.objects.filter(pk=UUID(case)).first()
    if found is not None:
        compare_readings(case=found)
