"""Long and short axis of one region, drawn as a radiologist draws them (METHODS.md §1.4).

A 2-D region's outline is its iso-0.5 contour. On a yes/no mask the vertices of that contour are the
midpoints between a voxel inside and its neighbour outside, and the vertices of its convex hull are
among the outermost midpoints of each row and column; so no contour is traced here. Hulls are built
in whole half-voxels and are exact; millimetres come in afterwards, which keeps a hull a hull.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Mask: TypeAlias = NDArray[np.bool_]
Point: TypeAlias = tuple[float, float]

TIE_MM = 1e-9


class NoSuchNode(ValueError):
    """A node must hold at least one voxel. Draw it again, or reject it."""

    def __init__(self, label: int | None = None) -> None:
        which = "The node" if label is None else f"Node number {label}"
        super().__init__(f"{which} holds no voxel. Draw it again, or reject it.")


@dataclass(frozen=True)
class Axes:
    """Long and short axis of one 2-D region.

    Attributes:
        lad_mm, sad_mm: lengths in mm.
        lad_points, sad_points: their two ends as fractional ``(row, column)`` indices.
    """

    lad_mm: float
    sad_mm: float
    lad_points: tuple[Point, Point]
    sad_points: tuple[Point, Point]

    def beats(self, other: Axes) -> bool:
        """Whether this region gives the node's values rather than an earlier one."""
        if abs(self.lad_mm - other.lad_mm) > TIE_MM:
            return self.lad_mm > other.lad_mm
        return self.sad_mm > other.sad_mm + TIE_MM


def region_axes(region: Mask, row_mm: float, column_mm: float) -> Axes:
    """Long and short axis of one 2-D region ``(rows, columns)`` (METHODS.md §1.4).

    The long axis is the largest distance between two vertices of the convex hull of the iso-0.5
    contour; the short axis the longest chord of that hull perpendicular to it. Of equally long
    axes the one with the larger short axis counts.

    Raises:
        NoSuchNode: when the region is empty.
    """
    half = _hull_2d(_outermost_midpoints(region))
    scale = np.array([row_mm, column_mm]) / 2
    hull = half * scale
    difference = hull[:, None, :] - hull[None, :, :]
    distance = np.sqrt((difference**2).sum(axis=2))
    longest = float(distance.max())
    first, second = np.nonzero(np.triu(distance >= longest - TIE_MM, 1))
    pairs = list(zip(first.tolist(), second.tolist(), strict=True))
    i, j = pairs[0]
    short, ends = _widest_chord(hull, i, j)
    for p, q in pairs[1:]:
        other, other_ends = _widest_chord(hull, p, q)
        if other > short + TIE_MM:
            i, j, short, ends = p, q, other, other_ends
    spacing = (row_mm, column_mm)
    return Axes(
        lad_mm=longest,
        sad_mm=short,
        lad_points=(_index(hull[i], spacing), _index(hull[j], spacing)),
        sad_points=(_index(ends[0], spacing), _index(ends[1], spacing)),
    )


def _index(point_mm: NDArray[np.float64], spacing: tuple[float, float]) -> Point:
    return (float(point_mm[0]) / spacing[0], float(point_mm[1]) / spacing[1])


def _outermost_midpoints(region: Mask) -> NDArray[np.int64]:
    """Outermost contour vertices of each row and column, in half pixels ``(row, column)``."""
    points = [line_ends(region, axis) for axis in (0, 1)]
    return np.concatenate(points)


def line_ends(mask: NDArray[np.bool_], axis: int) -> NDArray[np.int64]:
    """For every line along `axis`: half an index before its first voxel and after its last.

    Doubled indices ``(points, dimensions)``, so that half voxels are whole numbers.
    """
    occupied = mask.any(axis=axis)
    lines = np.argwhere(occupied)
    first = mask.argmax(axis=axis)[occupied]
    last = mask.shape[axis] - 1 - np.flip(mask, axis).argmax(axis=axis)[occupied]
    count = len(lines)
    ends = np.empty((2 * count, mask.ndim), np.int64)
    across = [dimension for dimension in range(mask.ndim) if dimension != axis]
    ends[:count, across] = ends[count:, across] = 2 * lines
    ends[:count, axis] = 2 * first - 1
    ends[count:, axis] = 2 * last + 1
    return ends


def _hull_2d(points: NDArray[np.int64]) -> NDArray[np.int64]:
    """Vertices of the convex hull of whole-number points, in order around it (monotone chain).

    Of the points with one first coordinate only the outer two can be vertices: the smallest ones
    make one chain, the largest the other.
    """
    if not len(points):
        raise NoSuchNode
    ordered = points[np.lexsort((points[:, 1], points[:, 0]))]
    starts = np.flatnonzero(np.diff(ordered[:, 0], prepend=ordered[0, 0] - 1))
    near = _chain(ordered[starts].tolist())
    far = _chain(ordered[np.append(starts[1:], len(ordered)) - 1][::-1].tolist())
    around = near + [point for point in far if point not in (near[0], near[-1])]
    return np.array(around, np.int64)


def _chain(line: list[list[int]]) -> list[list[int]]:
    """The points of a monotone line that stay when every right turn and straight on is cut."""
    kept: list[list[int]] = []
    for point in line:
        while len(kept) > 1:
            (a0, a1), (b0, b1) = kept[-2], kept[-1]
            if (b0 - a0) * (point[1] - a1) - (b1 - a1) * (point[0] - a0) > 0:
                break
            kept.pop()
        kept.append(point)
    return kept


def _widest_chord(hull: NDArray[np.float64], i: int, j: int) -> tuple[float, NDArray[np.float64]]:
    """The longest chord perpendicular to hull[i]–hull[j], and its two ends.

    Between the ends of the long axis the hull is an upper and a lower chain; their distance is
    piecewise linear, so the longest chord runs through a vertex.
    """
    along = (hull[j] - hull[i]) / np.linalg.norm(hull[j] - hull[i])
    across = np.array([-along[1], along[0]])
    u, v = (hull - hull[i]) @ along, (hull - hull[i]) @ across
    chains = (np.arange(i, i + (j - i) % len(hull) + 1), np.arange(j, j + (i - j) % len(hull) + 1))
    one, other = chains[0] % len(hull), chains[1][::-1] % len(hull)
    v_one = np.interp(u, u[one], v[one])
    v_other = np.interp(u, u[other], v[other])
    widest = int(np.argmax(np.abs(v_one - v_other)))
    base = hull[i] + u[widest] * along
    ends = np.stack((base + v_one[widest] * across, base + v_other[widest] * across))
    return float(abs(v_one[widest] - v_other[widest])), ends


def ellipse_sad_mm(region: Mask, row_mm: float, column_mm: float) -> float:
    """Minor axis in mm of the ellipse with the region's second moments (quality control only)."""
    pixels = np.argwhere(region) * np.array([row_mm, column_mm])
    covariance = np.cov(pixels, rowvar=False, ddof=0) if len(pixels) > 1 else np.zeros((2, 2))
    covariance = covariance + np.diag([row_mm**2 / 12, column_mm**2 / 12])
    return 4 * math.sqrt(float(np.linalg.eigvalsh(covariance)[0]))
