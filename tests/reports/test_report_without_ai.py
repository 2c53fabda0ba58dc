"""A reading that no AI was shown to: nothing to compare, and the report says so."""

from __future__ import annotations

import json
from pathlib import Path

from backend.reports import services
from backend.store import store
from tests.reports.room import build_room


def test_without_an_ai_every_comparison_is_null_and_says_why(
    db: None, content: None, tmp_path: Path
):
    room = build_room(tmp_path / "images", with_ai=False)
    report = services.build_case_report(reading=room.reading, actor=None)
    rows = json.loads(store().read(report.document_blob))["metrics"]
    assert {row["reason"] for row in rows} == {"NO_AI"}
    assert {row["value"] for row in rows} == {None}
    page = store().read(report.html_blob).decode()
    assert "NO_AI: there was no AI proposal" in page
    assert "no proposal was offered" in page
    assert "not anchored" in page
    assert services.rebuild_report(report=report).same
