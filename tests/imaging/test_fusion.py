"""The mean of two shapes: known answers, and that it never leaves what either drew."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from backend.imaging.fusion import mean_distance_mm, mean_shape, signed_distance_mm
from backend.imaging.overlap import ShapesDiffer

MASKS = hnp.arrays(np.bool_, (4, 5, 6))
SPACINGS = st.sampled_from([(1.0, 1.0, 1.0), (3.0, 0.5, 0.7), (2.0, 1.0, 1.0)])


def row(start: int, stop: int, size: int = 20) -> NDArray[np.bool_]:
    mask = np.zeros((1, 1, size), np.bool_)
    mask[..., start:stop] = True
    return mask


def test_signed_distances_are_millimetres_to_the_nearest_voxel_across_the_border() -> None:
    mask = np.zeros((5, 5, 5), np.bool_)
    mask[2, 2, 2] = True
    distance = signed_distance_mm(mask, (3.0, 1.0, 0.5))
    assert distance[2, 2, 2] == -0.5
    assert distance[1, 2, 2] == 3.0
    assert distance[2, 2, 4] == 1.0
    assert distance[1, 1, 2] == pytest.approx(10**0.5)


def test_the_border_of_the_grid_is_a_border() -> None:
    assert signed_distance_mm(np.ones((3, 3, 3), np.bool_), (1.0, 1.0, 1.0))[1, 1, 1] == -2.0


def test_of_two_shifted_squares_the_mean_lies_between_and_the_first_decides_the_middle() -> None:
    first, second = np.zeros((2, 1, 24, 24), np.bool_)
    first[0, 6:18, 2:14] = True
    second[0, 6:18, 5:17] = True
    spacing = (30.0, 1.0, 1.0)
    for one, two, columns in ((first, second, (3, 15)), (second, first, (4, 16))):
        shape = mean_shape(mean_distance_mm(one, two, spacing), one)
        assert (int(shape[0, 12].argmax()), 24 - int(shape[0, 12, ::-1].argmax())) == columns


def test_an_empty_mask_and_another_grid_are_refused() -> None:
    with pytest.raises(ValueError, match="empty mask"):
        signed_distance_mm(row(0, 0), (1.0, 1.0, 1.0))
    with pytest.raises(ShapesDiffer):
        mean_distance_mm(row(0, 3), row(0, 3, 10), (1.0, 1.0, 1.0))


@given(MASKS, MASKS, SPACINGS)
def test_the_mean_holds_what_both_hold_and_nothing_that_neither_holds(
    a: NDArray[np.bool_], b: NDArray[np.bool_], spacing: tuple[float, float, float]
) -> None:
    assume(a.any() and b.any())
    mean = mean_distance_mm(a, b, spacing)
    shape = mean_shape(mean, a)
    assert not (a & b & ~shape).any()
    assert not (shape & ~(a | b)).any()
    mirrored = mean_shape(mean_distance_mm(b, a, spacing), b)
    assert not ((shape != mirrored) & (mean != 0)).any()


@given(MASKS, SPACINGS)
def test_the_mean_of_a_shape_with_itself_is_the_shape(
    a: NDArray[np.bool_], spacing: tuple[float, float, float]
) -> None:
    assume(a.any())
    assert (mean_shape(mean_distance_mm(a, a, spacing), a) == a).all()
