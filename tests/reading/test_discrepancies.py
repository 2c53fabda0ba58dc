"""What counts as a difference between two readings, and what rules settle of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from backend.imaging.grid import Grid
from backend.imaging.nodes import size_group
from backend.reading.discrepancies import (
    Compared,
    Finding,
    Opinion,
    Outcome,
    Read,
    Rules,
    Trigger,
    TriggerKind,
    UnknownRule,
    compare,
)
from backend.reading.protocols import BUILT_IN
from tests.examples import examples
from tests.imaging.conftest import boxes

RULES = Rules.from_definition(BUILT_IN[0]["definition"]["comparison"])
Labels = NDArray[np.uint16]


def read(labels: Labels, **said: Opinion) -> Read:
    """A reading of these labels; `n2=Opinion(…)` says something of label 2."""
    present = [int(n) for n in np.unique(labels) if n]
    opinions = {n: said.get(f"n{n}", Opinion(f"node-{n}")) for n in present}
    return Read(labels, opinions)


def compared(
    first: Read | Labels,
    second: Read | Labels,
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
    **rules: Any,
) -> Compared:
    one, two = (part if isinstance(part, Read) else read(part) for part in (first, second))
    grid = Grid.axial(one.labels.shape, spacing)
    return compare(one, two, grid, replace(RULES, **rules))


def kinds(finding: Finding) -> list[str]:
    return [trigger.kind.value for trigger in finding.triggers]


def one(found: Compared) -> Finding:
    (finding,) = found.findings
    return finding


SHAPE = (10, 40, 60)


def strips(*columns: tuple[int, int]) -> Labels:
    return boxes(SHAPE, *(((0, 10), (0, 10), part) for part in columns))


R1 = strips((0, 10), (11, 21), (30, 40))
R2 = strips((0, 21), (32, 42), (50, 55))


def test_mat_1_clusters_pairs_and_what_each_asks_for() -> None:
    found = compared(R1, R2)
    clusters = {f.cluster.kind: (f.cluster.a, f.cluster.b) for f in found.findings}
    assert clusters == {"n-1": ((1, 2), (1,)), "1-1": ((3,), (2,)), "only-b": ((), (3,))}
    pairs = [(p.pair.a, p.pair.b) for p in found.pairs]
    assert pairs == [(1, 1), (3, 2)]
    assert [p.pair.iou for p in found.pairs] == pytest.approx([0.4761905, 0.6666667], rel=1e-6)
    assert found.union_dice.value == pytest.approx(0.8484848, rel=1e-6)
    assert found.positive_agreement.value == pytest.approx(0.8)
    by_kind = {f.cluster.kind: f for f in found.findings}
    assert kinds(by_kind["n-1"])[0] == "split_merge"
    assert by_kind["n-1"].triggers[0] == Trigger(TriggerKind.SPLIT_MERGE, 2, 1)
    assert kinds(by_kind["only-b"]) == ["presence"]
    assert {f.outcome for f in found.findings if f.triggers} == {Outcome.OPEN}
    assert by_kind["n-1"].dice == pytest.approx(2 * 2000 / (2000 + 2100))


def square(size: int, at: int = 4, shape: tuple[int, int, int] = (6, 40, 40)) -> Labels:
    return boxes(shape, ((1, 5), (at, at + size), (at, at + size)))


@pytest.mark.parametrize(
    ("second", "kind"),
    [
        (boxes((6, 40, 40), ((1, 5), (4, 20), (4, 11)), ((1, 5), (4, 20), (12, 20))), "1-n"),
        (boxes((6, 40, 40), ((1, 5), (4, 12), (4, 20)), ((1, 5), (12, 20), (4, 20))), "1-n"),
    ],
)
def test_a_split_is_open_even_where_the_voxels_together_are_the_same(
    second: Labels, kind: str
) -> None:
    first = square(16)
    finding = one(compared(first, second))
    assert (finding.cluster.kind, kinds(finding)[0]) == (kind, "split_merge")
    mirrored = one(compared(second, first))
    assert mirrored.cluster.kind == "n-1"
    assert finding.outcome == mirrored.outcome == Outcome.OPEN


def test_identical_readings_have_nothing_to_settle() -> None:
    found = compared(R1, R1.copy())
    assert {f.outcome for f in found.findings} == {Outcome.IDENTICAL}
    assert not any(f.triggers for f in found.findings)
    assert not found.settled.any()
    assert found.shapes == {}


def test_two_empty_readings_agree() -> None:
    found = compared(strips(), strips())
    assert (found.findings, found.pairs) == ((), ())
    assert found.positive_agreement.value is None


@pytest.mark.parametrize(("limit", "open_"), [(0.0, True), (0.05, True), (0.1, False)])
def test_borders_apart_by_more_than_the_limit_have_to_be_settled(limit: float, open_: bool) -> None:
    first, second = square(16), square(16)
    second[1:5, 4:20, 20] = 1
    found = one(compared(first, second, border_asd_mm=limit))
    assert (TriggerKind.BORDER.value in kinds(found)) == open_
    assert found.asd_mm is not None
    assert 0.05 < found.asd_mm < 0.1
    exactly = one(compared(first, second, border_asd_mm=found.asd_mm))
    assert TriggerKind.BORDER.value not in kinds(exactly)
    assert exactly.outcome == Outcome.SETTLED


def test_short_axes_apart_by_more_than_the_limit_have_to_be_settled() -> None:
    first, second = square(11), square(14)
    loose = {"border_asd_mm": 9.0, "size_classes_mm": ()}
    finding = one(compared(first, second, **loose))
    assert kinds(finding) == ["short_axis"]
    (trigger,) = finding.triggers
    assert trigger.difference_mm == pytest.approx(abs(trigger.first - trigger.second))
    assert trigger.limit_mm == 2.0
    exactly = finding.sad_difference_mm
    assert exactly is not None
    assert one(compared(first, second, short_axis_mm=exactly, **loose)).triggers == ()
    assert one(compared(first, second, short_axis_mm=exactly - 0.01, **loose)).triggers != ()


def test_another_size_class_has_to_be_settled_however_near() -> None:
    first, second = square(11), square(12)
    near = one(compared(first, second))
    assert near.first is not None
    assert near.second is not None
    lower, upper = near.first.sad_mm, near.second.sad_mm
    assert 0 < upper - lower < 2
    for bound, expected in (
        ((lower + upper) / 2, ["size_class"]),
        (upper, ["size_class"]),
        (lower, []),
    ):
        assert kinds(one(compared(first, second, size_classes_mm=(bound,)))) == expected


@pytest.mark.parametrize("sad_mm", [0.0, 4.999, 5.0, 9.999, 10.0, 14.999, 15.0, 40.0])
def test_the_protocols_size_classes_are_those_of_the_methods(sad_mm: float) -> None:
    assert RULES.size_class(sad_mm) == size_group(sad_mm)


def test_a_one_sided_node_is_ignored_below_the_size_and_open_at_it() -> None:
    node, nothing = square(4), np.zeros_like(square(4))
    for first, second, kind in ((node, nothing, "only-a"), (nothing, node, "only-b")):
        finding = one(compared(first, second))
        part = finding.first or finding.second
        assert part is not None
        assert finding.cluster.kind == kind
        assert kinds(finding) == ["presence"]
        for size, outcome in (
            (part.sad_mm, Outcome.OPEN),
            (np.nextafter(part.sad_mm, 99), Outcome.IGNORED),
        ):
            judged = one(compared(first, second, ignore_below_sad_mm=float(size)))
            assert judged.outcome == outcome


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        ({"impression": "metastatic"}, {}, "impression"),
        ({"impression": "metastatic"}, {"impression": "indeterminate"}, "impression"),
        ({"impression": "non_metastatic"}, {}, None),
        ({"side": "R", "level": "II"}, {"side": "L", "level": "II"}, "level"),
        ({"side": "R", "level": "II"}, {"side": "R", "level": "III"}, "level"),
        ({"side": "R", "level": "II"}, {"side": "R"}, None),
        ({"side": "R", "level": "II"}, {}, None),
        ({"doubt": True}, {}, "doubt"),
        ({"doubt": True}, {"doubt": True}, "doubt"),
    ],
)
def test_words_that_contradict_each_other_have_to_be_settled(
    first: dict[str, Any], second: dict[str, Any], kind: str | None
) -> None:
    labels = square(12)
    sides = [read(labels, n1=Opinion("node", **said)) for said in (first, second)]
    for pair in (sides, sides[::-1]):
        finding = one(compared(pair[0], pair[1]))
        assert kinds(finding) == ([kind] if kind else [])
        assert finding.outcome == (Outcome.OPEN if kind else Outcome.IDENTICAL)
    if kind:
        off = one(compared(sides[0], sides[1], **{kind: False}))
        assert off.triggers == ()


def test_clusters_come_from_the_skull_base_down() -> None:
    labels = boxes((20, 30, 30), *(((z, z + 3), (4, 12), (4, 12)) for z in (2, 14, 8)))
    found = compared(labels, labels.copy())
    assert [f.cluster.a for f in found.findings] == [(2,), (3,), (1,)]


def test_a_voxel_two_settled_shapes_claim_goes_to_the_one_it_lies_deeper_in() -> None:
    first = boxes((3, 30, 60), ((0, 3), (2, 28), (2, 30)), ((0, 3), (2, 28), (31, 58)))
    second = boxes((3, 30, 60), ((0, 3), (2, 28), (2, 31)), ((0, 3), (2, 28), (31, 58)))
    second[:, 2:28, 30:33] = 2
    first[:, 2:28, 30] = 1
    found = compared(first, second, border_asd_mm=9, short_axis_mm=9)
    assert [f.outcome for f in found.findings] == [Outcome.SETTLED] * 2
    for number, finding in enumerate(found.findings, 1):
        both = (first == finding.cluster.a[0]) & (second == finding.cluster.b[0])
        assert (found.settled[both] == number).all()
        assert found.shapes[number].measures.voxels == int((found.settled == number).sum())


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ({"settled_geometry": "staple"}, "no geometry"),
        ({"size_classes_mm": [10, 5]}, "do not ascend"),
        ({"nonsense": 1}, "unknown: .'nonsense'"),
    ],
)
def test_a_protocol_with_rules_unknown_here_is_refused(broken: dict[str, Any], says: str) -> None:
    with pytest.raises(UnknownRule, match=says):
        Rules.from_definition(BUILT_IN[0]["definition"]["comparison"] | broken)
    with pytest.raises(UnknownRule, match="missing"):
        Rules.from_definition({"settled_geometry": "mean_signed_distance"})


@st.composite
def label_maps(draw: st.DrawFn) -> Labels:
    """Up to four boxes, later ones over earlier ones, numbered without gaps that matter."""
    labels = np.zeros((6, 14, 14), np.uint16)
    for number in range(1, draw(st.integers(0, 4)) + 1):
        part = []
        for size in labels.shape:
            start = draw(st.integers(0, size - 2))
            part.append(slice(start, draw(st.integers(start + 1, size))))
        labels[tuple(part)] = number
    return labels


IMPRESSIONS = st.sampled_from(["", "metastatic", "non_metastatic", "indeterminate"])


@st.composite
def reads(draw: st.DrawFn) -> Read:
    labels = draw(label_maps())
    said = {
        f"n{n}": Opinion(f"node-{n}", impression=draw(IMPRESSIONS), doubt=draw(st.booleans()))
        for n in range(1, 5)
    }
    return read(labels, **said)


def facts(found: Compared, *, mirrored: bool = False) -> list[Any]:
    """Everything said of every cluster, with the readers' names exchanged if `mirrored`."""
    told = []
    for finding in found.findings:
        sides = [
            (part.labels, part.sad_mm) if part else None for part in (finding.first, finding.second)
        ]
        triggers = []
        for trigger in finding.triggers:
            values = [trigger.first, trigger.second]
            values = values[::-1] if mirrored else values
            triggers.append((trigger.kind.value, values, trigger.difference_mm, trigger.limit_mm))
        sides = sides[::-1] if mirrored else sides
        numbers = (finding.dice, finding.asd_mm, finding.hd95_mm, finding.sad_difference_mm)
        told.append(repr((sides, numbers, triggers, finding.outcome.value)))
    return sorted(told)


