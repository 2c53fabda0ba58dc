"""The benchmark says what it measured, against whom, and whether the target was met."""

from __future__ import annotations

import json

import pytest

from backend.imaging import benchmark_nodes
from backend.imaging.nodes import components


def test_the_benchmark_reports_ours_and_a_peer_on_the_same_volume(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(benchmark_nodes, "SHAPE", (40, 160, 160))
    monkeypatch.setattr(benchmark_nodes, "NODES", 2)
    result = json.loads(json.dumps(benchmark_nodes.nodes_benchmark()))
    assert len(result["rows"]) == 2
    for row in result["rows"]:
        assert set(row) == {
            "what", "ours", "unit", "peer", "peer_name", "peer_runs", "ratio", "target", "met",
        }  # fmt: skip
        assert row["peer_runs"] >= 5
        assert row["ratio"] == pytest.approx(row["peer"] / row["ours"])
        assert row["met"] == (row["ours"] <= row["target"])


def test_the_phantom_holds_the_nodes_it_says_and_is_the_same_every_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(benchmark_nodes, "SHAPE", (40, 160, 160))
    monkeypatch.setattr(benchmark_nodes, "NODES", 3)
    first, second = benchmark_nodes.phantom(), benchmark_nodes.phantom()
    assert components(first).max() == 3
    assert (first == second).all()
