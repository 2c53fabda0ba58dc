"""What every verb of a run is made of: lock it, step along its table, end an attempt, record it."""

from __future__ import annotations

import hashlib
import uuid
from datetime import datetime
from typing import Any

from django.utils import timezone

from backend.accounts.models import User
from backend.audit.services import News, announce, record
from backend.errors import Missing, WrongState
from backend.jobs import queue
from backend.jobs.models import Run, RunAttempt
from backend.jobs.protocol import (
    STALE_ATTEMPT,
    RunAction,
    RunKind,
    RunState,
    RunStepRefused,
    held_queue,
    next_state,
)
from backend.jobs.registry import run_changed


def left_by(run: Run) -> str:
    """What there is without a run, as a sentence."""
    if run.kind == RunKind.TRAIN:
        return "No new version was made."
    return "The case can be read without it."


def set_aside(run: Run, why: str) -> None:
    """A waiting run that cannot be done: dead, with the sentence that says why."""
    step(run, RunAction.GIVE_UP)
    run.message, run.finished = f"{why} {left_by(run)}", timezone.now()
    run.save()
    run_changed(run, "dead", {"message": run.message})
    record_run(run, "dead", outcome="failure", reason=run.message, attempt=run.attempt)


def again_or_dead(run: Run, message: str, *, give_up: bool = False) -> Run:
    """A failed run: queued once more, or dead with a sentence that says why."""
    told = {"message": message, "attempt": run.attempt}
    if give_up or run.attempt >= run.attempts_allowed:
        step(run, RunAction.GIVE_UP)
        tried = "" if give_up else f"Given up after {run.attempt} attempts; the last one: "
        run.message = f"{tried}{message} {left_by(run)}"
        run.finished = timezone.now()
        run.save()
        run_changed(run, "dead", {"message": run.message})
        record_run(run, "dead", outcome="failure", reason=run.message, attempt=run.attempt)
        return run
    step(run, RunAction.REQUEUE)
    wait(run, message)
    run_changed(run, "failed", told)
    run_changed(run, "queued", told)
    record_run(run, "failed", outcome="failure", reason=message, attempt=run.attempt)
    return run


def wait(run: Run, message: str) -> None:
    """Have a run wait for a worker again."""
    run.message, run.progress, run.stage, run.leased_by = message, 0.0, "", ""
    run.queued, run.leased, run.finished = timezone.now(), None, None
    run.save()
    defer(run)


def defer(run: Run) -> bool:
    """Queue a run's job, where only workers look that hold its model; False if it waits there
    already.
    """
    subject = f"{run.subject_type}:{run.subject_id}"
    kind = RunKind(run.kind)
    name = kind.queue
    if kind.needs_the_model:
        name = held_queue(name, run.model.description)
    return queue.defer_run(run.id, subject=subject, queue=name, priority=kind.priority)


def locked(run: uuid.UUID) -> Run:
    """The run, locked until the transaction ends; raises `Missing`."""
    found = Run.objects.select_for_update(of=("self",)).select_related("model").filter(pk=run)
    first = found.first()
    if first is None:
        raise Missing("run")
    return first


def current_attempt(run: uuid.UUID, number: int) -> tuple[Run, RunAttempt]:
    """The locked run and its live attempt, or 409: that attempt has ended."""
    found = locked(run)
    current = found.attempts.filter(number=number, ended=None).first()
    if current is None or found.attempt != number or not found.is_live:
        raise stale(number)
    return found, current


def stale(number: int) -> WrongState:
    """The answer to whatever comes from an attempt that ended."""
    return WrongState(
        STALE_ATTEMPT,
        f"Attempt {number} of this run has ended; nothing of it is taken any more.",
        "Drop this result and claim the next run.",
        possible=["claim"],
    )


def step(run: Run, action: RunAction) -> None:
    """Move a run along its table (not saved); raises `WrongState`, naming what can be."""
    state = RunState(run.state)
    try:
        run.state = next_state(state, action).value
    except RunStepRefused as refused:
        raise WrongState(
            "RUN_STATE", str(refused), "Look at the run's page and choose what is possible."
        ) from None


def succeed(
    run: Run, attempt: RunAttempt, result: dict[str, Any] | None, timings: dict[str, float]
) -> None:
    """A run is done: its attempt ends with what came of it. Saved, not yet told or recorded."""
    step(run, RunAction.SUCCEED)
    now = timezone.now()
    waited = ((run.leased or now) - run.queued).total_seconds()
    run.result, run.timings = result, {"wait": round(waited, 3), **timings}
    run.progress, run.finished, run.message = 1.0, now, ""
    run.save()
    end(attempt, "succeeded", at=now)


def end(
    attempt: RunAttempt, outcome: str, *, message: str = "", at: datetime | None = None
) -> None:
    """End an attempt: its token opens nothing any more."""
    attempt.ended = at or timezone.now()
    attempt.outcome, attempt.message = outcome, message
    attempt.save(update_fields=["ended", "outcome", "message"])


def record_run(run: Run, what: str, *, actor: User | None = None, **facts: Any) -> None:
    """Record what happened to a run, with the news of it."""
    told = {"run": str(run.id), "state": run.state, "attempt": run.attempt}
    # Whose case it is of hears it from the room of the subject.
    if run.kind == RunKind.PROMPT:
        # A question changes no record. What is taken of its answer is recorded where it is taken.
        announce(f"run:{run.id}", "run.changed", told)
        return
    news = [News(f"run:{run.id}", "run.changed", told)]
    record(f"run.{what}", run, actor=actor, chain=run.chain, news=news, **facts)


def digest_of(token: str) -> str:
    """What is kept of a lease token."""
    return hashlib.sha256(token.encode()).hexdigest()
