"""Which nodes of two readers are the same (METHODS.md §5.1).

Groups of overlapping nodes are the unit of detection agreement, because readers split bulky disease
differently; one-to-one pairs within them are the unit of Dice, size and label agreement.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, TypeAlias

import numpy as np
from scipy.optimize import linear_sum_assignment

from backend.imaging.overlap import LabelMap, Metric, Overlaps, exact, overlaps_of, reaches

ClusterKind: TypeAlias = Literal["1-1", "1-n", "n-1", "n-m", "only-a", "only-b"]

EDGE_SHARE = 0.4
PAIR_IOU = 0.1


@dataclass(frozen=True)
class Cluster:
    """Nodes of both readers that hang together.

    Attributes:
        a, b: labels of either side, ascending; one of them may be empty.
        shared_voxels: voxels that nodes of both sides hold.
        union_voxels: voxels that any of its nodes holds.
    """

    a: tuple[int, ...]
    b: tuple[int, ...]
    shared_voxels: int
    union_voxels: int

    @property
    def kind(self) -> ClusterKind:
        """1-1, 1-n, n-1, n-m (first reader's count first), only-a or only-b."""
        if not self.b:
            return "only-a"
        if not self.a:
            return "only-b"
        if len(self.a) == 1:
            return "1-1" if len(self.b) == 1 else "1-n"
        return "n-1" if len(self.b) == 1 else "n-m"

    @property
    def one_sided(self) -> bool:
        """Whether only one reader has it."""
        return not (self.a and self.b)


@dataclass(frozen=True)
class Pair:
    """One node of each reader, matched one to one, with intersection over union and Dice."""

    a: int
    b: int
    iou: float
    dice: float


@dataclass(frozen=True)
class Matching:
    """The match of two label maps.

    Attributes:
        clusters: those of both readers first, then the one-sided; ascending by label.
        pairs: one-to-one pairs with IoU ≥ 0.1, ascending by label of a.
        union_dice: Dice of all nodes of a against all nodes of b.
    """

    clusters: tuple[Cluster, ...]
    pairs: tuple[Pair, ...]
    union_dice: Metric

    @property
    def agreed(self) -> int:
        """Clusters that both readers have."""
        return sum(not cluster.one_sided for cluster in self.clusters)

    @property
    def only_a(self) -> int:
        """Clusters that only the first has."""
        return sum(not cluster.b for cluster in self.clusters)

    @property
    def only_b(self) -> int:
        """Clusters that only the second has."""
        return sum(not cluster.a for cluster in self.clusters)

    @property
    def positive_agreement(self) -> Metric:
        """2·agreed / (2·agreed + only a + only b), the F1 of the groups; null without nodes."""
        total = 2 * self.agreed + self.only_a + self.only_b
        return Metric.ratio(2 * self.agreed, total, "NO_TRUTH")

    def unpaired(self, cluster: Cluster) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Nodes of a cluster without a pair: their sizes are compared as the group's union."""
        paired_a = {pair.a for pair in self.pairs}
        paired_b = {pair.b for pair in self.pairs}
        return (
            tuple(label for label in cluster.a if label not in paired_a),
            tuple(label for label in cluster.b if label not in paired_b),
        )

    def to_json(self) -> dict[str, Any]:
        """Clusters, pairs and agreement as JSON."""
        return {
            "clusters": [
                {
                    "kind": cluster.kind,
                    "a": list(cluster.a),
                    "b": list(cluster.b),
                    "shared_voxels": cluster.shared_voxels,
                    "union_voxels": cluster.union_voxels,
                }
                for cluster in self.clusters
            ],
            "pairs": [
                {"a": pair.a, "b": pair.b, "iou": pair.iou, "dice": pair.dice}
                for pair in self.pairs
            ],
            "agreed": self.agreed,
            "only_a": self.only_a,
            "only_b": self.only_b,
            "positive_agreement": self.positive_agreement.to_json(),
            "union_dice": self.union_dice.to_json(),
        }


def match(
    a: LabelMap, b: LabelMap, *, edge_share: float = EDGE_SHARE, pair_iou: float = PAIR_IOU
) -> Matching:
    """Match the nodes of two label maps ``(slices, rows, columns)`` on one grid.

    Args:
        a, b: the readers' label maps, one label per node.
        edge_share: two nodes hang together when they share this part of either (inclusive).
        pair_iou: pairs below this intersection over union are discarded.

    Raises:
        ShapesDiffer: when the shapes differ.
    """
    table = overlaps_of(a, b)
    shared = sum(table.shared.values())
    total = sum(table.voxels_a.values()) + sum(table.voxels_b.values())
    return Matching(
        clusters=_clusters(table, exact(edge_share)),
        pairs=_pairs(table, exact(pair_iou)),
        union_dice=Metric.ratio(2 * shared, total, "NO_TRUTH"),
    )


def _clusters(table: Overlaps, share: Fraction) -> tuple[Cluster, ...]:
    """Connected groups of the overlap graph; a node without an edge is a group of its own."""
    edges: dict[tuple[str, int], set[tuple[str, int]]] = {
        **{("a", label): set() for label in table.voxels_a},
        **{("b", label): set() for label in table.voxels_b},
    }
    for (i, j), count in table.shared.items():
        smaller = min(table.voxels_a[i], table.voxels_b[j])
        if reaches(count, smaller, share):
            edges["a", i].add(("b", j))
            edges["b", j].add(("a", i))
    clusters = []
    unseen = dict.fromkeys(edges)
    while unseen:
        group, front = set(), [next(iter(unseen))]
        while front:
            node = front.pop()
            if node in unseen:
                del unseen[node]
                group.add(node)
                front.extend(edges[node])
        clusters.append(_cluster(group, table))
    return tuple(sorted(clusters, key=lambda c: (c.one_sided, not c.a, c.a, c.b)))


def _cluster(group: set[tuple[str, int]], table: Overlaps) -> Cluster:
    in_a = tuple(sorted(label for side, label in group if side == "a"))
    in_b = tuple(sorted(label for side, label in group if side == "b"))
    shared = sum(table.shared.get((i, j), 0) for i in in_a for j in in_b)
    voxels = sum(table.voxels_a[i] for i in in_a) + sum(table.voxels_b[j] for j in in_b)
    return Cluster(in_a, in_b, shared, voxels - shared)


def _pairs(table: Overlaps, least: Fraction) -> tuple[Pair, ...]:
    """One-to-one pairs of largest total IoU, without those below the least IoU."""
    labels_a = sorted({i for i, _ in table.shared})
    labels_b = sorted({j for _, j in table.shared})
    iou = np.zeros((len(labels_a), len(labels_b)))
    for (i, j), count in table.shared.items():
        union = table.voxels_a[i] + table.voxels_b[j] - count
        iou[labels_a.index(i), labels_b.index(j)] = count / union
    pairs = []
    for row, column in zip(*linear_sum_assignment(-iou), strict=True):
        i, j = labels_a[int(row)], labels_b[int(column)]
        count, voxels = table.shared.get((i, j), 0), table.voxels_a[i] + table.voxels_b[j]
        if count and reaches(count, voxels - count, least):
            pairs.append(Pair(i, j, float(iou[row, column]), 2 * count / voxels))
    return tuple(pairs)
