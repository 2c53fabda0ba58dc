"""Two models on one case, node by node, and each against the truth where there is one. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.imaging.grid import Grid
from backend.imaging.matching import match
from backend.imaging.nodes import NodeMeasures, measure_all
from backend.imaging.overlap import ShapesDiffer
from backend.reports.evaluation import evaluate_truth

Labels = NDArray[np.uint16]
Row = dict[str, Any]

# Slices that are shown lie at least so far apart.
APART_MM = 6.0


def difference_of(
    first: Labels, second: Labels, grid: Grid, *, truth: Labels | None, ignored: Labels | None
) -> dict[str, Any]:
    """What two label maps ``(slices, rows, columns)`` on one grid have alike and otherwise.

    Returns:
        `rows` (one a node or a group that hangs together: `what` is matched, grouped, only first
        or only second; short axes in mm, volumes in ml, Dice), counts, Dice of all nodes together,
        `truth` (nodes; recall, false positives and Dice of either; null without one), and
        `slices` worth looking at, the most different first.

    Raises:
        ShapesDiffer: when the shapes differ.
    """
    if first.shape != second.shape:
        raise ShapesDiffer(first.shape, second.shape)
    of_first, of_second = measure_all(first, grid), measure_all(second, grid)
    matching = match(first, second)
    pairs = {(pair.a, pair.b): pair.dice for pair in matching.pairs}
    rows = []
    for cluster in matching.clusters:
        what = {"1-1": "matched", "only-a": "only first", "only-b": "only second"}
        both = cluster.union_voxels + cluster.shared_voxels
        rows.append(
            {
                "what": what.get(cluster.kind, "grouped"),
                "first": _side(cluster.a, of_first),
                "second": _side(cluster.b, of_second),
                "dice": pairs.get((cluster.a[0], cluster.b[0]), 2 * cluster.shared_voxels / both)
                if cluster.a and cluster.b
                else None,
                "slice": _slice_of(cluster.a, of_first, cluster.b, of_second),
            }
        )
    return {
        "rows": sorted(
            rows, key=lambda row: (row["what"] in ("matched", "grouped"), -row["slice"])
        ),
        "first": _whole(of_first),
        "second": _whole(of_second),
        "both": matching.agreed,
        "only_first": matching.only_a,
        "only_second": matching.only_b,
        "dice": matching.union_dice.value,
        "truth": None
        if truth is None
        else {
            "nodes": len(np.unique(truth)) - int((truth == 0).any()),
            "first": _against(first, of_first, truth, ignored, grid),
            "second": _against(second, of_second, truth, ignored, grid),
        },
        "slices": slices_to_show(rows, grid),
    }


def slices_to_show(rows: list[Row], grid: Grid, most: int = 6) -> list[int]:
    """Indices of axial slices: where one alone sees something large, then where shapes differ."""

    def weight(row: Row) -> float:
        volumes = [side["volume_ml"] for side in (row["first"], row["second"]) if side]
        alike = 0.0 if row["dice"] is None else row["dice"]
        return (1.0 - alike + 0.05) * float(max(volumes, default=0.0))

    apart = max(1, round(APART_MM / grid.spacing_mm[0]))
    found: list[int] = []
    for row in sorted(rows, key=weight, reverse=True):
        if len(found) < most and all(abs(row["slice"] - other) >= apart for other in found):
            found.append(row["slice"])
    return sorted(found)


def _side(labels: tuple[int, ...], measures: Mapping[int, NodeMeasures]) -> Row | None:
    if not labels:
        return None
    largest = max(labels, key=lambda label: measures[label].sad_mm)
    return {
        "labels": list(labels),
        "sad_mm": round(measures[largest].sad_mm, 2),
        "volume_ml": round(sum(measures[n].volume_mm3 for n in labels) / 1000, 3),
    }


def _slice_of(
    first: tuple[int, ...],
    of_first: Mapping[int, NodeMeasures],
    second: tuple[int, ...],
    of_second: Mapping[int, NodeMeasures],
) -> int:
    """The slice that gave the largest node of a group its short axis."""
    nodes = [of_first[n] for n in first] + [of_second[n] for n in second]
    return max(nodes, key=lambda node: node.sad_mm).slice_index


def _whole(measures: Mapping[int, NodeMeasures]) -> Row:
    volume = sum(node.volume_mm3 for node in measures.values()) / 1000
    largest = max((node.sad_mm for node in measures.values()), default=0.0)
    return {
        "nodes": len(measures),
        "volume_ml": round(volume, 2),
        "largest_sad_mm": round(largest, 2),
    }


def _against(
    labels: Labels,
    measures: Mapping[int, NodeMeasures],
    truth: Labels,
    ignored: Labels | None,
    grid: Grid,
) -> Row:
    found = evaluate_truth(
        labels, truth, grid, ai_measures=measures, same_node={}, ignored=ignored
    ).detection
    return {
        "found": len(found.localised),
        "of": len(found.counted),
        "recall": found.recall.value,
        "false_positives": found.false_positives("strict"),
        "dice": found.dice_filtered.value,
    }


def summary_of(cases: list[dict[str, Any]]) -> dict[str, Any]:
    """Of several cases together: recall of all true nodes, false positives a scan, mean Dice.

    A figure is null where no case gives it; `with_truth` says how many have a truth.
    """
    held = [case["truth"] for case in cases if case["truth"]]
    said: dict[str, Any] = {"cases": len(cases), "with_truth": len(held)}
    dices = [case["dice"] for case in cases if case["dice"] is not None]
    said["dice"] = sum(dices) / len(dices) if dices else None
    for side in ("first", "second"):
        of = sum(truth[side]["of"] for truth in held)
        scores = [truth[side]["dice"] for truth in held if truth[side]["dice"] is not None]
        said[side] = {
            "nodes": sum(case[side]["nodes"] for case in cases),
            "recall": sum(truth[side]["found"] for truth in held) / of if of else None,
            "false_positives": sum(truth[side]["false_positives"] for truth in held) / len(held)
            if held
            else None,
            "dice": sum(scores) / len(scores) if scores else None,
        }
    return said
