"""One shape between two: where the mean of both signed distance maps is negative.

The signed distance of a voxel is the distance in mm from its centre to the nearest voxel centre on
the other side of the border: positive outside the mask, negative inside. Beyond the array is
outside. Where the mean is zero the first mask decides.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from backend.imaging.grid import Vector
from backend.imaging.overlap import Mask, ShapesDiffer

Distances: TypeAlias = NDArray[np.float64]

MEAN_SIGNED_DISTANCE = "mean_signed_distance"
TIE_MM = 1e-9


def signed_distance_mm(mask: Mask, spacing_mm: Vector) -> Distances:
    """Signed distance in mm of every voxel of a mask ``(slices, rows, columns)``.

    Raises:
        ValueError: when the mask is empty; nothing is at a distance from nothing.
    """
    if not mask.any():
        raise ValueError("An empty mask has no border. Compare only masks that hold a voxel.")
    padded = np.pad(mask, 1)
    inside = distance_transform_edt(padded, sampling=spacing_mm)
    outside = distance_transform_edt(~padded, sampling=spacing_mm)
    inner = (slice(1, -1),) * 3
    return np.asarray((outside - inside)[inner], np.float64)


def mean_distance_mm(first: Mask, second: Mask, spacing_mm: Vector) -> Distances:
    """Mean in mm of both signed distance maps; exactly 0 where the two cancel out.

    Raises:
        ShapesDiffer: when the shapes differ.
        ValueError: when either mask is empty.
    """
    if first.shape != second.shape:
        raise ShapesDiffer(first.shape, second.shape)
    mean = (signed_distance_mm(first, spacing_mm) + signed_distance_mm(second, spacing_mm)) / 2
    mean[np.abs(mean) <= TIE_MM] = 0.0
    return mean


def mean_shape(mean_mm: Distances, first: Mask) -> Mask:
    """Where the mean of both signed distance maps is negative; where it is 0, the first mask.

    It holds every voxel that both masks hold, and none that neither holds.
    """
    shape: Mask = (mean_mm < 0) | ((mean_mm == 0) & first)
    return shape
