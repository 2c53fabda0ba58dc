"""The foveal-style network on a GPU, in torch; the same weights and answers as on OpenVINO."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from inference.body import Box
from inference.device import Ladder, Step, precision_of, steps_for
from inference.foveal import MULTIPLE, Architecture, FovealNet, fused
from inference.model_folder import ModelDescription
from inference.pipeline import SegmentationCancelled, never

PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16}
REACH = 64
"""How far from a voxel its answer is made, in voxels: 48 of the coarsest branch, 14 where the
branches are joined. With that much around it a window answers as the whole image does."""
TILES = (256, 192, 128, 96)
"""Windows of which the first two have room for it; below, a far border may sway the answer."""
GPU_WINDOWS, SEVERAL_UP_TO = 4, 128

Window = tuple[Box, Box, Box]


class FovealTorch:
    """The network ready to run; goes down the ladder where the GPU's memory does not do."""

    def __init__(
        self, model: ModelDescription, *, device: str = "cuda", precision: str | None = None
    ) -> None:
        """Load and check the weights; ``precision`` None means the best the device has."""
        self.model, self.device = model, device
        self.precision = precision or precision_of(device)
        weights = load_file(model.file("weights.safetensors"))
        architecture = model.content.get("architecture") or {}
        net = FovealNet(Architecture(**{key: tuple(value) for key, value in architecture.items()}))
        net.load_state_dict(weights, strict=False)
        self._net = fused(net).to(device)
        self._lies_on = device
        self.fallen: list[dict[str, Any]] = []
        self.batch = GPU_WINDOWS

    def compile_for(self, shape: tuple[int, int, int]) -> None:
        """Nothing: torch needs no shape in advance."""

    def probability(
        self, image_hu: NDArray[np.float32], cancelled: Callable[[], bool] = never
    ) -> NDArray[np.float32]:
        """Return the node probability (slices, rows, columns) of a 1 mm image in HU.

        Raises `SegmentationCancelled` where ``cancelled`` said so between two windows.
        """
        low, high = self.model.window_hu
        sides = tuple(n + (-n) % MULTIPLE for n in image_hu.shape)
        padded = np.full(sides, low, np.float32)
        padded[tuple(slice(0, n) for n in image_hu.shape)] = image_hu
        image = (np.clip(padded, low, high) / self.model.scale_hu).astype(np.float32)
        steps = [
            Step(step.device, self.precision if step.device == self.device else "f32", step.window)
            for step in steps_for(self.device, sides, None, MULTIPLE, TILES)
        ]
        ladder = Ladder(steps)
        found, _ = ladder.climb_down(lambda step: self.in_step(image, step, cancelled))
        self.fallen = ladder.fallen
        return np.ascontiguousarray(found[tuple(slice(0, n) for n in image_hu.shape)])

    def provenance(self) -> dict[str, Any]:
        """Return which weights run where and how."""
        return {
            "model": self.model.model_id,
            "version": self.model.version,
            "sha256": self.model.sha256["weights.safetensors"],
            "runtime": f"torch {torch.__version__}",
            "device": self.device.upper(),
            "precision": self.precision,
            "threads": torch.get_num_threads() if self.device == "cpu" else None,
            "fallbacks": self.fallen,
        }

    def in_step(
        self, image: NDArray[np.float32], step: Step, cancelled: Callable[[], bool] = never
    ) -> NDArray[np.float32]:
        """Probability of a clipped, scaled image whose sides are whole multiples, in one step."""
        if step.window is None or step.window == image.shape:
            (whole,) = self._shot(image[None], step)
            return np.asarray(whole)
        found = np.zeros(image.shape, np.float32)
        for alike in windows_of(image.shape, step.window).values():
            for first in range(0, len(alike), count := self.windows_at_once(step)):
                if cancelled():
                    raise SegmentationCancelled
                batch = alike[first : first + count]
                answers = self._shot(np.stack([image[outer] for outer, _, _ in batch]), step)
                for (_, inside, target), answer in zip(batch, answers, strict=True):
                    found[target] = answer[inside]
        return found

    def windows_at_once(self, step: Step) -> int:
        """How many windows go through the network together: several small ones on a GPU."""
        small = step.window is not None and max(step.window) <= SEVERAL_UP_TO
        return self.batch if small and step.device == self.device != "cpu" else 1

    def _shot(self, images: NDArray[np.float32], step: Step) -> NDArray[np.float32]:
        """Probability (windows, d, h, w) of windows of one shape."""
        if self._lies_on != step.device:
            self._net.to(step.device)
            self._lies_on = step.device
        tensor = torch.from_numpy(np.ascontiguousarray(images))[:, None]
        if step.device == "cuda":
            tensor = tensor.pin_memory().to("cuda", non_blocking=True)
        kind = PRECISIONS.get(step.precision)
        with (
            torch.inference_mode(),
            torch.autocast(step.device, dtype=kind, enabled=kind is not None),
        ):
            probability = torch.sigmoid(self._net(tensor).float())
        found: NDArray[np.float32] = probability[:, 0].cpu().numpy()
        return found


def windows_of(
    shape: tuple[int, ...], window: tuple[int, int, int]
) -> dict[tuple[int, ...], list[Window]]:
    """By shape, every window: where it lies, its part without margin, and where that part lies."""
    margins = [_margin(side) for side in window]
    inner = [
        side if side == n else side - 2 * margin
        for side, n, margin in zip(window, shape, margins, strict=True)
    ]
    found: dict[tuple[int, ...], list[Window]] = {}
    for corner in product(*(range(0, n, side) for n, side in zip(shape, inner, strict=True))):
        outer, inside, target = [], [], []
        for start, side, extent, margin in zip(corner, inner, shape, margins, strict=True):
            stop = min(start + side, extent)
            low, high = max(0, start - margin), min(extent, stop + margin)
            outer.append(slice(low, high))
            inside.append(slice(start - low, stop - low))
            target.append(slice(start, stop))
        size = tuple(part.stop - part.start for part in outer)
        lying = (tuple(outer), tuple(inside), tuple(target))
        found.setdefault(size, []).append(lying)  # type: ignore[arg-type]
    return found


def _margin(side: int) -> int:
    """What a window gives to its surroundings: the network's reach, less where it is too small."""
    room = (side - 2 * MULTIPLE) // 2
    return max(0, min(REACH, room // MULTIPLE * MULTIPLE))
