"""From a native volume to nodes on the same grid, for any network described by a `Plan`.

Body box, the network's spacing and axes, window and normalisation, the network at once or in
overlapping windows blended by a Gaussian, back to the native grid, instances. Windows lie where
nnU-Net v2 lays them. The embedded network has a pipeline of its own (`pipeline`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from backend.imaging.grid import Shape, Vector
from backend.imaging.nodes import components
from backend.jobs.model_rules import OPPOSITE, InputRule, OutputRule
from inference.adapters import Cancelled, Progress
from inference.body import Box, find_body
from inference.candidates import keep_labels, large_enough, short_axis_mm
from inference.device import Ladder, Step, steps_for
from inference.judging import NodeProbability
from inference.pipeline import Segmentation, SegmentationCancelled
from inference.resampling import cubic_matrix, nearest_matrix, resampled_with, weight_matrix
from inference.windows import infer

Volume = NDArray[np.float32]
CANONICAL = "SPL"
SEPARATE_SLICES_RATIO = 3.0
"""Above this ratio of spacings a cubic plan takes the nearest slice along the coarse axis."""


@dataclass(frozen=True)
class Plan:
    """How a network wants its image, and what its answer means.

    `interpolation` is "linear" (smoothing where the grid becomes coarser) or "cubic" (as nnU-Net).
    """

    input: InputRule
    output: OutputRule
    interpolation: str = "linear"


class Network(Protocol):
    """What the engine needs of a network."""

    plan: Plan
    device: str

    def forward(self, image: Volume, step: Step) -> Volume:
        """Logits (windows, channels, d, h, w) of windows (windows, d, h, w); raises as torch."""

    def batch(self, step: Step) -> int:
        """How many windows it takes at once in that step."""

    def provenance(self) -> dict[str, Any]:
        """Device, precision, threads, runtime."""


@dataclass
class _Watch:
    progress: Progress
    cancelled: Cancelled
    timings_s: dict[str, float]

    def check(self, stage: str, share: float) -> None:
        if self.cancelled():
            raise SegmentationCancelled
        self.progress(stage, share)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.check(name, 0.0)
        began = time.perf_counter()
        yield
        self.timings_s[name] = round(time.perf_counter() - began, 3)


def segment(
    volume_hu: NDArray[np.int16],
    spacing_mm: Vector,
    net: Network,
    *,
    progress: Progress,
    cancelled: Cancelled,
) -> Segmentation:
    """The nodes of a volume (caudal→cranial, anterior→posterior, right→left), surest first.

    Raises `NoBody`, `SegmentationCancelled`, and what the network raises.
    """
    plan, watch = net.plan, _Watch(progress, cancelled, {})
    with watch.stage("preprocess"):
        box = _box(volume_hu, spacing_mm, plan.input)
        crop = volume_hu[box]
        working = _working_shape(crop.shape, spacing_mm, plan)
        image = _turned(_prepared(crop, spacing_mm, working, plan), plan.input.axes)
    with watch.stage("infer"):
        ladder = Ladder(steps_for(net.device, image.shape, plan.input.patch, plan.input.multiple))
        logits, step = ladder.climb_down(lambda step: infer(net, image, step, watch.check))
    with watch.stage("postprocess"):
        answer = [_turned(channel, plan.input.axes, back=True) for channel in logits]
        labels, nodes = _instances(answer, volume_hu, box, spacing_mm, plan.output)
    watch.check("postprocess", 1.0)
    return Segmentation(
        labels=labels,
        nodes=nodes,
        timings_s=watch.timings_s,
        provenance={
            **net.provenance(),
            **step.to_json(),
            "fallbacks": ladder.fallen,
            "working_shape": list(working),
            "working_spacing_mm": [
                round(n * s / m, 5) for n, s, m in zip(crop.shape, spacing_mm, working, strict=True)
            ],
            "overlap": plan.input.overlap if step.window else 0.0,
            "interpolation": plan.interpolation,
        },
    )


def _box(volume_hu: NDArray[np.int16], spacing_mm: Vector, rule: InputRule) -> Box:
    if rule.crop:
        return find_body(volume_hu, spacing_mm).box
    return (
        slice(0, volume_hu.shape[0]),
        slice(0, volume_hu.shape[1]),
        slice(0, volume_hu.shape[2]),
    )


def _places(axes: str) -> tuple[list[int], list[bool]]:
    """Which canonical axis each axis of the network is, and whether it runs the other way."""
    places = [CANONICAL.find(OPPOSITE_OF.get(letter, letter)) for letter in axes]
    return places, [letter not in CANONICAL for letter in axes]


OPPOSITE_OF = {v: k for k, v in OPPOSITE.items()}


def _turned(volume: Volume, axes: str, *, back: bool = False) -> Volume:
    """A canonical volume along the network's axes, or the other way round."""
    places, flipped = _places(axes)
    steps = tuple(slice(None, None, -1 if flip else 1) for flip in flipped)
    if back:
        return np.ascontiguousarray(volume[steps].transpose(np.argsort(places)))
    return np.ascontiguousarray(volume.transpose(places)[steps])


def _working_shape(shape: Sequence[int], spacing_mm: Vector, plan: Plan) -> Shape:
    """The shape, along the canonical axes, on the network's grid."""
    if plan.input.spacing_mm is None:
        return (int(shape[0]), int(shape[1]), int(shape[2]))
    places, _ = _places(plan.input.axes)
    wanted = [0.0, 0.0, 0.0]
    for place, spacing in zip(places, plan.input.spacing_mm, strict=True):
        wanted[place] = spacing
    z, y, x = (max(1, round(n * s / w)) for n, s, w in zip(shape, spacing_mm, wanted, strict=True))
    return (z, y, x)


