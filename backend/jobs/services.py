"""The verbs of a run. Each locks the run, guards the step, changes it, records it.

Web alone writes a run's state, by the table in `protocol`. A lease token is good for one attempt:
what comes from an attempt that ended is refused with 409 `STALE_ATTEMPT`.

The subject's room hears of a change before it is recorded: it locks its own rows, and the chain's
head is the last lock of every transaction.
"""

from __future__ import annotations

import hashlib
import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import models, transaction
from django.utils import timezone

from backend.accounts.models import User
from backend.audit.services import News, announce, record
from backend.errors import BadInput, Missing, WrongState
from backend.jobs import queue
from backend.jobs.models import ModelVersion, Run, RunAttempt, WorkerSession
from backend.jobs.prompts import prompt_fault
from backend.jobs.protocol import (
    STAGE_SHARE,
    STALE_ATTEMPT,
    RunAction,
    RunKind,
    RunState,
    RunStepRefused,
    next_state,
    overall_progress,
)
from backend.jobs.registering import register_model
from backend.jobs.registry import run_changed

__all__ = [
    "Lease",
    "answered",
    "cancel",
    "claim",
    "current_attempt",
    "enqueue",
    "fail",
    "hand_back",
    "lease_of",
    "lose",
    "mask_ready",
    "metrics",
    "progress",
    "register_model",
    "retry",
    "stale",
]

READABLE = "The case can be read without it."


@dataclass(frozen=True)
class Lease:
    """What a worker gets for its claim. The token is shown once."""

    run: Run
    attempt: int
    token: str


@transaction.atomic
def enqueue(
    *,
    kind: RunKind | str,
    subject: models.Model,
    series_id: uuid.UUID,
    study_uid: str,
    series_uid: str,
    model: ModelVersion,
    parameters: dict[str, Any],
    actor: User | None,
    chain: str,
    run_id: uuid.UUID | None = None,
) -> Run:
    """Make a run and queue its job, in the caller's transaction.

    `parameters` names the geometry a mask must have: `geometry_hash` (of the series' grid) and
    `shape` [slices, rows, columns]; what else it holds is given to the model.
    """
    if not {"geometry_hash", "shape"} <= set(parameters):
        raise ValueError(
            "A run needs parameters['geometry_hash'] and parameters['shape'] of its series. "
            "Take both from the series' grid."
        )
    if model.retired is not None:
        raise WrongState(
            "MODEL_RETIRED", f"{model} is retired.", "Choose a model that is in use.", possible=[]
        )
    run = Run.objects.create(
        id=run_id or uuid.uuid4(),
        kind=RunKind(kind).value,
        attempts_allowed=RunKind(kind).attempts,
        subject_type=subject._meta.label_lower,
        subject_id=subject.pk,
        chain=chain,
        series_id=series_id,
        series_uid=series_uid,
        study_uid=study_uid,
        model=model,
        parameters=parameters,
        queued=timezone.now(),
    )
    _defer(run)
    run_changed(run, "queued", {"message": "", "attempt": 0})
    _record(run, "queued", actor=actor, kind=run.kind, model=str(model), sha256=model.sha256)
    return run


def lease_of(token: str) -> Run | None:
    """The run this lease token opens now: only while its attempt is current and live."""
    attempt = (
        RunAttempt.objects.select_related("run", "run__model")
        .filter(lease_digest=_digest(token), ended=None)
        .first()
    )
    if attempt is None or not attempt.run.is_live or attempt.run.attempt != attempt.number:
        return None
    return attempt.run


@transaction.atomic
def claim(*, run: uuid.UUID, session: WorkerSession, job: int | None = None) -> Lease:
    """Give a waiting run to a worker: a new attempt, a new token, the older ones revoked."""
    found = _locked(run)
    again = found.is_live and found.attempts.filter(
        number=found.attempt, session=session, job=job, job__isnull=False, ended=None
    )
    token = "cl_" + secrets.token_urlsafe(32)
    if again:  # The answer to its first claim was lost on the way.
        again.update(lease_digest=_digest(token))
        return Lease(found, found.attempt, token)
    _step(found, RunAction.CLAIM)
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
        lease_digest=_digest(token),
        session=session,
        worker=session.name,
        job=job,
        leased=now,
    )
    run_changed(found, "leased", {"attempt": found.attempt, "worker": session.name})
    _record(found, "leased", attempt=found.attempt, worker=session.name)
    return Lease(found, found.attempt, token)


