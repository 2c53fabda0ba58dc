"""`manage.py benchmark dicomweb`: Concord's DICOM archive beside Debian's Orthanc, in one run.

The same files, the same client, loopback, the two taking turns; every figure of ours has the
peer's beside it. Both servers share this machine's cores with the client, whose own cost is
measured against a server that sends bytes from memory.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from backend.archive.benchmarks import servers
from backend.archive.benchmarks.client import (
    DICOM_JSON,
    OCTETS,
    Connection,
    at_once,
    median,
    p95,
    timed,
)
from backend.archive.benchmarks.servers import Concord, Server
from backend.archive.benchmarks.slices import SIDE, Files, write_series
from backend.database import free_port

SIZES = (300, 1200)
STOW_CONNECTIONS, STOW_BATCH = 4, 10
ROUNDS = 5
STUDIES = 10_000
LIST_TARGET_MS = 30.0
MEMORY_TARGET_MB = 400.0
Row = dict[str, Any]


def dicomweb_benchmark(sizes: tuple[int, ...] = SIZES, studies: int = STUDIES) -> dict[str, Any]:
    """All rows, for each number of slices; needs Orthanc (`make system`).

    Raises:
        NoOrthanc: when it is not installed.
    """
    rows: list[Row] = []
    folder = Path(tempfile.mkdtemp(prefix="concord-benchmark-"))
    try:
        files = {n: write_series(folder / f"files-{n}", n, n) for n in sizes}
        again = {n: write_series(folder / f"again-{n}", n, n + 1) for n in sizes}
        with ExitStack() as stack:
            ours = stack.enter_context(servers.concord(folder))
            peer = stack.enter_context(servers.orthanc(folder))
            for count in sizes:
                rows += _of_a_series(ours, peer, files[count], again[count])
            rows.append(_memory(ours, peer, files[max(sizes)]))
            rows += _study_lists(ours, peer, studies)
            configuration = servers.orthanc_configuration(Path("…"), 0)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "sizes": {"slices": list(sizes), "pixels": [SIDE, SIDE], "studies": studies},
        "peer_config": {"version": servers.version_of("Orthanc"), **configuration},
        "rows": rows,
    }


def _of_a_series(ours: Concord, peer: Server, files: Files, again: Files) -> list[Row]:
    count = len(files.sops)
    series = f"/studies/{files.study}/series/{files.series}"
    rows = [
        _rate(
            f"STOW, {STOW_CONNECTIONS} connections",
            count,
            _stow(ours, files),
            _stow(peer, files),
            2.0,
        )
    ]
    received = timed(lambda: ours.manage("receive", str(again.paths[0].parent)), 1)[0]
    rows.append(
        _rate("receive of a folder beside STOW", count, received, _stow(peer, again), 2.5)
        | {"peer_name": "Orthanc, STOW"}
    )
    rows.append(
        _turns(f"series metadata, warm ({count})", _getter(series + "/metadata"), ours, peer, 20.0)
    )
    for connections, target in ((1, 2.5), (6, 2.0)):
        rows.append(_frames(ours, peer, files, connections, target))
    rows.append(
        _turns(f"QIDO of {count} instances", _getter(series + "/instances"), ours, peer, 10.0)
    )
    return rows


def _stow(server: Server, files: Files) -> float:
    batches = [files.paths[i : i + STOW_BATCH] for i in range(0, len(files.paths), STOW_BATCH)]
    os.sync()  # One server's writing is not another's waiting.
    return at_once(
        server.connections(STOW_CONNECTIONS),
        [partial(_store, batch) for batch in batches],
    )


def _store(batch: list[Path], connection: Connection) -> None:
    connection.store(batch)


def _frame(path: str, connection: Connection) -> None:
    connection.get(path, OCTETS)


def _rate(what: str, count: int, ours_s: float, peer_s: float, target: float) -> Row:
    ours, peer = count / ours_s, count / peer_s
    return {
        "what": f"{what} ({count} slices)",
        "ours": round(ours, 1),
        "unit": "instances/s",
        "peer": round(peer, 1),
        "peer_name": "Orthanc",
        "peer_runs": 1,
        "ratio": round(ours / peer, 2),
        "target": f">= {target} x",
        "met": ours / peer >= target,
    }


def _getter(path: str) -> Callable[[Server], Callable[[], object]]:
    def of(server: Server) -> Callable[[], object]:
        connection = server.connections(1)[0]
        return lambda: connection.get(path, DICOM_JSON)

    return of


def _turns(
    what: str,
    action: Callable[[Server], Callable[[], object]],
    ours: Server,
    peer: Server,
    target: float,
) -> Row:
    """Medians of several runs after one that warms up, the servers in turn."""
    found: dict[str, list[float]] = {ours.name: [], peer.name: []}
    actions = {server.name: action(server) for server in (ours, peer)}
    for one in actions.values():
        one()
    for _ in range(ROUNDS):
        for name, one in actions.items():
            found[name] += timed(one, 1)
    mine, theirs = median(found[ours.name]), median(found[peer.name])
    return {
        "what": what,
        "ours": round(mine * 1000, 2),
        "unit": "ms",
        "peer": round(theirs * 1000, 2),
        "peer_name": peer.name,
        "peer_runs": ROUNDS,
        "ratio": round(theirs / mine, 1),
        "target": f">= {target:g} x",
        "met": theirs / mine >= target,
    }


def _frames(ours: Server, peer: Server, files: Files, connections: int, target: float) -> Row:
    count = len(files.sops)
    rates: dict[str, list[float]] = {}
    with _bytes_from_memory() as nothing:
        for _ in range(ROUNDS):
            for server in (ours, peer, nothing):
                seconds = _pull(server, files, connections)
                rates.setdefault(server.name, []).append(count / seconds)
    mine, theirs, client = (median(rates[s.name]) for s in (ours, peer, nothing))
    return {
        "what": f"frames, connections: {connections} ({count} slices)",
        "ours": round(mine),
        "unit": "frames/s",
        "peer": round(theirs),
        "peer_name": peer.name,
        "peer_runs": ROUNDS,
        "ratio": round(mine / theirs, 2),
        "target": f">= {target} x",
        "met": mine / theirs >= target,
        "client_alone": round(client),
    }


def _pull(server: Server, files: Files, connections: int) -> float:
    base = f"/studies/{files.study}/series/{files.series}/instances"
    return at_once(
        server.connections(connections),
        [partial(_frame, f"{base}/{sop}/frames/1") for sop in files.sops],
    )


@contextmanager
def _bytes_from_memory() -> Iterator[Server]:
    """A server that sends one frame's bytes to whoever asks: what is left is the client's cost."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "backend.archive.benchmarks.bytes_from_memory",
        str(port),
    ]
    process = subprocess.Popen(command)
    try:
        servers.wait_for_port(port)
        yield Server("bytes from memory", port, "", {}, process.pid)
    finally:
        process.terminate()
        process.wait()


