"""The node tables of a report: a row per signed node and per rejected proposal; and their sums."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from backend.imaging.grid import Grid
from backend.imaging.nodes import NodeMeasures
from backend.imaging.overlap import TruthNode
from backend.reports import shown
from backend.reports.evaluation import Evaluation
from backend.reports.record.readings import words_of
from backend.reports.timeline_cast import Cast

_CLASS_WORDS = {
    "TP": "true positive",
    "partial": "partly, counts as false",
    "FP": "false positive",
    "ignored": "left out",
    "dropped": "below 4.5 mm, not counted",
}
# Groups that share no node, their sum, and last the one that is made of two of them.
_GROUPS: tuple[tuple[str, str, Callable[[float], bool]], ...] = (
    ("lt5", "< 5 mm", lambda sad: sad < 5),
    ("5-9", "5–9 mm", lambda sad: 5 <= sad < 10),
    ("10-14", "10–14 mm", lambda sad: 10 <= sad < 15),
    ("ge15", "≥ 15 mm", lambda sad: sad >= 15),
    ("total", "all", lambda sad: True),
    ("ge10", "of all, ≥ 10 mm", lambda sad: sad >= 10),
)
OVERLAPPING = "ge10"
# How near the threshold of localisation a node may lie before it is said.
NEAR_THRESHOLD = 0.02


def rows_of(
    nodes: Sequence[dict[str, Any]], evaluation: Evaluation, cast: Cast
) -> list[dict[str, Any]]:
    """Signed nodes first, then rejected and otherwise vanished proposals, both by number."""
    signed = {node.label: node for node in evaluation.detection.truth}
    rows = []
    for node in nodes:
        label = node["label"]
        measures = evaluation.truth_measures.get(label)
        if measures is None and node["decision"] != "rejected":
            continue  # Erased and undone: no voxel is left, nothing was rejected.
        ours = measures or evaluation.ai_measures.get(label)
        rows.append(
            _words(node, cast)
            | sizes(ours, evaluation.grid)
            | {"group": "signed" if measures else "rejected"}
            | found(signed.get(label), label, evaluation)
            | proposal(label, measures, evaluation)
            | {"history": [step_shown(step) for step in node["history"]]}
        )
    return sorted(rows, key=lambda row: (row["group"] != "signed", row["number"]))


def _words(node: dict[str, Any], cast: Cast) -> dict[str, Any]:
    decision = node["decision"]
    if node["reason"]:
        decision = f"{decision}: {words_of(node['reason'])}"
    impression = words_of(node["impression"])
    if impression and node["confidence"] is not None:
        impression = f"{impression}, {node['confidence']} %"
    return {
        "uuid": node["uuid"],
        "number": node["label"],
        "name": cast.node(node["uuid"]),
        "origin": node["origin"],
        "decision": node["decision"],
        "decision_shown": decision,
        "reason": node["reason"],
        "reason_group": reason_group(node["reason"]),
        "impression": node["impression"],
        "impression_shown": impression or shown.DASH,
        "status": node["impression"] or "unmarked",
        "confidence": node["confidence"],
        "doubt": node["doubt"],
    }


def reason_group(reason: str) -> str:
    """The group of a reject reason (METHODS.md §1.11); "" for no reason."""
    if not reason:
        return ""
    return reason if reason in ("too_small", "other") else "false_positive"


def sizes(measures: NodeMeasures | None, grid: Grid) -> dict[str, Any]:
    """How large a node is and where it lies, as measured and as written."""
    if measures is None:
        return {"sad_mm": None, "axes_shown": shown.DASH, "volume_shown": shown.DASH}
    return _slice(measures, grid) | {
        "sad_mm": measures.sad_mm,
        "lad_mm": measures.lad_mm,
        "longest_any_plane_mm": measures.longest_any_plane_mm,
        "volume_mm3": measures.volume_mm3,
        "axes_shown": shown.axes(measures.lad_mm, measures.sad_mm),
        "volume_shown": shown.volume(measures.volume_mm3),
        "size_group": measures.size_group,
        "x_mm": measures.centroid_mm[0],
        "z_mm": measures.centroid_mm[2],
        "flags": list(measures.flags),
        "fragmented": measures.fragmented,
        "measurable": measures.measurable,
    }


def _slice(measures: NodeMeasures, grid: Grid) -> dict[str, Any]:
    """The slice that gave the axes, counted from the top as the viewer counts, and where it lies.

    `slice_z_mm` is the patient z of that slice at the middle of the long axis.
    """
    count = grid.shape[0]
    (row_a, column_a), (row_b, column_b) = measures.lad_points
    z_mm = grid.to_patient(measures.slice_index, (row_a + row_b) / 2, (column_a + column_b) / 2)[2]
    number = count - measures.slice_index
    return {
        "slice": number,
        "slice_z_mm": z_mm,
        "slice_z_shown": shown.position(z_mm),
        "slice_shown": f"{number} of {count}, z {shown.position(z_mm)} mm",
    }


def found(node: TruthNode | None, label: int, evaluation: Evaluation) -> dict[str, Any]:
    """How much of a node the retained proposals cover, and which they are."""
    if node is None:
        return {
            "sensitivity": None,
            "sensitivity_shown": shown.DASH,
            "localised": None,
            "at_threshold": False,
            "initial_sensitivity": None,
            "met": [],
        }
    kinds = evaluation.prediction_kinds
    met = sorted(evaluation.overlaps.with_a(label))
    return {
        "sensitivity": node.sensitivity,
        "sensitivity_shown": shown.share(node.sensitivity, evaluation.detection.threshold),
        "localised": node.localised,
        "at_threshold": at_threshold(node, evaluation),
        "initial_sensitivity": evaluation.initial_sensitivity(label),
        "met": [{"number": b, "kind": kinds[b], "shown": _CLASS_WORDS[kinds[b]]} for b in met],
    }


def at_threshold(node: TruthNode, evaluation: Evaluation) -> bool:
    """Whether a node that counts is found, or missed, by a hair."""
    apart = abs(node.sensitivity - evaluation.detection.threshold)
    return not node.ignored and apart <= NEAR_THRESHOLD


def proposal(label: int, measures: NodeMeasures | None, evaluation: Evaluation) -> dict[str, Any]:
    """The AI's node of the same identity: its short axis, and what detection made of it."""
    # A rejected proposal is in no truth, and keeps its own number.
    number = evaluation.same_node.get(label, label if measures is None else -1)
    ai = evaluation.ai_measures.get(number)
    kind = evaluation.prediction_kinds.get(number)
    return {
        "ai_number": number if ai else None,
        "ai_sad_mm": ai.sad_mm if ai else None,
        "ai_volume_mm3": ai.volume_mm3 if ai else None,
        "ai_same": bool(ai and measures) and evaluation.untouched(label),
        "ai_kind": kind,
        "ai_kind_shown": _CLASS_WORDS[kind] if kind else shown.DASH,
        "sad_change_shown": shown.change(
            ai.sad_mm if ai else None, measures.sad_mm if measures else None
        ),
    }


