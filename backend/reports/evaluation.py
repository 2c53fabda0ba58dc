"""The AI's proposal against a truth: all numbers of a case report, from two label maps.

Pure: takes arrays and a grid, knows no database. The truth is a signed reading or a consensus.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from backend.imaging.correction import Correction, account
from backend.imaging.grid import Grid
from backend.imaging.nodes import NodeMeasures, measure_all
from backend.imaging.overlap import (
    Detection,
    Overlaps,
    evaluate,
    filtered_masks,
    overlaps_of,
)
from backend.imaging.surfaces import SurfaceDistances, surface_distances

Labels = NDArray[np.uint16]


@dataclass(frozen=True)
class Evaluation:
    """Everything measured of one proposal and one truth.

    Attributes:
        detection: localisation, precision, Dice (METHODS.md §1.6, §1.7, §1.9).
        surfaces: distances between found nodes and true proposals (§1.8).
        correction: how the proposal became the truth (§1.11).
        overlaps: truth label × AI label → shared voxels, size filter not applied.
        truth_measures, ai_measures: label → measures of every node.
        same_node: truth label → AI label of the same identity.
        grid: the grid of both label maps.
    """

    detection: Detection
    surfaces: SurfaceDistances
    correction: Correction
    overlaps: Overlaps
    truth_measures: Mapping[int, NodeMeasures]
    ai_measures: Mapping[int, NodeMeasures]
    same_node: Mapping[int, int]
    grid: Grid

    @cached_property
    def prediction_kinds(self) -> dict[int, str]:
        """AI label → TP, partial, FP, ignored, or dropped (below the size filter)."""
        kinds: dict[int, str] = {node.label: node.kind for node in self.detection.predictions}
        return kinds | dict.fromkeys(self.detection.dropped, "dropped")

    def untouched(self, label: int) -> bool:
        """Whether a node of the truth is voxel for voxel the proposal of the same identity."""
        ai = self.same_node.get(label)
        if ai is None:
            return False
        shared = self.overlaps.shared.get((label, ai), 0)
        return shared == self.overlaps.voxels_a[label] == self.overlaps.voxels_b.get(ai)

    def initial_sensitivity(self, label: int) -> float | None:
        """Share of a node of the truth that the AI had offered, whatever the offer's size."""
        return self.correction.initial_sensitivity.get(label)


def evaluate_truth(
    ai: Labels,
    truth: Labels,
    grid: Grid,
    *,
    ai_measures: Mapping[int, NodeMeasures],
    same_node: Mapping[int, int],
    ignored: Labels | None = None,
) -> Evaluation:
    """Compare the AI's label map with a truth, both ``(slices, rows, columns)``.

    Args:
        ai: the proposal, one label per node.
        truth: the nodes of the truth, one label per node.
        grid: the grid of all of them.
        ai_measures: what `measure_all` says of the proposal.
        same_node: label of the truth → label of the proposal that bears the same identity.
        ignored: regions of which the truth says nothing: they are neither found nor missed, and
            a proposal in them alone is neither right nor wrong.
    """
    measures = measure_all(truth, grid)
    counted, sad_mm = truth, {label: m.sad_mm for label, m in measures.items()}
    if ignored is not None and ignored.any():
        above = int(truth.max())
        outside = (ignored > 0) & (truth == 0)
        counted = np.where(outside, ignored + np.uint16(above), truth).astype(np.uint16)
        left = (int(n) for n in np.unique(ignored[outside]))
        sad_mm |= dict.fromkeys((above + n for n in left), -1.0)
    detection = evaluate(
        counted,
        ai,
        grid,
        truth_sad_mm=sad_mm,
        truth_min_sad_mm=None if counted is truth else 0.0,
        prediction_sad_mm={label: m.sad_mm for label, m in ai_measures.items()},
    )
    found_truth, found = filtered_masks(counted, ai, detection)
    return Evaluation(
        detection=detection,
        surfaces=surface_distances(found_truth, found, grid.spacing_mm),
        correction=account(ai, truth, same_node=((b, a) for a, b in same_node.items())),
        overlaps=overlaps_of(truth, ai),
        truth_measures=measures,
        ai_measures=ai_measures,
        same_node=same_node,
        grid=grid,
    )
