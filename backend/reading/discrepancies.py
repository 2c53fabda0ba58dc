"""What two submitted readings disagree on, and what rules settle of it (METHODS.md §5.1). Pure.

Nodes of both readers that overlap form clusters. What is compared within a cluster is the union of
each reader's nodes, which for a 1-1 cluster are the nodes themselves. A difference of millimetres
counts when it exceeds the protocol's limit; a difference exactly at the limit is within tolerance.
A short axis exactly at a size threshold belongs to the upper class, as in METHODS.md §1.4, so a
one-sided node exactly at the protocol's size is not ignored.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

import numpy as np

from backend.imaging.fusion import (
    MEAN_SIGNED_DISTANCE,
    Distances,
    mean_distance_mm,
    mean_shape,
)
from backend.imaging.grid import Grid
from backend.imaging.masks import Labels
from backend.imaging.matching import Cluster, Pair, match
from backend.imaging.nodes import NodeMeasures, label_boxes, measure_node
from backend.imaging.overlap import Mask, Metric
from backend.imaging.surfaces import surface_distances

Box: TypeAlias = tuple[slice, slice, slice]

ROUNDING_MM = 1e-9
# A node without a word is not marked metastatic, and that is all `non_metastatic` says.
NOT_MARKED = "non_metastatic"


class UnknownRule(ValueError):
    """The protocol names a rule this version does not know. Correct the protocol's definition."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"{detail} Correct the protocol's definition.")


class TriggerKind(StrEnum):
    """Why something has to be settled."""

    PRESENCE = "presence"
    SPLIT_MERGE = "split_merge"
    BORDER = "border"
    SHORT_AXIS = "short_axis"
    SIZE_CLASS = "size_class"
    IMPRESSION = "impression"
    LEVEL = "level"
    DOUBT = "doubt"


class Outcome(StrEnum):
    """What becomes of a cluster before any person has looked at it."""

    IDENTICAL = "identical"
    SETTLED = "settled"
    IGNORED = "ignored"
    OPEN = "open"


@dataclass(frozen=True)
class Rules:
    """When two opinions differ, and what may be settled without asking anyone.

    Attributes:
        edge_share, pair_iou: of `imaging.matching.match`.
        ignore_below_sad_mm: a one-sided node with a smaller short axis is ignored.
        border_asd_mm, short_axis_mm: largest average surface distance and difference of short
            axes within tolerance, mm.
        size_classes_mm: ascending lower bounds of the size classes above the first.
        impression, level, doubt: whether these are compared at all.
    """

    edge_share: float
    pair_iou: float
    ignore_below_sad_mm: float
    border_asd_mm: float
    short_axis_mm: float
    size_classes_mm: tuple[float, ...]
    impression: bool = True
    level: bool = True
    doubt: bool = True

    @classmethod
    def from_definition(cls, value: Mapping[str, Any]) -> Rules:
        """The rules as a protocol's `comparison` says them; raises `UnknownRule`."""
        given = dict(value)
        geometry = given.pop("settled_geometry", None)
        if geometry != MEAN_SIGNED_DISTANCE:
            raise UnknownRule(f"There is no geometry {geometry!r} to settle by.")
        missing = {n for n, f in cls.__dataclass_fields__.items() if f.init} - set(given)
        odd = set(given) - set(cls.__dataclass_fields__)
        if missing or odd:
            raise UnknownRule(f"Rules missing: {sorted(missing)}; unknown: {sorted(odd)}.")
        classes = tuple(float(bound) for bound in given.pop("size_classes_mm"))
        if list(classes) != sorted(set(classes)):
            raise UnknownRule(f"The size classes {list(classes)} do not ascend.")
        return cls(size_classes_mm=classes, **given)

    def size_class(self, sad_mm: float) -> str:
        """The class of an unrounded short axis: `lt5`, `5-9`, `10-14`, `ge15`."""
        bounds = self.size_classes_mm
        place = bisect_right(bounds, sad_mm)
        if place == 0:
            return f"lt{bounds[0]:g}" if bounds else "all"
        if place == len(bounds):
            return f"ge{bounds[-1]:g}"
        return f"{bounds[place - 1]:g}-{bounds[place] - 1:g}"


