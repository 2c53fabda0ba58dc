"""What training computes of a network: its input, its loss, its answer, and how good that is."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from inference.candidates import candidates, keep_labels
from inference.foveal import MULTIPLE, FovealNet
from inference.scoring import ScanScore, score_scan

from .volumes import Volume

WINDOW_HU = (-250.0, 350.0)
SCALE_HU = 200.0
"""Input = HU clipped to the window, divided by the scale."""

SMALLEST_MM = 4.5
"""Short axis below which a candidate is left out of validation and mining."""

FALSE_POSITIVE_LIMIT = 6.0
"""Of a scan, in comparing thresholds."""


def channels_last(net: FovealNet) -> FovealNet:
    """Return the network with its weights in the memory order that trains fastest on CPUs."""
    for weight in net.parameters():
        if weight.dim() == 5:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last_3d)
    return net


def normalise(hu: Tensor) -> Tensor:
    """Return the network's input from Hounsfield units."""
    return torch.clamp(hu, *WINDOW_HU) / SCALE_HU


def predict(net: FovealNet, image_hu: NDArray[np.int16]) -> NDArray[np.float32]:
    """Return the node probability of a whole 1 mm volume (slices, rows, columns)."""
    pad = [(-n) % MULTIPLE for n in image_hu.shape]
    x = normalise(torch.from_numpy(image_hu.astype(np.float32)))[None, None]
    x = functional.pad(x, (0, pad[2], 0, pad[1], 0, pad[0]), value=WINDOW_HU[0] / SCALE_HU)
    training = net.training
    net.eval()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        logits = net(x.contiguous(memory_format=torch.channels_last_3d))
    net.train(training)
    d, h, w = image_hu.shape
    probability: NDArray[np.float32] = torch.sigmoid(logits.float())[0, 0, :d, :h, :w].numpy()
    return probability


def loss_of(logits: Tensor, truth: Tensor, positive_weight: float) -> Tensor:
    """Return weighted cross-entropy plus Dice over the whole batch.

    Voxels of negative truth count neither as node nor as none.
    """
    counted = truth >= 0
    if not counted.all():
        logits, truth = logits[counted], truth[counted]
    weight = torch.tensor(positive_weight)
    entropy = functional.binary_cross_entropy_with_logits(logits, truth, pos_weight=weight)
    probability = torch.sigmoid(logits)
    overlap = (probability * truth).sum()
    return entropy + 1 - (2 * overlap + 1) / (probability.sum() + truth.sum() + 1)


def score_probability(
    probability: NDArray[np.float32], volume: Volume, threshold: float
) -> tuple[ScanScore, NDArray[np.uint16]]:
    """Return the score of one prediction at one threshold and its instance map."""
    predicted = candidates(probability, threshold, (1.0, 1.0, 1.0), SMALLEST_MM)
    if volume.ignored is not None:
        predicted = without_ignored(predicted, np.asarray(volume.ignored))
    return score_scan(predicted, np.asarray(volume.labels), volume.nodes), predicted


def without_ignored(
    predicted: NDArray[np.uint16], ignored: NDArray[np.bool_]
) -> NDArray[np.uint16]:
    """Return the map without the candidates most of which lies in what readers left undecided."""
    sizes = np.bincount(predicted.ravel(), minlength=int(predicted.max()) + 1)
    inside = np.bincount(predicted[ignored], minlength=len(sizes))
    return keep_labels(predicted, [n for n in range(1, len(sizes)) if 2 * inside[n] <= sizes[n]])


def worth(figures: dict[str, float | None]) -> float:
    """Return recall plus Dice; false positives beyond the limit cost."""
    beyond = max(0.0, (figures["false_positives"] or 0.0) - FALSE_POSITIVE_LIMIT)
    recall = figures["recall_5mm"] if figures["recall_5mm"] is not None else figures["recall"]
    return (recall or 0.0) + (figures["dice"] or 0.0) - 0.1 * beyond
