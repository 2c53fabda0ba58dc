"""The benchmark of the reading room runs from end to end beside a real Orthanc."""

from __future__ import annotations

import pytest

from backend.reading.benchmarks.viewer import viewer_benchmark

pytestmark = [pytest.mark.browser, pytest.mark.long, pytest.mark.timeout(900)]


@pytest.mark.usefixtures("chromium", "orthanc_installed")
def test_the_reading_room_is_measured_beside_stock_ohif() -> None:
    found = viewer_benchmark(slices=24, runs=1, strokes=4, openings=4)
    *openings, strokes, following, held = found["rows"]
    for row in openings:
        assert row["ours"] > 0
        assert row["ratio"] == pytest.approx(row["ours"] / row["peer"], abs=0.01)
    first, usable, waits = openings
    assert first["ours"] <= usable["ours"]
    assert waits["requests"] < 24 <= waits["peer_requests"]  # All slices come as one answer.
    assert 0 < strokes["median"] <= strokes["ours"]
    assert 0 < following["ours"] <= following["slowest"]
    assert set(held["grown_mb"]) == {"js_heap", "array_buffers", "image_cache"}
