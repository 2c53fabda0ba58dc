"""What a voxel looks like from a click, without any network: density, and the way that leads there.

All fields lie on one cubic grid of `step_mm`. The ways are straight (the lowest and highest value
met between click and voxel) and winding (the best bottleneck of any way, in the depth within soft
tissue): a thin neck of tissue keeps a node from its neighbour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import edt
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

Field = NDArray[np.float32]
Cells = NDArray[np.int64]

FAT_HU = -30.0
TISSUE_HU = (-70.0, 300.0)
FAR_MM = 24.0
RAY_STEPS = 9
DEPTH_LEVELS = (0.4, 0.8, 1.2, 1.6, 2.0, 2.5, 3.0, 4.0, 5.0, 7.0)
NAMES = (
    "hu", "hu_smooth", "hu_wide", "edge", "depth",
    "hu_from_click", "hu_off_click", "distance", "distance_in_depths",
    "ray_hu_low", "ray_hu_high", "ray_edge", "ray_depth", "way_depth",
    "click_hu", "click_depth",
    "away_distance", "away_nearer", "away_way_depth", "away_ray_edge", "away_off_hu",
    "step",
)  # fmt: skip


@dataclass(frozen=True)
class Scene:
    """The fields that no click changes."""

    step_mm: float
    hu: Field
    smooth: Field
    wide: Field
    edge: Field
    depth: Field
    candidate: NDArray[np.bool_]

    @classmethod
    def of(cls, hu: Field, blocked: NDArray[np.bool_], step_mm: float) -> Scene:
        """Scene of an image in HU; `blocked` voxels belong to others or lie outside."""
        hu = np.clip(hu, -300, 400)
        smooth = ndi.gaussian_filter(hu, 0.7 / step_mm)
        wide = ndi.gaussian_filter(hu, 2.0 / step_mm)
        gradient = np.gradient(smooth, step_mm)
        edge = np.sqrt(sum(part * part for part in gradient)).astype(np.float32)
        tissue = (smooth > FAT_HU) & (smooth < TISSUE_HU[1]) & ~blocked
        depth = edt.edt(np.ascontiguousarray(tissue), anisotropy=(step_mm,) * 3)
        candidate = (smooth > TISSUE_HU[0]) & (smooth < TISSUE_HU[1]) & ~blocked
        return cls(
            step_mm, hu, smooth, wide, edge, np.minimum(depth, 15).astype(np.float32), candidate
        )


@dataclass(frozen=True)
class _View:
    """What the voxels look like from one click."""

    distance: Field
    off_hu: Field
    reference: float
    ray_low: Field
    ray_high: Field
    ray_edge: Field
    ray_depth: Field
    way_depth: Field
    depth: float


def features(
    scene: Scene, cells: Cells, clicks: Sequence[NDArray[np.float64]],
    away: Sequence[NDArray[np.float64]],
) -> Field:  # fmt: skip
    """Features `(voxels, len(NAMES))` of `cells` (voxels, 3), for clicks within and beside."""
    views = [_view(scene, cells, click) for click in clicks]
    distances = np.stack([view.distance for view in views])
    nearest = distances.argmin(axis=0)
    every = np.arange(len(cells))

    def of_nearest(name: str) -> Field:
        found: Field = np.stack([getattr(view, name) for view in views])[nearest, every]
        return found

    def best(name: str) -> Field:
        found: Field = np.stack([getattr(view, name) for view in views]).max(axis=0)
        return found

    def told(name: str) -> Field:
        found: Field = np.array([getattr(view, name) for view in views], np.float32)[nearest]
        return found

    at = tuple(cells.T)
    distance = distances.min(axis=0)
    far = np.full(len(cells), FAR_MM, np.float32)
    none = np.zeros(len(cells), np.float32)
    away_distance, away_way, away_edge, away_off = far, none, none + 300, none + 300
    others = [_view(scene, cells, click) for click in away]
    if others:
        spans = np.stack([view.distance for view in others])
        first = spans.argmin(axis=0)
        away_distance = np.minimum(spans.min(axis=0), FAR_MM)
        away_way = np.stack([v.way_depth for v in others]).max(axis=0)
        away_edge = np.stack([v.ray_edge for v in others])[first, every]
        away_off = np.stack([np.abs(v.off_hu) for v in others])[first, every]
    off = of_nearest("off_hu")
    columns = [
        scene.hu[at] / 100, scene.smooth[at] / 100, scene.wide[at] / 100,
        scene.edge[at] / 50, scene.depth[at] / 5,
        off / 50, np.abs(off) / 50, distance / 8, distance / (told("depth") + 1.5) / 3,
        best("ray_low") / 100, of_nearest("ray_high") / 100,
        of_nearest("ray_edge") / 50, best("ray_depth") / 5,
        best("way_depth") / 5,
        told("reference") / 100, told("depth") / 5,
        away_distance / 8, (distance - away_distance) / 8, away_way / 5, away_edge / 50,
        away_off / 50,
        np.full(len(cells), scene.step_mm, np.float32),
    ]  # fmt: skip
    table: Field = np.clip(np.stack(columns, axis=1), -8, 8).astype(np.float32)
    return table


def _view(scene: Scene, cells: Cells, click: NDArray[np.float64]) -> _View:
    top = np.array(scene.hu.shape) - 1
    centre = np.clip(np.rint(click), 0, top).astype(int)
    home = (int(centre[0]), int(centre[1]), int(centre[2]))
    offset = (cells - click).astype(np.float32)
    distance = np.sqrt((offset**2).sum(axis=1)) * scene.step_mm
    reach = max(1, round(1.2 / scene.step_mm))
    core = tuple(slice(max(0, i - reach), i + reach + 1) for i in home)
    reference = float(scene.smooth[core].mean())
    rays = _along_rays(scene, cells, click, offset)
    at = tuple(cells.T)
    return _View(
        distance=distance,
        off_hu=scene.smooth[at] - reference,
        reference=reference,
        ray_low=rays[0].min(axis=0),
        ray_high=rays[0].max(axis=0),
        ray_edge=rays[1].max(axis=0),
        ray_depth=rays[2].min(axis=0),
        way_depth=_bottleneck(scene.depth, home, DEPTH_LEVELS)[at],
        depth=float(scene.depth[core].max()),
    )


def _along_rays(
    scene: Scene, cells: Cells, click: NDArray[np.float64], offset: Field
) -> tuple[Field, Field, Field]:
    """Density, edge and depth `(steps, voxels)` on the straight way from click to voxel."""
    shape = scene.hu.shape
    shares = (np.arange(1, RAY_STEPS + 1) / (RAY_STEPS + 1)).astype(np.float32)
    points = np.rint(click.astype(np.float32) + shares[:, None, None] * offset).astype(np.int32)
    for axis in range(3):
        np.clip(points[..., axis], 0, shape[axis] - 1, out=points[..., axis])
    flat = (points[..., 0] * shape[1] + points[..., 1]) * shape[2] + points[..., 2]
    first, second, third = (
        field.reshape(-1)[flat] for field in (scene.smooth, scene.edge, scene.depth)
    )
    return first, second, third


def _bottleneck(field: Field, home: tuple[int, int, int], levels: Sequence[float]) -> Field:
    """For each voxel the highest of `levels` that some way from the click never falls below.

    Below the lowest level (and everywhere, where the click itself lies below it) one step less.
    """
    best = np.full(field.shape, 2 * levels[0] - levels[1], np.float32)
    for level in levels:
        above = field >= level
        if not above[home]:
            break
        pieces, _ = ndi.label(above)
        best[pieces == pieces[home]] = level
    return best