def _prepared(crop: NDArray[np.int16], spacing_mm: Vector, working: Shape, plan: Plan) -> Volume:
    """On the network's grid and in its numbers; nnU-Net takes these two steps the other way."""
    if plan.interpolation == "cubic":
        image = normalised(crop.astype(np.float32), plan.input)
        low, high = float(image.min()), float(image.max())
        # Splines overshoot at edges; nnU-Net cuts that off.
        return np.clip(_to_working(image, spacing_mm, working, plan), low, high)
    return normalised(_to_working(crop, spacing_mm, working, plan), plan.input)


def _to_working(crop: NDArray[Any], spacing_mm: Vector, working: Shape, plan: Plan) -> Volume:
    if working == crop.shape:
        return crop.astype(np.float32)
    becomes = [n * s / m for n, s, m in zip(crop.shape, spacing_mm, working, strict=True)]
    matrices = []
    for n, s, m, target in zip(crop.shape, spacing_mm, working, becomes, strict=True):
        if plan.interpolation != "cubic":
            matrices.append(weight_matrix(n, s, m, target))
        elif _is_coarse(s, spacing_mm) or _is_coarse(target, becomes):
            matrices.append(nearest_matrix(n, m))
        else:
            matrices.append(cubic_matrix(n, m))
    return resampled_with(crop, matrices)


def _is_coarse(spacing: float, spacings: Sequence[float]) -> bool:
    return spacing == max(spacings) and spacing / min(spacings) > SEPARATE_SLICES_RATIO


def normalised(image: Volume, rule: InputRule) -> Volume:
    """The image in the network's numbers; changes it in place."""
    if rule.window_hu is not None:
        np.clip(image, *rule.window_hu, out=image)
    how = rule.normalise
    if how is None:
        return image
    if how.to is not None and rule.window_hu is not None:
        (low, high), (first, last) = rule.window_hu, how.to
        image -= low
        image *= (last - first) / (high - low)
        image += first
        return image
    mean, std = how.mean_std or (float(image.mean()), float(image.std()))
    image -= mean
    image /= max(std, 1e-8)
    return image


def _instances(
    answer: Sequence[Volume],
    volume_hu: NDArray[np.int16],
    box: Box,
    spacing_mm: Vector,
    rule: OutputRule,
) -> tuple[NDArray[np.uint16], list[NodeProbability]]:
    """The native instance map and its nodes, surest first."""
    shape = volume_hu[box].shape
    if rule.kind == "instances":
        found, sure = _given_instances(answer[0], shape), None
    else:
        mask, sure = _nodes_on(answer, shape, rule)
        found = components(mask)
    if rule.min_short_axis_mm:
        found = keep_labels(found, large_enough(found, spacing_mm, rule.min_short_axis_mm))
    nodes = []
    for label, part in enumerate(ndi.find_objects(found), 1):
        if part is None:
            continue
        inside = found[part] == label
        scores = sure[part][inside] if sure is not None else np.ones(1, np.float32)
        size = short_axis_mm(inside, spacing_mm[1], spacing_mm[2])
        density = float(volume_hu[box][part][inside].mean())
        nodes.append(
            NodeProbability(label, float(scores.mean()), float(scores.max()), size, density)
        )
    nodes.sort(key=lambda node: -node.mean)
    labels = np.zeros(volume_hu.shape, np.uint16)
    labels[box] = keep_labels(found, [node.label for node in nodes])
    return labels, [
        NodeProbability(number, n.mean, n.highest, n.short_axis_mm, n.mean_hu)
        for number, n in enumerate(nodes, 1)
    ]


def _given_instances(answer: Volume, shape: Sequence[int]) -> NDArray[np.uint16]:
    """Whole numbers on the network's grid, each voxel of the native grid taking the nearest."""
    for axis, (inputs, outputs) in enumerate(zip(answer.shape, shape, strict=True)):
        nearest = nearest_matrix(inputs, outputs).argmax(axis=1)
        answer = answer.take(nearest, axis=axis)
    return np.clip(np.rint(answer), 0, 65535).astype(np.uint16)


def _nodes_on(
    answer: Sequence[Volume], shape: Sequence[int], rule: OutputRule
) -> tuple[NDArray[np.bool_], Volume]:
    """Which native voxels are node, and how sure the network is of each."""

    def native(channel: Volume) -> Volume:
        if channel.shape == tuple(shape):
            return channel
        # Both grids have the same extent: only the ratio of their spacings matters.
        pairs = zip(channel.shape, shape, strict=True)
        return resampled_with(channel, [weight_matrix(n, m, m, n) for n, m in pairs])

    expected = (max(rule.labels) + 1) if rule.activation == "softmax" else max(rule.labels)
    if len(answer) != expected:
        raise ValueError(
            f"The network answers {len(answer)} channels; its description of labels needs "
            f"{expected}. Correct output.labels or output.activation in model.json."
        )
    if rule.activation == "sigmoid":
        sure = native(answer[rule.nodes[0] - 1])
        for number in rule.nodes[1:]:
            sure = np.maximum(sure, native(answer[number - 1]))
        sure = (1 / (1 + np.exp(-np.clip(sure, -40, 40)))).astype(np.float32)
        return sure > rule.threshold, sure
    best = native(answer[0])
    winner = np.zeros(shape, np.uint8)
    for number in range(1, expected):
        channel = native(answer[number])
        ahead = channel > best
        winner[ahead] = number
        best = np.where(ahead, channel, best)
    highest = np.max(answer, axis=0)
    raised = [np.exp(channel - highest) for channel in answer]
    share = sum(raised[number] for number in rule.nodes) / sum(raised)
    return np.isin(winner, rule.nodes), native(share.astype(np.float32))
