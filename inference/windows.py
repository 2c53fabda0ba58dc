"""A network over a whole image: at once, or in overlapping windows blended by a Gaussian.

Windows lie where nnU-Net v2 lays them and weigh as much.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from inference.body import Box
from inference.device import Step

if TYPE_CHECKING:
    from inference.engine import Network

Volume: TypeAlias = NDArray[np.float32]
Check: TypeAlias = Callable[[str, float], None]
WINDOW_SIGMA_SHARE = 1 / 8


def infer(net: Network, image: Volume, step: Step, check: Check) -> Volume:
    """Logits (channels, d, h, w) of a whole image, in one step of the ladder."""
    multiple = net.plan.input.multiple
    sides = step.window or tuple(n + (-n) % multiple for n in image.shape)
    padded, inner = _padded(image, sides)
    corners = list(product(*window_starts(padded.shape, sides, net.plan.input.overlap)))
    if len(corners) == 1:
        check("infer", 0.0)
        return np.ascontiguousarray(net.forward(padded[None], step)[0][(slice(None), *inner)])
    weight = gaussian(sides)
    total, weights = None, np.zeros(padded.shape, np.float32)
    count = net.batch(step)
    for first in range(0, len(corners), count):
        check("infer", first / len(corners))
        boxes = [_window(corner, sides) for corner in corners[first : first + count]]
        answers = net.forward(np.stack([padded[box] for box in boxes]), step)
        if total is None:
            total = np.zeros((answers.shape[1], *padded.shape), np.float32)
        for box, answer in zip(boxes, answers, strict=True):
            total[(slice(None), *box)] += answer * weight
            weights[box] += weight
    if total is None:
        raise ValueError("The image is empty. Check the series.")
    total /= weights
    return np.ascontiguousarray(total[(slice(None), *inner)])


def _window(corner: Sequence[int], sides: Sequence[int]) -> Box:
    z, y, x = (slice(start, start + side) for start, side in zip(corner, sides, strict=True))
    return (z, y, x)


def _padded(image: Volume, sides: Sequence[int]) -> tuple[Volume, Box]:
    """The image with zeros around it where it is smaller than a window, and where it lies there."""
    lacking = [max(0, side - n) for side, n in zip(sides, image.shape, strict=True)]
    z, y, x = (slice(k // 2, k // 2 + n) for k, n in zip(lacking, image.shape, strict=True))
    if not any(lacking):
        return image, (z, y, x)
    padded = np.pad(image, [(k // 2, k - k // 2) for k in lacking])
    return padded, (z, y, x)


def window_starts(shape: Sequence[int], sides: Sequence[int], overlap: float) -> list[list[int]]:
    """Where windows begin along each axis: the fewest that overlap by that share, evenly laid."""
    found = []
    for extent, side in zip(shape, sides, strict=True):
        count = int(np.ceil((extent - side) / (side * (1 - overlap)))) + 1
        last = extent - side
        found.append([round(last * i / (count - 1)) for i in range(count)] if count > 1 else [0])
    return found


def gaussian(sides: Sequence[int]) -> Volume:
    """A window's weights: highest in its middle, nowhere zero."""
    point = np.zeros(tuple(sides), np.float32)
    point[tuple(side // 2 for side in sides)] = 1
    weight = ndi.gaussian_filter(
        point, [side * WINDOW_SIGMA_SHARE for side in sides], mode="constant"
    )
    weight /= weight.max()
    found: Volume = np.maximum(weight, weight[weight > 0].min()).astype(np.float32)
    return found
