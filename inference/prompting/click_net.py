"""The click network: a cube of images with the clicks on it → the logit of "this node".

It has the shape of the default model's network (`inference/foveal.py`), with seven channels:
density, the opinion of the protocol's model (zero where there is none), how near a click within and
a click beside lie, what was proposed before, what is none of this node, and what the network itself
said in a cube twice as large (zero there): a large node reaches farther than the small cube shows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as ops
from safetensors import SafetensorError
from safetensors.numpy import load

from inference.foveal_openvino import best_precision, logits
from inference.prompting.seen import Field, Index, Seen

WEIGHTS = Path(__file__).parent / "weights" / "click.safetensors"
FACTS = WEIGHTS.with_suffix(".json")
"""How the weights came to be: seeds, command, curves' last points."""
CELLS = 48
"""Voxels along each side of the cube it sees."""
WINDOW_HU = (-250.0, 350.0)
SCALE_HU = 200.0
HIGHEST_LOGIT = 8.0
SCALE_LOGIT = 4.0
NEAR_MM = 4.0
"""At this distance a click counts a third of what it counts at its place."""
CHANNELS = ("density", "opinion", "within", "beside", "before", "blocked", "wide")


class ClickNetworkDamaged(ValueError):
    """The click's weights are not what this code reads. Install the application again."""

    def __init__(self) -> None:
        super().__init__(" ".join((self.__doc__ or "").split()))


def channels(seen: Seen) -> Field:
    """The network's input (7, slices, rows, columns)."""
    stack = np.zeros((len(CHANNELS), *seen.hu.shape), np.float32)
    stack[0] = np.clip(seen.hu, *WINDOW_HU) / SCALE_HU
    for number, logit in ((1, seen.opinion), (6, seen.wide)):
        if logit is not None:
            stack[number] = np.clip(logit, -HIGHEST_LOGIT, HIGHEST_LOGIT) / SCALE_LOGIT
    stack[2] = _nearness(seen.hu.shape, seen.within, seen.step_mm)
    stack[3] = _nearness(seen.hu.shape, seen.beside, seen.step_mm)
    if seen.before is not None:
        stack[4] = seen.before
    stack[5] = seen.blocked
    return stack


def _nearness(shape: Sequence[int], clicks: Sequence[Index], step_mm: float) -> Field:
    """How near the nearest click lies to each voxel: 1 at its place, falling with distance."""
    nearest = np.full(tuple(shape), np.inf, np.float32)
    axes = np.ogrid[tuple(slice(n) for n in shape)]
    for click in clicks:
        z, y, x = (
            ((axis - at) * step_mm).astype(np.float32) ** 2
            for axis, at in zip(axes, click, strict=True)
        )
        np.minimum(nearest, z + y + x, out=nearest)
    near: Field = np.exp(-np.sqrt(nearest) / NEAR_MM)
    return near


class ClickNet:
    """The network in OpenVINO, compiled for the one cube it sees."""

    name = "click network"
    version = "2"
    keeps = True
    looks_wide = True

    def __init__(
        self,
        weights: Mapping[str, NDArray[np.float32]],
        *,
        sha256: str = "",
        threads: int | None = None,
    ) -> None:
        image = ops.parameter([1, len(CHANNELS), CELLS, CELLS, CELLS], np.float32, name="cube")
        model = ov.Model([ops.result(logits(image, weights))], [image], "click")
        settings: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": best_precision(),
            "PERFORMANCE_HINT": "LATENCY",
        }
        if threads:
            settings["INFERENCE_NUM_THREADS"] = threads
        self._request = ov.Core().compile_model(model, "CPU", settings).create_infer_request()
        self.sha256 = sha256

    def logits(self, seen: Seen) -> Field:
        """The logit of "this node" for every voxel of the cube, whose side is `CELLS`.

        The mean of what it says of the cube and of its mirror image.
        """
        shown = channels(seen)
        mirrored = np.ascontiguousarray(shown[..., ::-1])
        found: Field = self._once(shown) + self._once(mirrored)[..., ::-1]
        return found * np.float32(0.5)

    def _once(self, shown: Field) -> Field:
        self._request.infer({0: shown[None]}, share_inputs=True)
        found: Field = self._request.get_output_tensor(0).data[0, 0].copy()
        return found


def read_click_net(path: Path | None = None, *, threads: int | None = None) -> ClickNet:
    """The network from its file, `WEIGHTS` if none is named; raises `ClickNetworkDamaged`."""
    try:
        content = (path or WEIGHTS).read_bytes()
        weights = {name: value.astype(np.float32) for name, value in load(content).items()}
        return ClickNet(weights, sha256=hashlib.sha256(content).hexdigest(), threads=threads)
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise ClickNetworkDamaged from error
