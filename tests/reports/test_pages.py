"""The frame of all pages: notice, navigation by role, no script in the page; sign-in and errors."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from backend.reports.log_sections import timeline
from backend.reports.record import facts as record_facts
from backend.version import RESEARCH_NOTICE
from tests.reports.conftest import file_of, report_now
from tests.reports.room import Room


def text_of(answer: Any) -> str:
    text: str = answer.content.decode()
    assert RESEARCH_NOTICE in text
    assert not re.search(r"<script(?![^>]*\ssrc=)", text), "a script in the page"
    assert not re.search(r'\sstyle="|\son[a-z]+="', text)
    assert not re.search(r'(?:src|href|action)="(?:https?:)?//', text)
    return text


@pytest.mark.parametrize("demo", [True, False])
def test_the_sign_in_page_says_where_demo_passwords_are(db: None, settings: Any, demo: bool):
    settings.DEMO = demo
    text = text_of(Client().get("/sign-in/"))
    assert ("demo-users.json" in text) is demo
    assert 'autocomplete="current-password"' in text


def test_a_wrong_password_is_said_in_words(db: None):
    answer = Client().post("/sign-in/", {"username": "nobody", "password": "wrong"})
    assert "do not belong together" in text_of(answer)


def test_an_address_that_leads_nowhere_says_what_to_do(room: Room):
    answer = room.client("reader1").get("/cases/", headers={"Accept": "text/html"})
    assert answer.status_code == 404
    assert "Back to your list" in text_of(answer)


@pytest.mark.parametrize(
    ("who", "names"),
    [
        ("reader1", ["Worklist"]),
        ("coordinator", ["Cases", "Archive", "Releases", "Runs", "Models"]),
        ("auditor", ["Cases", "Releases", "Runs", "Models"]),
        ("scientist", ["Releases", "Runs", "Models"]),
        ("abstractor", ["Evidence"]),
        ("admin", ["Cases", "Archive", "Releases", "Runs", "Models"]),
    ],
)
def test_each_role_sees_its_places(room: Room, who: str, names: list[str]):
    text = text_of(room.client(who).get("/", follow=True))
    line = re.search(r'<nav class="nav".*?</nav>', text, re.S)
    assert line
    assert re.findall(r">([A-Z][a-z]+)</a>", line.group()) == names


@pytest.mark.parametrize(
    ("who", "words"),
    [
        ("adjudicator", "What two readers left to the adjudicator"),
        ("scientist", "You are scientist here"),
        ("outsider", "You have no role yet"),
    ],
)
def test_an_empty_worklist_says_what_will_come(room: Room, who: str, words: str):
    assert words in text_of(room.client(who).get("/"))


def test_the_pages_of_a_case_hold_together(room: Room):
    client = room.client("coordinator")
    assert f'href="/cases/{room.case.pk}/"' in text_of(client.get("/cases/"))
    text = text_of(client.get(f"/cases/{room.case.pk}/"))
    assert "None yet." in text
    assert "Hold or withdraw" in text
    rows = text_of(room.client("reader1").get("/"))
    assert "submitted" in rows


def test_a_broken_chain_is_printed(room: Room, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(record_facts, "faults_of", lambda events: ["Event 2 was altered."])
    html = file_of(report_now(room), "html").decode()
    assert "<strong>The chain does not hold.</strong> Event 2 was altered." in html
    header = html[html.index("<header>") : html.index("</header>")]
    assert "The audit chain does not hold. Event 2 was altered." in header


def test_a_run_of_changes_is_one_line_of_the_timeline():
    def event(position: int, action: str, who: str = "Rita") -> dict[str, Any]:
        at = f"2026-03-04T05:06:{position:02d}.000Z"
        return {
            "position": position,
            "subject": "a reading",
            "at": at,
            "who": who,
            "action": action,
            "outcome": "success",
            "reason": "",
        }

    kinds = ["voxels", "decision", "voxels"]
    events = [
        event(1, "reading.opened"),
        *(event(i, f"reading.changed.{kind}") for i, kind in enumerate(kinds, 2)),
        event(5, "reading.submitted"),
    ]
    words = {event["position"]: f"{event['action']}!" for event in events}
    assert [row["cells"] for row in timeline(events, words)] == [
        ["1", "2026-03-04 05:06:01", "Rita", "reading.opened!", ""],
        [
            "2–4",
            "2026-03-04 05:06:02 to 05:06:04",
            "Rita",
            "3 changes: 1 decision, 2 strokes",
            "",
        ],
        ["5", "2026-03-04 05:06:05", "Rita", "reading.submitted!", ""],
    ]
