"""The side of a node, derived from the images; its level is the reader's to say.

A node lies right or left when its centroid does, seen from the body's midline
(`imaging.midline`). Within `MIDLINE_BAND_MM` of it, or within what the slices disagree by, it has
no side until a reader says one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backend.imaging.grid import vector
from backend.imaging.levels import MIDLINE_BAND_MM, side_of
from backend.imaging.midline import Midline
from backend.reading.models import Case


def derived_side(case: Case, measures: Mapping[str, Any] | None) -> str:
    """ "R", "L", or "" where it cannot be known."""
    if case.midline is None or measures is None:
        return ""
    midline = Midline(**case.midline)
    band_mm = max(MIDLINE_BAND_MM, midline.band_mm)
    side = side_of(vector(measures["centroid_mm"]), midline.x_mm, band_mm=band_mm)
    return "" if side == "M" else side
