"""The side of the neck a node lies on; its level is the reader's to say."""

from __future__ import annotations

from typing import Literal, TypeAlias

from backend.imaging.grid import Vector

Side: TypeAlias = Literal["R", "L", "M"]

MIDLINE_BAND_MM = 2.0


def side_of(centroid_mm: Vector, midline_x_mm: float, *, band_mm: float = MIDLINE_BAND_MM) -> Side:
    """Patient's right, left, or midline (within the band) of an LPS position in mm.

    LPS x grows towards the patient's left; `midline_x_mm` is the x of the body's midline.
    """
    offset = centroid_mm[0] - midline_x_mm
    if abs(offset) <= band_mm:
        return "M"
    return "L" if offset > 0 else "R"
