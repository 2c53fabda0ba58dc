"""Turning a volume the way networks expect it, and a label map back again."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from backend.imaging.grid import Grid, Vector

T = TypeVar("T", np.int16, np.uint16)


@dataclass(frozen=True)
class Orientation:
    """How the axes of a series map to caudal→cranial, anterior→posterior, right→left.

    Attributes:
        axes: for each of those three, the axis of the series' ``(slices, rows, columns)``.
        flipped: for each of the three, whether that axis runs the other way.
    """

    axes: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]

    @classmethod
    def of(cls, grid: Grid) -> Orientation:
        """The nearest one; an oblique series is taken as the plane it is nearest to."""
        directions = np.array([grid.normal, grid.column_direction, grid.row_direction])
        toward = directions[:, ::-1]  # Components along S, P, L instead of L, P, S.
        best = max(
            permutations(range(3)),
            key=lambda axes: sum(abs(toward[axis, k]) for k, axis in enumerate(axes)),
        )
        flipped = [bool(toward[axis, k] < 0) for k, axis in enumerate(best)]
        return cls((best[0], best[1], best[2]), (flipped[0], flipped[1], flipped[2]))

    def turn(self, volume: NDArray[T]) -> NDArray[T]:
        """The volume with its axes in the networks' order, contiguous."""
        turned = volume.transpose(self.axes)[self._steps()]
        return np.ascontiguousarray(turned)

    def turn_back(self, labels: NDArray[T]) -> NDArray[T]:
        """A label map in the networks' order, on the series' own axes again."""
        back = np.argsort(self.axes)
        return np.ascontiguousarray(labels[self._steps()].transpose(back))

    def spacing(self, spacing_mm: Vector) -> Vector:
        """The series' spacing in the networks' order."""
        z, y, x = (spacing_mm[axis] for axis in self.axes)
        return (z, y, x)

    def _steps(self) -> tuple[slice, slice, slice]:
        z, y, x = (slice(None, None, -1 if flip else 1) for flip in self.flipped)
        return (z, y, x)
