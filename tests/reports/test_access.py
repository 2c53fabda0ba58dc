"""Who may open what: each role at each address; hidden and absent are the same 404."""

from __future__ import annotations

import hashlib
import io
import json
import re
import uuid
import zipfile
from typing import Any

import pytest

from backend.audit.models import Event
from backend.reading.models import Reading
from backend.reports import exporting, reporting, services
from backend.reports.models import Export, Report
from tests.reports.conftest import report_now
from tests.reports.room import Room
from tests.reports.settled import compared

ALLOWED = ("coordinator", "auditor", "admin")
REFUSED = ("reader1", "reader2", "adjudicator", "abstractor", "scientist", "outsider")


@pytest.fixture
def export(room: Room) -> Export:
    export = services.request_export(reading=room.reading, file_format="nifti", actor=None)
    return exporting.make_export(export.pk)


def requests(room: Room, report: Report, export: Export) -> dict[str, tuple[str, str, Any, int]]:
    """Every address of the room: method, path, body, and the status of who may."""
    reading, case = room.reading.pk, room.case.pk
    body = {"reading": str(reading), "format": "nifti"}
    return {
        "make": ("post", f"/api/cases/{case}/report", {}, 202),
        "report": ("get", f"/api/reports/{report.pk}", None, 200),
        "pdf": ("get", f"/api/reports/{report.pk}.pdf", None, 200),
        "csv": ("get", f"/api/reports/{report.pk}.csv", None, 200),
        "steps": ("get", f"/api/reports/{report.pk}-steps.csv", None, 200),
        "readings": ("get", f"/api/reports/{report.pk}-readings.csv", None, 200),
        "page": ("get", f"/reports/{report.pk}/", None, 200),
        "html": ("get", f"/api/reports/{report.pk}.html", None, 200),
        "json": ("get", f"/api/reports/{report.pk}.json", None, 200),
        "ask": ("post", "/api/exports", body, 202),
        "state": ("get", f"/api/exports/{export.pk}", None, 200),
        "file": ("get", f"/api/exports/{export.pk}/file", None, 200),
        "files": ("get", f"/cases/{case}/files", None, 200),
        "make page": ("post", f"/cases/{case}/report", None, 302),
        "ask page": ("post", f"/readings/{reading}/exports/seg", None, 302),
    }


def send(room: Room, who: str, method: str, path: str, body: Any) -> Any:
    client = room.client(who)
    if method == "get":
        return client.get(path)
    if body is None:
        return client.post(path)
    return client.post(path, body, content_type="application/json")


def said(answer: Any) -> str:
    """What an answer says, without the form token that is new in every page."""
    return re.sub(r"[A-Za-z0-9]{64}", "", answer.content.decode())


@pytest.mark.parametrize("who", ALLOWED)
def test_who_oversees_the_case_may(room: Room, report: Report, export: Export, who: str):
    for name, (method, path, body, status) in requests(room, report, export).items():
        answer = send(room, who, method, path, body)
        assert answer.status_code == status, f"{who} {name}: {answer.content[:200]!r}"


@pytest.mark.parametrize("who", REFUSED)
def test_everyone_else_sees_nothing_there(room: Room, report: Report, export: Export, who: str):
    for name, (method, path, body, _) in requests(room, report, export).items():
        answer = send(room, who, method, path, body)
        assert answer.status_code == 404, f"{who} {name}"
        absent = path
        for part in (report.pk, export.pk, room.reading.pk, room.case.pk):
            absent = absent.replace(str(part), str(uuid.uuid4()))
        wrong = body and {**body, "reading": str(uuid.uuid4())}
        nothing = send(room, who, method, absent, wrong)
        assert (nothing.status_code, said(nothing)) == (404, said(answer)), f"{who} {name}"


def test_a_stranger_is_sent_away(room: Room, report: Report, export: Export):
    for name, (method, path, body, _) in requests(room, report, export).items():
        answer = send(room, "stranger", method, path, body)
        if path.startswith("/api/"):
            assert answer.status_code == 401, name
        else:
            assert answer.status_code == 302, name
            assert answer.headers["Location"].startswith("/sign-in/"), name


