"""What is kept of a training while its worker goes on: the points of its curves, and its end."""

from __future__ import annotations

import math
from typing import Any

from backend.errors import BadInput
from backend.jobs.models import Run
from backend.jobs.protocol import RunKind
from backend.jobs.queue import defer
from backend.reports.training.models import Curve, Training, TrainingPoint

REGISTER_TASK = "reports.register_training"
MOST_POINTS = 20_000
RESUMED = "resumed"
_FIGURES = frozenset(
    {"threshold", "scans", "nodes", "recall", "recall_5mm", "recall_10mm", "recall_15mm"}
    | {"false_positives", "dice"}
)


def on_run_changed(run: Run, what: str, told: dict[str, Any]) -> None:
    """Keep a point; when the run has succeeded, have the work process register what it made."""
    if run.kind != RunKind.TRAIN:
        return
    if what == "point":
        _keep(run, told)
    elif what == "succeeded":
        Training.objects.filter(pk=run.subject_id).update(weights=told["weights"], fault="")
        ask_registration(run.subject_id)


def ask_registration(training: Any) -> None:
    """Queue it, in the caller's transaction."""
    defer(REGISTER_TASK, queueing_lock=f"training:{training}", training=str(training))


def _keep(run: Run, told: dict[str, Any]) -> None:
    """A point of a curve; `resumed` takes back what was told after the checkpoint it went on from.

    Raises `BadInput` for what is no point.
    """
    curve, step = told.get("curve"), told.get("step")
    if type(step) is not int or not 0 <= step < 2**31:
        raise _no_point("its step is no whole number")
    points = TrainingPoint.objects.filter(training=run.subject_id)
    if curve == RESUMED:
        points.filter(step__gt=step).delete()
        return
    if curve not in Curve.values:
        raise _no_point("it lies on no curve that is known")
    if points.count() >= MOST_POINTS:
        return
    figures = told.get("figures") or {}
    if not isinstance(figures, dict) or not set(figures) <= _FIGURES:
        raise _no_point("its figures are not those that are known")
    numbers = [told.get("loss"), told.get("seconds")]
    if any(not _finite(number) for number in numbers) or any(
        value is not None and not _finite(value) for value in figures.values()
    ):
        raise _no_point("a number is missing or not finite")
    points.update_or_create(
        training_id=run.subject_id,
        curve=curve,
        step=step,
        defaults={"seconds": told["seconds"], "loss": told["loss"], "figures": figures},
    )


def _finite(number: Any) -> bool:
    return type(number) in (int, float) and math.isfinite(number)


def _no_point(why: str) -> BadInput:
    return BadInput("NO_POINT", f"That is no point of a curve: {why}.", "Update the worker.")
