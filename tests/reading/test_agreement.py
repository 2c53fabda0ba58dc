"""The agreed mask as pure voxels: whose voxel, whose identity, what holds for any two readers."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from backend.imaging.grid import Grid
from backend.imaging.masks import Manifest, slice_hash
from backend.imaging.matching import match
from backend.imaging.overlap import Mask
from backend.imaging.regions import Region, planes_of, union_of
from backend.reading.agreement import Agreed, Decided, Piece, Source, agree, shapes_of
from backend.reading.sharing import share_out
from tests.examples import examples

SHAPE = (5, 6, 7)
GRID = Grid.axial(SHAPE, (2.0, 1.0, 1.0))
SEED = "a comparison"
NAMES = [str(uuid.UUID(int=n, version=4)) for n in range(1, 40)]
# What mirrors what when the readers change places.
MIRRORED = {Source.FIRST: Source.SECOND, Source.SECOND: Source.FIRST}


def region(*box: tuple[int, int]) -> Region:
    """All voxels of a box."""
    parts = [slice(*part) for part in box]
    size = [part.stop - part.start for part in parts]
    return Region((parts[0], parts[1], parts[2]), np.ones(size, np.bool_))


def piece(label: int, name: str, *box: tuple[int, int]) -> Piece:
    return Piece(label, name, region(*box))


def whole(found: Region) -> Mask:
    """A region on the whole grid."""
    return found.inside((slice(0, SHAPE[0]), slice(0, SHAPE[1]), slice(0, SHAPE[2])))


def one(source: Source, first: Any = (), second: Any = (), drawn: Any = (), number: int = 1) -> Any:
    return Decided(number, source.value, source, tuple(first), tuple(second), tuple(drawn))


A = piece(1, NAMES[0], (0, 2), (0, 3), (0, 3))
B = piece(1, NAMES[1], (1, 3), (1, 4), (1, 4))
FAR = piece(2, NAMES[2], (4, 5), (5, 6), (5, 7))


@pytest.mark.parametrize(
    ("source", "voxels"),
    [
        (Source.FIRST, [18]),
        (Source.SECOND, [18]),
        (Source.UNION, [32]),
        (Source.INTERSECTION, [4]),
        (Source.DRAWN, [2]),
        (Source.OVERLAPPING, [18]),
        (Source.NOTHING, []),
        (Source.IGNORED, []),
    ],
)
def test_each_way_of_settling_leaves_its_shape(source: Source, voxels: list[int]) -> None:
    drawn = {Source.DRAWN: (FAR,), Source.OVERLAPPING: (FAR, A)}.get(source, ())
    agreed = agree([one(source, [A], [B], drawn)], GRID, seed=SEED)
    assert [node.region.voxels for node in agreed.nodes] == voxels
    assert [node.node for node in agreed.nodes] == [A.node] * len(voxels)
    assert [found.region.voxels for found in agreed.ignored] == (
        [32] if source == Source.IGNORED else []
    )


def test_several_nodes_of_one_reader_stay_as_many() -> None:
    agreed = agree([one(Source.FIRST, [A, FAR], [B])], GRID, seed=SEED)
    assert sorted(node.node for node in agreed.nodes) == sorted([A.node, FAR.node])
    assert {node.second for node in agreed.nodes if node.node == FAR.node} == {None}
    assert {node.second for node in agreed.nodes if node.node == A.node} == {B.label}


def test_of_a_split_the_part_that_shares_most_keeps_the_first_readers_identity() -> None:
    small, large = (
        piece(1, NAMES[3], (0, 1), (0, 1), (0, 3)),
        piece(2, NAMES[4], (1, 2), (0, 3), (0, 3)),
    )
    agreed = agree([one(Source.SECOND, [A], [small, large])], GRID, seed=SEED)
    assert {node.region.voxels: node.node for node in agreed.nodes} == {3: NAMES[3], 9: NAMES[0]}


def test_of_a_merge_the_largest_node_of_the_first_reader_gives_the_name() -> None:
    small = piece(3, NAMES[5], (2, 3), (0, 1), (0, 1))
    agreed = agree([one(Source.UNION, [small, A], [B])], GRID, seed=SEED)
    assert [node.node for node in agreed.nodes] == [A.node]


def test_an_identity_that_two_nodes_had_stays_with_the_first_reader() -> None:
    """Both readers cut the AI's node in half, and each kept the other half under its name."""
    low, high = (
        piece(1, NAMES[0], (0, 2), (0, 2), (0, 2)),
        piece(1, NAMES[0], (3, 5), (0, 2), (0, 2)),
    )
    decided = [one(Source.FIRST, [low]), one(Source.SECOND, [], [high], number=2)]
    agreed = agree(decided, GRID, seed=SEED)
    by_cluster = {node.cluster: node for node in agreed.nodes}
    assert (by_cluster[1].node, by_cluster[1].minted) == (NAMES[0], False)
    assert by_cluster[2].minted
    assert by_cluster[2].node not in NAMES
    again = agree(list(reversed(decided)), GRID, seed=SEED)
    assert again == agreed
    assert agree(decided, GRID, seed="another")  # Another comparison mints another.
    assert {n.node for n in agree(decided, GRID, seed="another").nodes} != {
        n.node for n in agreed.nodes
    }