@dataclass(frozen=True)
class Opinion:
    """What a reader says of one node beside its voxels; "" where nothing was said."""

    node: str
    impression: str = ""
    side: str = ""
    level: str = ""
    doubt: bool = False


@dataclass(frozen=True)
class Read:
    """One submitted reading: its effective label map, and an opinion for every label in it.

    `labels` is ``(slices, rows, columns)``; both readings of a comparison lie on one grid.
    """

    labels: Labels
    opinions: Mapping[int, Opinion]


@dataclass(frozen=True)
class Trigger:
    """One reason to settle: what either reader has, and by how much it differs.

    Attributes:
        first, second: each reader's value: a short axis in mm, a class, a count of nodes, or
            words; None where a reader has nothing.
        difference_mm, limit_mm: of the triggers in millimetres.
    """

    kind: TriggerKind
    first: Any = None
    second: Any = None
    difference_mm: float | None = None
    limit_mm: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The trigger as it is kept."""
        return {
            "kind": self.kind.value,
            "first": self.first,
            "second": self.second,
            "difference_mm": self.difference_mm,
            "limit_mm": self.limit_mm,
        }


@dataclass(frozen=True)
class Part:
    """One reader's share of a cluster: label numbers, and measures of their union."""

    labels: tuple[int, ...]
    measures: NodeMeasures

    @property
    def sad_mm(self) -> float:
        """Short axis of the union, mm."""
        return self.measures.sad_mm


@dataclass(frozen=True)
class Finding:
    """A cluster, measured and judged.

    Attributes:
        cluster: labels of either reader (`a` the first), shared and united voxels.
        box: of all its voxels, half-open.
        first, second: either reader's part; None where one has nothing.
        dice, asd_mm, hd95_mm, sad_difference_mm: between the parts; None where one-sided.
        triggers: why it has to be settled; empty within all tolerances.
        outcome: what the rules make of it.
    """

    cluster: Cluster
    box: Box
    first: Part | None
    second: Part | None
    dice: float | None
    asd_mm: float | None
    hd95_mm: float | None
    sad_difference_mm: float | None
    triggers: tuple[Trigger, ...]
    outcome: Outcome


@dataclass(frozen=True)
class PairFinding:
    """A one-to-one pair of nodes (METHODS.md §5.1.2) and how far the two are apart, mm."""

    pair: Pair
    asd_mm: float
    sad_difference_mm: float


@dataclass(frozen=True)
class Settled:
    """The shape a rule gives a 1-1 cluster.

    Attributes:
        number: its label in the settled label map: the 1-based place of the finding.
        ties: voxels at equal distance, where the first reader decided.
    """

    number: int
    measures: NodeMeasures
    ties: int


@dataclass(frozen=True)
class Compared:
    """The comparison of two readings.

    Attributes:
        findings: one per cluster, from the skull base down.
        pairs: one-to-one pairs, ascending by the first reader's label.
        union_dice: Dice of all nodes of either.
        positive_agreement: F1 of the clusters.
        settled: label map of what was settled by rule; labels are those of `shapes`.
        shapes: place of the finding → its settled shape.
    """

    findings: tuple[Finding, ...]
    pairs: tuple[PairFinding, ...]
    union_dice: Metric
    positive_agreement: Metric
    settled: Labels = field(repr=False)
    shapes: Mapping[int, Settled]


def compare(first: Read, second: Read, grid: Grid, rules: Rules) -> Compared:
    """Compare two submitted readings by a protocol's rules.

    Swapping the readers swaps what is said of them and nothing else, except for voxels of settled
    shapes at equal distance from both borders, which go to the first.

    Raises:
        ShapesDiffer: when the label maps do not lie on one grid.
    """
    found = match(first.labels, second.labels, edge_share=rules.edge_share, pair_iou=rules.pair_iou)
    desk = _Desk(first, second, grid)
    findings = sorted(
        (_judge(cluster, desk, rules) for cluster in found.clusters),
        key=lambda finding: _place(finding, grid),
    )
    settled, shapes = _settle(desk, findings)
    return Compared(
        findings=tuple(findings),
        pairs=tuple(_pair(pair, desk) for pair in found.pairs),
        union_dice=found.union_dice,
        positive_agreement=found.positive_agreement,
        settled=settled,
        shapes=shapes,
    )


