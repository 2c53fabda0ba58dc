"""A tilted stack sheared back to an orthogonal grid: shifts in the plane, linear, in HU.

A gantry that is tilted images slices along the couch that lie askew to their own normal. Every
slice keeps its plane and its place in the patient; only its pixel lattice is shifted within that
plane, so that the columns of voxels run along the normal. Nothing is interpolated between slices.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.imaging.dicom import (
    ROUNDING_MM,
    Refusal,
    SeriesRefused,
    SliceFacts,
    judge,
    stacked,
)
from backend.imaging.grid import Grid, vector

OUTSIDE_HU = -1024
"""What stands where the sheared field of view saw nothing: air."""
WHOLE_PIXELS = 1e-3
"""A shift this close to whole pixels, in pixels, is taken as whole: no value is interpolated."""


@dataclass(frozen=True)
class Straightened:
    """Where the slices of a tilted stack lie on an orthogonal grid.

    Attributes:
        grid: the orthogonal grid; its `sop_uids` are the source images', ascending.
        shifts: of each slice ``(rows, columns)``, in pixels of the grid, never negative.
        angle_deg: the shear that was taken out.
    """

    grid: Grid
    shifts: NDArray[np.float64]
    angle_deg: float


def straighten(slices: Iterable[SliceFacts]) -> Straightened:
    """The orthogonal grid that holds every pixel of a tilted stack.

    The shift of the slices is a straight line fitted to their positions: headers round these.

    Raises:
        SeriesRefused: when the shear is not the same all along (GANTRY_TILT), or the straightened
            slices are no volume either.
    """
    facts, along_mm, sideways_mm = stacked(list(slices))
    slope, start = np.polynomial.polynomial.polyfit(along_mm, sideways_mm, 1)[::-1]
    fitted = np.outer(along_mm, slope) + start
    astray = np.abs(sideways_mm - fitted).max()
    if astray > ROUNDING_MM:
        raise SeriesRefused(
            [
                Refusal(
                    "GANTRY_TILT",
                    f"The slices are shifted sideways, but not evenly: up to {astray:.2f} mm off "
                    "a straight line, so no gantry tilt explains it.",
                    "Have the scanner reconstruct the series without tilt.",
                    tuple(s.sop_uid for s in facts),
                )
            ]
        )
    first = facts[0]
    between_rows, between_columns = first.pixel_spacing_mm or (1.0, 1.0)
    shifts = (fitted - fitted.min(axis=0)) / (between_rows, between_columns)
    shifts[:, np.ptp(shifts, axis=0) < WHOLE_PIXELS] = 0.0
    rows = (first.rows or 0) + math.ceil(shifts[:, 0].max() - WHOLE_PIXELS)
    columns = (first.columns or 0) + math.ceil(shifts[:, 1].max() - WHOLE_PIXELS)
    grid = judge(
        replace(s, position_mm=position, rows=rows, columns=columns)
        for s, position in zip(facts, _corners(facts, along_mm, fitted), strict=True)
    )
    return Straightened(
        grid=grid,
        shifts=shifts,
        angle_deg=math.degrees(math.atan(float(np.hypot(*slope)))),
    )


def _corners(
    facts: list[SliceFacts], along_mm: NDArray[np.float64], fitted_mm: NDArray[np.float64]
) -> list[tuple[float, float, float]]:
    """Position of the grid's first pixel in every slice, LPS mm."""
    cosines = np.array(facts[0].orientation, np.float64)
    row, column = cosines[:3], cosines[3:]
    normal = np.cross(row, column)
    normal /= np.linalg.norm(normal)
    start = np.array(facts[0].position_mm, np.float64)
    down, across = fitted_mm.min(axis=0)
    origin = start + down * column + across * row
    return [vector(origin + (place - along_mm[0]) * normal) for place in along_mm.tolist()]


def sheared(
    plane: NDArray[np.int16], shift: tuple[float, float], shape: tuple[int, int]
) -> NDArray[np.int16]:
    """A slice (rows, columns) in HU, shifted by (rows, columns) pixels on a plane of `shape`.

    Where the shift is not whole, neighbours are mixed linearly and the outermost row or column is
    repeated; where nothing was seen it is `OUTSIDE_HU`.
    """
    values: NDArray[Any] = plane
    whole = []
    for axis, distance in enumerate(shift):
        steps = math.floor(distance + WHOLE_PIXELS)
        share = distance - steps
        whole.append(steps)
        if share > WHOLE_PIXELS:
            values = _mixed(values, share, axis)
    canvas = np.full(shape, OUTSIDE_HU, np.int16)
    height = min(values.shape[0], shape[0] - whole[0])
    width = min(values.shape[1], shape[1] - whole[1])
    canvas[whole[0] : whole[0] + height, whole[1] : whole[1] + width] = np.rint(
        values[:height, :width]
    )
    return canvas


def _mixed(values: NDArray[Any], share: float, axis: int) -> NDArray[np.float64]:
    """Shifted by a share of a pixel along an axis, one pixel longer."""
    wide = np.pad(
        values.astype(np.float64), [(1, 1) if a == axis else (0, 0) for a in (0, 1)], "edge"
    )
    here = np.take(wide, range(1, wide.shape[axis]), axis)
    before = np.take(wide, range(wide.shape[axis] - 1), axis)
    mixed: NDArray[np.float64] = (1 - share) * here + share * before
    return mixed