def test_nodes_of_the_ai_alone_keep_the_ais_identity() -> None:
    halves = [
        piece(7, NAMES[6], (0, 1), (0, 3), (0, 3)),
        piece(8, NAMES[7], (1, 2), (0, 3), (0, 3)),
    ]
    agreed = agree([one(Source.OVERLAPPING, [A], [], halves)], GRID, seed=SEED)
    assert {node.node for node in agreed.nodes} == {A.node, NAMES[6]}
    assert not any(node.minted for node in agreed.nodes)


def test_nodes_are_numbered_from_the_skull_base_down() -> None:
    agreed = agree([one(Source.FIRST, [A, FAR]), one(Source.FIRST, [B], number=2)], GRID, seed=SEED)
    heights = [node.region.place(GRID)[0] for node in agreed.nodes]
    assert heights == sorted(heights)
    assert [node.number for node in agreed.nodes] == [1, 2, 3]


def test_what_is_agreed_is_never_ignored() -> None:
    decided = [one(Source.FIRST, [A]), one(Source.IGNORED, [], [B], number=2)]
    agreed = agree(decided, GRID, seed=SEED)
    assert agreed.ignored[0].region.voxels == 18 - 4
    assert agreed.ignored[0].cluster == 2
    assert agreed.contested_voxels == 0


def test_a_contested_voxel_goes_to_the_shape_it_lies_deeper_in() -> None:
    grid = Grid.axial((1, 3, 9))
    left, right = region((0, 1), (0, 3), (0, 6)), region((0, 1), (0, 3), (5, 8))
    shares = share_out([left, right], grid.spacing_mm)
    assert shares.contested == 3
    # At column 5 both are one voxel from their end: the first has it.
    assert [kept.voxels for kept in shares.kept if kept] == [18, 6]
    wide = region((0, 1), (0, 3), (4, 9))
    shares = share_out([left, wide], grid.spacing_mm)
    kept = [np.argwhere(kept.mask) + kept.corner for kept in shares.kept if kept]
    assert 4 in kept[0][:, 2]
    assert 5 in kept[1][:, 2] or 5 in kept[0][:, 2]


def test_a_shape_inside_another_takes_its_voxels_back() -> None:
    outer, inner = region((0, 1), (0, 5), (0, 5)), region((0, 1), (2, 3), (2, 3))
    shares = share_out([outer, inner], (1.0, 1.0, 1.0))
    assert [kept.voxels for kept in shares.kept if kept] == [24, 1]


def test_of_two_equal_shapes_the_second_is_covered_and_told_of() -> None:
    shares = share_out([A.region, A.region], (1.0, 1.0, 1.0))
    assert [kept and kept.voxels for kept in shares.kept] == [18, None]
    decided = [one(Source.FIRST, [A]), one(Source.DRAWN, [FAR], [], [A], number=2)]
    agreed = agree(decided, GRID, seed=SEED)
    assert [node.cluster for node in agreed.nodes] == [1]
    assert (agreed.covered, agreed.contested_voxels) == ((2,), 18)


@st.composite
def label_maps(draw: st.DrawFn) -> np.ndarray[Any, Any]:
    """Up to four nodes as boxes that meet, or any labels anywhere."""
    if draw(st.booleans()):
        return draw(arrays(np.uint16, SHAPE, elements=st.integers(0, 4), fill=st.just(0)))
    labels = np.zeros(SHAPE, np.uint16)
    for label in range(1, 5):
        corner = [draw(st.integers(0, size - 1)) for size in SHAPE]
        z, y, x = (slice(at, at + draw(st.integers(1, 4))) for at in corner)
        labels[z, y, x] = label
    return labels


LABELS = label_maps()


