"""From a probability volume to node candidates: threshold, components, size and tissue gates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from backend.imaging.nodes import Axes, components, region_axes

EIGHT_CONNECTED = np.ones((3, 3), int)


def short_axis_mm(mask: NDArray[np.bool_], row_mm: float, column_mm: float) -> float:
    """Return the axial short axis of a node in mm, measured as the reading room measures it.

    Of all 8-connected axial regions of the mask (slices, rows, columns), the one with the longest
    long axis counts.
    """
    best: Axes | None = None
    for plane in mask:
        regions, count = ndi.label(plane, structure=EIGHT_CONNECTED)
        for index in range(1, count + 1):
            axes = region_axes(regions == index, row_mm, column_mm)
            if best is None or axes.beats(best):
                best = axes
    return best.sad_mm if best else 0.0


def large_enough(
    labels: NDArray[np.integer[Any]], spacing_mm: Sequence[float], smallest_mm: float
) -> list[int]:
    """Return the labels whose short axis is at least ``smallest_mm``."""
    return [
        index
        for index, box in enumerate(ndi.find_objects(labels), 1)
        if box is not None
        and short_axis_mm(labels[box] == index, spacing_mm[1], spacing_mm[2]) >= smallest_mm
    ]


def keep_labels(labels: NDArray[np.integer[Any]], kept: Iterable[int]) -> NDArray[np.uint16]:
    """Return the map with only these labels, renumbered 1, 2, ... in the given order."""
    chosen = list(kept)
    table = np.zeros(int(labels.max()) + 1, np.uint16)
    table[chosen] = np.arange(1, len(chosen) + 1)
    renumbered: NDArray[np.uint16] = table[labels]
    return renumbered


def candidates(
    probability: NDArray[np.float32],
    threshold: float,
    spacing_mm: Sequence[float],
    smallest_mm: float,
) -> NDArray[np.uint16]:
    """Return the 26-connected components above the threshold that are large enough."""
    labels = components(probability > threshold)
    return keep_labels(labels, large_enough(labels, spacing_mm, smallest_mm))
