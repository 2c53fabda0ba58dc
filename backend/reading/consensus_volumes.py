"""The label maps that are looked at while a consensus is made, their numbers named by cluster.

A reader's mask is shown as X or Y: neither a node's UUID nor the mask's hash goes with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from uuid import UUID

import numpy as np
from django.utils.crypto import salted_hmac
from numpy.typing import NDArray

from backend.errors import Missing, WrongState
from backend.imaging.grid import Shape
from backend.imaging.masks import LARGEST_LABEL, Manifest, PackedMask, pack_mask
from backend.reading.consensus_presentation import shows_ai
from backend.reading.maskstore import packed, plane_of
from backend.reading.models import Comparison, Consensus, Mask, Step

_SALT = "backend.reading.consensus_volumes"


class Layer(StrEnum):
    """Which label map."""

    X = "x"
    Y = "y"
    AI = "ai"
    AGREED = "agreed"
    IGNORED = "ignored"
    REDRAWN = "redrawn"


@dataclass(frozen=True)
class Volume:
    """A label map that never changes.

    Attributes:
        consensus: what it belongs to.
        mask: the voxels; None for a map without any.
        names: number of a label → number of its cluster, "" for one that lies in none.
    """

    consensus: Consensus
    mask: Mask | None
    names: Mapping[int, str]

    @property
    def tag(self) -> str:
        """A name of these bytes, from which no mask's hash can be told."""
        voxels = self.mask.hash if self.mask else ""
        text = f"{self.consensus.pk} {voxels} {sorted(self.names.items())}"
        return salted_hmac(_SALT, text, algorithm="sha256").hexdigest()[:32]

    def pack(self) -> bytes:
        """The container."""
        if self.mask is not None:
            return packed(self.mask, self.names)
        case = self.consensus.case
        return pack_mask(PackedMask(case.geometry_hash, case.grid.shape, {}, {}))


def volume_of(consensus: Consensus, layer: str, step: UUID | None = None) -> Volume:
    """A label map of a consensus; raises `Missing`, or `WrongState` while there is none yet."""
    comparison = consensus.comparison
    if layer in (Layer.X, Layer.Y):
        return _reader(consensus, first=(layer == Layer.X) == comparison.x_is_first)
    if layer == Layer.AI and shows_ai(consensus.case):
        return Volume(consensus, comparison.ai_mask, _names_of_ai(comparison.pk))
    if layer == Layer.REDRAWN and step is not None:
        return _redrawn(consensus, step)
    if layer in (Layer.AGREED, Layer.IGNORED):
        return _settled(consensus, layer)
    raise Missing("volume")


def _reader(consensus: Consensus, *, first: bool) -> Volume:
    comparison = consensus.comparison
    names = {
        node["label"]: str(cluster.number)
        for cluster in comparison.clusters.all()
        for node in (cluster.first_nodes if first else cluster.second_nodes)
    }
    reading = comparison.first if first else comparison.second
    return Volume(consensus, reading.effective, names)


def _redrawn(consensus: Consensus, step: UUID) -> Volume:
    found = (
        Step.objects.filter(pk=step, mask__isnull=False)
        .filter(discrepancy__cluster__comparison=consensus.comparison_id)
        .select_related("mask__case", "discrepancy__cluster")
        .first()
    )
    if found is None or found.mask is None:
        raise Missing("volume")
    number = str(found.discrepancy.cluster.number)
    return Volume(consensus, found.mask, dict.fromkeys(found.mask.manifest.labels, number))


def _settled(consensus: Consensus, layer: str) -> Volume:
    if consensus.mask is None:
        raise WrongState(
            "NOT_SETTLED",
            "There are no agreed nodes yet.",
            "Settle what is open first.",
            possible=["settle"],
        )
    if layer == Layer.AGREED:
        nodes = consensus.nodes.values_list("number", "cluster__number")
        return Volume(consensus, consensus.mask, {number: str(own) for number, own in nodes})
    # The ignored regions bear the numbers of their clusters.
    labels = consensus.ignored.manifest.labels if consensus.ignored else ()
    return Volume(consensus, consensus.ignored, {number: str(number) for number in labels})


@lru_cache(maxsize=64)
def _names_of_ai(comparison: UUID) -> dict[int, str]:
    """The cluster that each of the AI's nodes shares most voxels with, "" where none.

    Nothing of a comparison changes once it is made, so it is looked at once.
    """
    made = Comparison.objects.select_related(
        "case", "first__effective", "second__effective", "first__ai_mask", "second__ai_mask"
    ).get(pk=comparison)
    proposal = made.ai_mask
    if proposal is None:
        return {}
    clusters = list(made.clusters.all())
    read = [
        (made.first.effective, [(n, c.number) for c in clusters for n in c.first_nodes]),
        (made.second.effective, [(n, c.number) for c in clusters for n in c.second_nodes]),
    ]
    shared: Counter[tuple[int, int]] = Counter()
    for mask, nodes in read:
        if mask is not None:
            of_label = np.zeros(LARGEST_LABEL + 1, np.int64)
            for node, number in nodes:
                of_label[node["label"]] = number
            shared += _shared(proposal.manifest, mask.manifest, of_label, made.case.grid.shape)
    names = dict.fromkeys(proposal.manifest.labels, "")
    best: dict[int, tuple[int, int]] = {}
    for (label, number), voxels in shared.items():
        best[label] = max(best.get(label, (0, 0)), (voxels, -number))
    return names | {label: str(-number) for label, (_, number) in best.items()}


def _shared(
    proposal: Manifest, read: Manifest, of_label: NDArray[np.int64], shape: Shape
) -> Counter[tuple[int, int]]:
    """(AI's label, cluster) → voxels that the AI and one reader gave to them."""
    found: Counter[tuple[int, int]] = Counter()
    for index in set(proposal.slices) & set(read.slices):
        offered = plane_of(proposal, shape, index)
        numbers = of_label[plane_of(read, shape, index)]
        both = (offered > 0) & (numbers > 0)
        pairs = np.stack([offered[both].astype(np.int64), numbers[both]], axis=1)
        kinds, counts = np.unique(pairs, axis=0, return_counts=True)
        for (label, number), count in zip(kinds, counts, strict=True):
            found[int(label), int(number)] += int(count)
    return found
