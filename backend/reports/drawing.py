"""The charts of a document, drawn: the same SVG for page and paper. Pure."""

from __future__ import annotations

from typing import Any

from backend.reports.agreement import bland_altman
from backend.reports.charts import Spot, bland_altman_chart, node_map, sensitivity_chart


def charts_of(document: dict[str, Any]) -> dict[str, str]:
    """Chart name → SVG."""
    data = document["charts"]
    edited = [difference for _, kind, _, difference in data["bland_altman"] if kind != "untouched"]
    found = bland_altman(edited)
    limits = (found.low, found.bias, found.high) if found else None
    return {
        "map": node_map(
            [Spot(*spot) for spot in data["map"]["spots"]],
            x_range_mm=tuple(data["map"]["x_range_mm"]),
            z_range_mm=tuple(data["map"]["z_range_mm"]),
        ),
        "sensitivity": sensitivity_chart([tuple(point) for point in data["sensitivity"]]),
        "bland_altman": bland_altman_chart([tuple(p) for p in data["bland_altman"]], limits),
    }
