"""From the network's answer to nodes on the native grid: candidates, the second look, the gates.

Most of a volume holds no candidate, so that everything here works on boxes around them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import edt
import numpy as np
from numpy.typing import NDArray

from backend.imaging.nodes import components, label_boxes
from inference.body import Body, Box
from inference.candidates import grown, is_large_enough, short_axis_mm
from inference.model_folder import ModelDescription
from inference.resampling import resample
from inference.second_look import BodyFrame, candidate_features

COARSE_SIZE_SHARE = 0.6
"""On the working grid a candidate of this share of the smallest size is still kept: its size on
the native grid decides."""

MEAN_HU_RANGE = (-30.0, 220.0)
MIN_DEPTH_MM = 4.0
MAX_OUTSIDE_SHARE = 0.3
MAX_HEAD_SHARE = 0.5
"""Gates: a node's mean density is soft tissue; its deepest voxel lies under the skin; not much of
it lies outside the body (ears, folds of skin), nor most of it in the head (brain, eyes)."""

MARGIN_VOXELS = 2
"""So far around a candidate its probability is taken along to the native grid."""

LARGE_RADIUS_VOXELS = 4
DRAWN_ON_VOXELS = 10
"""A candidate that holds a ball of this radius is large: the network is less sure of the border and
the core of large nodes, so that it is drawn on, at most so far, to a lower probability."""


@dataclass(frozen=True)
class NodeProbability:
    """How sure the network is of one node: the mean and the highest probability of its voxels."""

    label: int
    mean: float
    highest: float
    short_axis_mm: float
    mean_hu: float


def drawn_on(
    own: NDArray[np.bool_],
    other: NDArray[np.bool_],
    probability: NDArray[np.float32],
    level: float,
) -> NDArray[np.bool_]:
    """Return a candidate with what is connected to it above a lower level and no other's.

    All are boxes (slices, rows, columns) on the working grid with `DRAWN_ON_VOXELS` around it.
    """
    allowed = (probability > level) & ~grown(other, 1)
    drawn = own
    for _ in range(DRAWN_ON_VOXELS):
        drawn = own | grown(drawn, 1) & allowed
    return drawn


def is_large(own: NDArray[np.bool_]) -> bool:
    """Return whether a candidate on the working grid holds a ball of `LARGE_RADIUS_VOXELS`."""
    deepest = edt.edt(np.ascontiguousarray(own), black_border=True).max()
    return bool(deepest >= LARGE_RADIUS_VOXELS)


@dataclass(frozen=True)
class Candidates:
    """Candidates on the working grid: their map, and where each that is kept lies, by its label."""

    labels: NDArray[np.uint16]
    boxes: dict[int, Box]


def coarse_candidates(
    image: NDArray[np.float32],
    probability: NDArray[np.float32],
    threshold: float,
    model: ModelDescription,
    frame: BodyFrame,
    go_on: Callable[[], None],
) -> Candidates:
    """Return the candidates on the working grid that are large enough and pass the second look.

    `go_on` is called before each, and raises where the run was cancelled.
    """
    labels = components(probability > threshold)
    smallest, look = COARSE_SIZE_SHARE * model.min_short_axis_mm, model.second_look

    def passes(label: int, box: Box) -> bool:
        go_on()
        if not is_large_enough(labels[box] == label, model.spacing_mm, smallest):
            return False
        if look is None:
            return True
        features = candidate_features(labels, label, box, probability, image, frame)
        return look.score(features) >= look.threshold

    boxes = label_boxes(labels).items()
    return Candidates(labels, {label: box for label, box in boxes if passes(label, box)})


def nodes_of(
    volume_hu: NDArray[np.int16],
    spacing_mm: Sequence[float],
    body: Body,
    probability: NDArray[np.float32],
    coarse: Candidates,
    threshold: float,
    model: ModelDescription,
    go_on: Callable[[], None],
) -> tuple[NDArray[np.uint16], list[NodeProbability]]:
    """Return the native instance map and its nodes, surest first; `go_on` as above."""
    final = np.zeros(volume_hu.shape, np.uint16)
    if not coarse.boxes:
        return final, []
    crop = volume_hu[body.box]
    ways = [_Way.of(coarse, at, spacing_mm, model, crop.shape, threshold) for at in coarse.boxes]
    around = _union([way.target for way in ways])
    native = np.zeros([part.stop - part.start for part in around], np.float32)
    inside = np.zeros(native.shape, np.bool_)
    for way in ways:
        go_on()
        way.write(native, inside, around, coarse, probability)
    labels = components(inside)
    boxes = label_boxes(labels)
    hu, corner = (
        crop[around],
        [at.start + on.start for at, on in zip(body.box, around, strict=True)],
    )
    nodes = []
    for label, box in boxes.items():
        go_on()
        mask = labels[box] == label
        node = _judge(label, box, mask, native, hu, corner, spacing_mm, body, model)
        if node is not None:
            nodes.append(node)
    nodes.sort(key=lambda node: -node.mean)
    written = final[body.box][around]
    for number, node in enumerate(nodes, 1):
        box = boxes[node.label]
        written[box][labels[box] == node.label] = number
    return final, [
        NodeProbability(number, n.mean, n.highest, n.short_axis_mm, n.mean_hu)
        for number, n in enumerate(nodes, 1)
    ]


def _union(boxes: Sequence[Box]) -> Box:
    """Return the smallest box that holds all of these."""
    z, y, x = (
        slice(min(part.start for part in parts), max(part.stop for part in parts))
        for parts in zip(*boxes, strict=True)
    )
    return (z, y, x)


@dataclass(frozen=True)
class _Way:
    """Where a candidate lies on the working grid, with a margin, and where on the native crop.

    `first_mm` is the corner of `target`, measured from that of `wide`. A `drawn` one is drawn on
    to its `level`.
    """

    label: int
    level: float
    drawn: bool
    wide: Box
    target: Box
    first_mm: Sequence[float]
    spacing_mm: Sequence[float]
    working_mm: Sequence[float]

    @classmethod
    def of(
        cls,
        coarse: Candidates,
        label: int,
        spacing_mm: Sequence[float],
        model: ModelDescription,
        native: Sequence[int],
        threshold: float,
    ) -> _Way:
        """Find a candidate's way to a native crop of that shape."""
        own = coarse.labels[coarse.boxes[label]] == label
        lower = model.drawn_threshold
        level = threshold if lower is None or not is_large(own) else min(threshold, lower)
        margin = MARGIN_VOXELS + DRAWN_ON_VOXELS * (level < threshold)
        wide, target, first_mm = [], [], []
        for part, extent, spacing, working, n in zip(
            coarse.boxes[label], coarse.labels.shape, spacing_mm, model.spacing_mm, native,
            strict=True,
        ):  # fmt: skip
            start = max(0, part.start - margin)
            stop = min(extent, part.stop + margin)
            low = max(0, int(np.floor(start * working / spacing)))
            high = min(n, int(np.ceil(stop * working / spacing)))
            wide.append(slice(start, stop))
            target.append(slice(low, max(low + 1, high)))
            first_mm.append(low * spacing - start * working)
        return cls(
            label,
            level,
            level < threshold,
            (wide[0], wide[1], wide[2]),
            (target[0], target[1], target[2]),
            first_mm,
            spacing_mm,
            model.spacing_mm,
        )

    def write(
        self,
        native: NDArray[np.float32],
        inside: NDArray[np.bool_],
        around: Box,
        coarse: Candidates,
        probability: NDArray[np.float32],
    ) -> None:
        """Write the candidate's probability, and what of it is `inside`, into `around`.

        Other candidates are left out.
        """
        here = coarse.labels[self.wide]
        own = here == self.label
        other = (here > 0) & ~own
        for strange in set(np.unique(here[other])) - coarse.boxes.keys():
            other &= here != strange
        if self.drawn:
            own = drawn_on(own, other, probability[self.wide], self.level)
        score = np.where(grown(own, MARGIN_VOXELS) & ~other, probability[self.wide], 0)
        target = tuple(
            slice(part.start - at.start, part.stop - at.start)
            for part, at in zip(self.target, around, strict=True)
        )
        place = native[target]
        fine = resample(score, self.working_mm, place.shape, self.spacing_mm, self.first_mm)
        np.maximum(place, fine, out=place)
        inside[target] |= fine > self.level


def _judge(
    label: int,
    box: Box,
    mask: NDArray[np.bool_],
    probability: NDArray[np.float32],
    hu: NDArray[np.int16],
    corner: Sequence[int],
    spacing_mm: Sequence[float],
    body: Body,
    model: ModelDescription,
) -> NodeProbability | None:
    """Return the node's values, or None where a gate keeps it out.

    All but `body` lie in a part of the native volume that begins at `corner`.
    """
    mean_hu = float(hu[box][mask].mean())
    if not MEAN_HU_RANGE[0] <= mean_hu <= MEAN_HU_RANGE[1]:
        return None
    first = [part.start + at for part, at in zip(box, corner, strict=True)]
    voxels = np.argwhere(mask) + first
    depth = body.depth_at(voxels)
    if depth.max() < MIN_DEPTH_MM or (depth == 0).mean() > MAX_OUTSIDE_SHARE:
        return None
    if body.share_in_head(voxels) > MAX_HEAD_SHARE:
        return None
    size_mm = short_axis_mm(mask, spacing_mm[1], spacing_mm[2])
    if size_mm < model.min_short_axis_mm:
        return None
    scores = probability[box][mask]
    return NodeProbability(label, float(scores.mean()), float(scores.max()), size_mm, mean_hu)
