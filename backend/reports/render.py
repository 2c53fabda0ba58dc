"""A document as one HTML file that needs no other: styles, charts and pictures inside.

The same document and pictures give the same bytes. The file carries no script and no address
outside itself; it is served under the policy `policy()`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.template.loader import get_template
from django.utils.safestring import SafeString

from backend.reports.charts import Spot, node_map, sensitivity_chart
from backend.reports.pictures import data_uri

TEMPLATE = "reports/case_report.html"
STYLES = "reports/case_report.css"


def canonical_json(document: dict[str, Any]) -> bytes:
    """The document's own bytes: sorted keys, one spelling."""
    return json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False).encode()


def html_of(document: dict[str, Any], pictures: Mapping[str, bytes]) -> bytes:
    """The report as a page.

    Args:
        document: what `documents.case_document` returned.
        pictures: node UUID → PNG.
    """
    # Styles and charts are our own markup; the texts in the charts were escaped there.
    context = {
        "document": document,
        "styles": SafeString(_styles()),
        "headline": _pick(
            document["metrics"], "recall", "precision", "f1", "fp", "dice", "assd_mm"
        ),
        "rows": [
            row | {"picture": data_uri(pictures[row["uuid"]]) if row["uuid"] in pictures else ""}
            for row in document["nodes"]
        ],
        "map": SafeString(map_of(document)),
        "scatter": SafeString(scatter_of(document)),
    }
    return get_template(TEMPLATE).render(context).encode()


def map_of(document: dict[str, Any]) -> str:
    """The chart of all nodes along z."""
    spots = [
        Spot(str(row["number"]), _kind(row), row["x_mm"], row["z_mm"], row["sad_mm"])
        for row in document["nodes"]
        if row["sad_mm"] is not None
    ]
    extent = document["extent_mm"]
    return node_map(spots, x_range_mm=tuple(extent["x"]), z_range_mm=tuple(extent["z"]))


def scatter_of(document: dict[str, Any]) -> str:
    """The chart of sensitivity by short axis."""
    return sensitivity_chart(
        [
            (str(row["number"]), row["sad_mm"], row["sensitivity"])
            for row in document["nodes"]
            if row["sensitivity"] is not None
        ]
    )


def _kind(row: dict[str, Any]) -> Any:
    if row["group"] == "rejected":
        return "rejected"
    return "added" if row["ai_sad_mm"] is None else "kept"


def _pick(metrics: list[dict[str, Any]], *names: str) -> list[dict[str, Any]]:
    by_name = {row["id"]: row for row in metrics}
    return [by_name[name] for name in names]


@lru_cache
def _styles() -> str:
    """The style sheet, as it stands between the `<style>` tags."""
    return (Path(__file__).parent.parent / "templates" / STYLES).read_text()


@lru_cache
def policy() -> str:
    """The content policy of a report: its own style sheet by hash, its own pictures, no more."""
    digest = base64.b64encode(hashlib.sha256(_styles().encode()).digest()).decode("ascii")
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'self'; sandbox allow-popups"
    )
