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
from scipy import ndimage as ndi

from backend.imaging.grid import Vector
from backend.imaging.surfaces import border, nearest_mm, points_of

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
    surface_mm: float | None = None


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
    spacing_mm: Vector | None = None,
) -> ScanScore:
    """Compare two instance maps on one grid; ``nodes`` describes the truth's labels.

    With ``spacing_mm`` (slices, rows, columns) the surface distances of localised nodes are
    measured as well; the maps must then be three-dimensional.
    """
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
    surfaces = _surfaces(hit_voxels, true_voxels, truth, spacing_mm) if spacing_mm else {}
    return ScanScore(
        nodes=[
            NodeScore(
                label=node["label"],
                short_axis_mm=node["short_axis_mm"],
                metastatic=node["metastatic"],
                necrotic=node["necrotic"],
                localised=bool(found[node["label"]]),
                surface_mm=surfaces.get(node["label"]),
            )
            for node in nodes
        ],
        false_positives=len(false),
        true_positives=len(touching),
        dice=2 * int((hit_voxels & true_voxels).sum()) / total if total else None,
        false_labels=[int(label) for label in false],
    )


def _surfaces(
    predicted: NDArray[np.bool_],
    true: NDArray[np.bool_],
    truth: NDArray[np.integer[Any]],
    spacing_mm: Vector,
) -> dict[int, float]:
    """Return the average surface distance in mm of each localised node.

    Surfaces are those of all localised nodes together and of all that hit them, so that nodes that
    touch are not asked for a surface between them; a surface voxel counts for its nearest node.
    """
    distances: dict[int, float] = {}
    edge_of_true, edge_of_predicted = border(true), border(predicted)
    for label, box in enumerate(ndi.find_objects(truth.astype(np.int32)), 1):
        if box is None or not true[box][truth[box] == label].any():
            continue
        near = tuple(
            slice(max(0, part.start - round(6 / s)), part.stop + round(6 / s))
            for part, s in zip(box, spacing_mm, strict=True)
        )
        own = points_of(edge_of_true[near] & (truth[near] == label), spacing_mm)
        others = points_of(true[near] & (truth[near] != label), spacing_mm)
        seen = points_of(edge_of_predicted[near], spacing_mm)
        everything = points_of(edge_of_true[near], spacing_mm)
        if not len(own) or not len(seen):
            continue
        to_prediction = nearest_mm(own, seen)
        if len(others):
            seen = seen[nearest_mm(seen, own) <= nearest_mm(seen, others)]
        from_prediction = nearest_mm(seen, everything) if len(seen) else np.zeros(0)
        both = np.concatenate([to_prediction, from_prediction])
        distances[label] = float(both.mean())
    return distances


def summarise(scores: Sequence[ScanScore]) -> dict[str, float | None]:
    """Pool scans: recall by size and kind, mean false positives a scan, mean Dice."""
    nodes = [node for score in scores for node in score.nodes]

    def recall(chosen: list[NodeScore]) -> float | None:
        return sum(n.localised for n in chosen) / len(chosen) if chosen else None

    surfaces = [node.surface_mm for node in nodes if node.surface_mm is not None]
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
        "surface_mm": float(np.mean(surfaces)) if surfaces else None,
    }
