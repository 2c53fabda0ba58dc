"""A document on paper: PDF by Typst, with its own fonts, the same bytes for the same document."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import typst

TEMPLATE = Path(__file__).parent.parent / "templates" / "reports" / "case_report.typ"


@lru_cache
def _fonts() -> typst.Fonts:
    """The fonts Typst brings; never those of the machine, which differ."""
    return typst.Fonts(include_system_fonts=False)


def pdf_of(
    document: dict[str, Any],
    charts: Mapping[str, str],
    pictures: Mapping[str, bytes],
    *,
    created: str,
) -> bytes:
    """The report as a PDF.

    Args:
        document: what `documents.case_document` returned.
        charts: chart name → SVG.
        pictures: card key → PNG.
        created: the time that stands in the file as that of its making.
    """
    moment = datetime.fromisoformat(created)
    with tempfile.TemporaryDirectory(prefix="concord-paper-") as name:
        folder = Path(name)
        files = {key: f"picture-{place}.png" for place, key in enumerate(sorted(pictures))}
        for key, file in files.items():
            (folder / file).write_bytes(pictures[key])
        for chart, svg in charts.items():
            (folder / f"{chart}.svg").write_text(svg, encoding="utf-8")
        told = {key: document[key] for key in document if key not in ("numbers", "metrics")}
        told["sections"] = [_with_pictures(part, files) for part in document["sections"]]
        told["date"] = list(moment.timetuple()[:6])
        (folder / "document.json").write_text(json.dumps(told), encoding="utf-8")
        (folder / "main.typ").write_bytes(TEMPLATE.read_bytes())
        return typst.compile(
            str(folder / "main.typ"),
            root=str(folder),
            font_paths=_fonts(),
            ignore_system_fonts=True,
            timestamp=int(moment.timestamp()),
        )


def _with_pictures(part: dict[str, Any], files: Mapping[str, str]) -> dict[str, Any]:
    return part | {
        "blocks": [
            block | {"cards": [c | {"picture": files.get(c["key"], "")} for c in block["cards"]]}
            if block["kind"] == "cards"
            else block
            for block in part["blocks"]
        ]
    }
