"""The AI's proposal against a signed reading: all numbers of a case report, from two label maps.

Pure: takes arrays and a grid, knows no database. Both label maps number their nodes alike, because
a reading inherits the labels of the proposal it began with.
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
    """Everything measured of one proposal and one signed reading.

    Attributes:
        detection: localisation, precision, Dice (METHODS.md §1.6, §1.7, §1.9).
        surfaces: distances between found nodes and true proposals (§1.8).
        correction: what the reader changed (§1.11).
        overlaps: signed label × AI label → shared voxels, size filter not applied.
        signed_measures, ai_measures: label → measures of every node.
        grid: the grid of both label maps.
    """

    detection: Detection
    surfaces: SurfaceDistances
    correction: Correction
    overlaps: Overlaps
    signed_measures: Mapping[int, NodeMeasures]
    ai_measures: Mapping[int, NodeMeasures]
    grid: Grid

    @cached_property
    def prediction_kinds(self) -> dict[int, str]:
        """AI label → TP, partial, FP, ignored, or dropped (below the size filter)."""
        kinds: dict[int, str] = {node.label: node.kind for node in self.detection.predictions}
        return kinds | dict.fromkeys(self.detection.dropped, "dropped")

    def initial_sensitivity(self, label: int) -> float | None:
        """Share of a signed node that the AI had offered, whatever the offer's size."""
        return self.correction.initial_sensitivity.get(label)


def evaluate_reading(ai: Labels, signed: Labels, grid: Grid) -> Evaluation:
    """Compare the AI's label map with the signed one, both ``(slices, rows, columns)``."""
    ai_measures, signed_measures = measure_all(ai, grid), measure_all(signed, grid)
    detection = evaluate(
        signed,
        ai,
        grid,
        truth_sad_mm={label: m.sad_mm for label, m in signed_measures.items()},
        prediction_sad_mm={label: m.sad_mm for label, m in ai_measures.items()},
    )
    truth, found = filtered_masks(signed, ai, detection)
    return Evaluation(
        detection=detection,
        surfaces=surface_distances(truth, found, grid.spacing_mm),
        correction=account(ai, signed, same_node=((label, label) for label in signed_measures)),
        overlaps=overlaps_of(signed, ai),
        signed_measures=signed_measures,
        ai_measures=ai_measures,
        grid=grid,
    )