SPACINGS = st.sampled_from([(1.0, 1.0, 1.0), (2.5, 0.8, 0.8)])


@examples(60, deadline=None)
@given(reads(), reads(), SPACINGS)
def test_swapping_the_readers_swaps_what_is_said_of_them_and_nothing_else(
    first: Read, second: Read, spacing: tuple[float, float, float]
) -> None:
    forth = compared(first, second, spacing)
    back = compared(second, first, spacing)
    assert facts(forth) == facts(back, mirrored=True)
    assert forth.union_dice == back.union_dice
    assert facts(compared(first, second, spacing)) == facts(forth)
    assert sum(s.ties for s in forth.shapes.values()) >= 0
    for number, shape in forth.shapes.items():
        finding = forth.findings[number - 1]
        a = np.isin(first.labels, finding.cluster.a)
        b = np.isin(second.labels, finding.cluster.b)
        settled = forth.settled == number
        assert not (a & b & ~settled).any()
        assert not (settled & ~(a | b)).any()
        assert shape.measures.voxels == int(settled.sum()) > 0


@examples(60, deadline=None)
@given(reads(), reads())
def test_every_node_is_in_exactly_one_cluster_and_every_outcome_has_its_reason(
    first: Read, second: Read
) -> None:
    found = compared(first, second)
    for side, given_read in (("a", first), ("b", second)):
        labels = [n for f in found.findings for n in getattr(f.cluster, side)]
        assert sorted(labels) == sorted(given_read.opinions)
    for finding in found.findings:
        if finding.outcome in (Outcome.IDENTICAL, Outcome.SETTLED):
            assert finding.triggers == ()
            assert finding.cluster.kind == "1-1"
        else:
            assert finding.triggers
        if finding.outcome == Outcome.IGNORED:
            assert finding.cluster.one_sided
    settled = {n for n, f in enumerate(found.findings, 1) if f.outcome == Outcome.SETTLED}
    assert set(found.shapes) == settled == {int(n) for n in np.unique(found.settled) if n}


@examples(30, deadline=None)
@given(label_maps())
def test_the_same_voxels_and_the_same_words_leave_nothing_to_settle(labels: Labels) -> None:
    found = compared(labels, labels.copy())
    assert {f.outcome for f in found.findings} <= {Outcome.IDENTICAL}