class _Desk:
    """Both label maps with the boxes of their labels, to look at one place at a time."""

    def __init__(self, first: Read, second: Read, grid: Grid) -> None:
        self.first, self.second, self.grid = first, second, grid
        self._boxes = label_boxes(first.labels), label_boxes(second.labels)

    def box(self, in_first: Sequence[int], in_second: Sequence[int]) -> Box:
        """The box of some labels of either map, of which there is at least one."""
        boxes = [self._boxes[0][n] for n in in_first] + [self._boxes[1][n] for n in in_second]
        parts = [
            slice(min(box[axis].start for box in boxes), max(box[axis].stop for box in boxes))
            for axis in range(3)
        ]
        return (parts[0], parts[1], parts[2])

    def masks(self, box: Box, in_first: Sequence[int], in_second: Sequence[int]) -> list[Mask]:
        """Where, inside the box, either reader has one of these labels."""
        return [
            np.isin(self.first.labels[box], in_first),
            np.isin(self.second.labels[box], in_second),
        ]

    def measure(self, mask: Mask, box: Box) -> NodeMeasures:
        """The measures of what lies in a box."""
        offset = (box[0].start, box[1].start, box[2].start)
        return measure_node(mask, self.grid, offset=offset)


def _place(finding: Finding, grid: Grid) -> tuple[Any, ...]:
    """From the skull base down, then along y and x; the same whoever is the first."""
    centre = [(part.start + part.stop - 1) / 2 for part in finding.box]
    x, y, z = grid.to_patient(centre[0], centre[1], centre[2])
    names = sorted((finding.cluster.a, finding.cluster.b))
    return (-round(z, 6), round(y, 6), round(x, 6), finding.cluster.union_voxels, names)


def _judge(cluster: Cluster, desk: _Desk, rules: Rules) -> Finding:
    box = desk.box(cluster.a, cluster.b)
    a, b = desk.masks(box, cluster.a, cluster.b)
    one = Part(cluster.a, desk.measure(a, box)) if cluster.a else None
    two = Part(cluster.b, desk.measure(b, box)) if cluster.b else None
    words = _word_triggers(
        [desk.first.opinions[label] for label in cluster.a],
        [desk.second.opinions[label] for label in cluster.b],
        rules,
    )
    if one is None or two is None:
        return _one_sided(cluster, box, one, two, words, rules)
    apart = surface_distances(a, b, desk.grid.spacing_mm, nsd_tolerances_mm=())
    asd_mm = float(apart.assd.value or 0.0)
    split = []
    if cluster.kind != "1-1":
        split = [Trigger(TriggerKind.SPLIT_MERGE, len(cluster.a), len(cluster.b))]
    triggers = (*split, *_size_triggers(one, two, asd_mm, rules), *words)
    identical = cluster.shared_voxels == cluster.union_voxels
    within = Outcome.IDENTICAL if identical else Outcome.SETTLED
    return Finding(
        cluster=cluster,
        box=box,
        first=one,
        second=two,
        dice=2 * cluster.shared_voxels / (cluster.union_voxels + cluster.shared_voxels),
        asd_mm=asd_mm,
        hd95_mm=float(apart.hd95.value or 0.0),
        sad_difference_mm=abs(one.sad_mm - two.sad_mm),
        triggers=triggers,
        outcome=Outcome.OPEN if triggers else within,
    )


def _one_sided(
    cluster: Cluster,
    box: Box,
    one: Part | None,
    two: Part | None,
    words: Sequence[Trigger],
    rules: Rules,
) -> Finding:
    sads = [part.sad_mm for part in (one, two) if part is not None]
    presence = Trigger(
        TriggerKind.PRESENCE,
        first=one.sad_mm if one else None,
        second=two.sad_mm if two else None,
        limit_mm=rules.ignore_below_sad_mm,
    )
    return Finding(
        cluster=cluster,
        box=box,
        first=one,
        second=two,
        dice=None,
        asd_mm=None,
        hd95_mm=None,
        sad_difference_mm=None,
        triggers=(presence, *words),
        outcome=Outcome.IGNORED if max(sads) < rules.ignore_below_sad_mm else Outcome.OPEN,
    )


