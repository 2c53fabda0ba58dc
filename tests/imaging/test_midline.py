"""The body's midline: where it is known, and where it honestly is not."""

from __future__ import annotations

import numpy as np
import pytest

from backend.imaging.grid import Grid
from backend.imaging.levels import side_of
from backend.imaging.midline import midline_of

GRID = Grid.axial((20, 40, 60), (2.0, 1.0, 0.5), (-15.0, 0.0, 0.0))


def body(first: int, last: int) -> np.ndarray[tuple[int, int], np.dtype[np.int16]]:
    """A slice of air with soft tissue from one column to another, both included."""
    plane = np.full((40, 60), -1000, np.int16)
    plane[10:30, first : last + 1] = 50
    return plane


def test_the_midline_is_the_median_of_the_slices_own_middles() -> None:
    slices = [(index, body(20 + index % 3, 40 + index % 3)) for index in range(9)]
    found = midline_of(slices, GRID)
    assert found is not None
    assert found.x_mm == pytest.approx(-15.0 + 0.5 * 31)
    assert found.slices == 9
    assert found.spread_mm == pytest.approx(1.0)


def test_the_table_and_slices_cut_off_at_the_side_say_nothing() -> None:
    lying = [(index, body(20, 40)) for index in range(6)]
    for _, plane in lying:
        plane[36:38, 2:50] = 100  # The table, smaller than the body.
    cut_off = [(index, body(0, 40)) for index in range(6, 12)]
    found = midline_of([*lying, *cut_off], GRID)
    assert found is not None
    assert (found.x_mm, found.slices) == (0.0, 6)


def test_too_few_slices_or_slices_that_disagree_leave_the_midline_unknown() -> None:
    assert midline_of([(index, body(20, 40)) for index in range(4)], GRID) is None
    turned = [(index, body(1 + 2 * index, 5 + 2 * index)) for index in range(0, 26, 2)]
    wide = Grid.axial((26, 40, 60), (2.0, 1.0, 2.0))
    assert midline_of(turned, wide) is None


def test_a_volume_that_is_not_axial_has_no_midline() -> None:
    coronal = Grid(
        GRID.shape, GRID.spacing_mm, GRID.origin_mm, (1, 0, 0), (0, 0, -1), GRID.sop_uids, ""
    )
    assert midline_of([(index, body(20, 40)) for index in range(9)], coronal) is None


def test_the_side_is_the_patients_own_and_open_near_the_midline() -> None:
    assert side_of((30.0, 0.0, 0.0), 0.0) == "L"
    assert side_of((-30.0, 0.0, 0.0), 0.0) == "R"
    assert side_of((-3.0, 0.0, 0.0), 0.0, band_mm=4.0) == "M"