@transaction.atomic
def progress(*, run: uuid.UUID, attempt: int, stage: str, fraction: float) -> Run:
    """Note how far an attempt is. No event: only news."""
    found, current = current_attempt(run, attempt)
    _step(found, RunAction.PROGRESS)
    found.stage = stage if stage in STAGE_SHARE else found.stage
    found.progress = max(found.progress, overall_progress(stage, fraction))
    found.save(update_fields=["state", "stage", "progress"])
    if current.stage != found.stage:
        current.stage = found.stage
        current.save(update_fields=["stage"])
    told = {"stage": found.stage, "fraction": fraction, "progress": round(found.progress, 3)}
    announce(f"run:{found.id}", "run.progress", told)
    run_changed(found, "progress", told)
    return found


@transaction.atomic
def metrics(*, run: uuid.UUID, attempt: int, values: dict[str, Any]) -> Run:
    """Keep figures a worker sends while it works, and tell open viewers."""
    found, _ = current_attempt(run, attempt)
    found.metrics = {**found.metrics, **values}
    found.save(update_fields=["metrics"])
    announce(f"run:{found.id}", "run.metrics", values)
    run_changed(found, "metrics", values)
    return found


@transaction.atomic
def mask_ready(
    *, run: uuid.UUID, attempt: int, sha256: str, values: dict[str, Any], timings: dict[str, float]
) -> Run:
    """Mask and result are put: the run has succeeded. Saying so twice is saying it once."""
    found = _locked(run)
    done = RunState(found.state) is RunState.SUCCEEDED
    if done and (found.attempt, found.mask_blob) == (attempt, sha256):
        return found
    found, current = current_attempt(run, attempt)
    if current.mask_blob != sha256 or not sha256 or current.result is None:
        raise WrongState(
            "NOT_PUT",
            "The mask of that hash and the result must be put before they are announced.",
            "Put both, then announce them.",
            possible=["PUT mask", "PUT result"],
        )
    _step(found, RunAction.SUCCEED)
    now = timezone.now()
    found.mask_blob, found.result = current.mask_blob, current.result
    waited = ((found.leased or now) - found.queued).total_seconds()
    found.timings = {
        "wait": round(waited, 3),
        **current.result["provenance"].get("timings", {}),
        **timings,
    }
    found.metrics = {**found.metrics, **values}
    found.progress, found.finished, found.message = 1.0, now, ""
    found.save()
    _end(current, "succeeded", at=now)
    nodes = len(current.result["nodes"])
    run_changed(
        found, "succeeded", {"attempt": attempt, "mask": sha256, "nodes": nodes, "metrics": values}
    )
    _record(found, "succeeded", attempt=attempt, mask=sha256, nodes=nodes)
    return found


@transaction.atomic
def answered(
    *, run: uuid.UUID, attempt: int, result: dict[str, Any], timings: dict[str, float]
) -> Run:
    """A prompt has its answer: the run has succeeded. Saying so twice is saying it once."""
    found = _locked(run)
    if RunState(found.state) is RunState.SUCCEEDED and found.attempt == attempt:
        return found
    found, current = current_attempt(run, attempt)
    if fault := prompt_fault(result, found):
        raise BadInput("RESULT_DAMAGED", fault, "Correct the answer and send it again.")
    _step(found, RunAction.SUCCEED)
    now = timezone.now()
    waited = ((found.leased or now) - found.queued).total_seconds()
    found.result, found.timings = result, {"wait": round(waited, 3), **timings}
    found.progress, found.finished, found.message = 1.0, now, ""
    found.save()
    _end(current, "succeeded", at=now)
    run_changed(found, "succeeded", {"attempt": attempt})
    _record(found, "succeeded", attempt=attempt)
    return found


@transaction.atomic
def fail(*, run: uuid.UUID, attempt: int, message: str, final: bool = False) -> Run:
    """The worker could not do it: tried again, unless `final` or too often; then dead."""
    found, current = current_attempt(run, attempt)
    _step(found, RunAction.FAIL)
    _end(current, "failed", message=message)
    return _again(found, message, give_up=final)


@transaction.atomic
def lose(*, run: uuid.UUID, attempt: int, message: str) -> Run:
    """The worker is gone: offered again, or dead after too many attempts."""
    found, current = current_attempt(run, attempt)
    _step(found, RunAction.LOSE)
    _end(current, "lost", message=message)
    if current.job is not None:
        queue.retire([current.job])
    return _again(found, message)


