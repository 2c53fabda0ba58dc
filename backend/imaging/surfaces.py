"""Distances between the surfaces of two masks (METHODS.md §1.8), in mm.

A border voxel is a mask voxel with one of its six neighbours outside the mask; beyond the array is
outside. Distances run from voxel centre to voxel centre in mm; they are looked up among the
border's points, which gives a distance transform's values without a volume of distances.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree
from skimage.measure import marching_cubes, mesh_surface_area

from backend.imaging.grid import Vector
from backend.imaging.overlap import Mask, Metric, ShapesDiffer, joint_box

Distances: TypeAlias = NDArray[np.float64]

NSD_TOLERANCES_MM = (1.0, 2.0)
SURFEL_CODES = 256
ROUNDING_MM = 1e-9


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
    inner = mask.copy()
    for axis in range(3):
        line = np.moveaxis(mask, axis, 0)
        kept = np.moveaxis(inner, axis, 0)
        kept[1:] &= line[:-1]
        kept[:-1] &= line[1:]
        kept[[0, -1]] = False
    return mask & ~inner


def points_of(mask: Mask, spacing_mm: Vector) -> Distances:
    """Positions in mm, ``(points, 3)``, of the voxels of a mask, from the array's first voxel."""
    positions: Distances = np.argwhere(mask) * np.array(spacing_mm)
    return positions


def nearest_mm(from_points: Distances, to_points: Distances) -> Distances:
    """Distance in mm from each point to the nearest of the others."""
    return np.asarray(KDTree(to_points).query(from_points)[0], np.float64)


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
    a, b = a[box], b[box]
    points_a, points_b = points_of(border(a), spacing_mm), points_of(border(b), spacing_mm)
    from_a, from_b = nearest_mm(points_a, points_b), nearest_mm(points_b, points_a)
    mean_a, mean_b = float(from_a.mean()), float(from_b.mean())
    voxel_a = float(nearest_mm(points_of(a & ~b, spacing_mm), points_b).sum()) / int(a.sum())
    voxel_b = float(nearest_mm(points_of(b & ~a, spacing_mm), points_a).sum()) / int(b.sum())
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
    there_a, there_b = _mixed(codes_a), _mixed(codes_b)
    area_a, area_b = areas[codes_a[there_a]], areas[codes_b[there_b]]
    total = float(area_a.sum() + area_b.sum())
    if not there_a.any() or not there_b.any():
        return dict.fromkeys(map(float, tolerances_mm), _empty(a))
    points_a, points_b = points_of(there_a, spacing_mm), points_of(there_b, spacing_mm)
    from_a, from_b = nearest_mm(points_a, points_b), nearest_mm(points_b, points_a)
    shares = {}
    for tolerance in tolerances_mm:
        within = tolerance + ROUNDING_MM
        area = area_a[from_a <= within].sum() + area_b[from_b <= within].sum()
        shares[float(tolerance)] = Metric(float(area) / total)
    return shares


def _mixed(codes: NDArray[np.uint8]) -> Mask:
    """Corners between voxels that are not all alike."""
    mixed: Mask = (codes != 0) & (codes != SURFEL_CODES - 1)
    return mixed


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
