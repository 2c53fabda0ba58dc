"""`manage.py benchmark inference`: from a study in the archive to a reader's screen, beside peers.

Web, work process, database, worker and browser are real; times come from the run's own rows. The
network's share is measured in a process of its own, the peers in theirs, all on the same cores, one
after another. Rows name the median, with the best beside. A peer that is not installed, or a
browser, is said to be "not run".
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from backend.archive.benchmarks import servers
from backend.archive.benchmarks.measuring import Row
from backend.reading.benchmarks import showing
from backend.reading.benchmarks.cancelling import cancel_row
from backend.reading.benchmarks.installation import Installation
from backend.reading.benchmarks.pages import CHROMIUM
from backend.supervisor import BASE

WARM_RUNS, SHOWN_CASES = 5, 8
VOLUME, SPACING_MM = (250, 512, 512), (1.5, 0.6, 0.6)
PEERS_PYTHON = BASE / ".venv-peers" / "bin" / "python"
NNUNET, SEGRESNET = ("nnU-Net v2 3d_fullres, per Mvox", 20.0), ("MONAI SegResNet, per Mvox", 8.0)


class NotMeasured(RuntimeError):
    """A part of the benchmark failed; its words follow."""


def inference_benchmark(
    device: str = "cpu", warm_runs: int = WARM_RUNS, shown_cases: int = SHOWN_CASES
) -> dict[str, Any]:
    """End to end, the network alone, memory, the start of a worker, the screen, and the peers.

    Raises:
        NotMeasured: where there is no such device, or a run did not end.
    """
    alone = _json([sys.executable, "-m", "inference.benchmark", "--device", device])
    with tempfile.TemporaryDirectory(prefix="concord-benchmark-") as folder:
        whole, rows_there = _end_to_end(Path(folder), device, warm_runs, shown_cases)
    per_mvox = alone["network_s"]["best"] / alone["working_voxels"] * 1e6
    rows = [
        _row("images over HTTP → mask on the server, warm", whole["warm_s"], "s", 4.0),
        _row("native array → native label, warm", alone["native_to_label_s"], "s", 2.0),
        _row("network alone", alone["network_s"], "s", 1.5),
        _row("worker start → first run done", whole["first_s"], "s", 8.0),
        _row("peak memory of a run", whole["peak_memory_gb"], "GB", 2.0),
        *rows_there,
        _beside(NNUNET, per_mvox, _peer(str(PEERS_PYTHON), "nnunet")),
        _beside(SEGRESNET, per_mvox, _peer(sys.executable, "segresnet")),
    ]
    return {
        "sizes": {"volume": VOLUME, "spacing_mm": SPACING_MM, "runs": warm_runs},
        "peer_config": {"environment": ".venv-peers (make peers)", "weights": "as initialised"},
        "rows": rows,
        "network": alone,
        "end_to_end": whole,
    }


def _end_to_end(
    folder: Path, device: str, warm_runs: int, shown_cases: int
) -> tuple[dict[str, Any], list[Row]]:
    """One cold run of a worker just started, warm ones of the same case; then the rows of how soon
    a worker is free after a run was cancelled, and of how soon an open viewer shows a mask."""
    with servers.concord(folder) as server:
        count = str(1 + shown_cases)
        server.run("inference.benchmark", "--write", str(folder / "studies"), "--count", count)
        there = Installation(server)
        there.receive(folder / "studies" / "00")
        _until_queued(there, 1)
        started = time.time()
        worker = there.worker("--device", device)
        try:
            (first,) = there.ended(1)
            warm = []
            for _ in range(warm_runs):
                warm += there.ended(there.again(1))
            rows = [cancel_row(there, warm[-1]["timings"])]
        finally:
            worker.stop()
        rows.append(_shown(there, folder / "studies", device, shown_cases))
    return _told(first, warm, started), rows


def _shown(there: Installation, studies: Path, device: str, cases: int) -> Row:
    """The row of the open viewer, on cases whose runs wait until the reader is there."""
    if not Path(CHROMIUM).exists():
        return showing.not_run("Chromium is not installed (make system)")
    known = len(there.runs())
    there.receive(*(studies / f"{number:02}" for number in range(1, 1 + cases)))
    _until_queued(there, known + cases)
    for row in there.runs():
        if row["state"] == "queued":
            there.cancel(row["id"])
    worker = there.worker("--device", device)
    try:
        there.ended(there.again(1))
        return showing.shown_row(there, cases, VOLUME[0])
    finally:
        worker.stop()


def _until_queued(there: Installation, count: int) -> None:
    deadline = time.monotonic() + 120
    while len(there.runs()) < count:
        threading.Event().wait(0.2)
        if time.monotonic() > deadline:
            raise NotMeasured("No run was queued for the study within two minutes.")


def _told(first: dict[str, Any], warm: list[dict[str, Any]], started: float) -> dict[str, Any]:
    """What the rows of runs say."""
    seconds = [run["finished"] - run["leased"] for run in warm]
    peaks = [(run["provenance"] or {}).get("peak_memory_bytes") or 0 for run in (first, *warm)]
    return {
        "first_s": first["finished"] - started,
        "warm_s": {
            "best": round(min(seconds), 3),
            "median": round(statistics.median(seconds), 3),
            "worst": round(max(seconds), 3),
        },
        "queued_to_done_s": round(min(run["finished"] - run["queued"] for run in warm), 3),
        "cpu_seconds": min((run["provenance"] or {}).get("cpu_seconds", 0.0) for run in warm),
        "peak_memory_gb": max(peaks) / 1e9,
        "stages_s": min(warm, key=lambda run: run["finished"] - run["leased"])["timings"],
        "device": (first["provenance"] or {}).get("device"),
        "precision": (first["provenance"] or {}).get("precision"),
    }


def _row(what: str, ours: float | dict[str, float], unit: str, most: float) -> Row:
    spread = ours if isinstance(ours, dict) else {}
    value = spread["median"] if isinstance(ours, dict) else ours
    return {
        "what": what,
        "ours": round(value, 3),
        "unit": unit,
        "peer": None,
        "target": f"<= {most:g} {unit}",
        "met": value <= most,
        **{name: spread[name] for name in ("best", "worst") if name in spread},
    }


def _beside(target: tuple[str, float], ours: float, peer: dict[str, Any] | str) -> Row:
    what, times = target
    row: Row = {"what": what, "ours": round(ours, 4), "unit": "s/Mvox", "target": f">= {times:g} x"}
    if isinstance(peer, str):
        return {**row, "peer": None, "peer_runs": f"not run: {peer}", "met": None}
    ratio = peer["seconds_per_mvox"] / ours
    return {
        **row,
        "peer": peer["seconds_per_mvox"],
        "peer_name": peer["name"],
        "peer_runs": 1,
        "peer_config": {key: peer[key] for key in ("crop", "seconds", "config")},
        "ratio": round(ratio, 1),
        "met": ratio >= times,
    }


def _peer(python: str, name: str) -> dict[str, Any] | str:
    """What a peer took; or why it was not run."""
    if shutil.which(python) is None:
        return f"{python} is not there (make peers)"
    try:
        return _json([python, "-m", "inference.peers", name])
    except NotMeasured as failed:
        return str(failed).strip().splitlines()[-1]


def _json(command: list[str]) -> dict[str, Any]:
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(
        command, cwd=BASE, env=environment, check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise NotMeasured(f"{' '.join(command[1:])} failed. {done.stderr[-1500:].strip()}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found
