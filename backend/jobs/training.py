"""What the worker of a training run says and puts: points of its curves, weights, how it ended."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import transaction

from backend.audit.services import announce
from backend.errors import BadInput, WrongState
from backend.jobs.models import Run, RunAttempt
from backend.jobs.protocol import RunKind, RunState
from backend.jobs.registry import run_changed
from backend.jobs.run_steps import current_attempt, locked, record_run, succeed
from backend.store import store

MAX_WEIGHTS_BYTES = 64 << 20
_HEADER_BYTES = 8
FIGURES = ("output", "validation", "held_out", "people", "steps", "seconds", "software")


@transaction.atomic
def point(*, run: uuid.UUID, attempt: int, value: dict[str, Any]) -> Run:
    """A training tells a point of its curves; the room above keeps it. The news holds no figure."""
    found, _ = current_attempt(run, attempt)
    run_changed(found, "point", value)
    announce(f"run:{found.id}", "run.point", {})
    return found


def put_weights(*, attempt: RunAttempt, body: bytes) -> str:
    """Seal the weights (safetensors) of a training; returns their SHA-256. Put once, they stay.

    Raises:
        BadInput: the body is no safetensors file.
        WrongState: the run is no training, or other weights were put before.
    """
    if attempt.run.kind != RunKind.TRAIN:
        raise WrongState("NO_TRAINING", "Only a training puts weights.", "Put a mask instead.")
    told = int.from_bytes(body[:_HEADER_BYTES], "little")
    if not 0 < told <= len(body) - _HEADER_BYTES or body[_HEADER_BYTES : _HEADER_BYTES + 1] != b"{":
        raise BadInput("WEIGHTS_DAMAGED", "That is no safetensors file.", "Put the weights again.")
    name = store().put(body)
    with transaction.atomic():
        _, current = current_attempt(attempt.run_id, attempt.number)
        if current.weights_blob not in ("", name):
            raise WrongState(
                "SEALED",
                "Other weights of this attempt were put before; they stay.",
                "End the training with those.",
                possible=["trained"],
            )
        current.weights_blob = attempt.weights_blob = name
        current.save(update_fields=["weights_blob"])
    return name


@transaction.atomic
def trained(
    *, run: uuid.UUID, attempt: int, result: dict[str, Any], timings: dict[str, float]
) -> Run:
    """A training has ended, its weights are put: the run has succeeded. Twice is once."""
    found = locked(run)
    if RunState(found.state) is RunState.SUCCEEDED and found.attempt == attempt:
        return found
    found, current = current_attempt(run, attempt)
    if not current.weights_blob:
        raise WrongState(
            "NOT_PUT",
            "The weights must be put before the training ends.",
            "Put them, then say that it has ended.",
            possible=["PUT weights"],
        )
    if fault := training_fault(result):
        raise BadInput("RESULT_DAMAGED", fault, "Correct the result and send it again.")
    succeed(found, current, result, timings)
    run_changed(found, "succeeded", {"attempt": attempt, "weights": current.weights_blob})
    record_run(found, "succeeded", attempt=attempt, weights=current.weights_blob)
    return found


def training_fault(value: Any) -> str:
    """The first thing that is wrong with a training's result, as a sentence; "" when nothing is."""
    if not isinstance(value, dict):
        return "The result is not an object."
    missing = [name for name in FIGURES if name not in value]
    if missing:
        return f"The result does not tell {', '.join(missing)}."
    output = value["output"]
    threshold = output.get("threshold") if isinstance(output, dict) else None
    if not isinstance(threshold, int | float) or not 0 < threshold < 1:
        return "The result's threshold is not between 0 and 1."
    return ""