def _size_triggers(one: Part, two: Part, asd_mm: float, rules: Rules) -> Iterable[Trigger]:
    if asd_mm > rules.border_asd_mm + ROUNDING_MM:
        yield Trigger(TriggerKind.BORDER, difference_mm=asd_mm, limit_mm=rules.border_asd_mm)
    difference = abs(one.sad_mm - two.sad_mm)
    if difference > rules.short_axis_mm + ROUNDING_MM:
        yield Trigger(
            TriggerKind.SHORT_AXIS, one.sad_mm, two.sad_mm, difference, rules.short_axis_mm
        )
    classes = rules.size_class(one.sad_mm), rules.size_class(two.sad_mm)
    if classes[0] != classes[1]:
        yield Trigger(TriggerKind.SIZE_CLASS, *classes, difference_mm=difference)


def _word_triggers(one: Sequence[Opinion], two: Sequence[Opinion], rules: Rules) -> list[Trigger]:
    """Differences of what was said; of a group, everything said of its nodes together.

    A side or level that only one reader named contradicts nothing.
    """
    found = []
    if rules.impression and one and two:
        said = [sorted({o.impression or NOT_MARKED for o in part}) for part in (one, two)]
        if said[0] != said[1]:
            found.append(Trigger(TriggerKind.IMPRESSION, said[0], said[1]))
    if rules.level:
        sides = [{o.side for o in part if o.side} for part in (one, two)]
        levels = [{o.level for o in part if o.level} for part in (one, two)]
        if any(a and b and a != b for a, b in (sides, levels)):
            named = [sorted({f"{o.side} {o.level}".strip() for o in part}) for part in (one, two)]
            found.append(Trigger(TriggerKind.LEVEL, named[0], named[1]))
    if rules.doubt and any(o.doubt for o in (*one, *two)):
        doubts = [any(o.doubt for o in part) for part in (one, two)]
        found.append(Trigger(TriggerKind.DOUBT, doubts[0], doubts[1]))
    return found


def _pair(pair: Pair, desk: _Desk) -> PairFinding:
    box = desk.box((pair.a,), (pair.b,))
    a, b = desk.masks(box, (pair.a,), (pair.b,))
    apart = surface_distances(a, b, desk.grid.spacing_mm, nsd_tolerances_mm=())
    difference_mm = abs(desk.measure(a, box).sad_mm - desk.measure(b, box).sad_mm)
    return PairFinding(pair, float(apart.assd.value or 0.0), difference_mm)


def _settle(desk: _Desk, findings: Sequence[Finding]) -> tuple[Labels, dict[int, Settled]]:
    """The shapes of all 1-1 clusters within tolerance, in one label map.

    A voxel that two shapes claim goes to the one it lies deeper in, or else to the earlier. No
    voxel that both readers gave to one node can be claimed by another.
    """
    settled = np.zeros(desk.first.labels.shape, np.uint16)
    means: dict[int, Distances] = {}
    for number, finding in enumerate(findings, 1):
        if finding.outcome != Outcome.SETTLED:
            continue
        box = finding.box
        a, b = desk.masks(box, finding.cluster.a, finding.cluster.b)
        means[number] = mean_distance_mm(a, b, desk.grid.spacing_mm)
        shape = mean_shape(means[number], a)
        for index in np.argwhere(shape & (settled[box] != 0)):
            at = tuple(int(i) + part.start for i, part in zip(index, box, strict=True))
            other = int(settled[at])
            corner = findings[other - 1].box
            there = tuple(i - part.start for i, part in zip(at, corner, strict=True))
            if means[number][tuple(index)] >= means[other][there]:
                shape[tuple(index)] = False
        settled[box][shape] = number
    shapes = {}
    for number, mean in means.items():
        box = findings[number - 1].box
        shape = settled[box] == number
        ties = int(np.count_nonzero(shape & (mean == 0)))
        shapes[number] = Settled(number, desk.measure(shape, box), ties)
    return settled, shapes
