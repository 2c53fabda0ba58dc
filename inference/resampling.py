"""Between the native grid and the working grid: separable linear resampling of whole volumes.

Voxel i of an axis covers [i * spacing, (i + 1) * spacing); both grids share the outer corner of
voxel 0. Each axis is a product with a matrix of which all but a band is zero; it is multiplied band
by band. The products are so small that BLAS keeps each on the thread that asks: where threads share
few processors, their waiting for one another took longer than the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

Shape3 = tuple[int, int, int]
SLAB_SLICES = 16
"""Slices converted to float32 at once: keeps the native volume from existing twice."""

BAND_OUTPUTS = 16
"""So many outputs of an axis are multiplied at once."""


def resampled_shape(
    shape: Sequence[int], spacing_mm: Sequence[float], target_mm: Sequence[float]
) -> Shape3:
    """Return the shape that covers the same extent with another spacing."""
    d, h, w = (
        max(1, round(n * s / t)) for n, s, t in zip(shape, spacing_mm, target_mm, strict=True)
    )
    return d, h, w


def weight_matrix(
    inputs: int, input_mm: float, outputs: int, output_mm: float, first_mm: float = 0.0
) -> NDArray[np.float32]:
    """Return the (outputs, inputs) matrix that resamples one axis.

    Weights are a triangle as wide as the coarser spacing: linear interpolation where the output is
    finer, a smoothing average where it is coarser. Beyond the border the last voxel repeats.
    ``first_mm`` is the corner of output voxel 0, measured from the corner of input voxel 0.
    """
    centres = first_mm + (np.arange(outputs) + 0.5) * output_mm
    last = (inputs - 0.5) * input_mm
    clipped = np.clip(centres, 0.5 * input_mm, max(last, 0.5 * input_mm))
    positions = (np.arange(inputs) + 0.5) * input_mm
    width = max(input_mm, output_mm)
    weights = np.clip(1 - np.abs(clipped[:, None] - positions[None, :]) / width, 0, None)
    matrix: NDArray[np.float32] = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return matrix


def resample(
    volume: NDArray[Any],
    spacing_mm: Sequence[float],
    shape: Sequence[int],
    target_mm: Sequence[float],
    first_mm: Sequence[float] = (0.0, 0.0, 0.0),
    go_on: Callable[[], None] = lambda: None,
) -> NDArray[np.float32]:
    """Return the volume (slices, rows, columns) on another grid as float32.

    ``first_mm`` is where the new grid's corner lies, measured from the old grid's corner.
    ``go_on`` is called now and then, and raises where nobody wants the result any more.
    """
    return resampled_with(
        volume,
        [
            weight_matrix(n, s, m, t, f)
            for n, s, m, t, f in zip(
                volume.shape, spacing_mm, shape, target_mm, first_mm, strict=True
            )
        ],
        go_on,
    )


def cubic_matrix(inputs: int, outputs: int) -> NDArray[np.float32]:
    """Return the (outputs, inputs) matrix of cubic splines over the same extent, unsmoothed.

    The same weights as `skimage.transform.resize(order=3, mode="edge", anti_aliasing=False)`,
    which nnU-Net uses: its splines are linear in the image, so one axis is one matrix.
    """
    unit = np.eye(inputs, dtype=np.float64)
    matrix = ndi.zoom(unit, (outputs / inputs, 1), order=3, mode="nearest", grid_mode=True)
    return np.ascontiguousarray(matrix, np.float32)


def nearest_matrix(inputs: int, outputs: int) -> NDArray[np.float32]:
    """Return the (outputs, inputs) matrix that takes the nearest voxel over the same extent."""
    nearest = np.minimum(((np.arange(outputs) + 0.5) * inputs / outputs).astype(int), inputs - 1)
    matrix: NDArray[np.float32] = np.eye(inputs, dtype=np.float32)[nearest]
    return matrix


def resampled_with(
    volume: NDArray[Any],
    matrices: Sequence[NDArray[np.float32]],
    go_on: Callable[[], None] = lambda: None,
) -> NDArray[np.float32]:
    """Return the volume (slices, rows, columns) after one matrix along each axis, as float32."""
    z, y, x = map(_bands, matrices)
    slices, height, width = (len(matrix) for matrix in matrices)
    in_plane = np.empty((volume.shape[0], height, width), np.float32)
    for start in range(0, volume.shape[0], SLAB_SLICES):
        go_on()
        slab = volume[start : start + SLAB_SLICES].astype(np.float32)
        rows = np.empty((*slab.shape[:2], width), np.float32)
        for to, source, weights in x:
            np.matmul(slab[:, :, source], weights.T, out=rows[:, :, to])
        for to, source, weights in y:
            np.matmul(weights, rows[:, source], out=in_plane[start : start + SLAB_SLICES, to])
    found = np.empty((slices, height, width), np.float32)
    for to, source, weights in z:
        go_on()
        planes = in_plane[source].transpose(1, 0, 2)
        np.matmul(weights, planes, out=found[to].transpose(1, 0, 2))
    return found


class _Band(NamedTuple):
    """A few outputs of an axis, and the inputs that have any weight in them."""

    to: slice
    source: slice
    weights: NDArray[np.float32]


def _bands(matrix: NDArray[np.float32]) -> list[_Band]:
    """Return the bands of a matrix (outputs, inputs), each output in one."""
    found = []
    for start in range(0, len(matrix), BAND_OUTPUTS):
        part = matrix[start : start + BAND_OUTPUTS]
        weighty = np.flatnonzero(part.any(axis=0))
        source = slice(int(weighty[0]), int(weighty[-1]) + 1)
        weights = np.ascontiguousarray(part[:, source])
        found.append(_Band(slice(start, start + len(part)), source, weights))
    return found
