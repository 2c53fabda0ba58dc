"""What a piece of work took: time, and the processors' time of everyone who had a part in it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

Row: TypeAlias = dict[str, Any]
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Spent:
    """Seconds.

    Attributes:
        wall: from beginning to end.
        server: processors' time of the server's processes, its database's among them.
        client: processors' time of this process.
        busy: processors' time of the whole machine, whoever used it.
        began, ended: on the clock that all processes share (monotonic).
    """

    wall: float
    server: float
    client: float
    busy: float
    began: float
    ended: float


def spent(processes: Sequence[int], work: Callable[[], object]) -> Spent:
    """What `work` took; `processes` are the roots of the server's process trees."""
    before = cpu_seconds(processes), time.process_time(), _machine_seconds()
    began = time.monotonic()
    work()
    ended = time.monotonic()
    return Spent(
        ended - began,
        cpu_seconds(processes) - before[0],
        time.process_time() - before[1],
        _machine_seconds() - before[2],
        began,
        ended,
    )


def cpu_seconds(roots: Sequence[int]) -> float:
    """Processors' time of these processes and all their children, ended ones among them."""
    parents: dict[int, list[int]] = {}
    times: dict[int, float] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # It ended just now.
            continue
        number = int(entry.name)
        parents.setdefault(int(fields[1]), []).append(number)
        times[number] = sum(map(int, fields[11:15])) / _TICKS
    found, waiting = 0.0, list(roots)
    while waiting:
        number = waiting.pop()
        found += times.get(number, 0.0)
        waiting += parents.get(number, [])
    return found


def resident_mb(process: int) -> float:
    """Resident memory of a process, MB."""
    status = Path(f"/proc/{process}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def _machine_seconds() -> float:
    user, nice, system, _, _, irq, soft, *_ = Path("/proc/stat").read_text().split()[1:9]
    return sum(map(int, (user, nice, system, irq, soft))) / _TICKS


def compared(
    what: str,
    unit: str,
    ours: float,
    peer: float,
    target: float,
    *,
    runs: int,
    more_is_better: bool = True,
    **more: Any,
) -> Row:
    """One row: ours beside Orthanc's, and whether the ratio reaches the target."""
    ratio = ours / peer if more_is_better else peer / ours
    digits = 1 if unit.endswith("/s") else 2
    return {
        "what": what,
        "ours": round(ours, digits),
        "unit": unit,
        "peer": round(peer, digits),
        "peer_name": "Orthanc",
        "peer_runs": runs,
        "ratio": round(ratio, 2),
        "target": f">= {target:g} x",
        "met": ratio >= target,
        **more,
    }


def costs(ours: Sequence[Spent], peer: Sequence[Spent], pieces: int) -> dict[str, Any]:
    """Processors' time per piece, in ms, beside a row: what stays true on a busy machine."""
    mine, theirs = (sum(s.server for s in of) / len(of) / pieces * 1000 for of in (ours, peer))
    client = sum(s.client for s in ours) / len(ours) / pieces * 1000
    return {
        "cpu_ms_each": round(mine, 3),
        "peer_cpu_ms_each": round(theirs, 3),
        "client_cpu_ms_each": round(client, 3),
        "cpu_ratio": round(theirs / mine, 2) if mine else None,
    }


def table(rows: Sequence[Row]) -> list[str]:
    """The rows as lines of text, for people."""
    lines = [("", "Concord", "beside", "ratio", "target", "")]
    for row in rows:
        peer = "–" if row["peer"] is None else f"{row['peer']:g}"
        ratio = "–" if row["ratio"] is None else f"{row['ratio']:g}"
        met = {True: "met", False: "MISSED", None: "for information"}[row["met"]]
        lines.append(
            (row["what"], f"{row['ours']:g} {row['unit']}", peer, ratio, row["target"], met)
        )
    widths = [max(len(line[i]) for line in lines) for i in range(6)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
