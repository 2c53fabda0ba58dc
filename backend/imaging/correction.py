"""What a reader did to the model's nodes: kept, rejected, added, split, merged (§1.11)."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from backend.imaging.overlap import (
    LOCALISED_SHARE,
    LabelMap,
    Metric,
    Overlaps,
    exact,
    overlaps_of,
    reaches,
)


class BooksDoNotBalance(RuntimeError):
    """The counts contradict the voxels. Report this comparison; its numbers cannot be used."""

    def __init__(self, left: int, right: int) -> None:
        super().__init__(
            f"{left} final nodes, but the account comes to {right}. "
            "Report this comparison; its numbers cannot be used."
        )


@dataclass(frozen=True)
class Correction:
    """The account of one reading against the instances it started from.

    |final| = |offered| - |rejected| + |added| + split_gain - merge_loss holds, and is checked.

    Attributes:
        offered, final: labels of the model's instances (before any size filter) and of the reader's
            nodes, ascending.
        links: ``(model label, final label)`` that share a voxel or a tracking UID.
        rejected, added: labels without a link.
        split_gain, merge_loss: nodes gained by splitting and lost by merging.
        reshaped: kept model instances that are not voxel for voxel one final node.
        initial_sensitivity: final label → share of it that the model had covered.
        dice: all offered voxels against all final voxels.
        voxels_added, voxels_removed: final and not offered; offered and not final.
        localisation_recall: share of final nodes covered by 0.4 or more.
    """

    offered: tuple[int, ...]
    final: tuple[int, ...]
    links: tuple[tuple[int, int], ...]
    rejected: tuple[int, ...]
    added: tuple[int, ...]
    split_gain: int
    merge_loss: int
    reshaped: tuple[int, ...]
    initial_sensitivity: Mapping[int, float]
    dice: Metric
    voxels_added: int
    voxels_removed: int
    localisation_recall: Metric

    @property
    def kept(self) -> int:
        """Offered instances that were not rejected."""
        return len(self.offered) - len(self.rejected)

    @property
    def reshaped_fraction(self) -> Metric:
        """Reshaped / kept (project definition: the source does not state its denominator)."""
        return Metric.ratio(len(self.reshaped), self.kept, "NO_PREDICTION")

    @property
    def retention(self) -> Metric:
        """Kept / offered."""
        return Metric.ratio(self.kept, len(self.offered), "NO_PREDICTION")

    @property
    def coverage(self) -> Metric:
        """Kept / final."""
        return Metric.ratio(self.kept, len(self.final), "NO_TRUTH")

    def median_initial_sensitivity(self, *, ai_origin_only: bool = True) -> Metric:
        """Median over nodes that came from the model (default), or over all final nodes."""
        added = set(self.added) if ai_origin_only else set()
        values = [share for label, share in self.initial_sensitivity.items() if label not in added]
        return Metric(statistics.median(values)) if values else Metric(None, "NO_TRUTH")

    def to_json(self) -> dict[str, Any]:
        """The whole account as JSON."""
        return {
            "n_offered": len(self.offered),
            "n_final": len(self.final),
            "links": [list(link) for link in self.links],
            "rejected": list(self.rejected),
            "added": list(self.added),
            "split_gain": self.split_gain,
            "merge_loss": self.merge_loss,
            "reshaped": list(self.reshaped),
            "reshaped_fraction": self.reshaped_fraction.to_json(),
            "retention": self.retention.to_json(),
            "coverage": self.coverage.to_json(),
            "localisation_recall": self.localisation_recall.to_json(),
            "initial_sensitivity": {str(k): v for k, v in self.initial_sensitivity.items()},
            "median_initial_sensitivity": self.median_initial_sensitivity().to_json(),
            "median_initial_sensitivity_all": self.median_initial_sensitivity(
                ai_origin_only=False
            ).to_json(),
            "dice": self.dice.to_json(),
            "voxels_added": self.voxels_added,
            "voxels_removed": self.voxels_removed,
        }


def account(
    offered: LabelMap,
    final: LabelMap,
    *,
    same_node: Iterable[tuple[int, int]] = (),
    threshold: float = LOCALISED_SHARE,
) -> Correction:
    """Balance a reader's nodes against the model's instances on one grid.

    Args:
        offered: the model's label map ``(slices, rows, columns)``, before any size filter.
        final: the reader's effective label map, rejected nodes left out.
        same_node: ``(offered label, final label)`` with the same tracking UID; they are linked
            even where they share no voxel. Labels that are absent are passed over.
        threshold: share that counts as localised in `localisation_recall`.

    Raises:
        ShapesDiffer: when the shapes differ.
        BooksDoNotBalance: never, unless this module is wrong.
    """
    table = overlaps_of(offered, final)
    named = {(a, g) for a, g in same_node if a in table.voxels_a and g in table.voxels_b}
    links = tuple(sorted({*table.shared, *named}))
    linked_a, linked_g = {a for a, _ in links}, {g for _, g in links}
    rejected = tuple(a for a in table.voxels_a if a not in linked_a)
    added = tuple(g for g in table.voxels_b if g not in linked_g)
    split_gain, merge_loss = len(links) - len(linked_a), len(links) - len(linked_g)
    balance = len(table.voxels_a) - len(rejected) + len(added) + split_gain - merge_loss
    if balance != len(table.voxels_b):
        raise BooksDoNotBalance(len(table.voxels_b), balance)

    covered = {g: sum(table.with_b(g).values()) for g in table.voxels_b}
    both = sum(table.shared.values())
    voxels_a, voxels_g = sum(table.voxels_a.values()), sum(table.voxels_b.values())
    share = exact(threshold)
    found = sum(reaches(covered[g], voxels, share) for g, voxels in table.voxels_b.items())
    return Correction(
        offered=tuple(table.voxels_a),
        final=tuple(table.voxels_b),
        links=links,
        rejected=rejected,
        added=added,
        split_gain=split_gain,
        merge_loss=merge_loss,
        reshaped=tuple(a for a in sorted(linked_a) if not _unchanged(a, table)),
        initial_sensitivity={g: covered[g] / voxels for g, voxels in table.voxels_b.items()},
        dice=Metric.ratio(2 * both, voxels_a + voxels_g, "NO_TRUTH"),
        voxels_added=voxels_g - both,
        voxels_removed=voxels_a - both,
        localisation_recall=Metric.ratio(found, len(table.voxels_b), "NO_TRUTH"),
    )


def _unchanged(label: int, table: Overlaps) -> bool:
    """Whether an offered instance is voxel for voxel one final node."""
    return any(
        count == table.voxels_a[label] == table.voxels_b[g]
        for g, count in table.with_a(label).items()
    )
