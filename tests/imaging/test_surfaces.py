"""Surface distances: vectors SEG of the method specification."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from backend.imaging.overlap import Metric, ShapesDiffer, dice, jaccard
from backend.imaging.surfaces import border, surface_distances
from tests.examples import examples
from tests.imaging.conftest import boxes, ellipsoid

Mask = NDArray[np.bool_]
UNIT = (1.0, 1.0, 1.0)
A: Mask = boxes((40, 40, 40), ((10, 20), (10, 20), (10, 20))) > 0
SHIFTED: Mask = boxes((40, 40, 40), ((10, 20), (10, 20), (12, 22))) > 0
LARGER: Mask = boxes((40, 40, 40), ((8, 22), (8, 22), (8, 22))) > 0
EMPTY: Mask = np.zeros((40, 40, 40), np.bool_)


def test_seg_1_a_shifted_cube() -> None:
    assert dice(A, SHIFTED).value == pytest.approx(0.8)
    assert jaccard(A, SHIFTED).value == pytest.approx(2 / 3)
    assert (A & SHIFTED).sum() / A.sum() == pytest.approx(0.8)
    assert int(border(A).sum()) == int(border(SHIFTED).sum()) == 488
    result = surface_distances(A, SHIFTED, UNIT)
    for metric in (result.assd, result.ahd_mean, result.ahd_max):
        assert metric.value == pytest.approx(336 / 488, rel=1e-6)
    assert result.hd.value == result.hd95.value == 2
    assert result.ahd_voxel.value == pytest.approx(0.3)
    assert result.nsd[1.0].value == pytest.approx(0.72288, abs=1e-5)
    assert result.nsd[2.0].value == 1


def test_seg_1_on_anisotropic_voxels() -> None:
    result = surface_distances(A, SHIFTED, (2.5, 1.0, 0.5))
    assert result.assd.value == pytest.approx(0.3729508, rel=1e-6)
    assert result.hd.value == 1
    assert result.ahd_voxel.value == pytest.approx(0.15)


def test_seg_2_a_cube_in_a_larger_cube() -> None:
    assert dice(A, LARGER).value == pytest.approx(0.5341880, rel=1e-6)
    assert jaccard(A, LARGER).value == pytest.approx(0.3644315, rel=1e-6)
    result = surface_distances(A, LARGER, UNIT)
    assert result.mean_from_a.value == 2.0
    assert result.mean_from_b.value == pytest.approx(2.1993782, rel=1e-6)
    assert result.assd.value == pytest.approx(2.1346865, rel=1e-6)
    assert result.ahd_mean.value == pytest.approx(2.0996891, rel=1e-6)
    assert result.hd.value == pytest.approx(2 * math.sqrt(3), rel=1e-6)
    assert result.hd95.value == pytest.approx(2 * math.sqrt(2), rel=1e-6)
    assert result.ahd_voxel.value == pytest.approx(0.5499508, rel=1e-6)
    assert result.nsd[2.0].value == pytest.approx(0.763, abs=5e-4)


def test_seg_3_two_balls() -> None:
    a = ellipsoid((64, 64, 64), (32, 32, 32), (10, 10, 10))
    b = ellipsoid((64, 64, 64), (32, 32, 32), (12, 12, 12))
    assert (a.sum(), b.sum()) == (4169, 7153)
    assert dice(a, b).value == pytest.approx(0.736442, rel=1e-6)
    result = surface_distances(a, b, UNIT)
    assert result.assd.value == pytest.approx(1.89094, abs=1e-5)
    assert result.hd.value == pytest.approx(math.sqrt(6), rel=1e-6)
    assert result.hd95.value == pytest.approx(math.sqrt(5), rel=1e-6)


def test_seg_4_empty_masks_have_no_distance() -> None:
    one = surface_distances(A, EMPTY, UNIT)
    null = Metric(None, "NO_PREDICTION")
    assert one.assd == one.hd == one.hd95 == one.ahd_voxel == one.nsd[1.0] == null
    assert dice(A, EMPTY).value == 0
    assert surface_distances(EMPTY, A, UNIT).assd == Metric(None, "NO_TRUTH")
    assert surface_distances(EMPTY, EMPTY, UNIT).assd.value is None
    assert dice(EMPTY, EMPTY).value is None


def test_the_border_of_the_array_is_outside() -> None:
    full = np.ones((3, 3, 3), np.bool_)
    assert int(border(full).sum()) == 26
    assert surface_distances(full, full, UNIT).hd.value == 0


def test_the_place_in_the_array_does_not_matter() -> None:
    corner = surface_distances(A[10:, 10:, 10:], SHIFTED[10:, 10:, 10:], (2.5, 1.0, 0.5))
    assert corner == surface_distances(A, SHIFTED, (2.5, 1.0, 0.5))


def test_masks_of_different_shapes_are_refused() -> None:
    with pytest.raises(ShapesDiffer):
        surface_distances(A, A[1:], UNIT)


def test_surface_metrics_are_json() -> None:
    data = json.loads(json.dumps(surface_distances(A, SHIFTED, UNIT).to_json()))
    assert data["hd"] == {"value": 2.0, "reason": None}
    assert set(data["nsd"]) == {"1.0", "2.0"}


@examples(40, deadline=None)
@given(
    hnp.arrays(np.bool_, (3, 5, 6)),
    hnp.arrays(np.bool_, (3, 5, 6)),
    st.tuples(*[st.sampled_from([0.5, 1.0, 2.5])] * 3),
)
def test_distances_are_symmetric_ordered_and_those_of_the_definition(
    a: Mask, b: Mask, spacing_mm: tuple[float, float, float]
) -> None:
    if not (a.any() and b.any()):
        return
    one = surface_distances(a, b, spacing_mm)
    other = surface_distances(b, a, spacing_mm)
    assert one.assd.value == pytest.approx(other.assd.value)
    assert one.nsd[1.0].value == pytest.approx(other.nsd[1.0].value)
    assert (one.hd, one.hd95) == (other.hd, other.hd95)

    points_a = np.argwhere(border(a)) * spacing_mm
    points_b = np.argwhere(border(b)) * spacing_mm
    between = np.linalg.norm(points_a[:, None] - points_b[None, :], axis=2)
    from_a, from_b = between.min(axis=1), between.min(axis=0)
    pooled = np.concatenate((from_a, from_b))
    assert one.assd.value == pytest.approx(float(pooled.mean()), rel=1e-6)
    assert one.hd.value == pytest.approx(float(pooled.max()), rel=1e-6)
    assert one.hd95.value == pytest.approx(
        float(max(np.percentile(from_a, 95), np.percentile(from_b, 95))), rel=1e-6
    )