def test_a_reader_s_worklist_shows_no_report(room: Room, report: Report):
    rows = room.client("reader1").get("/api/worklist").json()["results"]
    assert [row["report"] for row in rows] == [None]


def test_an_unsigned_reading_has_no_export(room: Room):
    other = Reading.objects.get(case=room.case, slot="R2")
    client = room.client("coordinator")
    body = {"reading": str(other.pk), "format": "seg"}
    answer = client.post("/api/exports", body, content_type="application/json")
    assert (answer.status_code, answer.json()["error"]) == (409, "NOT_SIGNED")


def test_an_api_report_says_how_far_it_is_and_where_it_lies(room: Room):
    client = room.client("coordinator")
    told = client.post(f"/api/cases/{room.case.pk}/report").json()
    assert (told["state"], told["files"]) == ("queued", {})
    reporting.make_report(uuid.UUID(told["report"]))
    told = client.get(f"/api/reports/{told['report']}").json()
    assert set(told["files"]) == {"html", "pdf", "document", "csv", "steps", "readings"}
    for file in told["files"].values():
        answer = client.get(file["url"])
        assert answer.status_code == 200
        assert answer.headers["ETag"] == f'"{file["sha256"]}"'
        assert hashlib.sha256(answer.content).hexdigest() == file["sha256"]
    assert client.get(told["url"]).status_code == 200


def test_the_record_of_a_case_is_for_who_audits_it(room: Room):
    address = f"/api/cases/{room.case.pk}/record.zip"
    for who in (*REFUSED, "coordinator"):
        assert room.client(who).get(address).status_code == 404, who
    answer = room.client("auditor").get(address)
    assert answer.status_code == 200
    with zipfile.ZipFile(io.BytesIO(b"".join(answer))) as record:
        assert {"record.json", "events.jsonl"} <= set(record.namelist())
        last = record.read("events.jsonl").decode().splitlines()[-1]
    assert json.loads(last)["action"] == "record.exported"
    assert Event.objects.get(action="record.exported").actor == room.users["auditor"]


def test_what_tells_of_a_comparison_is_for_who_audits(room: Room, report: Report):
    compared(room)
    client = room.client("coordinator")
    assert client.get(f"/reports/{report.pk}/").status_code == 200
    answer = client.post(f"/api/cases/{room.case.pk}/report")
    assert (answer.status_code, answer.json()["error"]) == (403, "ROLE_NEEDED")
    sealed = report_now(room)
    assert sealed.sealed
    for path in (f"/reports/{sealed.pk}/", f"/api/reports/{sealed.pk}.pdf"):
        assert client.get(path).status_code == 404
        assert room.client("auditor").get(path).status_code == 200
    files = client.get(f"/cases/{room.case.pk}/files").content.decode()
    assert f"/reports/{report.pk}/" in files
    assert f"/reports/{sealed.pk}/" not in files
    assert "Make report" not in files


def test_the_page_is_framed_under_a_policy_that_lets_it_do_nothing(room: Room, report: Report):
    answer = room.client("auditor").get(f"/api/reports/{report.pk}.html")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "style-src 'sha256-" in policy
    assert "script" not in policy
    assert "frame-ancestors 'self'" in policy
    assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"


def test_looking_at_a_report_is_recorded(room: Room, report: Report):
    room.client("admin").get(f"/reports/{report.pk}/")
    event = Event.objects.get(action="report.opened")
    assert event.actor == room.users["admin"]


def test_the_case_page_offers_reports_and_exports(room: Room, report: Report, export: Export):
    page = room.client("coordinator").get(f"/cases/{room.case.pk}/").content.decode()
    assert "Make report" in page
    assert f"/reports/{report.pk}/" in page
    assert f"/api/exports/{export.pk}/file" in page
    assert "equal voxel by voxel" in page


def test_bad_input_is_named(room: Room):
    client = room.client("coordinator")
    body = {"reading": str(room.reading.pk), "format": "mat"}
    answer = client.post("/api/exports", body, content_type="application/json")
    assert (answer.status_code, answer.json()["error"]) == (400, "BAD_INPUT")
