"""The jobs room's own jobs in the work process."""

from __future__ import annotations

import uuid

from procrastinate.contrib.django import app

from backend.jobs.model_acts import VERIFY_TASK
from backend.jobs.model_acts import verify_model as verify
from backend.jobs.protocol import WORK_QUEUE


@app.task(name=VERIFY_TASK, queue=WORK_QUEUE)
def verify_model(model: str) -> None:
    """Hash every file of one model."""
    verify(uuid.UUID(model))