@st.composite
def settled(draw: st.DrawFn) -> list[Decided]:
    """Two random readers, their clusters, and a random way to settle each."""
    first, second, third = draw(LABELS), draw(LABELS), draw(LABELS)
    names = draw(st.permutations(NAMES[:12]))
    own = {side: dict(enumerate(names[4 * side : 4 * side + 4], 1)) for side in range(3)}
    if draw(st.booleans()):  # Both began with the same nodes of the AI.
        own[1] = own[2] = own[0]
    pieces = [_pieces(labels, own[side]) for side, labels in enumerate((first, second, third))]
    clusters = match(first, second, edge_share=0.4, pair_iou=0.1).clusters
    decided = []
    for number, cluster in enumerate(clusters, 1):
        source = draw(st.sampled_from(list(Source)))
        drawn: tuple[Piece, ...] = ()
        if source == Source.OVERLAPPING:
            drawn = tuple(pieces[2].values())
        elif source == Source.DRAWN:
            drawn = tuple(draw(st.sampled_from([(p,) for p in pieces[2].values()] or [()])))
        one_side = tuple(pieces[0][label] for label in cluster.a)
        other = tuple(pieces[1][label] for label in cluster.b)
        decided.append(Decided(number, source.value, source, one_side, other, drawn))
    return decided


def _pieces(labels: np.ndarray[Any, Any], names: Mapping[int, str]) -> dict[int, Piece]:
    found = {label: Region.of(labels == label) for label in names}
    return {label: Piece(label, names[label], r) for label, r in found.items() if r is not None}


def hash_of(agreed: Agreed) -> str:
    planes = planes_of({node.number: node.region for node in agreed.nodes}, SHAPE)
    return Manifest(
        "0" * 64,
        {index: slice_hash(plane) for index, plane in planes.items()},
        {node.number: node.node for node in agreed.nodes},
    ).hash


@given(settled())
@examples(150, deadline=None)
def test_every_agreed_voxel_was_claimed_and_every_claimed_one_is_agreed(
    decided: list[Decided],
) -> None:
    agreed = agree(decided, GRID, seed=SEED)
    claims = {
        cluster.number: union_of([shape for shape, _ in shapes_of(cluster)]) for cluster in decided
    }
    total = np.zeros(SHAPE, np.int64)
    for node in agreed.nodes:
        claim = claims[node.cluster]
        assert claim is not None
        assert not (whole(node.region) & ~whole(claim)).any()
        total += whole(node.region)
    assert total.max(initial=0) <= 1
    everything = union_of([claim for claim in claims.values() if claim is not None])
    assert int(total.sum()) == (everything.voxels if everything else 0)
    for found in agreed.ignored:
        assert not (whole(found.region) & (total > 0)).any()


@given(settled())
@examples(150, deadline=None)
def test_no_node_is_lost_unless_it_is_covered_and_no_identity_is_used_twice(
    decided: list[Decided],
) -> None:
    agreed = agree(decided, GRID, seed=SEED)
    wanted = sum(len(shapes_of(cluster)) for cluster in decided)
    kept = {cluster.number: 0 for cluster in decided}
    for node in agreed.nodes:
        kept[node.cluster] += 1
    short = {c.number for c in decided if kept[c.number] < len(shapes_of(c))}
    assert short == set(agreed.covered)
    assert wanted >= len(agreed.nodes)
    names = [node.node for node in agreed.nodes] + [found.node for found in agreed.ignored]
    assert len(names) == len(set(names))
    for number in agreed.covered:
        shapes = [shape for c in decided if c.number == number for shape, _ in shapes_of(c)]
        holders = [node.region for node in agreed.nodes]
        assert any(
            all(not held.shared(shape) or held.shared(shape) == held.voxels for held in holders)
            for shape in shapes
        )


@given(settled())
@examples(150, deadline=None)
def test_it_is_the_same_again_and_swapping_the_readers_changes_names_alone(
    decided: list[Decided],
) -> None:
    agreed = agree(decided, GRID, seed=SEED)
    assert hash_of(agree(decided, GRID, seed=SEED)) == hash_of(agreed)
    swapped = [
        replace(c, source=MIRRORED.get(c.source, c.source), first=c.second, second=c.first)
        for c in decided
    ]
    mirror = agree(swapped, GRID, seed=SEED)
    assert len(mirror.nodes) == len(agreed.nodes)
    for here, there in zip(agreed.nodes, mirror.nodes, strict=True):
        assert np.array_equal(whole(here.region), whole(there.region))
        assert (here.cluster, here.first, here.second) == (there.cluster, there.second, there.first)
    assert mirror.contested_voxels == agreed.contested_voxels
    assert mirror.covered == agreed.covered
    for one_there, other in zip(agreed.ignored, mirror.ignored, strict=True):
        assert np.array_equal(whole(one_there.region), whole(other.region))
