"""How a worker gets a run: the lease of one attempt, and the token that opens its series."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from backend.errors import WrongState
from backend.jobs import registry
from backend.jobs.models import Run, RunAttempt, WorkerSession
from backend.jobs.protocol import RunAction, RunState
from backend.jobs.registering import why_unfit
from backend.jobs.registry import run_changed
from backend.jobs.run_steps import digest_of, locked, record_run, set_aside, step


@dataclass(frozen=True)
class Lease:
    """What a worker gets for its claim. The token is shown once."""

    run: Run
    attempt: int
    token: str


def lease_of(token: str) -> Run | None:
    """The run this lease token opens now: only while its attempt is current and live."""
    attempt = (
        RunAttempt.objects.select_related("run", "run__model")
        .filter(lease_digest=digest_of(token), ended=None)
        .first()
    )
    if attempt is None or not attempt.run.is_live or attempt.run.attempt != attempt.number:
        return None
    return attempt.run


def series_opened_by(run: Run) -> set[uuid.UUID]:
    """The series a lease on this run opens: its own, and what rooms above say."""
    return {run.series_id}.union(*(said(run) for said in registry.series_opened))


def claim(*, run: uuid.UUID, session: WorkerSession, job: int | None = None) -> Lease:
    """Give a waiting run to a worker: a new attempt, a new token, the older ones revoked.

    A run whose model was found damaged meanwhile is dead instead, with the sentence that says why.
    """
    with transaction.atomic():
        found = locked(run)
        refusal = why_unfit(found.model)
        if not (refusal and RunState(found.state) is RunState.QUEUED):
            return _lease(found, session, job)
        set_aside(found, refusal)
    raise WrongState("MODEL_UNFIT", refusal, possible=[])


def _lease(found: Run, session: WorkerSession, job: int | None) -> Lease:
    again = found.is_live and found.attempts.filter(
        number=found.attempt, session=session, job=job, job__isnull=False, ended=None
    )
    token = "cl_" + secrets.token_urlsafe(32)
    if again:  # The answer to its first claim was lost on the way.
        again.update(lease_digest=digest_of(token))
        return Lease(found, found.attempt, token)
    step(found, RunAction.CLAIM)
    now = timezone.now()
    found.attempt += 1
    found.attempts.filter(ended=None).update(ended=now, outcome="revoked")
    found.leased_by = session.name
    found.leased = now
    found.progress, found.stage, found.message = 0.0, "", ""
    found.save()
    RunAttempt.objects.create(
        run=found,
        number=found.attempt,
        lease_digest=digest_of(token),
        session=session,
        worker=session.name,
        job=job,
        leased=now,
    )
    run_changed(found, "leased", {"attempt": found.attempt, "worker": session.name})
    record_run(found, "leased", attempt=found.attempt, worker=session.name)
    return Lease(found, found.attempt, token)
