"""Every second: what dead workers left behind is offered again.

A worker is known to live by two signs: the advisory lock of its job, which Postgres frees the
moment its connection ends, and its socket. When both are gone for a moment the attempt is lost;
a worker that says nothing at all for long (stopped, or cut off) has lost it too.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from backend.errors import WrongState
from backend.jobs import queue, services
from backend.jobs.models import LIVE_STATES, Run, RunAttempt
from backend.jobs.protocol import RunState
from backend.jobs.run_steps import defer
from backend.jobs.selectors import socket_is_open

# A worker takes its job's lock right after fetching the job, and claims right after that; while
# the web process is away it may take longer, but not for ever.
LOCK_TIME = timedelta(seconds=3)
CLAIM_TIME = timedelta(seconds=60)


def sweep() -> int:
    """Offer every run without a live worker or job again; returns how many."""
    with transaction.atomic():
        queue.revive_work()
    # Attempts and runs are read before jobs: a run that moves on in between is judged again
    # under its lock.
    live = list(
        RunAttempt.objects.select_related("run", "session").filter(
            ended=None, run__state__in=LIVE_STATES
        )
    )
    waiting = list(Run.objects.filter(state=RunState.QUEUED.value).values_list("id", flat=True))
    jobs = {job.id: job for job in queue.unfinished_jobs()}
    if not live and not waiting and not jobs:
        return 0
    _, locked = queue.held_locks()
    now = timezone.now()
    done = 0
    for attempt in live:
        job = jobs.get(attempt.job) if attempt.job is not None else None
        if why := _why_lost(attempt, job, locked, now):
            done += _lose(attempt, why)
    leased = {attempt.job for attempt in live}
    for job in jobs.values():
        if job.doing and job.id not in leased and not _may_still_claim(job, locked, now):
            with transaction.atomic():
                queue.retire([job.id])
    for run in waiting:
        done += _defer_if_forgotten(run)
    return done


def _why_lost(
    attempt: RunAttempt, job: queue.Job | None, locked: set[int], now: datetime
) -> str | None:
    """Why this attempt has no living worker, as a sentence; None if it has one."""
    at = f"in stage {attempt.stage}" if attempt.stage else "before it began"
    session = attempt.session
    silence = timedelta(seconds=settings.WORKER_SILENCE_SECONDS)
    if session is not None and now - session.heard > silence:
        return f"{attempt.worker} said nothing for {silence.seconds} seconds {at}."
    if attempt.job is not None and (job is None or not job.doing):
        return f"{attempt.worker} ended the job without a result {at}."
    if job is not None and queue.lock_number(job.id) in locked:
        return None
    if session is not None:
        grace = timedelta(seconds=float(getattr(settings, "LEASE_GRACE_SECONDS", 2.0)))
        if socket_is_open(session, now) or (session.gone and now - session.gone < grace):
            return None
    return f"{attempt.worker} stopped {at}."


def _may_still_claim(job: queue.Job, locked: set[int], now: datetime) -> bool:
    if job.started is None:
        return False
    limit = CLAIM_TIME if queue.lock_number(job.id) in locked else LOCK_TIME
    return now - job.started < limit


def _lose(attempt: RunAttempt, why: str) -> int:
    try:
        services.lose(run=attempt.run_id, attempt=attempt.number, message=why)
    except WrongState:
        return 0  # It ended in the meantime.
    return 1


@transaction.atomic
def _defer_if_forgotten(run: uuid.UUID) -> int:
    """Queue a waiting run again whose job is nowhere; returns 1 if it did."""
    found = (
        Run.objects.select_for_update(skip_locked=True)
        .filter(pk=run, state=RunState.QUEUED.value)
        .first()
    )
    if found is None or queue.unfinished_jobs(run):
        return 0
    return int(defer(found))
