"""Distances between the surfaces of two masks (`methods.md` §1.8), in mm.

A border voxel is a mask voxel with one of its six neighbours outside the mask; beyond the array is
outside. Distances run from voxel centre to voxel centre by an anisotropic distance transform.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import edt
import numpy as np
from numpy.typing import NDArray
from skimage.measure import marching_cubes, mesh_surface_area

from backend.imaging.grid import Vector
from backend.imaging.overlap import Mask, Metric, ShapesDiffer, joint_box

Distances: TypeAlias = NDArray[np.float64]

NSD_TOLERANCES_MM = (1.0, 2.0)
SURFEL_CODES = 256


@dataclass(frozen=True)
class SurfaceDistances:
    """All surface metrics of two masks; every one null when one mask is empty.

    Attributes:
        assd: pooled mean distance, the default of this product, mm.
        ahd_mean, ahd_max: mean and larger of the two directed means, mm.
        hd: largest distance, mm. hd95: larger of the two directed 95th percentiles, mm.
        ahd_voxel: as `ahd_mean` over all voxels (what ITK calls average Hausdorff distance), mm.
        nsd: tolerance in mm → surface Dice at that tolerance (surfels).
        mean_from_a, mean_from_b: the directed means, mm.
    """

    assd: Metric
    ahd_mean: Metric
    ahd_max: Metric
    hd: Metric
    hd95: Metric
    ahd_voxel: Metric
    nsd: dict[float, Metric]
    mean_from_a: Metric
    mean_from_b: Metric

    def to_json(self) -> dict[str, Any]:
        """All metrics as JSON; tolerances as text keys such as "1.0"."""
        data = asdict(self)
        data["nsd"] = {str(tolerance): value for tolerance, value in data["nsd"].items()}
        return data


def border(mask: Mask) -> Mask:
    """Voxels of a mask ``(slices, rows, columns)`` with a 6-neighbour outside it."""
    padded = np.pad(mask, 1)
    inner = padded.copy()
    for axis in range(3):
        inner &= np.roll(padded, 1, axis) & np.roll(padded, -1, axis)
    core: Mask = inner[1:-1, 1:-1, 1:-1]
    return mask & ~core


def distance_to(mask: Mask, spacing_mm: Vector) -> Distances:
    """Distance in mm from every voxel to the nearest voxel of a non-empty mask."""
    background = np.ascontiguousarray(~mask).view(np.uint8)
    squared = edt.edtsq(background, anisotropy=spacing_mm, black_border=False)
    return np.sqrt(np.asarray(squared, np.float64))


def surface_distances(
    a: Mask,
    b: Mask,
    spacing_mm: Vector,
    *,
    nsd_tolerances_mm: Sequence[float] = NSD_TOLERANCES_MM,
) -> SurfaceDistances:
    """Every surface metric of two masks ``(slices, rows, columns)`` on one grid.

    Args:
        a, b: the masks; by convention `a` is the truth.
        spacing_mm: voxel spacing ``(sz, sy, sx)``.
        nsd_tolerances_mm: tolerances for the surface Dice.

    Raises:
        ShapesDiffer: when the shapes differ.
    """
    if a.shape != b.shape:
        raise ShapesDiffer(a.shape, b.shape)
    box = joint_box(a, b)
    if box is None or not a.any() or not b.any():
        return _undefined(a, nsd_tolerances_mm)
    a, b = np.pad(a[box], 1), np.pad(b[box], 1)
    border_a, border_b = border(a), border(b)
    from_a = distance_to(border_b, spacing_mm)[border_a]
    from_b = distance_to(border_a, spacing_mm)[border_b]
    mean_a, mean_b = float(from_a.mean()), float(from_b.mean())
    voxel_a = float(distance_to(b, spacing_mm)[a].mean())
    voxel_b = float(distance_to(a, spacing_mm)[b].mean())
    surface_dice = normalized_surface_dice(a, b, spacing_mm, nsd_tolerances_mm)
    return SurfaceDistances(
        assd=Metric(float((from_a.sum() + from_b.sum()) / (from_a.size + from_b.size))),
        ahd_mean=Metric((mean_a + mean_b) / 2),
        ahd_max=Metric(max(mean_a, mean_b)),
        hd=Metric(float(max(from_a.max(), from_b.max()))),
        hd95=Metric(float(max(np.percentile(from_a, 95), np.percentile(from_b, 95)))),
        ahd_voxel=Metric((voxel_a + voxel_b) / 2),
        nsd=surface_dice,
        mean_from_a=Metric(mean_a),
        mean_from_b=Metric(mean_b),
    )


def _empty(a: Mask) -> Metric:
    return Metric(None, "NO_PREDICTION" if a.any() else "NO_TRUTH")


def _undefined(a: Mask, tolerances: Sequence[float]) -> SurfaceDistances:
    null = _empty(a)
    return SurfaceDistances(
        assd=null,
        ahd_mean=null,
        ahd_max=null,
        hd=null,
        hd95=null,
        ahd_voxel=null,
        nsd=dict.fromkeys(map(float, tolerances), null),
        mean_from_a=null,
        mean_from_b=null,
    )


def normalized_surface_dice(
    a: Mask, b: Mask, spacing_mm: Vector, tolerances_mm: Sequence[float]
) -> dict[float, Metric]:
    """Share of both surfaces' area that lies within each tolerance of the other surface.

    A surface element sits between eight voxels that are not all alike; its area is that of the
    marching-cubes surface through them (the surfel definition of DeepMind's surface-distance).
    Null when a mask is empty.
    """
    codes_a, codes_b = _surfel_codes(a), _surfel_codes(b)
    areas = _surfel_areas(spacing_mm)
    there_a, there_b = areas[codes_a] > 0, areas[codes_b] > 0
    area_a, area_b = areas[codes_a[there_a]], areas[codes_b[there_b]]
    total = float(area_a.sum() + area_b.sum())
    if not there_a.any() or not there_b.any():
        return dict.fromkeys(map(float, tolerances_mm), _empty(a))
    from_a = distance_to(there_b, spacing_mm)[there_a]
    from_b = distance_to(there_a, spacing_mm)[there_b]
    return {
        float(tolerance): Metric(
            float(area_a[from_a <= tolerance].sum() + area_b[from_b <= tolerance].sum()) / total
        )
        for tolerance in tolerances_mm
    }


def _surfel_codes(mask: Mask) -> NDArray[np.uint8]:
    """For each corner between eight voxels, which of them are in the mask, as eight bits."""
    padded = np.pad(mask, 1).view(np.uint8)
    shape = tuple(size - 1 for size in padded.shape)
    codes = np.zeros(shape, np.uint8)
    for bit in range(8):
        z, y, x = bit >> 2 & 1, bit >> 1 & 1, bit & 1
        codes |= padded[z : z + shape[0], y : y + shape[1], x : x + shape[2]] << bit
    return codes


@lru_cache(maxsize=32)
def _surfel_areas(spacing_mm: Vector) -> Distances:
    """Area in mm² of the surface between eight voxels, for each of the 256 patterns.

    A pattern and its opposite have one surface: the one that cuts off the fewer voxels. So the
    areas equal DeepMind's published table for every pattern.
    """
    areas = np.zeros(SURFEL_CODES)
    for code in range(1, SURFEL_CODES - 1):
        if code.bit_count() > 4:
            continue
        cube = np.array([code >> bit & 1 for bit in range(8)], np.float32).reshape(2, 2, 2)
        vertices, faces, _, _ = marching_cubes(cube, 0.5, spacing=spacing_mm, method="lorensen")
        area = mesh_surface_area(vertices, faces)
        areas[code] = area
        if code.bit_count() < 4:
            areas[SURFEL_CODES - 1 - code] = area
    return areas
