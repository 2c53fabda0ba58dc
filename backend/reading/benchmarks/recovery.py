"""`manage.py benchmark recovery`: a killed worker's run, and what more workers are worth.

Real workers of one thread each. What two are worth is measured on studies of 512 × 512 × 250, the
run of which is mostly the model's work, as a case's is; a killed worker and the GPU on small ones.
The GPU is simulated by a wait of eight seconds in front of the network (`--pause-before infer=8`):
what is shown is that workers do not get in one another's way, not how fast a GPU is. Workers come
one after the other to a queue that is full, and the pace of each counts from the end of its first
run to the end of its last: workers that began on the same tick would want the two cores at the same
moments, and the last run of all would be timed alone.
"""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.archive.benchmarks import servers
from backend.archive.benchmarks.measuring import Row
from backend.reading.benchmarks.installation import Installation
from backend.supervisor import Child

STUDIES, LARGE_STUDIES = 16, 4
ONE_THREAD = ("--device", "cpu", "--threads", "1")
# What is done around the network takes one thread, too.
PINNED = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
GPU_SECONDS = 8
KILLS = 3
LARGE_RUNS = 8
GPU_RUNS = ((1, 5), (2, 10), (8, 48))


def recovery_benchmark() -> dict[str, Any]:
    """Seconds until a killed worker's run is leased again; throughput of 2 and 8 workers."""
    with tempfile.TemporaryDirectory(prefix="concord-benchmark-") as name:
        with installation(Path(name) / "small", STUDIES, "--small") as there:
            leased_again = [_killed(there) for _ in range(KILLS)]
            step = (*ONE_THREAD, "--pause-before", f"infer={GPU_SECONDS}")
            gpu = {count: _throughput(there, count, runs, step) for count, runs in GPU_RUNS}
            rows = there.runs()
        with installation(Path(name) / "large", LARGE_STUDIES) as there:
            cpu = {count: _throughput(there, count, LARGE_RUNS, ONE_THREAD) for count in (1, 2)}
            rows += there.runs()
    lost = [row for row in rows if row["state"] != "succeeded"]
    twice = [row for row in rows if sum(a["outcome"] == "succeeded" for a in row["attempts"]) != 1]
    return {
        "sizes": {
            "small": {"studies": STUDIES, "slices": 40, "kills": KILLS, "gpu_step_s": GPU_SECONDS},
            "large": {"studies": LARGE_STUDIES, "slices": 250, "runs": LARGE_RUNS},
        },
        "peer_config": None,
        "rows": [
            {
                "what": "kill −9 of the first of two warm workers → its run is leased again",
                "ours": round(max(leased_again), 2),
                "unit": "s",
                "peer": None,
                "target": "<= 5 s",
                "met": max(leased_again) <= 5.0,
                "each": [round(seconds, 2) for seconds in leased_again],
            },
            _scaling("queued cases, one thread each: 2 workers against 1", cpu, 2, 1.5),
            _scaling(f"a simulated {GPU_SECONDS}-s GPU step: 2 workers against 1", gpu, 2, 1.9),
            _scaling(f"a simulated {GPU_SECONDS}-s GPU step: 8 workers against 1", gpu, 8, 7.0),
            {
                "what": "runs lost, and runs that ended twice",
                "ours": len(lost) + len(twice),
                "unit": f"of {len(rows)}",
                "peer": None,
                "target": "0",
                "met": not lost and not twice,
            },
        ],
    }


@contextmanager
def installation(folder: Path, studies: int, *size: str) -> Iterator[Installation]:
    """An installation whose studies have been segmented once, so that every later run is alike."""
    with servers.concord(folder) as server:
        server.run(
            "inference.benchmark", "--write", str(folder / "in"), "--count", str(studies), *size
        )
        there = Installation(server)
        there.receive(folder / "in")
        _until(lambda: len(there.runs()) == studies, "a run of every study")
        workers = [there.worker(*ONE_THREAD, **PINNED) for _ in range(2)]
        try:
            there.ended(studies)
        finally:
            _stop(workers)
        yield there


def _killed(there: Installation) -> float:
    """Kill the worker that has a run, in the middle of it; seconds until the other one has it."""
    first = there.worker(*ONE_THREAD, "--pause-before", "infer=30")
    (run,) = there.again(1)
    _until(lambda: _row_of(there, run)["state"] == "running", "the first worker to be at work")
    second = there.worker(*ONE_THREAD)
    _until(lambda: there.is_warm(second), "the second worker to connect")
    if first.process is None:
        raise RuntimeError("The worker did not start.")
    killed = time.time()
    os.kill(first.process.pid, signal.SIGKILL)
    first.process.wait()
    try:
        (row,) = there.ended([run])
    finally:
        _stop([second])
    return float(row["attempts"][-1]["leased"]) - killed


@dataclass(frozen=True)
class Pace:
    """What so many workers did: runs per second, and processor seconds per run by process."""

    rate: float
    costs: dict[str, float]


def _throughput(there: Installation, workers: int, runs: int, arguments: Sequence[str]) -> Pace:
    """The pace of so many workers, once all of them are there."""
    queued, started = there.again(runs), []
    try:
        for _ in range(workers):
            started.append(there.worker(*arguments, **PINNED))
            _until(lambda: there.is_warm(started[-1]), "a worker to connect")
        done = sum(row["state"] == "succeeded" for row in there.runs() if row["id"] in queued)
        before = there.processor_seconds(*started)
        rows = there.ended(queued)
        after = there.processor_seconds(*started)
    finally:
        _stop(started)
    costs = {name: round((after[name] - before[name]) / (runs - done), 3) for name in after}
    ends: dict[str, list[float]] = {}
    for row in rows:
        ends.setdefault(row["attempts"][-1]["worker"], []).append(row["finished"])
    return Pace(rate_of(ends.values()), costs)


def rate_of(ends: Iterable[Sequence[float]]) -> float:
    """Runs per second of workers together, from the moments at which each one's runs ended."""
    return sum((len(one) - 1) / (max(one) - min(one)) for one in ends if len(one) > 1)


def _scaling(what: str, paces: dict[int, Pace], count: int, target: float) -> Row:
    ratio = paces[count].rate / paces[1].rate
    return {
        "what": what,
        "ours": round(ratio, 2),
        "unit": "x",
        "peer": None,
        "target": f">= {target:g} x",
        "met": ratio >= target,
        "runs_per_minute": {str(n): round(pace.rate * 60, 2) for n, pace in paces.items()},
        "processor_seconds_per_run": {str(n): pace.costs for n, pace in paces.items()},
    }


def _row_of(there: Installation, run: str) -> dict[str, Any]:
    return next(row for row in there.runs() if row["id"] == run)


def _until(condition: Any, what: str, seconds: float = 180.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"Waited {seconds:.0f} s for {what} in vain.")
        threading.Event().wait(0.2)


def _stop(workers: list[Child]) -> None:
    for worker in workers:
        worker.stop()
