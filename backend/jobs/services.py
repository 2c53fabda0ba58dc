"""The verbs of a run. Each locks the run, guards the step, changes it, records it.

Web alone writes a run's state, by the table in `protocol`. A lease token is good for one attempt:
what comes from an attempt that ended is refused with 409 `STALE_ATTEMPT`.

The subject's room hears of a change before it is recorded: it locks its own rows, and the chain's
head is the last lock of every transaction.
"""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models, transaction
from django.utils import timezone

from backend.accounts.models import User
from backend.audit.services import announce
from backend.errors import BadInput, WrongState
from backend.jobs import queue
from backend.jobs.leasing import Lease, claim, lease_of
from backend.jobs.models import ModelVersion, Run
from backend.jobs.prompts import prompt_fault
from backend.jobs.protocol import (
    RunAction,
    RunKind,
    RunState,
    overall_progress,
)
from backend.jobs.registering import register_model, why_unfit
from backend.jobs.registry import run_changed
from backend.jobs.run_steps import (
    again_or_dead,
    current_attempt,
    defer,
    end,
    left_by,
    locked,
    record_run,
    set_aside,
    stale,
    step,
    succeed,
    wait,
)

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
    "set_aside_waiting",
    "stale",
]


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
    `shape` [slices, rows, columns]; what else it holds is given to the model. A training is of no
    one series: its subject stands for them (`registry.series_opened`), `model` is its parent.
    """
    if RunKind(kind).of_one_series and not {"geometry_hash", "shape"} <= set(parameters):
        raise ValueError(
            "A run needs parameters['geometry_hash'] and parameters['shape'] of its series. "
            "Take both from the series' grid."
        )
    if model.retired is not None:
        raise WrongState(
            "MODEL_RETIRED", f"{model} is retired.", "Choose a model that is in use.", possible=[]
        )
    if refusal := why_unfit(model):
        raise WrongState("MODEL_UNFIT", refusal, possible=["verify"])
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
    defer(run)
    run_changed(run, "queued", {"message": "", "attempt": 0})
    record_run(run, "queued", actor=actor, kind=run.kind, model=str(model), sha256=model.sha256)
    return run


def set_aside_waiting(*, model: ModelVersion, why: str) -> int:
    """Give up the runs that wait for a model that cannot run; how many. In the caller's
    transaction."""
    waiting = Run.objects.filter(model=model, state=RunState.QUEUED.value)
    given_up = 0
    for run in waiting.select_for_update(of=("self",)).select_related("model").order_by("created"):
        set_aside(run, why)
        queue.abort(run.id)
        given_up += 1
    return given_up


@transaction.atomic
def progress(*, run: uuid.UUID, attempt: int, stage: str, fraction: float) -> Run:
    """Note how far an attempt is. No event: only news."""
    found, current = current_attempt(run, attempt)
    step(found, RunAction.PROGRESS)
    kind = RunKind(found.kind)
    found.stage = stage if stage in kind.stage_share else found.stage
    found.progress = max(found.progress, overall_progress(stage, fraction, kind))
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
    found = locked(run)
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
    found.mask_blob = current.mask_blob
    found.metrics = {**found.metrics, **values}
    told = current.result["provenance"].get("timings", {})
    succeed(found, current, current.result, {**told, **timings})
    nodes = len(current.result["nodes"])
    run_changed(
        found, "succeeded", {"attempt": attempt, "mask": sha256, "nodes": nodes, "metrics": values}
    )
    record_run(found, "succeeded", attempt=attempt, mask=sha256, nodes=nodes)
    return found


@transaction.atomic
def answered(
    *, run: uuid.UUID, attempt: int, result: dict[str, Any], timings: dict[str, float]
) -> Run:
    """A prompt has its answer: the run has succeeded. Saying so twice is saying it once."""
    found = locked(run)
    if RunState(found.state) is RunState.SUCCEEDED and found.attempt == attempt:
        return found
    found, current = current_attempt(run, attempt)
    if fault := prompt_fault(result, found):
        raise BadInput("RESULT_DAMAGED", fault, "Correct the answer and send it again.")
    succeed(found, current, result, timings)
    run_changed(found, "succeeded", {"attempt": attempt})
    record_run(found, "succeeded", attempt=attempt)
    return found


@transaction.atomic
def fail(*, run: uuid.UUID, attempt: int, message: str, final: bool = False) -> Run:
    """The worker could not do it: tried again, unless `final` or too often; then dead."""
    found, current = current_attempt(run, attempt)
    step(found, RunAction.FAIL)
    end(current, "failed", message=message)
    return again_or_dead(found, message, give_up=final)


@transaction.atomic
def lose(*, run: uuid.UUID, attempt: int, message: str) -> Run:
    """The worker is gone: offered again, or dead after too many attempts."""
    found, current = current_attempt(run, attempt)
    step(found, RunAction.LOSE)
    end(current, "lost", message=message)
    if current.job is not None:
        queue.retire([current.job])
    return again_or_dead(found, message)


@transaction.atomic
def hand_back(*, run: uuid.UUID, attempt: int) -> Run:
    """A worker that stops in good order gives the run back; that attempt does not count."""
    found, current = current_attempt(run, attempt)
    step(found, RunAction.LOSE)
    end(current, "handed_back")
    found.attempts_allowed += 1
    return again_or_dead(found, f"{current.worker} was stopped and handed the run back.")


@transaction.atomic
def cancel(*, run: uuid.UUID, actor: User | None, why: str = "") -> Run:
    """Stop a run that waits or is being done; its worker stops within a second."""
    found = locked(run)
    step(found, RunAction.CANCEL)
    for current in found.attempts.filter(ended=None):
        end(current, "cancelled")
    found.finished = timezone.now()
    by = actor.shown_name if actor else "the system"
    found.message = why or f"Cancelled by {by}. {left_by(found)}"
    found.save()
    queue.abort(found.id)
    run_changed(found, "cancelled", {"message": found.message})
    record_run(found, "cancelled", actor=actor)
    return found


@transaction.atomic
def retry(*, run: uuid.UUID, actor: User | None) -> Run:
    """Queue a dead or cancelled run again, with a fresh number of attempts."""
    found = locked(run)
    step(found, RunAction.REQUEUE)
    found.attempts_allowed = found.attempt + RunKind(found.kind).attempts
    wait(found, "")
    run_changed(found, "queued", {"message": "", "attempt": found.attempt})
    record_run(found, "queued", actor=actor, retried=True)
    return found
