"""Detection: vectors DET of the method specification, nulls with reasons, cohort aggregation."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from backend.imaging.grid import Grid
from backend.imaging.overlap import (
    Detection,
    Metric,
    ShapesDiffer,
    dice,
    evaluate,
    exact,
    filtered_masks,
    jaccard,
    overlaps_of,
    pool,
    reaches,
)
from backend.imaging.surfaces import surface_distances
from tests.examples import examples
from tests.imaging.conftest import boxes

SHAPE = (24, 64, 64)
GRID = Grid.axial(SHAPE)
TRUTH = boxes(
    SHAPE,
    ((5, 15), (5, 15), (5, 15)),
    ((5, 15), (5, 15), (30, 50)),
    ((5, 15), (30, 40), (5, 15)),
    ((5, 11), (30, 36), (30, 36)),
    ((5, 11), (30, 36), (37, 43)),
)
PREDICTION = boxes(
    SHAPE,
    ((5, 15), (5, 15), (7, 17)),
    ((5, 15), (5, 15), (30, 36)),
    ((5, 11), (30, 36), (30, 43)),
    ((5, 10), (50, 55), (50, 55)),
    ((15, 18), (50, 53), (5, 8)),
)


@pytest.fixture(scope="module")
def det_1() -> Detection:
    return evaluate(TRUTH, PREDICTION, GRID)


def test_det_1_short_axes_and_the_size_filter(det_1: Detection) -> None:
    sads = [node.sad_mm for node in det_1.predictions]
    assert sads == pytest.approx([13.454, 6.708, 6.428, 6.403], abs=1e-3)
    assert det_1.dropped == (5,)


def test_det_1_sensitivities_decide_what_is_localised(det_1: Detection) -> None:
    assert [node.sensitivity for node in det_1.truth] == pytest.approx([0.8, 0.3, 0, 1, 1])
    assert [node.label for node in det_1.localised] == [1, 4, 5]


def test_det_1_predictions_are_classed(det_1: Detection) -> None:
    assert [node.kind for node in det_1.predictions] == ["TP", "partial", "TP", "FP"]


def test_det_1_strict_and_lenient_counts(det_1: Detection) -> None:
    assert det_1.recall.value == pytest.approx(0.6)
    assert det_1.false_positives("strict") == 2
    assert det_1.precision("strict").value == pytest.approx(0.5)
    assert det_1.f1("strict").value == pytest.approx(0.5454545, rel=1e-6)
    assert det_1.precision_truth("strict").value == pytest.approx(0.6)
    assert det_1.false_positives("lenient") == 1
    assert det_1.precision("lenient").value == pytest.approx(2 / 3)


def test_det_1_dice_filtered_and_unfiltered(det_1: Detection) -> None:
    assert det_1.dice_filtered.value == pytest.approx(0.8496552, rel=1e-6)
    assert det_1.dice_unfiltered.value == pytest.approx(0.5530566, rel=1e-6)
    assert dice(TRUTH > 0, PREDICTION > 0).value == pytest.approx(0.5508118, rel=1e-6)


def test_det_1_surface_distance_of_the_filtered_masks(det_1: Detection) -> None:
    a, b = filtered_masks(TRUTH, PREDICTION, det_1)
    assert surface_distances(a, b, GRID.spacing_mm).assd.value == pytest.approx(0.465649, abs=1e-5)


def test_det_1_mean_sensitivity_of_both_populations(det_1: Detection) -> None:
    assert det_1.mean_sensitivity("localised").value == pytest.approx(0.9333333, rel=1e-6)
    assert det_1.mean_sensitivity("all").value == pytest.approx(0.62)


@pytest.mark.parametrize(("overlap", "localised"), [(4, True), (3, False)])
def test_det_2_four_of_ten_voxels_localise_and_three_do_not(overlap: int, localised: bool) -> None:
    truth = np.zeros((1, 12, 30), np.uint16)
    truth[0, 5, 5:15] = 1
    prediction = np.zeros_like(truth)
    prediction[0, 5, 15 - overlap : 25] = 1
    result = evaluate(truth, prediction, Grid.axial((1, 12, 30)), prediction_min_sad_mm=0)
    assert result.truth[0].localised is localised


def test_the_threshold_is_compared_in_whole_numbers() -> None:
    assert exact(0.4).as_integer_ratio() == (2, 5)
    for whole in range(5, 20_000, 5):
        assert reaches(2 * whole // 5, whole, exact(0.4))
        assert not reaches(2 * whole // 5 - 1, whole, exact(0.4))


def test_a_short_axis_of_exactly_the_limit_is_kept() -> None:
    truth = boxes((1, 20, 20), ((0, 1), (2, 9), (2, 9)))
    for sad_mm, kept in ((4.5, 1), (4.499999, 0)):
        result = evaluate(truth, truth, Grid.axial((1, 20, 20)), prediction_sad_mm={1: sad_mm})
        assert len(result.predictions) == kept


def test_truth_below_its_own_limit_is_ignored_and_so_is_a_prediction_on_it_alone() -> None:
    shape = (1, 40, 40)
    truth = boxes(shape, ((0, 1), (2, 12), (2, 12)), ((0, 1), (20, 23), (20, 23)))
    prediction = boxes(shape, ((0, 1), (2, 12), (2, 12)), ((0, 1), (18, 25), (18, 25)))
    result = evaluate(truth, prediction, Grid.axial(shape), truth_min_sad_mm=5.0)
    assert [node.ignored for node in result.truth] == [False, True]
    assert [node.kind for node in result.predictions] == ["TP", "ignored"]
    assert result.recall.value == 1
    assert result.precision().value == 1
    assert result.false_positives() == 0


def test_one_prediction_may_find_many_nodes_and_many_fragments_one() -> None:
    shape = (1, 20, 60)
    truth = boxes(
        shape, ((0, 1), (2, 10), (2, 10)), ((0, 1), (2, 10), (12, 20)), ((0, 1), (2, 12), (30, 50))
    )
    prediction = boxes(
        shape, ((0, 1), (2, 10), (2, 20)), ((0, 1), (2, 12), (30, 35)), ((0, 1), (2, 12), (36, 40))
    )
    result = evaluate(truth, prediction, Grid.axial(shape), prediction_min_sad_mm=0)
    assert len(result.localised) == 3
    assert [node.kind for node in result.predictions] == ["TP", "TP", "TP"]


def test_metrics_without_a_denominator_are_null_with_a_reason() -> None:
    empty = np.zeros((1, 20, 20), np.uint16)
    some = boxes((1, 20, 20), ((0, 1), (2, 12), (2, 12)))
    elsewhere = boxes((1, 20, 20), ((0, 1), (13, 20), (13, 20)))
    grid = Grid.axial((1, 20, 20))

    nothing = evaluate(empty, empty, grid)
    assert nothing.recall == Metric(None, "NO_TRUTH")
    assert nothing.precision() == Metric(None, "NO_PREDICTION")
    assert nothing.f1().value is None
    assert nothing.dice_filtered == Metric(None, "NO_LOCALISED")
    assert nothing.dice_unfiltered.value is None
    assert nothing.false_positives() == 0
    assert nothing.mean_sensitivity() == Metric(None, "NO_TRUTH")
    assert nothing.mean_false_positive_sad_mm.value is None

    missed = evaluate(some, empty, grid)
    assert missed.recall.value == 0
    assert missed.precision() == Metric(None, "NO_PREDICTION")
    assert missed.dice_unfiltered.value == 0

    invented = evaluate(empty, some, grid)
    assert invented.precision().value == 0
    assert invented.recall == Metric(None, "NO_TRUTH")
    assert invented.large_false_positives == 1
    assert invented.mean_false_positive_sad_mm.value == pytest.approx(13.4536, abs=1e-4)

    beside = evaluate(some, elsewhere, grid)
    assert (beside.recall.value, beside.precision().value, beside.f1().value) == (0, 0, 0)
    assert beside.mean_sensitivity() == Metric(None, "NO_LOCALISED")
    assert beside.mean_sensitivity("all").value == 0


def test_an_evaluation_is_json(det_1: Detection) -> None:
    data = json.loads(json.dumps(det_1.to_json()))
    assert data["recall"] == {"value": 0.6, "reason": None}
    assert (data["fp_strict"], data["fp_lenient"]) == (2, 1)
    assert data["parameters"]["threshold"] == 0.4


def test_cohorts_report_scans_and_pooled_counts_side_by_side(det_1: Detection) -> None:
    empty = np.zeros(SHAPE, np.uint16)
    none_found = evaluate(TRUTH, empty, GRID)
    no_truth = evaluate(empty, empty, GRID)
    cohort = pool([det_1, none_found, no_truth])
    assert (cohort.recall.n_used, cohort.recall.n_total) == (2, 3)
    assert cohort.recall.mean == pytest.approx(0.3)
    assert cohort.recall.quartiles == pytest.approx((0.15, 0.45))
    assert cohort.recall_micro.value == pytest.approx(3 / 10)
    assert (cohort.precision.n_used, cohort.precision.sd) == (1, None)
    assert cohort.precision_micro.value == pytest.approx(0.5)
    assert cohort.f1_mean == pytest.approx(6 / 11)
    assert cohort.f1_of_means.value == pytest.approx(2 * 0.5 * 0.3 / 0.8)
    assert cohort.false_positives_per_scan.mean == pytest.approx(2 / 3)


def test_an_empty_cohort_is_null_not_zero() -> None:
    cohort = pool([])
    assert cohort.recall.mean is None
    assert cohort.recall_micro == Metric(None, "NO_TRUTH")
    assert cohort.f1_of_means.value is None


def test_label_maps_of_different_shapes_never_meet() -> None:
    with pytest.raises(ShapesDiffer, match="Resample"):
        overlaps_of(TRUTH, TRUTH[1:])
    with pytest.raises(ShapesDiffer):
        dice(TRUTH > 0, TRUTH[1:] > 0)
    with pytest.raises(ShapesDiffer):
        evaluate(TRUTH, PREDICTION, Grid.axial((24, 64, 65)))


def maps() -> st.SearchStrategy[NDArray[np.uint16]]:
    return hnp.arrays(np.uint16, (3, 5, 5), elements=st.integers(0, 4), fill=st.just(0))


@examples(50, deadline=None)
@given(maps(), maps())
def test_counts_of_overlaps_are_those_of_the_voxels(
    a: NDArray[np.uint16], b: NDArray[np.uint16]
) -> None:
    table = overlaps_of(a, b)
    assert table.voxels_a == {n: int((a == n).sum()) for n in range(1, 5) if (a == n).any()}
    assert table.voxels_b == {n: int((b == n).sum()) for n in range(1, 5) if (b == n).any()}
    for i in range(1, 5):
        for j in range(1, 5):
            both = int(((a == i) & (b == j)).sum())
            assert table.shared.get((i, j), 0) == both
            assert table.with_a(i).get(j, 0) == table.with_b(j).get(i, 0) == both


@examples(50, deadline=None)
@given(maps(), maps())
def test_detection_stays_within_its_bounds(a: NDArray[np.uint16], b: NDArray[np.uint16]) -> None:
    result = evaluate(a, b, Grid.axial((3, 5, 5)), prediction_min_sad_mm=1.5)
    kinds = [node.kind for node in result.predictions]
    assert len(kinds) + len(result.dropped) == len(set(b.flat) - {0})
    assert result.false_positives("lenient") <= result.false_positives("strict")
    strict, lenient = result.precision("strict").value, result.precision("lenient").value
    assert strict is None or lenient is None or strict <= lenient
    assert bool(result.localised) == ("TP" in kinds)
    overlap = jaccard(a > 0, b > 0).value
    similarity = dice(a > 0, b > 0).value
    assert (overlap is None) == (similarity is None)
    if overlap is not None and similarity is not None:
        assert similarity == pytest.approx(2 * overlap / (1 + overlap))
