"""The archive's jobs in the work process."""

from __future__ import annotations

from uuid import UUID

from procrastinate import JobContext
from procrastinate.contrib.django import app

from backend.archive import services
from backend.archive.judging import DERIVE_TASK
from backend.archive.remotes.carrying import TASK, carry_out
from backend.archive.remotes.doers import DOERS
from backend.jobs.protocol import WORK_QUEUE


@app.task(name=DERIVE_TASK, queue=WORK_QUEUE)
def derive(series: str) -> None:
    """Rewrite one series that can only be read rewritten."""
    services.derive(series_id=UUID(series))


@app.task(name=TASK, queue=WORK_QUEUE, pass_context=True)
def transfer(context: JobContext, transfer: str) -> None:
    """Pull from or push to a remote."""
    carry_out(UUID(transfer), DOERS, should_stop=context.should_abort)
