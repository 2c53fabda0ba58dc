"""What a newer proposal of the AI would change of what a reader has, node by node. Pure.

Nodes hang together by the overlap graph (METHODS.md §5.1), as those of two readers do; a group that
hangs together is taken or left as one.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from backend.imaging.masks import Labels
from backend.imaging.matching import EDGE_SHARE, Cluster, Matching, match
from backend.imaging.overlap import overlaps_of

Kind: TypeAlias = Literal["new", "changed", "gone"]


@dataclass(frozen=True)
class Part:
    """A node of the newer proposal, and the reader's node that becomes it (None: a node more)."""

    label: int
    onto: int | None


@dataclass(frozen=True)
class Difference:
    """One thing that may be taken.

    Attributes:
        kind: `new` (the reader has nothing there), `changed`, or `gone` (the model has nothing).
        parts: the newer proposal's nodes of it; none of what is gone.
        present: labels of the reader's nodes of it that they keep; none of what is new.
        dice: 2 · shared / (either's voxels), of all its nodes together; 0 where one has nothing.
    """

    kind: Kind
    parts: tuple[Part, ...]
    present: tuple[int, ...]
    dice: float


def differences_of(
    head: Labels,
    proposed: Labels,
    earlier: Labels,
    *,
    refused: Collection[int],
    from_ai: Collection[int],
    edge_share: float = EDGE_SHARE,
) -> list[Difference]:
    """What the newer proposal says otherwise than the earlier one did, held against the reader's.

    A node that the model had proposed before, voxel for voxel, is no news, whatever the reader
    made of it. What the reader refused is not offered again, and what they added is theirs.

    Args:
        head: the reader's label map ``(slices, rows, columns)``, rejected nodes included.
        proposed, earlier: the newer proposal and the one the reader was offered whole.
        refused: labels of the head that the reader rejected.
        from_ai: labels of the head that came from the AI.
        edge_share: two nodes hang together when they share this part of either.
    """
    table = overlaps_of(earlier, proposed)
    repeated = {
        b
        for (a, b), count in table.shared.items()
        if count == table.voxels_a[a] == table.voxels_b[b]
    }
    matching = match(head, proposed, edge_share=edge_share)
    found = []
    for cluster in matching.clusters:
        present = tuple(label for label in cluster.a if label not in refused)
        if cluster.a and not present:
            continue
        if not cluster.b:
            gone = tuple(label for label in present if label in from_ai)
            if gone:
                found.append(Difference("gone", (), gone, 0.0))
        elif not set(cluster.b) <= repeated and not _same(head, proposed, cluster):
            found.append(_offered(cluster, present, matching))
    return found


def _offered(cluster: Cluster, present: tuple[int, ...], matching: Matching) -> Difference:
    onto = {pair.b: pair.a for pair in matching.pairs if pair.a in present}
    both = cluster.union_voxels + cluster.shared_voxels
    return Difference(
        kind="changed" if present else "new",
        parts=tuple(Part(label, onto.get(label)) for label in cluster.b),
        present=present,
        dice=2 * cluster.shared_voxels / both,
    )


def _same(head: Labels, proposed: Labels, cluster: Cluster) -> bool:
    """Whether a group of one node each is voxel for voxel the same."""
    return cluster.kind == "1-1" and np.array_equal(head == cluster.a[0], proposed == cluster.b[0])
