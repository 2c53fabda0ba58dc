"""The benchmark counts right, and runs from end to end beside a real Orthanc."""

from __future__ import annotations

import hashlib
import os
import sys
import threading

import pytest

from backend.archive.benchmarks import dicomweb, measuring, storing_speed
from backend.archive.benchmarks.limits import limit
from backend.archive.benchmarks.measuring import Spent, compared, costs, spent, table
from backend.archive.benchmarks.profiled import place_of


def test_a_rate_and_a_time_are_compared_each_its_own_way() -> None:
    rate = compared("stored", "instances/s", 300.0, 150.0, 2.0, runs=3)
    assert (rate["ratio"], rate["met"], rate["target"]) == (2.0, True, ">= 2 x")
    slower = compared("asked", "ms", 10.0, 150.0, 20, runs=5, more_is_better=False)
    assert (slower["ratio"], slower["met"]) == (15.0, False)


def test_processors_time_is_told_per_piece() -> None:
    mine = [Spent(1.0, 2.0, 0.5, 3.0, 0.0, 1.0), Spent(1.0, 4.0, 0.5, 5.0, 0.0, 1.0)]
    theirs = [Spent(1.0, 6.0, 0.5, 7.0, 0.0, 1.0)]
    found = costs(mine, theirs, 1000)
    assert found == {
        "cpu_ms_each": 3.0,
        "peer_cpu_ms_each": 6.0,
        "client_cpu_ms_each": 0.5,
        "cpu_ratio": 2.0,
    }


def test_work_of_this_process_is_counted_and_that_of_its_children() -> None:
    took = spent([os.getpid()], lambda: hashlib.pbkdf2_hmac("sha256", b"a", b"b", 400_000))
    assert took.server > 0.02
    assert took.client > 0.02
    assert took.ended - took.began == took.wall
    assert measuring.resident_mb(os.getpid()) > 10


def test_what_a_thread_does_is_named_by_its_innermost_known_place() -> None:
    asleep = threading.Event()
    thread = threading.Thread(target=asleep.wait)
    thread.start()
    try:
        assert place_of(sys._current_frames()[thread.ident or 0]) is None
    finally:
        asleep.set()
        thread.join()
    doing, where = place_of(sys._getframe()) or ("", "")
    assert doing == "other"
    assert where.endswith("test_what_a_thread_does_is_named_by_its_innermost_known_place")


def test_a_limit_counts_only_its_own_samples_and_says_who_was_busy() -> None:
    cores = os.cpu_count() or 1
    took = Spent(2.0, cores * 1.0, cores * 0.9, cores * 2.0, 10.0, 12.0)
    samples = [
        (9.0, [("parsing", "before")]),
        (11.0, [("parsing", "a"), ("rows", "b")]),
        (11.5, [("parsing", "a")]),
        (13.0, [("rows", "after")]),
    ]
    found = limit("STOW", took, samples)
    assert found["shares"] == {"parsing": 0.667, "rows": 0.333}
    assert found["functions"] == {"a": 0.667, "b": 0.333}
    assert found["threads_at_work"] == 1.5
    assert found["cores_busy"]["others"] == round(cores * 0.05, 2)
    assert found["says"].startswith("The processors are the limit (100%")


def test_the_table_says_what_was_missed() -> None:
    rows = [
        compared("one", "ms", 1.0, 30.0, 20, runs=1, more_is_better=False),
        {"what": "two", "ours": 9.0, "unit": "MB", "peer": None, "ratio": None, "target": "< 4"}
        | {"met": False},
    ]
    lines = table(rows)
    assert len(lines) == 3
    assert lines[1].split() == ["one", "1", "ms", "30", "30", ">=", "20", "x", "met"]
    assert lines[2].endswith("MISSED")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every pass with few slices."""
    monkeypatch.setattr(dicomweb, "PROFILED", 12)
    monkeypatch.setattr(storing_speed, "RUNS", {})


@pytest.mark.long
@pytest.mark.usefixtures("orthanc_installed", "small")
def test_every_path_is_measured_beside_orthanc_and_its_limit_is_told() -> None:
    found = dicomweb.dicomweb_benchmark((12,), 40)
    names = [row["what"] for row in found["rows"]]
    assert len(names) == len(set(names)) == 9
    assert all(row["ours"] > 0 for row in found["rows"])
    assert found["peer_config"]["StorageCompression"] is False
    assert found["peer_config"]["SyncStorageArea"] is True
    assert len(found["limits"]) == 9
    least = found["limits"][0]
    assert 0 < least["both_at_most_per_s"] <= least["hashed_written_flushed_per_s"]
    assert "with nothing else" in least["says"]
    assert all(one["says"] for one in found["limits"])
    assert len(found["table"]) == 10
