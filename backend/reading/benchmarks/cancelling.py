"""How soon a worker is free again after a run was cancelled, stage by stage."""

from __future__ import annotations

import threading
import time
from typing import Any

from backend.archive.benchmarks.measuring import Row
from backend.jobs.protocol import STAGES
from backend.reading.benchmarks.installation import Installation, Unfinished

TARGET_S, TRIES, LOOK_SECONDS = 1.0, 3, 0.002
SHORTEST_S = 0.03
PATIENCE_SECONDS = 120.0


def cancel_row(there: Installation, timings_s: dict[str, float]) -> Row:
    """The slowest stage, from the coordinator's request to a worker that takes the next run.

    A run is cancelled when the database says that it is in the stage; one that was over before the
    request arrived is tried again. Stages that a warm run (`timings_s`) is through with before
    anyone could ask are left out, and named.
    """
    run = _cancelled_run(there)
    each: dict[str, float] = {}
    for stage in (name for name in STAGES if timings_s.get(name, 0.0) >= SHORTEST_S):
        for _ in range(TRIES):
            there.retry(run)
            seconds = _cancelled(there, run, stage)
            if seconds is not None:
                each[stage] = round(seconds, 3)
                break
            run = _cancelled_run(there)
    slowest = max(each.values(), default=None)
    return {
        "what": "a run is cancelled → its worker is free, slowest stage",
        "ours": slowest,
        "unit": "s",
        "peer": None,
        "target": f"<= {TARGET_S:g} s",
        "met": None if slowest is None else slowest <= TARGET_S,
        "each": each,
        "too_short_to_meet": [stage for stage in STAGES if stage not in each],
    }


def _cancelled_run(there: Installation) -> str:
    """A run that was cancelled: it is queued again within milliseconds, a new one in seconds."""
    while True:
        (run,) = there.again(1)
        in_time = there.cancel(run)
        _until(there, run, lambda state, now, doing: not doing)
        if in_time:
            return run


def _cancelled(there: Installation, run: str, stage: str) -> float | None:
    """Cancel a run in that stage; seconds until its worker is free, None where it was too late."""
    _until(there, run, lambda state, now, doing: now == stage or state == "succeeded")
    asked = time.perf_counter()
    if not there.cancel(run):
        _until(there, run, lambda state, now, doing: not doing)
        return None
    _until(there, run, lambda state, now, doing: not doing)
    return time.perf_counter() - asked


def _until(there: Installation, run: str, condition: Any) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition(*there.state(run)):
        if time.monotonic() > deadline:
            raise Unfinished(f"The run {run} stands where it did: {there.state(run)}.")
        threading.Event().wait(LOOK_SECONDS)
