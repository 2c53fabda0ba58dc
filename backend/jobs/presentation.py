"""Runs and models as their pages show them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backend.jobs.models import Run
from backend.jobs.protocol import STAGES, TRAINING_STAGE_SHARE
from backend.jobs.selectors import WorkerStatus

# Stages shorter than this share of the whole are still seen in the bar.
LEAST_SHARE = 0.006
_TRAINING = tuple(name for name in TRAINING_STAGE_SHARE if name not in STAGES)


def flat(value: dict[str, Any], above: str = "") -> list[tuple[str, object]]:
    """Nested facts as lines to show: ("input shape", "40, 128, 128"), …"""
    lines: list[tuple[str, object]] = []
    for key, part in sorted(value.items()):
        name = f"{above} {key}".strip().replace("_", " ")
        if isinstance(part, dict):
            lines += flat(part, name)
        elif isinstance(part, list):
            lines.append((name, ", ".join(str(_in_words(item)) for item in part)))
        else:
            lines.append((name, _in_words(part)))
    return lines


def _in_words(value: object) -> object:
    """One fact as a person says it."""
    if value is None:
        return "–"
    return ("no", "yes")[value] if isinstance(value, bool) else value


def stage_bars(timings: Mapping[str, float]) -> list[dict[str, Any]]:
    """The stages a run went through, in order: seconds, and where each lies in the bar (percent).

    Waiting for a worker is told first and is not part of the bar: it may be any length.
    """
    spent = [(name, float(timings[name])) for name in (*STAGES, *_TRAINING) if name in timings]
    whole = sum(seconds for _, seconds in spent) or 1.0
    found = []
    if "wait" in timings:
        found.append({"name": "wait", "seconds": float(timings["wait"]), "width": None})
    shares = [max(seconds / whole, LEAST_SHARE) for _, seconds in spent]
    at = 0.0
    for (name, seconds), share in zip(spent, shares, strict=True):
        width = 100 * share / sum(shares)
        row = {"name": name, "seconds": seconds, "left": round(at, 3), "width": round(width, 3)}
        found.append({**row, "share": round(100 * seconds / whole)})
        at += width
    return found


def gauge_row(gauge: Mapping[str, float]) -> dict[str, Any]:
    """What a worker said of its machine, as a page shows it; None for what it did not say."""

    def percent(name: str) -> int | None:
        return round(100 * gauge[name]) if name in gauge else None

    return {
        "cpu": percent("cpu"),
        "memory": gauge.get("memory_bytes"),
        "memory_limit": gauge.get("memory_limit_bytes"),
        "gpu": percent("gpu"),
        "gpu_memory": gauge.get("gpu_memory_bytes"),
        "gpu_memory_limit": gauge.get("gpu_memory_limit_bytes"),
    }


def worker_row(worker: WorkerStatus) -> dict[str, Any]:
    """A worker process as the page of runs shows it."""
    return {"worker": worker, "gauge": gauge_row(worker.gauge if worker.alive else {})}


def gauge_of(run: Run) -> dict[str, Any] | None:
    """The gauge of the worker that does a run now; None while none does."""
    attempt = run.attempts.select_related("session").filter(ended=None).first()
    if attempt is None or attempt.session is None:
        return None
    return gauge_row(attempt.session.gauge)