@transaction.atomic
def hand_back(*, run: uuid.UUID, attempt: int) -> Run:
    """A worker that stops in good order gives the run back; that attempt does not count."""
    found, current = current_attempt(run, attempt)
    _step(found, RunAction.LOSE)
    _end(current, "handed_back")
    found.attempts_allowed += 1
    return _again(found, f"{current.worker} was stopped and handed the run back.")


@transaction.atomic
def cancel(*, run: uuid.UUID, actor: User | None, why: str = "") -> Run:
    """Stop a run that waits or is being done; its worker stops within a second."""
    found = _locked(run)
    _step(found, RunAction.CANCEL)
    for current in found.attempts.filter(ended=None):
        _end(current, "cancelled")
    found.finished = timezone.now()
    by = actor.shown_name if actor else "the system"
    found.message = why or f"Cancelled by {by}. {READABLE}"
    found.save()
    queue.abort(found.id)
    run_changed(found, "cancelled", {"message": found.message})
    _record(found, "cancelled", actor=actor)
    return found


@transaction.atomic
def retry(*, run: uuid.UUID, actor: User | None) -> Run:
    """Queue a dead or cancelled run again, with a fresh number of attempts."""
    found = _locked(run)
    _step(found, RunAction.REQUEUE)
    found.attempts_allowed = found.attempt + RunKind(found.kind).attempts
    _wait(found, "")
    run_changed(found, "queued", {"message": "", "attempt": found.attempt})
    _record(found, "queued", actor=actor, retried=True)
    return found


def _again(run: Run, message: str, *, give_up: bool = False) -> Run:
    """A failed run: queued once more, or dead with a sentence that says why."""
    told = {"message": message, "attempt": run.attempt}
    if give_up or run.attempt >= run.attempts_allowed:
        _step(run, RunAction.GIVE_UP)
        tried = "" if give_up else f"Given up after {run.attempt} attempts; the last one: "
        run.message = f"{tried}{message} {READABLE}"
        run.finished = timezone.now()
        run.save()
        run_changed(run, "dead", {"message": run.message})
        _record(run, "dead", outcome="failure", reason=run.message, attempt=run.attempt)
        return run
    _step(run, RunAction.REQUEUE)
    _wait(run, message)
    run_changed(run, "failed", told)
    run_changed(run, "queued", told)
    _record(run, "failed", outcome="failure", reason=message, attempt=run.attempt)
    return run


def _wait(run: Run, message: str) -> None:
    run.message, run.progress, run.stage, run.leased_by = message, 0.0, "", ""
    run.queued, run.leased, run.finished = timezone.now(), None, None
    run.save()
    _defer(run)


def _defer(run: Run) -> None:
    subject = f"{run.subject_type}:{run.subject_id}"
    queue.defer_run(run.id, subject=subject, queue=RunKind(run.kind).queue)


def _locked(run: uuid.UUID) -> Run:
    found = Run.objects.select_for_update(of=("self",)).select_related("model").filter(pk=run)
    first = found.first()
    if first is None:
        raise Missing("run")
    return first


def current_attempt(run: uuid.UUID, number: int) -> tuple[Run, RunAttempt]:
    """The locked run and its live attempt, or 409: that attempt has ended."""
    found = _locked(run)
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


def _step(run: Run, action: RunAction) -> None:
    state = RunState(run.state)
    try:
        run.state = next_state(state, action).value
    except RunStepRefused as refused:
        raise WrongState(
            "RUN_STATE", str(refused), "Look at the run's page and choose what is possible."
        ) from None


def _end(
    attempt: RunAttempt, outcome: str, *, message: str = "", at: datetime | None = None
) -> None:
    attempt.ended = at or timezone.now()
    attempt.outcome, attempt.message = outcome, message
    attempt.save(update_fields=["ended", "outcome", "message"])


def _record(run: Run, what: str, *, actor: User | None = None, **facts: Any) -> None:
    told = {"run": str(run.id), "state": run.state, "attempt": run.attempt}
    # Whose case it is of hears it from the room of the subject.
    if run.kind == RunKind.PROMPT:
        # A question changes no record. What is taken of its answer is recorded where it is taken.
        announce(f"run:{run.id}", "run.changed", told)
        return
    news = [News(f"run:{run.id}", "run.changed", told)]
    record(f"run.{what}", run, actor=actor, chain=run.chain, news=news, **facts)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
