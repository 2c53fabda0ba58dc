"""Where the middle of the body lies from right to left, as the images show it.

The rule: in each slice the body is the largest connected region above `BODY_HU`. A slice in which
it touches the left or right edge of the image says nothing (it is cut off). The middle of a slice
is half-way between the body's outermost columns; the midline is the median over slices. Where
fewer than `FEWEST_SLICES` speak, or they disagree by more than `LARGEST_SPREAD_MM`, the midline is
not known, and no side may be derived from it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from backend.imaging.grid import Grid

BODY_HU = -300
FEWEST_SLICES = 5
LARGEST_SPREAD_MM = 20.0


@dataclass(frozen=True)
class Midline:
    """The body's midline.

    Attributes:
        x_mm: LPS x; it grows towards the patient's left.
        spread_mm: interquartile range of the slices' own middles.
        slices: how many slices spoke.
    """

    x_mm: float
    spread_mm: float
    slices: int

    def to_json(self) -> dict[str, Any]:
        """The midline as JSON values."""
        return asdict(self)

    @property
    def band_mm(self) -> float:
        """Half the width of the band in which no side is derived, for the slices' disagreement."""
        return self.spread_mm / 2


def midline_of(slices: Iterable[tuple[int, NDArray[np.int16]]], grid: Grid) -> Midline | None:
    """The midline of a body, or None where the images do not show one.

    Args:
        slices: (slice index, HU ``(rows, columns)``), any number, any order.
        grid: of the volume they are of; only an axial one shows a midline.
    """
    if grid.plane != "axial":
        return None
    middles = [
        grid.to_patient(index, plane.shape[0] / 2, middle)[0]
        for index, plane in slices
        if (middle := _middle_column(plane)) is not None
    ]
    if len(middles) < FEWEST_SLICES:
        return None
    low, x_mm, high = np.percentile(middles, [25, 50, 75])
    if high - low > LARGEST_SPREAD_MM:
        return None
    return Midline(round(float(x_mm), 3), round(float(high - low), 3), len(middles))


def _middle_column(plane: NDArray[np.int16]) -> float | None:
    regions, count = ndimage.label(plane > BODY_HU)
    if count == 0:
        return None
    sizes = np.bincount(regions.ravel())
    body = regions == int(np.argmax(sizes[1:])) + 1
    columns = np.flatnonzero(body.any(axis=0))
    first, last = int(columns[0]), int(columns[-1])
    if first == 0 or last == plane.shape[1] - 1:
        return None
    return (first + last) / 2
