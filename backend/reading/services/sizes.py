"""A node's axes as the reader measured them: kept beside the server's measures, never instead."""

from __future__ import annotations

import math
from typing import Any

from backend.imaging.grid import Grid
from backend.imaging.nodes import show_mm
from backend.reading.models import NodeState
from backend.reading.services.bodies import Line, Resize


def resize(state: NodeState, body: Resize, grid: Grid) -> dict[str, Any]:
    """Set or take back a node's manual axes; returns the facts for the log."""
    before = state.manual
    state.manual = manual_of(body, grid)
    return {"before": {"manual": before}, "after": {"manual": state.manual}}


def manual_of(body: Resize, grid: Grid) -> dict[str, Any] | None:
    """Both axes, in mm and as drawn; None where the reader says neither."""
    if body.long is None and body.short is None:
        return None
    return {"long": _axis(body.long, grid), "short": _axis(body.short, grid)}


def _axis(line: Line, grid: Grid) -> dict[str, Any] | None:
    if line is None:
        return None
    if isinstance(line, float):
        return {"mm": line, "text": show_mm(line), "ends_vox": None}
    first, second = line
    steps = zip(first, second, grid.spacing_mm, strict=True)
    length = math.sqrt(sum(((b - a) * mm) ** 2 for a, b, mm in steps))
    return {"mm": length, "text": show_mm(length), "ends_vox": [list(first), list(second)]}
