"""Matching two readers' nodes: vector MAT-1 and the kinds of clusters."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from backend.imaging.matching import match
from tests.examples import examples
from tests.imaging.conftest import boxes

SHAPE = (10, 40, 60)


def strips(*columns: tuple[int, int]) -> NDArray[np.uint16]:
    return boxes(SHAPE, *(((0, 10), (0, 10), part) for part in columns))


R1 = strips((0, 10), (11, 21), (30, 40))
R2 = strips((0, 21), (32, 42), (50, 55))


def test_mat_1_pairs_are_the_best_assignment_without_empty_ones() -> None:
    pairs = match(R1, R2).pairs
    assert [(pair.a, pair.b) for pair in pairs] == [(1, 1), (3, 2)]
    assert [pair.iou for pair in pairs] == pytest.approx([0.47619, 0.66667], abs=1e-5)


def test_mat_1_groups_follow_the_overlap_graph() -> None:
    result = match(R1, R2)
    assert [(c.a, c.b, c.kind) for c in result.clusters] == [
        ((1, 2), (1,), "n-1"),
        ((3,), (2,), "1-1"),
        ((), (3,), "only-b"),
    ]
    assert (result.agreed, len(result.clusters)) == (2, 3)
    assert result.union_dice.value == pytest.approx(0.8484848, rel=1e-6)
    assert result.positive_agreement.value == pytest.approx(4 / 5)
    assert result.unpaired(result.clusters[0]) == ((2,), ())


@pytest.mark.parametrize(
    ("a", "b", "kind"),
    [
        (strips((0, 10)), strips((0, 10)), "1-1"),
        (strips((0, 20)), strips((0, 9), (10, 20)), "1-n"),
        (strips((0, 9), (10, 20)), strips((0, 20)), "n-1"),
        (strips((0, 10), (10, 20)), strips((0, 4), (5, 15), (16, 20)), "n-m"),
        (strips((0, 10)), strips(), "only-a"),
        (strips(), strips((0, 10)), "only-b"),
    ],
)
def test_clusters_are_typed_by_how_many_nodes_each_side_has(
    a: NDArray[np.uint16], b: NDArray[np.uint16], kind: str
) -> None:
    assert [cluster.kind for cluster in match(a, b).clusters] == [kind]


def test_an_edge_needs_four_tenths_of_either_node() -> None:
    at = match(strips((0, 10)), strips((6, 26)))
    below = match(strips((0, 10)), strips((7, 27)))
    assert [c.kind for c in at.clusters] == ["1-1"]
    assert [c.kind for c in below.clusters] == ["only-a", "only-b"]
    assert at.clusters[0].shared_voxels == 400
    assert at.clusters[0].union_voxels == 2600


def test_a_pair_needs_a_tenth_of_the_union() -> None:
    assert match(strips((0, 10)), strips((8, 18))).pairs[0].iou == pytest.approx(2 / 18)
    assert match(strips((0, 10)), strips((9, 19))).pairs == ()


def test_two_empty_masks_match_without_a_number() -> None:
    result = match(strips(), strips())
    assert result.clusters == ()
    assert result.union_dice.value is None
    assert result.positive_agreement.value is None


def test_a_matching_is_json() -> None:
    data = json.loads(json.dumps(match(R1, R2).to_json()))
    assert data["clusters"][0]["kind"] == "n-1"
    assert data["pairs"][1]["a"] == 3


def maps() -> st.SearchStrategy[NDArray[np.uint16]]:
    return hnp.arrays(np.uint16, (2, 4, 6), elements=st.integers(0, 5), fill=st.just(0))


@examples(80, deadline=None)
@given(maps(), maps())
def test_matching_is_symmetric(a: NDArray[np.uint16], b: NDArray[np.uint16]) -> None:
    one, other = match(a, b), match(b, a)
    assert {(c.a, c.b, c.union_voxels) for c in one.clusters} == {
        (c.b, c.a, c.union_voxels) for c in other.clusters
    }
    assert one.positive_agreement == other.positive_agreement
    assert one.union_dice == other.union_dice
    assert (one.agreed, one.only_a, one.only_b) == (other.agreed, other.only_b, other.only_a)


@examples(80, deadline=None)
@given(maps(), maps())
def test_every_node_is_in_one_cluster_and_in_at_most_one_pair(
    a: NDArray[np.uint16], b: NDArray[np.uint16]
) -> None:
    result = match(a, b)
    in_clusters = [label for cluster in result.clusters for label in cluster.a]
    assert sorted(in_clusters) == sorted(set(a.flat) - {0})
    assert len({pair.a for pair in result.pairs}) == len(result.pairs)
    assert len({pair.b for pair in result.pairs}) == len(result.pairs)
    assert all(pair.iou >= 0.1 for pair in result.pairs)
