"""One picture per card of a report: the slice that gave the node's short axis. Pure."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.reports.pictures import node_picture
from backend.reports.truths import Measured, Truth

Frame = Callable[[int], NDArray[np.int16]]


def pictures_of(document: dict[str, Any], measured: Measured, frame: Frame) -> dict[str, bytes]:
    """Card key → PNG, for every card whose node was measured.

    Args:
        document: what `documents.case_document` returned.
        measured: the masks and what was measured of them.
        frame: slice index → its pixels in HU, ``(rows, columns)``.
    """
    truths = {truth.name: truth for truth in measured.all}
    rows = {
        f"{name}/{row['uuid']}": row
        for name, found in document["numbers"]["nodes"].items()
        for row in found
    }
    frames = lru_cache(maxsize=8)(frame)
    cards = [
        card
        for part in document["sections"]
        for block in part["blocks"]
        if block["kind"] == "cards"
        for card in block["cards"]
    ]
    return {
        card["key"]: _picture(rows[card["key"]], truths[card["truth"]], measured, frames)
        for card in cards
        if rows[card["key"]]["sad_mm"] is not None
    }


def _picture(row: dict[str, Any], truth: Truth, measured: Measured, frame: Frame) -> bytes:
    """A node of the truth with every proposal that meets it; a rejected one alone."""
    label, rejected = row["number"], row["group"] == "rejected"
    found = truth.evaluation.ai_measures if rejected else truth.evaluation.truth_measures
    measures = found[label]
    index = measures.slice_index
    shown = [row["ai_number"] or 0, *(met["number"] for met in row["met"])]
    (row_a, column_a), (row_b, column_b) = measures.lad_points
    return node_picture(
        frame(index),
        measured.grid,
        centre=((row_a + row_b) / 2, (column_a + column_b) / 2),
        signed=None if rejected else truth.labels[index] == label,
        proposed=np.isin(measured.ai[index], [number for number in shown if number]),
        short_axis=measures.sad_points,
    )