def step_shown(step: dict[str, Any]) -> dict[str, Any]:
    """A step of a node's history with its time and size as written."""
    return step | {
        "at_shown": shown.moment(step["at"]),
        "sad_shown": ""
        if step["sad_after"] is None
        else f"{shown.length(step['sad_after'])} mm"
        if step["sad_before"] is None
        else f"{shown.change(step['sad_before'], step['sad_after'])} mm",
    }


def size_groups(
    rows: Sequence[dict[str, Any]], populations: Sequence[tuple[str, frozenset[str]]]
) -> dict[str, Any]:
    """Table 1 of METHODS.md §1.13 for one case: populations by groups of short axis.

    Args:
        rows: node rows, of which the signed or agreed ones count.
        populations: names, each with the `status` of the rows it takes; an empty set takes all.
    """
    signed = [row for row in rows if row["group"] != "rejected"]
    taken = [
        [row for row in signed if not statuses or row["status"] in statuses]
        for _, statuses in populations
    ]
    return {
        "populations": [name for name, _ in populations],
        "rows": [
            {
                "id": name,
                "label": label,
                "cells": [
                    _cell([r for r in population if inside(r["sad_mm"])]) for population in taken
                ],
            }
            for name, label, inside in _GROUPS
        ],
    }


def _cell(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    found = [row["sensitivity"] for row in rows if row["localised"]]
    recall = len(found) / len(rows) if rows else None
    sensitivity = statistics.fmean(found) if found else None
    return {
        "n": len(rows),
        "localised": len(found),
        "recall": recall,
        "sensitivity": sensitivity,
        "recall_shown": shown.share(recall),
        "sensitivity_shown": shown.share(sensitivity),
    }
