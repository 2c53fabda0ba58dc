"""Where the body is in a CT: without couch, head rest, mask and ears.

Works on a coarse grid of about 3 mm: threshold, a strong opening that cuts off everything thin,
the largest piece, grown back a little, holes filled.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cc3d
import edt
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from inference.skull import head_of

COARSE_MM = 3.0
TISSUE_HU = -250
CORE_DEPTH_MM = 9.0
REGROWTH_MM = 14.0
THREADS = min(4, os.cpu_count() or 1)

Box = tuple[slice, slice, slice]


class NoBody(ValueError):
    """No body was found: the series is empty, or not in Hounsfield units. Check the rescale."""

    def __init__(self) -> None:
        """Say what to check."""
        super().__init__(
            "No body was found in this volume: it is empty or not in Hounsfield units. "
            "Check that the series is a CT and that its rescale values are right."
        )


@dataclass(frozen=True)
class Body:
    """The body on a coarse grid.

    ``depth_mm`` is the distance to the outside (0 outside); coarse voxel i stands for native voxel
    ``i * step``. ``box`` is where the body lies on the native grid. ``head`` is where no node can
    lie (`inference.skull.head_of`), if the scan goes up there.
    """

    depth_mm: NDArray[np.float32]
    step: tuple[int, int, int]
    box: Box
    head: NDArray[np.bool_] | None = None

    def depth_at(self, voxels: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        """Return the depth in mm of native voxels, an (n, 3) array of indices."""
        found: NDArray[np.float32] = self.depth_mm[self._coarse(voxels)]
        return found

    def share_in_head(self, voxels: NDArray[np.integer[Any]]) -> float:
        """Return the share of native voxels, likewise, that lie where no node can."""
        return 0.0 if self.head is None else float(self.head[self._coarse(voxels)].mean())

    def _coarse(self, voxels: NDArray[np.integer[Any]]) -> tuple[NDArray[np.intp], ...]:
        nearest = (voxels + np.array(self.step) // 2) // np.array(self.step)
        return tuple(np.minimum(nearest, np.array(self.depth_mm.shape) - 1).T)


def find_body(volume_hu: NDArray[np.int16], spacing_mm: Sequence[float]) -> Body:
    """Return the body in a volume (slices, rows, columns) of Hounsfield units."""
    step = tuple(max(1, round(COARSE_MM / s)) for s in spacing_mm)
    coarse_mm = tuple(s * n for s, n in zip(spacing_mm, step, strict=True))
    coarse = volume_hu[:: step[0], :: step[1], :: step[2]]
    solid = _filled(coarse > TISSUE_HU)
    core = _distance(solid, coarse_mm) > CORE_DEPTH_MM
    pieces, count = cc3d.connected_components(core, connectivity=6, return_N=True)
    if count == 0:
        raise NoBody
    largest = int(np.bincount(pieces.ravel())[1:].argmax()) + 1
    near = _distance(pieces != largest, coarse_mm) < REGROWTH_MM
    body = _filled(solid & near)
    box = ndi.find_objects(body.astype(np.uint8))[0]
    low = [max(0, (part.start - 1) * n) for part, n in zip(box, step, strict=True)]
    high = [
        min(side, (part.stop + 1) * n)
        for part, n, side in zip(box, step, volume_hu.shape, strict=True)
    ]
    return Body(
        depth_mm=_distance(body, coarse_mm, in_plane=True),
        step=(step[0], step[1], step[2]),
        box=(slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2])),
        head=head_of(coarse, coarse_mm),
    )


def _filled(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the mask with its holes filled slice by slice: airways count as body.

    A hole is what the frame around the slice does not reach from pixel to pixel.
    """
    framed = np.pad(~mask, ((0, 0), (1, 1), (1, 1)), constant_values=True)
    filled = np.empty(mask.shape, np.bool_)
    for plane, into in zip(framed, filled, strict=True):
        pieces = cc3d.connected_components(plane.view(np.uint8), connectivity=4)
        np.not_equal(pieces[1:-1, 1:-1], pieces[0, 0], out=into)
    return filled


def _distance(
    mask: NDArray[np.bool_], spacing_mm: Sequence[float], *, in_plane: bool = False
) -> NDArray[np.float32]:
    """Return the distance in mm to the outside of the mask; volume borders are no outside."""
    if in_plane:
        planes = [edt.edt(np.ascontiguousarray(p), anisotropy=spacing_mm[1:]) for p in mask]
        return np.stack(planes)
    distance: NDArray[np.float32] = edt.edt(
        np.ascontiguousarray(mask), anisotropy=spacing_mm, parallel=THREADS
    )
    return distance
