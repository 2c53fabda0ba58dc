"""A prompt as the server asks it, and the answer as the server takes it: patches on the grid."""

from __future__ import annotations

import time
from collections.abc import Mapping, MutableMapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.imaging.grid import Grid
from backend.imaging.masks import diff_patch
from backend.jobs.protocol import PROPOSED_NODE
from inference.orientation import Orientation
from inference.prompting.proposal import (
    Network,
    Prompt,
    Proposal,
    Voxel,
    propose,
    shipped_judge,
)
from inference.prompting.seen import Bools


def answer(
    volume_hu: NDArray[np.int16],
    grid: Grid,
    asked: Mapping[str, Any],
    network: Network | None,
    earlier: MutableMapping[Prompt, Proposal] | None = None,
) -> tuple[dict[str, Any], dict[str, float]]:
    """What `backend.jobs.prompts` takes for an answer, but for model and input; and seconds.

    Args:
        asked: the run's parameters: `clicks` [{at, within}], `box`, and `around`, the nodes near
            the clicks as a patch (1: others, 2: the node to refine).
    """
    began = time.perf_counter()
    judge = shipped_judge()
    turning = Orientation.of(grid)
    turn = _Turn(turning, grid.shape)
    clicks = [(turn.voxel(click["at"]), click["within"]) for click in asked["clicks"]]
    box = [turn.voxel(corner) for corner in asked.get("box") or ()]
    taken, before = _around(asked.get("around"), turn)
    prompt = Prompt(tuple(clicks), _ordered(box) if box else None)
    found = propose(
        turn.view(volume_hu),
        turning.spacing(grid.spacing_mm),
        prompt,
        network=network,
        judge=judge,
        taken=taken,
        before=before,
        earlier=earlier,
    )
    slices, voxels = _patch(found, turn)
    result = {
        "slices": slices,
        "voxels": voxels,
        "confidence": found.confidence,
        "unsure": [str(one) for one in found.unsure],
        "provenance": {
            "algorithm": {
                "name": judge.name,
                "version": judge.version,
                "weights_sha256": judge.sha256,
                "network": network is not None,
            }
        },
    }
    whole = round(time.perf_counter() - began, 4)
    return result, {**found.timings_s, "answer": whole}


class _Turn:
    """Between the series' axes and those of `propose`; all views, no copies."""

    def __init__(self, turning: Orientation, shape: tuple[int, int, int]) -> None:
        self._turning, self._shape = turning, shape
        self._back = tuple(int(axis) for axis in np.argsort(turning.axes))

    def voxel(self, at: Any) -> Voxel:
        turned = []
        for axis, flipped in zip(self._turning.axes, self._turning.flipped, strict=True):
            index = int(at[axis])
            turned.append(self._shape[axis] - 1 - index if flipped else index)
        return turned[0], turned[1], turned[2]

    def view(self, array: NDArray[Any]) -> NDArray[Any]:
        return array.transpose(self._turning.axes)[self._steps()]

    def start_back(self, start: Voxel, sides: tuple[int, ...]) -> list[int]:
        """Where a turned box begins on the series' own axes."""
        first = [0, 0, 0]
        for k, (axis, flipped) in enumerate(
            zip(self._turning.axes, self._turning.flipped, strict=True)
        ):
            end = self._shape[axis] - start[k] - sides[k]
            first[axis] = end if flipped else start[k]
        return first

    def array_back(self, array: NDArray[Any]) -> NDArray[Any]:
        return array[self._steps()].transpose(self._back)

    def start(self, first: list[int], sides: tuple[int, ...]) -> Voxel:
        """Where a box of the series' own axes begins, turned."""
        turned = []
        for axis, flipped in zip(self._turning.axes, self._turning.flipped, strict=True):
            end = self._shape[axis] - first[axis] - sides[axis]
            turned.append(end if flipped else first[axis])
        return turned[0], turned[1], turned[2]

    def _steps(self) -> tuple[slice, slice, slice]:
        a, b, c = (slice(None, None, -1 if flip else 1) for flip in self._turning.flipped)
        return a, b, c


def _ordered(box: list[Voxel]) -> tuple[Voxel, Voxel]:
    low, high = np.min(box, axis=0), np.max(box, axis=0)
    return (int(low[0]), int(low[1]), int(low[2])), (int(high[0]), int(high[1]), int(high[2]))


Part = tuple[Voxel, Bools]


def _around(patch: Mapping[str, Any] | None, turn: _Turn) -> tuple[Part | None, Part | None]:
    """What others hold near the clicks, and what the node itself does now."""
    slices = (patch or {}).get("slices") or []
    if not slices:
        return None, None
    boxes = np.array([part["box"] for part in slices])
    first = [slices[0]["index"], int(boxes[:, 0].min()), int(boxes[:, 1].min())]
    sides = (
        slices[-1]["index"] + 1 - first[0],
        int(boxes[:, 2].max()) - first[1],
        int(boxes[:, 3].max()) - first[2],
    )
    numbers = {node: number for number, node in enumerate((patch or {})["nodes"], 1)}
    values = np.zeros(sides, np.uint8)
    for part in slices:
        r0, c0, r1, c1 = part["box"]
        flat = np.zeros((r1 - r0) * (c1 - c0), np.uint8)
        for offset, length, k in part["runs"]:
            flat[offset : offset + length] = k
        inside = values[part["index"] - first[0]]
        inside[r0 - first[1] : r1 - first[1], c0 - first[2] : c1 - first[2]] = flat.reshape(
            r1 - r0, c1 - c0
        )
    start = turn.start(first, sides)
    own = numbers.get(PROPOSED_NODE)
    turned = turn.view(values)
    others = (turned > 0) & (turned != own) if own else turned > 0
    return (start, others), (start, turned == own) if own else None


def _patch(found: Proposal, turn: _Turn) -> tuple[list[dict[str, Any]], int]:
    """The proposal's slices as in a change of voxels, and how many voxels it has."""
    if not found.mask.any():
        return [], 0
    mask = np.ascontiguousarray(turn.array_back(found.mask)).astype(np.uint16)
    z, y, x = turn.start_back(found.start, found.mask.shape)
    patch = diff_patch(np.zeros_like(mask), mask, {1: PROPOSED_NODE}).to_json()
    for part in patch["slices"]:
        part["index"] += z
        part["box"] = [edge + by for edge, by in zip(part["box"], (y, x, y, x), strict=True)]
    return patch["slices"], int(mask.sum())
