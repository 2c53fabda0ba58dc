"""Resampling between grids that share their outer corner."""

import numpy as np
import pytest

from inference.resampling import (
    cubic_matrix,
    nearest_matrix,
    resample,
    resampled_shape,
    resampled_with,
    weight_matrix,
)


def test_the_same_grid_gives_the_same_values():
    volume = np.random.default_rng(1).normal(size=(5, 6, 7)).astype(np.float32)
    same = resample(volume, (2.0, 1.0, 0.5), volume.shape, (2.0, 1.0, 0.5))
    assert same == pytest.approx(volume, abs=1e-6)


@pytest.mark.parametrize("target_mm", [(0.5, 0.5, 0.5), (1.0, 1.0, 1.0), (3.0, 2.5, 1.7)])
def test_a_constant_stays_and_a_ramp_stays_a_ramp(target_mm):
    spacing_mm = (2.0, 0.8, 1.1)
    z = (np.arange(20) + 0.5) * spacing_mm[0]
    volume = np.broadcast_to(z[:, None, None], (20, 24, 22)).astype(np.float32)
    shape = resampled_shape(volume.shape, spacing_mm, target_mm)
    result = resample(volume, spacing_mm, shape, target_mm)
    expected = (np.arange(shape[0]) + 0.5) * target_mm[0]
    inner = slice(3, -3)
    assert result[inner, 1, 1] == pytest.approx(expected[inner], abs=0.03 * target_mm[0] + 0.01)
    assert result.std(axis=(1, 2)).max() < 1e-3


def test_a_shifted_grid_reads_from_the_shifted_place():
    volume = np.arange(10, dtype=np.float32)[:, None, None]
    part = resample(volume, (1, 1, 1), (3, 1, 1), (1, 1, 1), (4.0, 0.0, 0.0))
    assert part.ravel() == pytest.approx([4, 5, 6])


@pytest.mark.parametrize(
    "matrices",
    [
        (weight_matrix(40, 1.5, 60, 1.0), weight_matrix(50, 0.6, 30, 1.0), np.eye(37)),
        (cubic_matrix(40, 55), nearest_matrix(50, 20), cubic_matrix(37, 18)),
    ],
)
def test_band_by_band_gives_what_whole_matrices_give(matrices):
    volume = np.random.default_rng(2).integers(-1000, 2000, (40, 50, 37), np.int16)
    # Turned, as images of another orientation are.
    turned = np.asfortranarray(volume)
    expected = np.einsum("az,by,cx,zyx->abc", *matrices, volume, optimize=True)
    found = resampled_with(turned, [np.asarray(matrix, np.float32) for matrix in matrices])
    assert found.dtype == np.float32
    assert found == pytest.approx(expected, rel=1e-4, abs=0.05)


def test_every_row_of_weights_sums_to_one():
    assert weight_matrix(7, 3.0, 21, 1.0).sum(axis=1) == pytest.approx(np.ones(21))


def test_resampling_stops_between_slabs_where_nobody_wants_the_result_any_more():
    asked = []

    def go_on():
        asked.append(1)
        if len(asked) == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        resample(np.zeros((64, 8, 8), np.int16), (1, 1, 1), (64, 8, 8), (1, 1, 1), go_on=go_on)
    assert len(asked) == 2
