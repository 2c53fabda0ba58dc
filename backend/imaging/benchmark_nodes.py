"""How fast nodes are found and measured, beside SciPy and scikit-image on the same volume."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import regionprops

from backend.imaging.grid import Grid
from backend.imaging.nodes import components, measure_all, measure_node

SHAPE = (250, 512, 512)
SPACING_MM = (1.5, 0.6, 0.6)
NODES = 30
RUNS = 5
ALL_NODES_TARGET_S = 1.5
ONE_NODE_TARGET_S = 0.05
PEER = "scipy.ndimage.label + skimage.measure.regionprops"


def phantom(seed: int = 20261121) -> NDArray[np.bool_]:
    """30 ellipsoids that do not touch, semi-axes 2.5–14 mm, in 250×512×512 voxels."""
    random = np.random.default_rng(seed)
    mask = np.zeros(SHAPE, np.bool_)
    reach = (12, 30, 30)
    placed = 0
    while placed < NODES:
        semi_axes = random.uniform(2.5, 14.0, 3)
        centre = [random.uniform(r, size - r - 1) for r, size in zip(reach, SHAPE, strict=True)]
        box = tuple(slice(int(c) - r, int(c) + r) for c, r in zip(centre, reach, strict=True))
        axes = np.ogrid[box]
        distance = sum(
            ((axis - c) * spacing / semi) ** 2
            for axis, c, spacing, semi in zip(axes, centre, SPACING_MM, semi_axes, strict=True)
        )
        if mask[box].any():
            continue
        mask[box] = distance <= 1
        placed += 1
    return mask


def nodes_benchmark(runs: int = RUNS) -> dict[str, Any]:
    """Medians of at least five runs, ours and the peer's in turn, on one machine in one process.

    Returns:
        ``{"sizes", "peer_config", "rows": [{what, ours, unit, peer, peer_name, peer_runs, ratio,
        target, met}]}``: seconds, `ratio` = peer / ours, `met` = ours within the target.
    """
    mask = phantom()
    grid = Grid.axial(SHAPE, SPACING_MM)
    labels = components(mask)
    typical = sorted(measure_all(labels, grid).items(), key=lambda item: item[1].voxels)
    label, measures = typical[-1]
    z0, y0, x0, z1, y1, x1 = measures.bounding_box
    crop = np.pad(labels[z0:z1, y0:y1, x0:x1] == label, 1)
    offset = (z0 - 1, y0 - 1, x0 - 1)

    def peer_all() -> None:
        found, _ = ndimage.label(mask, np.ones((3, 3, 3)))
        for region in regionprops(found, spacing=SPACING_MM):
            _ = (region.area, region.axis_major_length, region.axis_minor_length)

    def peer_one() -> None:
        found, _ = ndimage.label(crop, np.ones((3, 3, 3)))
        for region in regionprops(found, spacing=SPACING_MM):
            _ = (region.area, region.axis_major_length, region.axis_minor_length)

    rows = [
        _row(
            f"instances, short and long axis, volume of {NODES} nodes",
            lambda: measure_all(components(mask), grid),
            peer_all,
            max(runs, RUNS),
            ALL_NODES_TARGET_S,
        ),
        _row(
            "the largest node again after an edit, from its crop",
            lambda: measure_node(crop, grid, offset=offset),
            peer_one,
            max(runs, RUNS),
            ONE_NODE_TARGET_S,
        ),
    ]
    return {
        "sizes": {"shape": list(SHAPE), "spacing_mm": list(SPACING_MM), "nodes": NODES},
        "peer_config": (
            "26 neighbours; area, axis_major_length, axis_minor_length: 3-D moments, which is less "
            "work than short and long axis on every slice and the longest diameter in space"
        ),
        "rows": rows,
    }


def _row(
    what: str, ours: Callable[[], object], peer: Callable[[], object], runs: int, target: float
) -> dict[str, Any]:
    our_times, peer_times = [], []
    for _ in range(runs):
        our_times.append(_seconds(ours))
        peer_times.append(_seconds(peer))
    median, peer_median = statistics.median(our_times), statistics.median(peer_times)
    return {
        "what": what,
        "ours": median,
        "unit": "s",
        "peer": peer_median,
        "peer_name": PEER,
        "peer_runs": runs,
        "ratio": peer_median / median,
        "target": target,
        "met": median <= target,
    }


def _seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start
