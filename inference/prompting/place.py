"""Where a prompt looks: a cube of even millimetres around the clicks, cut out of the volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.resampling import resample

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Place:
    """A cubic grid within a volume.

    Attributes:
        corner_mm: outer corner of its first voxel, from the outer corner of the volume's
            (slices, rows, columns).
        step_mm: side of its voxels.
        cells: voxels along each side.
    """

    corner_mm: Triple
    step_mm: float
    cells: int

    @classmethod
    def around(cls, centre_mm: Sequence[float], half_mm: float, step_mm: float) -> Place:
        """The cube of `2 * half_mm` around a point."""
        corner = _triple(np.asarray(centre_mm) - half_mm)
        return cls(corner, step_mm, round(2 * half_mm / step_mm))

    def inner(self, first: Sequence[int] | NDArray[np.intp], cells: int) -> Place:
        """The part of this grid from a voxel on, with so many voxels along each side."""
        return Place(
            _triple(np.asarray(first) * self.step_mm + self.corner_mm), self.step_mm, cells
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels (slices, rows, columns)."""
        return self.cells, self.cells, self.cells

    def cut(
        self, volume: NDArray[Any], spacing_mm: Sequence[float], outside: float
    ) -> NDArray[np.float32]:
        """The volume on this grid, smoothed where the grid is coarser; `outside` beyond it."""
        parts, first = [], []
        reach = self.cells * self.step_mm
        for corner, spacing, count in zip(self.corner_mm, spacing_mm, volume.shape, strict=True):
            low = int(np.clip(np.floor((corner - self.step_mm) / spacing), 0, count - 1))
            high = int(np.clip(np.ceil((corner + reach + self.step_mm) / spacing), low + 1, count))
            parts.append(slice(low, high))
            first.append(corner - low * spacing)
        crop = np.asarray(volume[tuple(parts)])
        steps = (self.step_mm,) * 3
        found = resample(crop, spacing_mm, self.shape, steps, first)
        found[~self.within(volume.shape, spacing_mm)] = outside
        return found

    def cut_mask(
        self, mask: NDArray[np.bool_], spacing_mm: Sequence[float], corner_mm: Sequence[float]
    ) -> NDArray[np.bool_]:
        """A mask whose outer corner lies at a point of the volume, on this grid."""
        if not mask.size:
            return np.zeros(self.shape, np.bool_)
        seen = Place(_triple(np.subtract(self.corner_mm, corner_mm)), self.step_mm, self.cells)
        return seen.cut(mask.astype(np.float32), spacing_mm, 0.0) > 0.5

    def within(self, shape: Sequence[int], spacing_mm: Sequence[float]) -> NDArray[np.bool_]:
        """Which voxels of this grid have their centre in the volume."""
        inside = []
        for corner, count, spacing in zip(self.corner_mm, shape, spacing_mm, strict=True):
            centres = corner + (np.arange(self.cells) + 0.5) * self.step_mm
            inside.append((centres >= 0) & (centres < count * spacing))
        whole: NDArray[np.bool_] = (
            inside[0][:, None, None] & inside[1][None, :, None] & inside[2][None, None, :]
        )
        return whole

    def index(self, point_mm: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
        """A point as (fractional) voxel numbers of this grid."""
        return (np.asarray(point_mm) - self.corner_mm) / self.step_mm - 0.5

    def point(self, index: Sequence[float] | NDArray[Any]) -> NDArray[np.float64]:
        """A (fractional) voxel number of this grid as a point: what `index` undoes."""
        return (np.asarray(index) + 0.5) * self.step_mm + self.corner_mm

    def return_to(
        self, values: NDArray[np.float32], shape: Sequence[int], spacing_mm: Sequence[float]
    ) -> tuple[tuple[slice, slice, slice], NDArray[np.float32]]:
        """The part of the volume that this grid covers, and `values` interpolated there."""
        parts, first, sides = [], [], []
        reach = self.cells * self.step_mm
        for corner, count, spacing in zip(self.corner_mm, shape, spacing_mm, strict=True):
            low = int(np.clip(np.ceil(corner / spacing), 0, count - 1))
            high = int(np.clip(np.floor((corner + reach) / spacing), low + 1, count))
            parts.append(slice(low, high))
            first.append(low * spacing - corner)
            sides.append(high - low)
        fine = interpolate(values, (self.step_mm,) * 3, sides, spacing_mm, first)
        return (parts[0], parts[1], parts[2]), fine


def _triple(values: NDArray[np.float64]) -> Triple:
    z, y, x = values
    return float(z), float(y), float(x)


def interpolate(
    values: NDArray[np.float32],
    from_mm: Sequence[float],
    shape: Sequence[int],
    to_mm: Sequence[float],
    first_mm: Sequence[float],
) -> NDArray[np.float32]:
    """Linear interpolation at the new voxels' centres; unlike `resample` it never averages.

    A partial-volume average of probabilities would wash out a node thinner than a slice.
    """
    fine = values
    for axis in range(3):
        positions = (first_mm[axis] + (np.arange(shape[axis]) + 0.5) * to_mm[axis]) / from_mm[axis]
        positions = np.clip(positions - 0.5, 0, values.shape[axis] - 1)
        low = np.minimum(positions.astype(int), max(0, values.shape[axis] - 2))
        high = np.minimum(low + 1, values.shape[axis] - 1)
        along = [1, 1, 1]
        along[axis] = -1
        weight = (positions - low).astype(np.float32).reshape(along)
        fine = np.take(fine, low, axis) * (1 - weight) + np.take(fine, high, axis) * weight
    return fine
