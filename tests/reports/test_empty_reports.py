"""Cases with nothing in them: no AI, or no node; the report says so."""

from __future__ import annotations

import uuid
from pathlib import Path

from backend.reading import services
from backend.reading.models import Case, Consensus, Reading
from backend.reports.reporting import rebuild_report
from tests.reports.conftest import document_of, file_of, report_now
from tests.reports.room import PASSWORD, SHAPE, Room, build_room
from tests.reports.settled import sign


def test_without_an_ai_every_comparison_is_null_and_says_why(
    db: None, content: None, tmp_path: Path
):
    room = build_room(tmp_path / "images", with_ai=False)
    report = report_now(room)
    rows = document_of(report)["metrics"]
    assert {row["reason"] for row in rows} == {"NO_AI"}
    assert {row["value"] for row in rows} == {None}
    page = file_of(report, "html").decode()
    assert "there was no AI proposal" in page
    assert "NO_AI" not in page, "a code, not words"
    assert "no proposal was made" in page
    assert "not anchored" in page
    assert rebuild_report(str(report.pk)).same


def reject_everything(room: Room, slot: str) -> None:
    reading = Reading.objects.get(case=room.case, slot=slot)
    user = reading.reader
    lease = services.take_lease(reading=reading, user=user, client=uuid.uuid4(), take_over=False)
    for node in [room.nodes[number] for number in range(1, 6)]:
        change = {
            "id": str(uuid.uuid4()),
            "base": Reading.objects.get(pk=reading.pk).head.hash,
            "kind": "decision",
            "node": node,
            "decision": "rejected",
            "reason": "vessel",
        }
        services.apply_changes(reading=reading, user=user, lease=lease, changes=[change])
    for plane in ("axial", "coronal", "sagittal"):
        ranges = [[0, SHAPE[0] - 1]]
        services.note_seen(
            reading=reading, user=user, plane=plane, ranges=ranges, active_seconds=9, resume=None
        )
    reading = Reading.objects.get(pk=reading.pk)
    head = reading.head.hash
    services.submit(reading=reading, user=user, lease=lease, head=head, password=PASSWORD)


def test_a_case_in_which_nobody_found_anything_is_reported_too(
    db: None, content: None, tmp_path: Path
) -> None:
    room = build_room(tmp_path / "images", signed=False)
    for slot in ("R1", "R2"):
        reject_everything(room, slot)
    services.compare_readings(case=Case.objects.get(pk=room.case.pk))
    services.settle_what_is_decided()
    consensus = Consensus.objects.get(case=room.case)
    assert sign(room, consensus, "reader1", "reader2").state == "published"
    report = report_now(room)
    assert document_of(report)["alarm"] is None
    assert "No node was agreed on." in file_of(report, "html").decode()
    assert "there was nothing to settle" in file_of(report, "html").decode()
    assert rebuild_report(str(report.pk)).same
