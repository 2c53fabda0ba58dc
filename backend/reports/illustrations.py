"""One picture per row of a report's node table: the slice that gave the short axis. Pure."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.imaging.grid import Grid
from backend.reports.evaluation import Evaluation, Labels
from backend.reports.pictures import node_picture


def pictures_of(
    document: dict[str, Any],
    image_hu: NDArray[np.int16],
    grid: Grid,
    *,
    ai: Labels,
    signed: Labels,
    evaluation: Evaluation,
) -> dict[str, bytes]:
    """Node UUID → PNG, for every row that has a measured node.

    A signed node is shown with every proposal that meets it; a rejected one with its own outline.
    """
    return {
        row["uuid"]: _picture(row, image_hu, grid, ai, signed, evaluation)
        for row in document["nodes"]
        if row["sad_mm"] is not None
    }


def _picture(
    row: dict[str, Any],
    image_hu: NDArray[np.int16],
    grid: Grid,
    ai: Labels,
    signed: Labels,
    evaluation: Evaluation,
) -> bytes:
    label = row["number"]
    is_signed = row["group"] == "signed"
    measures = (evaluation.signed_measures if is_signed else evaluation.ai_measures)[label]
    index = measures.slice_index
    proposed = np.isin(ai[index], [label, *(met["number"] for met in row["met"])])
    return node_picture(
        image_hu,
        grid,
        slice_index=index,
        centre=_centre(measures.lad_points),
        signed=signed[index] == label if is_signed else None,
        proposed=proposed,
        short_axis=measures.sad_points,
    )


def _centre(ends: tuple[tuple[float, float], tuple[float, float]]) -> tuple[float, float]:
    (row_a, column_a), (row_b, column_b) = ends
    return (row_a + row_b) / 2, (column_a + column_b) / 2
