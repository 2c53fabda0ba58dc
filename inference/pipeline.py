"""From a native CT volume to a map of lymph-node candidates on the same grid.

Body box, resampling to the network's grid, the network in one shot (or in overlapping windows
where memory would not do), threshold, components, a second look at each, back to the native grid,
gates by size, tissue and depth. Needs numpy, scipy and whatever the network needs; never torch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from inference.body import Box, find_body
from inference.judging import NodeProbability, coarse_candidates, nodes_of
from inference.model_folder import ModelDescription
from inference.resampling import resample, resampled_shape
from inference.second_look import BodyFrame

LARGEST_SHOT_VOXELS = 25_000_000
"""Largest volume the network sees at once: about 2.5 GB of features. Above it: windows."""

WINDOW_MARGIN = 64
"""Windows overlap by twice this many voxels, the default network's reach; only the part without
margin is used."""

Progress = Callable[[str, float], None]


def never() -> bool:
    """Nobody cancels."""
    return False


class Network(Protocol):
    """What the pipeline needs of a network."""

    model: ModelDescription

    def probability(
        self, image_hu: NDArray[np.float32], cancelled: Callable[[], bool] = never
    ) -> NDArray[np.float32]:
        """Return the node probability of an image on the working grid, same shape."""

    def provenance(self) -> dict[str, Any]:
        """Return what identifies the weights and the runtime."""


class SegmentationCancelled(Exception):
    """The run was cancelled. Start it again to have a result."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


@dataclass(frozen=True)
class Segmentation:
    """The result on the native grid.

    ``labels`` is uint16 (slices, rows, columns), 0 background, 1, 2, ... nodes by falling mean
    probability. ``timings_s`` holds the wall seconds of each stage.
    """

    labels: NDArray[np.uint16]
    nodes: list[NodeProbability]
    timings_s: dict[str, float]
    provenance: dict[str, Any]


@dataclass
class _Watch:
    """Tells progress, listens for cancellation and times each stage."""

    progress: Progress
    cancelled: Callable[[], bool]
    timings_s: dict[str, float] = field(default_factory=dict)

    def go_on(self) -> None:
        if self.cancelled():
            raise SegmentationCancelled

    def check(self, stage: str, fraction: float) -> None:
        self.go_on()
        self.progress(stage, fraction)

    @contextmanager
    def stage(self, name: str, fraction: float) -> Iterator[None]:
        self.check(name, fraction)
        started = time.perf_counter()
        yield
        self.timings_s[name] = round(time.perf_counter() - started, 3)


def _silent(stage: str, fraction: float) -> None:
    """Tell nobody."""


def segment(
    volume_hu: NDArray[np.int16],
    spacing_mm: Sequence[float],
    net: Network,
    *,
    threshold: float | None = None,
    progress: Progress = _silent,
    cancelled: Callable[[], bool] = never,
) -> Segmentation:
    """Return the lymph-node candidates of a CT volume.

    Args:
        volume_hu: int16 HU (slices, rows, columns), caudal to cranial, anterior to posterior,
            right to left.
        spacing_mm: distance between voxel centres (slices, rows, columns).
        net: the network with its model description.
        threshold: probability above which a voxel is node; None means the model's own.
        progress: called with the stage's name and the share done, 0 to 1.
        cancelled: asked between stages and windows; True ends the run.

    Raises:
        NoBody: where there is no body in the volume.
        SegmentationCancelled: where ``cancelled`` said so.
    """
    model = net.model
    level = model.threshold if threshold is None else threshold
    watch = _Watch(progress, cancelled)
    with watch.stage("body", 0.0):
        body = find_body(volume_hu, spacing_mm)
    with watch.stage("resample", 0.1):
        crop = volume_hu[body.box]
        shape = resampled_shape(crop.shape, spacing_mm, model.spacing_mm)
        image = resample(crop, spacing_mm, shape, model.spacing_mm, go_on=watch.go_on)
    with watch.stage("network", 0.3):
        probability, windows = _infer(net, image, watch)
    with watch.stage("nodes", 0.8):
        frame = BodyFrame(body, spacing_mm, model.spacing_mm)
        coarse = coarse_candidates(image, probability, level, model, frame, watch.go_on)
        labels, nodes = nodes_of(
            volume_hu, spacing_mm, body, probability, coarse, level, model, watch.go_on
        )
    watch.check("done", 1.0)
    return Segmentation(
        labels=labels,
        nodes=nodes,
        timings_s=watch.timings_s,
        provenance={
            **net.provenance(),
            "threshold": level,
            "min_short_axis_mm": model.min_short_axis_mm,
            "working_spacing_mm": list(model.spacing_mm),
            "working_shape": list(shape),
            "mirrored": model.mirrored,
            "windows": windows,
            "window_margin": WINDOW_MARGIN if windows > 1 else 0,
        },
    )


def probability_of(
    net: Network, image_hu: NDArray[np.float32], cancelled: Callable[[], bool] = never
) -> NDArray[np.float32]:
    """Return the node probability of an image on the working grid as the model wants it asked."""
    found = net.probability(image_hu, cancelled)
    if net.model.mirrored:
        mirrored = net.probability(np.ascontiguousarray(image_hu[..., ::-1]), cancelled)
        found += mirrored[..., ::-1]
        found *= np.float32(0.5)
    return found


def _infer(
    net: Network, image: NDArray[np.float32], watch: _Watch
) -> tuple[NDArray[np.float32], int]:
    """Return the probability of the whole image and the number of windows it took."""
    if image.size <= LARGEST_SHOT_VOXELS:
        return probability_of(net, image, watch.cancelled), 1
    probability = np.zeros(image.shape, np.float32)
    inner = _inner_sides(image.shape)
    corners = list(
        product(*(range(0, n, step) for n, step in zip(image.shape, inner, strict=True)))
    )
    for done, corner in enumerate(corners):
        watch.check("network", 0.3 + 0.5 * done / len(corners))
        outer, inside, target = _window(corner, inner, image.shape)
        probability[target] = probability_of(net, image[outer], watch.cancelled)[inside]
    return probability, len(corners)


def _inner_sides(shape: Sequence[int]) -> list[int]:
    """Return the sides, without margin, of the fewest windows that each fit in one shot."""
    parts = [1] * len(shape)
    while True:
        inner = [-(-side // count) for side, count in zip(shape, parts, strict=True)]
        outer = [min(n, i + 2 * WINDOW_MARGIN) for n, i in zip(shape, inner, strict=True)]
        if np.prod(outer) <= LARGEST_SHOT_VOXELS or max(inner) <= WINDOW_MARGIN:
            return inner
        parts[int(np.argmax(inner))] += 1


def _window(
    corner: Sequence[int], inner: Sequence[int], shape: Sequence[int]
) -> tuple[Box, Box, Box]:
    """Return a window with margin, its part without margin, and where that part lies."""
    outer, inside, target = [], [], []
    for start, side, extent in zip(corner, inner, shape, strict=True):
        stop = min(start + side, extent)
        low = max(0, start - WINDOW_MARGIN)
        outer.append(slice(low, min(extent, stop + WINDOW_MARGIN)))
        inside.append(slice(start - low, stop - low))
        target.append(slice(start, stop))
    return tuple(outer), tuple(inside), tuple(target)  # type: ignore[return-value]
