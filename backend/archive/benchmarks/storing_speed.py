"""How fast files come in: STOW of both servers, and `receive` of a folder."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import partial
from itertools import count as numbers
from pathlib import Path
from typing import Any

from backend.archive.benchmarks.client import Body, Connection, at_once, body_of, median
from backend.archive.benchmarks.measuring import Row, Spent, compared, costs, spent
from backend.archive.benchmarks.servers import Concord, Server
from backend.archive.benchmarks.slices import Files, write_series

CONNECTIONS, IN_A_REQUEST = 4, 10
RUNS = {300: 3}
DEIDENTIFIED_TARGET = 80.0
STOW_TARGET, RECEIVE_TARGET = 2.0, 2.5


class Studies:
    """Series nobody has seen yet: each is written when it is needed."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._numbers = folder, numbers(1)

    def new(self, count: int) -> Files:
        """Files of a new series of so many slices."""
        number = next(self._numbers)
        return write_series(self._folder / f"files-{number}", count, number)

    def several(self, count: int) -> Iterator[Files]:
        """As many series as runs are made of that size."""
        for _ in range(RUNS.get(count, 1)):
            yield self.new(count)


def warm(ours: Server, peer: Server, studies: Studies) -> None:
    """Both have stored something on every connection before anything is measured."""
    for _ in range(2):
        files = studies.new(2 * CONNECTIONS * IN_A_REQUEST)
        for server in (ours, peer):
            stow(server, files)


def deidentifying(ours: Concord, studies: Studies, count: int) -> Row:
    """STOW to a source that is de-identified, as every source is until somebody says otherwise."""
    files = studies.new(count)
    took = stow(ours, files)
    rate = count / took.wall
    return {
        "what": f"STOW, {CONNECTIONS} connections, de-identified ({count} slices)",
        "ours": round(rate, 1),
        "unit": "instances/s",
        "peer": None,
        "peer_name": None,
        "peer_runs": 0,
        "ratio": None,
        "target": f">= {DEIDENTIFIED_TARGET:g}",
        "met": rate >= DEIDENTIFIED_TARGET,
        "cpu_ms_each": round(took.server / count * 1000, 3),
    }


def storing(ours: Concord, peer: Server, studies: Studies, count: int) -> tuple[list[Row], Files]:
    """STOW and `receive`, de-identification off; and a series that both servers hold."""
    stored = list(studies.several(count))
    mine, theirs = [], []
    for files in stored:
        mine.append(stow(ours, files))
        theirs.append(stow(peer, files))
    rows = [
        compared(
            f"STOW, {CONNECTIONS} connections ({count} slices)",
            "instances/s",
            median([count / s.wall for s in mine]),
            median([count / s.wall for s in theirs]),
            STOW_TARGET,
            runs=len(theirs),
            **costs(mine, theirs, count),
        )
    ]
    received, again = [], []
    for files in studies.several(count):
        received.append(receive(ours, files))
        again.append(stow(peer, files))
    rows.append(
        compared(
            f"receive of a folder beside STOW ({count} slices)",
            "instances/s",
            median([count / r["seconds"] for r in received]),
            median([count / s.wall for s in again]),
            RECEIVE_TARGET,
            runs=len(again),
            peer_does="STOW",
            with_start_of_process=round(median([count / r["whole"] for r in received]), 1),
            cpu_ms_each=round(median([r["cpu"] for r in received]) / count * 1000, 3),
        )
    )
    return rows, stored[0]


def stow(server: Server, files: Files) -> Spent:
    """Send a series over several connections, some files in each request."""
    pieces = [files.paths[i : i + IN_A_REQUEST] for i in range(0, len(files.paths), IN_A_REQUEST)]
    work = [partial(_store, body_of(piece)) for piece in pieces]
    connections = server.connections(CONNECTIONS)
    os.sync()  # One server's writing is not another's waiting.
    return spent(server.processes(), lambda: at_once(connections, work))


def _store(body: Body, connection: Connection) -> None:
    connection.store(body)


def receive(ours: Concord, files: Files, samples: Path | None = None) -> dict[str, Any]:
    """Receive a series as a folder: seconds of it, and of the whole process around it."""
    os.sync()
    arguments = [str(files.paths[0].parent), *([str(samples)] if samples else [])]
    answers: list[str] = []
    whole = spent(
        ours.processes(),
        lambda: answers.append(ours.run("backend.archive.benchmarks.taking", *arguments)),
    )
    found: dict[str, Any] = json.loads(answers[0].splitlines()[-1])
    if found["stored"] != len(files.paths):
        raise RuntimeError(f"{found['stored']} of {len(files.paths)} files were stored.")
    seconds = found["ended"] - found["began"]
    return {**found, "seconds": seconds, "whole": whole.wall, "spent": whole}
