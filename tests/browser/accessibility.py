"""axe-core over a page: what would keep somebody out."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page

from tests.postgres import ROOT

AXE = ROOT / "frontend" / "node_modules" / "axe-core" / "axe.min.js"


def keeps_nobody_out(page: Page) -> None:
    """Fail with a line for every serious or critical fault on the page, shadow roots included."""
    page.evaluate(AXE.read_text())
    found: dict[str, Any] = page.evaluate(
        "axe.run(document, {resultTypes: ['violations'],"
        " runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'],"
        " rules: {'label-content-name-mismatch': {enabled: false}}})"
        ".then(({violations}) => ({violations}))"
    )
    faults = [
        f"{fault['id']}: {fault['help']}: {node['html'][:160]} {node['target']}"
        for fault in found["violations"]
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]
    assert not faults, "\n".join(faults)
