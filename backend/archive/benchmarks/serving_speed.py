"""How fast what is stored goes out: metadata, frames, lists; and the memory it takes."""

from __future__ import annotations

import statistics
import threading
from collections.abc import Callable
from functools import partial

from backend.archive.benchmarks.client import (
    DICOM_JSON,
    OCTETS,
    Connection,
    at_once,
    median,
    p95,
    timed,
)
from backend.archive.benchmarks.measuring import Row, Spent, compared, costs, resident_mb, spent
from backend.archive.benchmarks.servers import Concord, Server, bare
from backend.archive.benchmarks.slices import Files

ROUNDS = 5
LIST_TARGET_MS = 30.0
MEMORY_TARGET_MB = 400.0
PULLING = 8
FRAME_TARGETS = ((1, 2.5), (6, 2.0))
FROM_MEMORY = "backend.archive.benchmarks.bytes_from_memory"
STUDY_LIST = "/studies?limit=50&StudyDate=20200101-20301231"
WHOLE_FILES = 'multipart/related; type="application/dicom"; transfer-syntax=*'

Action = Callable[[], object]


def serving(ours: Concord, peer: Server, files: Files) -> list[Row]:
    """Metadata, frames and the list of instances of one series."""
    count, series = len(files.sops), path_of(files)
    return [
        _in_turn(f"series metadata, warm ({count} slices)", f"{series}/metadata", ours, peer, 20),
        *(_frames(ours, peer, files, connections, t) for connections, t in FRAME_TARGETS),
        _in_turn(f"QIDO of {count} instances", f"{series}/instances", ours, peer, 10),
    ]


def path_of(files: Files) -> str:
    """The address of a series under a server's root."""
    return f"/studies/{files.study}/series/{files.series}"


def getter(server: Server, path: str) -> Action:
    """Ask for JSON, on one connection."""
    connection = server.connections(1)[0]
    return lambda: connection.get(path, DICOM_JSON)


def _in_turn(what: str, path: str, ours: Server, peer: Server, target: float) -> Row:
    """Medians of several runs after one that warms up, the servers in turn."""
    actions = {server.name: (server, getter(server, path)) for server in (ours, peer)}
    found: dict[str, list[Spent]] = {name: [] for name in actions}
    for _, action in actions.values():
        action()
    for _ in range(ROUNDS):
        for name, (server, action) in actions.items():
            found[name].append(spent(server.processes(), action))
    mine, theirs = (median([s.wall for s in found[s.name]]) * 1000 for s in (ours, peer))
    return compared(what, "ms", mine, theirs, target, runs=ROUNDS, more_is_better=False)


def _frames(ours: Server, peer: Server, files: Files, connections: int, target: float) -> Row:
    count = len(files.sops)
    found: dict[str, list[Spent]] = {}
    with bare(FROM_MEMORY) as nothing:
        for _ in range(ROUNDS):
            for server in (ours, peer, nothing):
                found.setdefault(server.name, []).append(pull(server, files, connections))
    mine, theirs, client = (
        median([count / s.wall for s in found[s.name]]) for s in (ours, peer, nothing)
    )
    alone = 1 / client
    return compared(
        f"frames, connections: {connections} ({count} slices)",
        "frames/s",
        mine,
        theirs,
        target,
        runs=ROUNDS,
        client_alone=round(client),
        ratio_without_client=round((1 / theirs - alone) / max(1e-9, 1 / mine - alone), 2),
        **costs(found[ours.name], found[peer.name], count),
    )


def pull(server: Server, files: Files, connections: int) -> Spent:
    """Every frame of a series once, shared out over connections."""
    base = f"{path_of(files)}/instances"
    work = [partial(_frame, f"{base}/{sop}/frames/1") for sop in files.sops]
    opened = server.connections(connections)
    return spent(server.processes(), lambda: at_once(opened, work))


def _frame(path: str, connection: Connection) -> None:
    connection.pull(path, OCTETS)


def memory(ours: Concord, peer: Server, files: Files) -> Row:
    """Resident memory of the answering process while eight clients pull a whole series at once."""
    highest = {server.name: _highest(server, files) for server in (ours, peer)}
    return {
        "what": f"resident memory, {PULLING} clients pull {len(files.sops)} slices",
        "ours": round(highest[ours.name]),
        "unit": "MB",
        "peer": round(highest[peer.name]),
        "peer_name": peer.name,
        "peer_runs": 1,
        "ratio": round(highest[peer.name] / highest[ours.name], 2),
        "target": f"< {MEMORY_TARGET_MB:g} MB",
        "met": highest[ours.name] < MEMORY_TARGET_MB,
    }


def _highest(server: Server, files: Files) -> float:
    seen = [resident_mb(server.process)]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            seen.append(resident_mb(server.process))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        pull_whole = partial(_drain, path_of(files))
        at_once(server.connections(PULLING), [pull_whole] * PULLING)
    finally:
        done.set()
        watcher.join()
    return max(seen)


def _drain(path: str, connection: Connection) -> None:
    connection.drain(path, WHOLE_FILES)


def study_list(ours: Concord, studies: int) -> Row:
    """The study list with a tenth and with all of the studies indexed."""
    times = {}
    for count in (studies // 10, studies):
        ours.run("backend.archive.benchmarks.fill", str(count))
        ask = getter(ours, STUDY_LIST)
        ask()
        times[count] = timed(ask, 100)
    fewer, all_of_them = (p95(times[count]) * 1000 for count in (studies // 10, studies))
    return {
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
