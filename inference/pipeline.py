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
from scipy import ndimage as ndi

from backend.imaging.nodes import components
from inference.body import Body, Box, find_body
from inference.candidates import keep_labels, large_enough, short_axis_mm
from inference.model_folder import ModelDescription
from inference.resampling import resample, resampled_shape
from inference.second_look import candidate_features

LARGEST_SHOT_VOXELS = 25_000_000
"""Largest volume the network sees at once: about 2.5 GB of features. Above it: windows."""

WINDOW_MARGIN = 32
"""Windows overlap by twice this many voxels; only the part without margin is used."""

COARSE_SIZE_SHARE = 0.6
"""On the working grid a candidate of this share of the smallest size is still kept: its size on
the native grid decides."""

MEAN_HU_RANGE = (-30.0, 220.0)
MIN_DEPTH_MM = 4.0
MAX_OUTSIDE_SHARE = 0.3
"""Gates: a node's mean density is soft tissue; its deepest voxel lies under the skin; not much of
it lies outside the body (ears, folds of skin)."""

Progress = Callable[[str, float], None]


class Network(Protocol):
    """What the pipeline needs of a network."""

    model: ModelDescription

    def probability(self, image_hu: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the node probability of an image on the working grid, same shape."""

    def provenance(self) -> dict[str, Any]:
        """Return what identifies the weights and the runtime."""


class SegmentationCancelled(Exception):
    """The run was cancelled. Start it again to have a result."""


@dataclass(frozen=True)
class NodeProbability:
    """How sure the network is of one node: the mean and the highest probability of its voxels."""

    label: int
    mean: float
    highest: float
    short_axis_mm: float
    mean_hu: float


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

    def check(self, stage: str, fraction: float) -> None:
        if self.cancelled():
            raise SegmentationCancelled("The run was cancelled. Start it again to have a result.")
        self.progress(stage, fraction)

    @contextmanager
    def stage(self, name: str, fraction: float) -> Iterator[None]:
        self.check(name, fraction)
        started = time.perf_counter()
        yield
        self.timings_s[name] = round(time.perf_counter() - started, 3)


def _silent(stage: str, fraction: float) -> None:
    """Tell nobody."""


def _never() -> bool:
    return False


def segment(
    volume_hu: NDArray[np.int16],
    spacing_mm: Sequence[float],
    net: Network,
    *,
    threshold: float | None = None,
    progress: Progress = _silent,
    cancelled: Callable[[], bool] = _never,
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
        image = resample(crop, spacing_mm, shape, model.spacing_mm)
    with watch.stage("network", 0.3):
        probability, windows = _infer(net, image, watch)
    with watch.stage("nodes", 0.8):
        coarse = coarse_candidates(image, probability, level, model)
        labels, nodes = _nodes(volume_hu, spacing_mm, body, probability, coarse, level, model)
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
            "windows": windows,
            "window_margin": WINDOW_MARGIN if windows > 1 else 0,
        },
    )


def _infer(
    net: Network, image: NDArray[np.float32], watch: _Watch
) -> tuple[NDArray[np.float32], int]:
    """Return the probability of the whole image and the number of windows it took."""
    if image.size <= LARGEST_SHOT_VOXELS:
        return net.probability(image), 1
    probability = np.zeros(image.shape, np.float32)
    inner = _inner_sides(image.shape)
    corners = list(
        product(*(range(0, n, step) for n, step in zip(image.shape, inner, strict=True)))
    )
    for done, corner in enumerate(corners):
        watch.check("network", 0.3 + 0.5 * done / len(corners))
        outer, inside, target = _window(corner, inner, image.shape)
        probability[target] = net.probability(image[outer])[inside]
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


def coarse_candidates(
    image: NDArray[np.float32],
    probability: NDArray[np.float32],
    threshold: float,
    model: ModelDescription,
) -> NDArray[np.uint16]:
    """Return the candidates on the working grid that are large enough and pass the second look."""
    labels = components(probability > threshold)
    smallest = COARSE_SIZE_SHARE * model.min_short_axis_mm
    kept = large_enough(labels, model.spacing_mm, smallest)
    look = model.second_look
    if look is not None:
        boxes = ndi.find_objects(labels)
        kept = [
            label
            for label in kept
            if look.score(candidate_features(labels, label, boxes[label - 1], probability, image))
            >= look.threshold
        ]
    return keep_labels(labels, kept)


def _nodes(
    volume_hu: NDArray[np.int16],
    spacing_mm: Sequence[float],
    body: Body,
    probability: NDArray[np.float32],
    coarse: NDArray[np.uint16],
    threshold: float,
    model: ModelDescription,
) -> tuple[NDArray[np.uint16], list[NodeProbability]]:
    """Return the native instance map and its nodes, surest first."""
    native = np.zeros(volume_hu.shape, np.float32)
    crop = native[body.box]
    for label, box in enumerate(ndi.find_objects(coarse), 1):
        _return_to_native(crop, spacing_mm, coarse, probability, label, box, model)
    labels = components(native > threshold)
    nodes = []
    for label, box in enumerate(ndi.find_objects(labels), 1):
        node = _judge(label, box, labels, native, volume_hu, spacing_mm, body, model)
        if node is not None:
            nodes.append(node)
    nodes.sort(key=lambda node: -node.mean)
    final = keep_labels(labels, [node.label for node in nodes])
    renumbered = [
        NodeProbability(number, n.mean, n.highest, n.short_axis_mm, n.mean_hu)
        for number, n in enumerate(nodes, 1)
    ]
    return final, renumbered


def _return_to_native(
    native: NDArray[np.float32],
    spacing_mm: Sequence[float],
    labels: NDArray[np.uint16],
    probability: NDArray[np.float32],
    label: int,
    box: Box,
    model: ModelDescription,
) -> None:
    """Write one candidate's probability into the native crop; other candidates are left out."""
    grown = tuple(
        slice(max(0, part.start - 2), min(n, part.stop + 2))
        for part, n in zip(box, labels.shape, strict=True)
    )
    own = ndi.binary_dilation(labels[grown] == label, iterations=2)
    other = (labels[grown] > 0) & (labels[grown] != label)
    score = np.where(own & ~other, probability[grown], 0)
    target, first_mm = [], []
    for part, spacing, working, n in zip(
        grown, spacing_mm, model.spacing_mm, native.shape, strict=True
    ):
        low = max(0, int(np.floor(part.start * working / spacing)))
        high = min(n, int(np.ceil(part.stop * working / spacing)))
        target.append(slice(low, max(low + 1, high)))
        first_mm.append(low * spacing - part.start * working)
    place = native[tuple(target)]
    fine = resample(score, model.spacing_mm, place.shape, spacing_mm, first_mm)
    np.maximum(place, fine, out=place)


def _judge(
    label: int,
    box: Box,
    labels: NDArray[np.uint16],
    probability: NDArray[np.float32],
    volume_hu: NDArray[np.int16],
    spacing_mm: Sequence[float],
    body: Body,
    model: ModelDescription,
) -> NodeProbability | None:
    """Return the node's values, or None where a gate keeps it out."""
    mask = labels[box] == label
    mean_hu = float(volume_hu[box][mask].mean())
    if not MEAN_HU_RANGE[0] <= mean_hu <= MEAN_HU_RANGE[1]:
        return None
    voxels = np.argwhere(mask) + [part.start for part in box]
    depth = body.depth_at(voxels)
    if depth.max() < MIN_DEPTH_MM or (depth == 0).mean() > MAX_OUTSIDE_SHARE:
        return None
    size_mm = short_axis_mm(mask, spacing_mm[1], spacing_mm[2])
    if size_mm < model.min_short_axis_mm:
        return None
    scores = probability[box][mask]
    return NodeProbability(label, float(scores.mean()), float(scores.max()), size_mm, mean_hu)
