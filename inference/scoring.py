"""How well predicted nodes match known ones: localisation, false positives, Dice.

A node is localised where at least 0.4 of its voxels lie in the union of the predictions. A
prediction is a false positive unless it touches a localised node (the strict rule: one that only
grazes a missed node counts as false).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LOCALISED_TENTHS = 4
"""Localised from this many tenths of the node's voxels on; compared as integers."""


@dataclass(frozen=True)
class NodeScore:
    """What became of one true node."""

    label: int
    short_axis_mm: float
    metastatic: bool
    necrotic: bool
    localised: bool


@dataclass(frozen=True)
class ScanScore:
    """What became of one scan; Dice is over localised nodes and the predictions that hit them."""

    nodes: list[NodeScore]
    false_positives: int
    true_positives: int
    dice: float | None
    false_labels: list[int]


def score_scan(
    predicted: NDArray[np.integer[Any]],
    truth: NDArray[np.integer[Any]],
    nodes: Sequence[dict[str, Any]],
) -> ScanScore:
    """Compare two instance maps on one grid; ``nodes`` describes the truth's labels."""
    if predicted.shape != truth.shape:
        raise ValueError(f"Two grids: prediction {predicted.shape}, truth {truth.shape}.")
    highest = int(truth.max()) + 1
    sizes = np.bincount(truth.ravel(), minlength=highest)
    hits = np.bincount(truth[predicted > 0].ravel(), minlength=highest)
    found = 10 * hits >= LOCALISED_TENTHS * sizes
    found[0] = False
    found[sizes == 0] = False
    touching = np.unique(predicted[(predicted > 0) & found[truth]])
    every = np.unique(predicted)
    every = every[every > 0]
    false = np.setdiff1d(every, touching)
    hit_voxels = np.isin(predicted, touching) & (predicted > 0)
    true_voxels = found[truth]
    total = int(hit_voxels.sum() + true_voxels.sum())
    return ScanScore(
        nodes=[
            NodeScore(
                label=node["label"],
                short_axis_mm=node["short_axis_mm"],
                metastatic=node["metastatic"],
                necrotic=node["necrotic"],
                localised=bool(found[node["label"]]),
            )
            for node in nodes
        ],
        false_positives=len(false),
        true_positives=len(touching),
        dice=2 * int((hit_voxels & true_voxels).sum()) / total if total else None,
        false_labels=[int(label) for label in false],
    )


def summarise(scores: Sequence[ScanScore]) -> dict[str, float | None]:
    """Pool scans: recall by size and kind, mean false positives a scan, mean Dice."""
    nodes = [node for score in scores for node in score.nodes]

    def recall(chosen: list[NodeScore]) -> float | None:
        return sum(n.localised for n in chosen) / len(chosen) if chosen else None

    dices = [score.dice for score in scores if score.dice is not None]
    return {
        "scans": len(scores),
        "nodes": len(nodes),
        "nodes_5mm": sum(n.short_axis_mm >= 5 for n in nodes),
        "recall": recall(nodes),
        "recall_5mm": recall([n for n in nodes if n.short_axis_mm >= 5]),
        "recall_10mm": recall([n for n in nodes if n.short_axis_mm >= 10]),
        "recall_15mm": recall([n for n in nodes if n.short_axis_mm >= 15]),
        "recall_metastatic": recall([n for n in nodes if n.metastatic]),
        "recall_necrotic": recall([n for n in nodes if n.necrotic]),
        "false_positives": float(np.mean([s.false_positives for s in scores])) if scores else None,
        "dice": float(np.mean(dices)) if dices else None,
    }
