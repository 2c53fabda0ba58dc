"""`manage.py benchmark dicomweb`: Concord's DICOM archive beside Debian's Orthanc, in one run.

The same files, the same client, loopback, the two taking turns; every figure of ours has the
peer's beside it. Both servers share this machine's cores with the client, whose own cost is
measured against a server that sends bytes from memory; beside times stand the processors' seconds
that each server used, which a busy machine does not change. At the end each path runs once more
with a sampler in Concord's process: what limits it is written from those samples. What storing
costs whatever the program (`floor`) is measured in the same run, with the same bytes.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from backend.archive.benchmarks import servers
from backend.archive.benchmarks.client import timed
from backend.archive.benchmarks.floor import floor
from backend.archive.benchmarks.limits import limit, read_samples
from backend.archive.benchmarks.measuring import Row, Spent, spent, table
from backend.archive.benchmarks.servers import Concord, Server
from backend.archive.benchmarks.serving_speed import (
    STUDY_LIST,
    getter,
    memory,
    path_of,
    pull,
    serving,
    study_list,
)
from backend.archive.benchmarks.slices import SIDE, Files
from backend.archive.benchmarks.storing_speed import (
    CONNECTIONS,
    Studies,
    deidentifying,
    receive,
    storing,
    stow,
    warm,
)

SIZES = (300, 1200)
STUDIES = 10_000
PROFILED = 300


def dicomweb_benchmark(sizes: tuple[int, ...] = SIZES, studies: int = STUDIES) -> dict[str, Any]:
    """All rows for each number of slices, what limits each path, and a table for people.

    Needs Orthanc (`make system`).

    Raises:
        NoOrthanc: when it is not installed.
    """
    rows: list[Row] = []
    limits: list[dict[str, Any]] = []
    folder = Path(tempfile.mkdtemp(prefix="concord-benchmark-"))
    try:
        series = Studies(folder)
        with ExitStack() as stack:
            ours = stack.enter_context(servers.concord(folder))
            peer = stack.enter_context(servers.orthanc(folder))
            warm(ours, peer, series)
            rows += [deidentifying(ours, series, count) for count in sizes]
            deidentified = _profiled_deidentifying(ours, series)
            ours.store_as_is()
            for count in sizes:
                (stored, received), files = storing(ours, peer, series, count)
                limits.append(floor(files, folder / "floor", stored, received))
                rows += [stored, received, *serving(ours, peer, files)]
            rows.append(memory(ours, peer, files))
            rows.append(study_list(ours, studies))
            limits += deidentified + _limits(ours, series)
            configuration = servers.orthanc_configuration(Path("…"), 0)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    lines = table(rows)
    sys.stderr.write("\n".join(lines) + "\n")
    return {
        "sizes": {"slices": list(sizes), "pixels": [SIDE, SIDE], "studies": studies},
        "peer_config": {"version": servers.version_of("Orthanc"), **configuration},
        "flushed_before_acknowledged": servers.FLUSHES,
        "rows": rows,
        "limits": limits,
        "table": lines,
    }


def _profiled_deidentifying(ours: Concord, series: Studies) -> list[dict[str, Any]]:
    with ours.profiled() as (profiled, samples):
        stow(profiled, series.new(20))
        what = f"STOW, {CONNECTIONS} connections, de-identified"
        found = {what: stow(profiled, series.new(PROFILED))}
    return _told(found, samples)


def _limits(ours: Concord, series: Studies) -> list[dict[str, Any]]:
    """Each path once more in a process with a sampler in it."""
    found: dict[str, Spent] = {}
    with ours.profiled() as (profiled, samples):
        stow(profiled, series.new(20))
        files = series.new(PROFILED)
        found[f"STOW, {CONNECTIONS} connections"] = stow(profiled, files)
        for connections in (1, 6):
            pull(profiled, files, connections)
            found[f"frames, connections: {connections}"] = pull(profiled, files, connections)
        found["series metadata"] = _repeated(profiled, f"{path_of(files)}/metadata", 100)
        found["QIDO of instances"] = _repeated(profiled, f"{path_of(files)}/instances", 50)
        found["QIDO study list"] = _repeated(profiled, STUDY_LIST, 50)
    told = _told(found, samples)
    return [*told, _receiving(ours, series.new(PROFILED), samples.with_name("receive"))]


def _receiving(ours: Concord, files: Files, samples: Path) -> dict[str, Any]:
    took = receive(ours, files, samples)
    whole: Spent = took["spent"]
    within = Spent(
        took["seconds"], took["cpu"], 0.0, whole.busy - whole.wall, took["began"], took["ended"]
    )
    return limit("receive of a folder", within, read_samples(samples))


def _repeated(server: Server, path: str, runs: int) -> Spent:
    ask = getter(server, path)
    ask()
    return spent(server.processes(), lambda: timed(ask, runs))


def _told(found: dict[str, Spent], samples: Path) -> list[dict[str, Any]]:
    kept = read_samples(samples)
    return [limit(what, spent, kept) for what, spent in found.items()]
