"""A reading that no AI was shown to: nothing to compare, and the report says so."""

from __future__ import annotations

from pathlib import Path

from backend.reports.reporting import rebuild_report
from tests.reports.conftest import document_of, file_of, report_now
from tests.reports.room import build_room


def test_without_an_ai_every_comparison_is_null_and_says_why(
    db: None, content: None, tmp_path: Path
):
    room = build_room(tmp_path / "images", with_ai=False)
    report = report_now(room)
    rows = document_of(report)["metrics"]
    assert {row["reason"] for row in rows} == {"NO_AI"}
    assert {row["value"] for row in rows} == {None}
    page = file_of(report, "html").decode()
    assert "NO_AI: there was no AI proposal" in page
    assert "no proposal was made" in page
    assert "not anchored" in page
    assert rebuild_report(str(report.pk)).same
