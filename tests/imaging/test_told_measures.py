"""Measures another program told: whole ones pass on every grid, and what cannot be is named."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.imaging.grid import Grid
from backend.imaging.nodes import measure_all
from backend.imaging.told_measures import measures_fault

SHAPE = (6, 20, 30)
GRID = Grid.axial(SHAPE, (3.0, 0.5, 0.7), (-90.0, -1200.0, 40.0))


def told() -> dict[str, Any]:
    """What a worker says of a ball in the corner of the grid."""
    labels = np.zeros(SHAPE, np.uint16)
    labels[:3, :7, 3:9] = 1
    image = np.full(SHAPE, 60, np.int16)
    return _as_sent(measure_all(labels, GRID, image_hu=image)[1].to_json())


def _as_sent(measures: dict[str, Any]) -> dict[str, Any]:
    sent: dict[str, Any] = json.loads(json.dumps(measures))
    return sent


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.05, 0.4, 0.95]))
def test_what_we_measure_ourselves_always_passes(seed: int, share: float) -> None:
    dice = np.random.default_rng(seed)
    shape = tuple(int(n) for n in dice.integers(1, 9, 3))
    turned = (0.6, 0.8, 0.0) if seed % 2 else (1.0, 0.0, 0.0)
    grid = Grid(
        shape=(shape[0], shape[1], shape[2]),
        spacing_mm=(float(dice.uniform(0.3, 6)), float(dice.uniform(0.2, 2)), 0.9),
        origin_mm=(3e4, -2e4, 1e4),
        row_direction=turned,
        column_direction=(-turned[1], turned[0], 0.0),
        sop_uids=tuple(f"2.25.{number}" for number in range(shape[0])),
        frame_of_reference_uid="",
    )
    labels = (dice.random(shape) < share).astype(np.uint16) * 3
    for measured in measure_all(labels, grid).values():
        sent = _as_sent(measured.to_json())
        assert measures_fault(sent, grid.shape, grid) == ""
        assert measures_fault(sent, grid.shape, None) == ""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sad_mm", 1e308),
        ("sad_mm", -0.1),
        ("sad_mm", True),
        ("sad_mm", "5"),
        ("lad_mm", 30.0),
        ("volume_mm3", 3780.1),
        ("slice_index", 10**9),
        ("slice_index", 6),
        ("slice_index", -1),
        ("slice_index", 1.5),
        ("voxels", 3601),
        ("voxels", 0),
        ("region_id", 10**400),
        ("lad_points", [[0, 0], [0, 30]]),
        ("lad_points", [[0, 0]]),
        ("sad_points", [["0", 0], [0, 1]]),
        ("longest_points_mm", [[1e308, 0, 0], [0, 0, 0]]),
        ("longest_plane", "upright"),
        ("flags", ["<script>"]),
        ("flags", [["CUT_OFF"]]),
        ("fragmented", 1),
        ("centroid", [0, 0, 29.5]),
        ("bounding_box", [0, 0, 3, 3, 7, 31]),
        ("bounding_box", [3, 0, 3, 3, 7, 9]),
        ("mean_hu", 1e9),
    ],
)
def test_what_no_node_of_the_grid_can_have_is_named(name: str, value: Any) -> None:
    assert f"cannot have {name} {value!r:.60}: " in measures_fault(
        {**told(), name: value}, SHAPE, GRID
    )


def test_without_the_grid_its_shape_still_bounds() -> None:
    for name, value in (("slice_index", 10**9), ("sad_mm", 1e308), ("voxels", 3601)):
        assert name in measures_fault({**told(), name: value}, SHAPE, None)


@pytest.mark.parametrize("name", ["lad_points_mm", "sad_points_mm", "centroid_mm"])
def test_a_place_in_the_patient_that_is_not_where_the_index_says_is_named(name: str) -> None:
    measures = told()
    place = measures[name] if name == "centroid_mm" else measures[name][1]
    place[0] += 0.1
    assert f"has {name} at another place" in measures_fault(measures, SHAPE, GRID)


@pytest.mark.parametrize("name", ["sad_mm", "lad_mm", "volume_mm3", "slice_index"])
def test_what_is_needed_and_not_there_is_named(name: str) -> None:
    measures = told()
    del measures[name]
    assert measures_fault(measures, SHAPE, GRID) == f"has no {name}"


@pytest.mark.parametrize("value", [None, [], 5, "measures"])
def test_what_is_no_object_has_no_measures(value: Any) -> None:
    assert measures_fault(value, SHAPE, GRID) == "has no measures"
