"""What storing costs whatever the program: the disk's part and HTTP's, each with nothing else.

The bytes that both servers were sent are hashed, written and flushed by bare threads, as many as
there are connections; and sent once more to a server that throws them away. Neither parses, keeps a
row or answers anything, so that no archive which is to hold what it acknowledged is faster.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from backend.archive.benchmarks.measuring import Row
from backend.archive.benchmarks.servers import bare
from backend.archive.benchmarks.slices import Files
from backend.archive.benchmarks.storing_speed import (
    CONNECTIONS,
    IN_A_REQUEST,
    RECEIVE_TARGET,
    STOW_TARGET,
    stow,
)

THROWN_AWAY = "backend.archive.benchmarks.bodies_thrown_away"


def floor(files: Files, folder: Path, stored: Row, received: Row) -> dict[str, Any]:
    """The two floors of one series beside what was reached.

    Args:
        files: the series.
        folder: where files may be written; removed again.
        stored, received: the rows that compare STOW and `receive` of so many slices.

    Returns:
        Rates (instances/s) and processors' time (ms an instance) of each floor, what the processors
        allow where both run at once, what the targets ask for, and sentences made of these.
    """
    count, cores = len(files.paths), os.cpu_count() or 1
    disk_rate, disk_ms = _written(files.paths, folder)
    with bare(THROWN_AWAY) as nothing:
        stow(nothing, files)
        took = stow(nothing, files)
    wire_rate, wire_ms = count / took.wall, (took.server + took.client) / count * 1000
    allowed = min(disk_rate, cores * 1000 / (disk_ms + wire_ms))
    return {
        "what": f"storing whatever the program ({count} slices)",
        "hashed_written_flushed_per_s": round(disk_rate, 1),
        "hashed_written_flushed_cpu_ms_each": round(disk_ms, 3),
        "sent_and_thrown_away_per_s": round(wire_rate, 1),
        "sent_and_thrown_away_cpu_ms_each": round(wire_ms, 3),
        "both_at_most_per_s": round(allowed, 1),
        "stow_asks_for_per_s": round(STOW_TARGET * stored["peer"], 1),
        "receive_asks_for_per_s": round(RECEIVE_TARGET * received["peer"], 1),
        "stow_share_of_the_way": round(stored["ours"] / allowed, 2),
        "receive_share_of_the_way": round(received["ours"] / disk_rate, 2),
        "says": " ".join(
            [
                f"Hashing, writing and flushing these bytes with nothing else: {disk_rate:.0f}/s.",
                f"Sending them to a server that throws them away: {wire_rate:.0f}/s.",
                f"Both at once on {cores} cores: {allowed:.0f}/s at most.",
                _reached("STOW", stored, STOW_TARGET, allowed),
                _reached("receive", received, RECEIVE_TARGET, disk_rate),
            ]
        ),
    }


def _reached(what: str, row: Row, target: float, most: float) -> str:
    asked = target * row["peer"]
    stands = "is out of reach here" if asked > most else "is within reach"
    return (
        f"{what} reached {row['ours']:.0f}/s, {row['ours'] / most:.0%} of that; {target:g} x "
        f"{row['peer_name']} would be {asked:.0f}/s, which {stands}."
    )


def _written(paths: Sequence[Path], folder: Path) -> tuple[float, float]:
    """Instances/s and processors' ms an instance of hashing, writing and flushing files."""
    datas = [path.read_bytes() for path in paths]
    groups = [datas[i : i + IN_A_REQUEST] for i in range(0, len(datas), IN_A_REQUEST)]
    folder.mkdir(parents=True)
    try:
        os.sync()  # What was written before is not waited for here.
        with (
            ThreadPoolExecutor(CONNECTIONS) as threads,
            ThreadPoolExecutor(CONNECTIONS * IN_A_REQUEST) as flushing,
        ):
            began, used = time.perf_counter(), time.process_time()
            list(threads.map(partial(_write, folder, flushing), groups))
            wall, busy = time.perf_counter() - began, time.process_time() - used
    finally:
        shutil.rmtree(folder)
    return len(datas) / wall, busy / len(datas) * 1000


def _write(folder: Path, flushing: ThreadPoolExecutor, group: Sequence[bytes]) -> None:
    files = []
    for data in group:
        name = hashlib.sha256(data).hexdigest()
        files.append(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        os.write(files[-1], data)
    list(flushing.map(_flush, [*files, os.open(folder, os.O_RDONLY)]))


def _flush(file: int) -> None:
    os.fsync(file)
    os.close(file)
