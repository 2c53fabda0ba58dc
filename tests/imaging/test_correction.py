"""What the reader did to the model's nodes: vectors COR and the identity that must hold."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from backend.imaging.correction import account
from tests.examples import examples
from tests.imaging.conftest import boxes

SHAPE = (12, 60, 80)


def nodes(*areas: tuple[tuple[int, int], tuple[int, int]]) -> NDArray[np.uint16]:
    return boxes(SHAPE, *(((2, 8), rows, columns) for rows, columns in areas))


OFFERED = nodes(
    ((2, 10), (2, 10)),
    ((2, 10), (20, 28)),
    ((2, 6), (40, 44)),
    ((20, 28), (2, 10)),
    ((20, 28), (12, 20)),
    ((20, 28), (40, 56)),
)
FINAL = nodes(
    ((2, 10), (2, 10)),
    ((2, 10), (20, 30)),
    ((20, 28), (2, 20)),
    ((20, 28), (40, 47)),
    ((20, 28), (49, 56)),
    ((40, 46), (2, 8)),
)


def test_cor_1_the_account_of_a_correction() -> None:
    result = account(OFFERED, FINAL)
    assert result.rejected == (3,)
    assert result.added == (6,)
    assert (result.split_gain, result.merge_loss) == (1, 1)
    assert len(result.final) == 6 - 1 + 1 + 1 - 1
    assert list(result.initial_sensitivity.values()) == pytest.approx(
        [1, 0.8, 0.8888889, 1, 1, 0], rel=1e-6
    )
    assert result.reshaped == (2, 4, 5, 6)
    assert result.reshaped_fraction.value == pytest.approx(4 / 5)
    assert result.median_initial_sensitivity().value == pytest.approx(1.0)
    assert result.median_initial_sensitivity(ai_origin_only=False).value == pytest.approx(
        0.9444, abs=5e-5
    )
    assert result.dice.value == pytest.approx(0.8803828, rel=1e-6)
    assert result.retention.value == result.coverage.value == pytest.approx(5 / 6)
    assert result.localisation_recall.value == pytest.approx(5 / 6)


def test_cor_2_the_published_counts_balance() -> None:
    offered = np.zeros((1, 100, 100), np.uint16)
    offered.flat[:3798] = np.arange(1, 3799)
    final = np.zeros_like(offered)
    final.flat[868 : 868 + 3656] = np.arange(1, 3657)
    result = account(offered, final)
    assert (len(result.rejected), len(result.added)) == (868, 726)
    assert (result.split_gain, result.merge_loss) == (0, 0)
    assert 3798 - 868 + 726 == len(result.final) == 3656
    assert result.retention.value == pytest.approx(0.771, abs=5e-4)
    assert result.coverage.value == pytest.approx(0.801, abs=5e-4)


def test_a_node_moved_right_off_its_place_keeps_its_identity() -> None:
    offered = nodes(((2, 10), (2, 10)))
    final = nodes(((2, 10), (20, 28)))
    apart = account(offered, final)
    assert (apart.rejected, apart.added) == ((1,), (1,))
    same = account(offered, final, same_node=[(1, 1), (7, 1)])
    assert (same.rejected, same.added) == ((), ())
    assert same.reshaped == (1,)
    assert same.initial_sensitivity == {1: 0}


def test_an_untouched_reading_is_not_reshaped() -> None:
    result = account(OFFERED, OFFERED)
    assert result.reshaped == ()
    assert result.reshaped_fraction.value == 0
    assert (result.voxels_added, result.voxels_removed) == (0, 0)


def test_nothing_offered_or_nothing_kept_is_null_with_a_reason() -> None:
    empty = np.zeros(SHAPE, np.uint16)
    scratch = account(empty, FINAL)
    assert scratch.retention.reason == "NO_PREDICTION"
    assert scratch.median_initial_sensitivity().reason == "NO_TRUTH"
    assert scratch.median_initial_sensitivity(ai_origin_only=False).value == 0
    cleared = account(OFFERED, empty)
    assert cleared.coverage.reason == "NO_TRUTH"
    assert cleared.reshaped_fraction.reason == "NO_PREDICTION"
    assert len(cleared.rejected) == 6


def test_an_account_is_json() -> None:
    data = json.loads(json.dumps(account(OFFERED, FINAL).to_json()))
    assert data["rejected"] == [3]
    assert data["initial_sensitivity"]["6"] == 0


def maps() -> st.SearchStrategy[NDArray[np.uint16]]:
    return hnp.arrays(np.uint16, (2, 4, 6), elements=st.integers(0, 5), fill=st.just(0))


@examples(100, deadline=None)
@given(maps(), maps(), st.lists(st.tuples(st.integers(1, 5), st.integers(1, 5)), max_size=3))
def test_the_identity_holds_on_any_two_masks(
    offered: NDArray[np.uint16], final: NDArray[np.uint16], same: list[tuple[int, int]]
) -> None:
    result = account(offered, final, same_node=same)
    degree_a = [sum(a == label for a, _ in result.links) for label in result.offered]
    degree_g = [sum(g == label for _, g in result.links) for label in result.final]
    assert result.split_gain == sum(degree - 1 for degree in degree_a if degree)
    assert result.merge_loss == sum(degree - 1 for degree in degree_g if degree)
    assert len(result.final) == (
        len(result.offered)
        - len(result.rejected)
        + len(result.added)
        + result.split_gain
        - result.merge_loss
    )