def _memory(ours: Concord, peer: Server, files: Files) -> Row:
    """Resident memory while eight clients pull a whole series at once."""
    path = f"/studies/{files.study}/series/{files.series}"
    accept = 'multipart/related; type="application/dicom"; transfer-syntax=*'
    highest = {server.name: _highest(server, path, accept) for server in (ours, peer)}
    return {
        "what": f"resident memory, 8 clients pull {len(files.sops)} slices",
        "ours": round(highest[ours.name]),
        "unit": "MB",
        "peer": round(highest[peer.name]),
        "peer_name": peer.name,
        "peer_runs": 1,
        "ratio": round(highest[peer.name] / highest[ours.name], 2),
        "target": f"< {MEMORY_TARGET_MB:g} MB",
        "met": highest[ours.name] < MEMORY_TARGET_MB,
    }


def _highest(server: Server, path: str, accept: str) -> float:
    seen = [server.resident_mb()]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            seen.append(server.resident_mb())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        at_once(server.connections(8), [lambda c: c.drain(path, accept)] * 8)
    finally:
        done.set()
        watcher.join()
    return max(seen)


def _study_lists(ours: Concord, peer: Server, studies: int) -> list[Row]:
    """The study list with a thousand and with all studies indexed."""
    rows, times = [], {}
    for count in (studies // 10, studies):
        _fill(ours, count)
        ask = _getter("/studies?limit=50&StudyDate=20200101-20301231")(ours)
        ask()
        times[count] = timed(ask, 100)
    fewer, all_of_them = (p95(times[count]) * 1000 for count in (studies // 10, studies))
    rows.append(
        {
            "what": f"QIDO study list, {studies} studies, p95",
            "ours": round(all_of_them, 2),
            "unit": "ms",
            "peer": round(fewer, 2),
            "peer_name": f"Concord with {studies // 10} studies",
            "peer_runs": 100,
            "ratio": round(fewer / all_of_them, 2),
            "target": f"< {LIST_TARGET_MS:g} ms, and < 1.5 x the time with {studies // 10}",
            "met": all_of_them < LIST_TARGET_MS and all_of_them < 1.5 * fewer,
            "median": round(statistics.median(times[studies]) * 1000, 2),
        }
    )
    return rows


def _fill(ours: Concord, count: int) -> None:
    """Index studies without files until there are so many."""
    subprocess.run(
        [sys.executable, "-m", "backend.archive.benchmarks.fill", str(count)],
        env=ours.environment,
        check=True,
    )
