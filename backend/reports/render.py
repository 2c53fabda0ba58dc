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

from backend.reports.pictures import data_uri

TEMPLATE = "reports/case_report.html"
STYLES = "reports/case_report.css"


def canonical_json(document: dict[str, Any]) -> bytes:
    """The document's own bytes: sorted keys, one spelling."""
    return json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False).encode()


def html_of(
    document: dict[str, Any], charts: Mapping[str, str], pictures: Mapping[str, bytes]
) -> bytes:
    """The report as a page.

    Args:
        document: what `documents.case_document` returned.
        charts: chart name → SVG.
        pictures: card key → PNG.
    """
    # Styles and charts are our own markup; the texts in the charts were escaped there.
    context = {
        "document": document,
        "styles": SafeString(_styles()),
        "charts": {name: SafeString(svg) for name, svg in charts.items()},
        "pictures": {key: data_uri(png) for key, png in pictures.items()},
    }
    return get_template(TEMPLATE).render(context).encode()


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
