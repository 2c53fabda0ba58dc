"""The timeline of a case: everything that happened, to those who audit it and to nobody else."""

from __future__ import annotations

import csv
import io
import re
import uuid
from typing import Any

import pytest
from django.utils import timezone

from backend.accounts.models import User
from backend.accounts.roles import Role
from backend.audit import history
from backend.audit.history import Fault, Verdict
from backend.audit.models import Event
from backend.reading import services
from backend.reports import timeline_services
from backend.reports.timeline_room import story_of
from backend.reports.timeline_rows import CSV_COLUMNS, PAGE
from backend.version import RESEARCH_NOTICE, VERSION
from tests.reports import story
from tests.reports.room import Room
from tests.reports.test_pages import text_of

ALLOWED = ("auditor", "admin")
REFUSED = (
    "reader1",
    "reader2",
    "adjudicator",
    "abstractor",
    "coordinator",
    "scientist",
    "outsider",
)


@pytest.fixture(scope="module")
def told(made_room: Room) -> Room:
    """The small case, published."""
    story.published(made_room)
    return made_room


@pytest.fixture
def case(told: Room, room: Room) -> Room:
    return room


def page(room: Room, query: str = "", who: str = "auditor") -> str:
    return text_of(room.client(who).get(f"/cases/{room.case.pk}/timeline/{query}"))


def positions(text: str) -> list[int]:
    """The events listed on a page, runs counted whole."""
    found: list[int] = []
    for words in re.findall(r'<td class="num muted">([0-9–]+)</td>', text):
        first, _, last = words.partition("–")
        found += range(int(first), int(last or first) + 1)
    return found


def addresses(room: Room) -> dict[str, tuple[str, str, int]]:
    """Every address of the timelines: method, path, and the status of who may."""
    base, node = f"/cases/{room.case.pk}", f"/cases/{room.case.pk}/nodes/{room.nodes[2]}"
    assert room.reading.effective is not None
    mask = f"{room.reading.effective.hash}:{room.nodes[2]}"
    run = next(line for line in story_of(room.case).folded if line.strokes)
    return {
        "page": ("get", f"{base}/timeline/", 200),
        "strokes": ("get", f"{base}/timeline/strokes/{run.first}", 200),
        "verdict": ("get", f"{base}/timeline/verdict", 200),
        "verify": ("post", f"{base}/timeline/verify", 302),
        "csv": ("get", f"{base}/timeline.csv", 200),
        "node": ("get", f"{node}/", 200),
        "picture": ("get", f"{node}/picture.svg?slice=10&at=16,46,40&after={mask}", 200),
    }


@pytest.mark.parametrize("who", ALLOWED)
def test_who_audits_may(case: Room, who: str):
    client = case.client(who)
    for name, (method, path, status) in addresses(case).items():
        assert getattr(client, method)(path).status_code == status, name


@pytest.mark.parametrize("who", REFUSED)
def test_everyone_else_sees_nothing_there(case: Room, who: str):
    client = case.client(who)
    for name, (method, path, _) in addresses(case).items():
        answer = getattr(client, method)(path)
        absent = path
        for one in (case.case.pk, case.nodes[2]):
            absent = absent.replace(str(one), str(uuid.uuid4()))
        nothing = getattr(client, method)(absent)
        hidden = [re.sub(r"[A-Za-z0-9]{64}", "", a.content.decode()) for a in (answer, nothing)]
        assert (answer.status_code, nothing.status_code) == (404, 404), name
        assert hidden[0] == hidden[1], name


def test_a_stranger_is_sent_to_sign_in(case: Room):
    for name, (method, path, _) in addresses(case).items():
        answer = getattr(case.client("stranger"), method)(path)
        assert answer.status_code == 302, name
        assert answer.headers["Location"].startswith("/sign-in/"), name


def test_an_auditor_of_another_project_sees_nothing_here(case: Room):
    elsewhere = services.create_project(code="OTHER", name="Another group")
    other = User.objects.create_user("other", password="x")
    services.grant_role(project=elsewhere, user=other, role=Role.AUDITOR, actor=None)
    case.users["other"] = other
    for _, path, _ in addresses(case).values():
        assert case.client("other").get(path).status_code in (404, 405)


def test_who_no_longer_is_active_sees_nothing(case: Room):
    client = case.client("auditor")
    User.objects.filter(username="auditor").update(is_active=False)
    assert client.get(f"/cases/{case.case.pk}/timeline/").status_code == 302


def test_every_event_is_listed_once_in_the_order_of_the_chain(case: Room):
    listed = positions(page(case))
    events = Event.objects.filter(chain=case.case.chain)
    assert sorted(listed) == list(range(1, events.count() + 1))
    firsts = [int(n) for n in re.findall(r'<tr id="e(\d+)"', page(case))]
    assert firsts == sorted(firsts)


def test_a_line_says_who_in_which_part_did_what_and_why(case: Room):
    text = re.sub(r"\s+", " ", page(case))
    for words in (
        '<span>Dr Reader1</span> <span class="muted small">first reader</span>',
        '<span>Dr Adjudicator</span> <span class="muted small">adjudicator</span>',
        '<span>Test net 1.2</span> <span class="muted small">model</span>',
        "AI 3 rejected",
        '<span class="muted">undecided</span> → <span>rejected (vessel)</span>',
        "A vessel: it goes on through all slices.",
        "Drawn along the fat plane.",
        "Consensus version 1 signed by Dr Reader2",
        '<span class="muted">–</span> → <span>metastatic</span>',
        "Histology of 2026-03-10",
        "every signature that was refused",
        "AI 3 is the AI’s third proposal",
    ):
        assert words in text, words
    assert "reading.changed" not in re.sub(r'data-action="[^"]*"', "", text), "a code, not words"


def test_strokes_are_one_line_that_opens(case: Room):
    text = page(case)
    assert "3 nodes accepted" in text
    assert "4 strokes on AI 2" in text
    runs = re.findall(r"timeline/(strokes/\d+)", text)
    told = [
        case.client("auditor").get(f"/cases/{case.case.pk}/timeline/{run}").content.decode()
        for run in runs
    ]
    assert [opened.count("<li ") for opened in told] == [3, 4]
    assert "AI 4 accepted" in told[0]
    assert f'href="/cases/{case.case.pk}/nodes/{case.nodes[4]}/"' in told[0]
    assert "taken back by event" in told[1]
    missing = case.client("auditor").get(f"/cases/{case.case.pk}/timeline/strokes/1")
    assert missing.status_code == 404


def test_an_undo_is_shown_as_one(case: Room):
    assert "Undone: AI 2 reshaped" in page(case)


def test_times_are_the_auditor_s_own_with_utc_on_hover(case: Room):
    User.objects.filter(username="auditor").update(timezone="Asia/Tokyo")
    text = page(case)
    event = Event.objects.filter(chain=case.case.chain).order_by("position").first()
    assert event is not None
    assert event.at is not None
    local = timezone.localtime(event.at, timezone.zoneinfo.ZoneInfo("Asia/Tokyo"))
    found = re.search(r'<time datetime="([^"]+)" title="([^"]+)">([^<]+)</time>', text)
    assert found
    assert found[3] == f"{local:%H:%M:%S}"
    assert found[2].startswith(f"{event.at:%Y-%m-%d %H:%M:%S}.")
    assert found[2].endswith(" UTC")


@pytest.mark.parametrize(
    ("query", "words", "without"),
    [
        ("?phase=labelling", "labelled", "AI 3 rejected"),
        ("?kind=decisions", "AI 3 rejected", "labelled"),
        ("?kind=signatures&phase=versions", "published", "signed by"),
        ("?kind=signatures&phase=signatures", "signed by", "published"),
        ("?person=concord", "Proposed 5 nodes", "<span>Dr Reader1</span>"),
    ],
)
def test_filters_leave_out_the_rest(case: Room, query: str, words: str, without: str):
    lines = page(case, query).partition("<tbody>")[2]
    assert words in lines
    assert without not in lines


def test_the_filter_by_node_finds_its_settling_and_labels_too(case: Room):
    lines = page(case, f"?node={case.nodes[3]}").partition("<tbody>")[2]
    assert "AI 3 rejected" in lines
    assert "AI 1 accepted" not in lines
    assert "A vessel: it goes on" in lines


def test_nothing_found_says_so_and_leads_back(case: Room):
    text = page(case, f"?person={case.users['auditor'].pk}&kind=labels")
    assert "Nothing matches" in text
    assert "Show everything" in text


def test_odd_filters_do_no_harm(case: Room):
    whole = positions(page(case))
    for query in ("?page=-1", "?page=9999999999", "?at=x", "?kind[]=a", "?phase=zz"):
        assert positions(page(case, query)) == whole, query


def many(room: Room, count: int) -> None:
    """Strokes as another reader's tireless hand would leave them."""
    client = uuid.uuid4()
    Event.objects.bulk_create(
        Event(
            chain=room.case.chain,
            actor=room.users["reader1"],
            actor_name="Dr Reader1",
            action="reading.changed.voxels",
            subject_type="reading",
            subject_id=str(room.reading.pk),
            facts={
                "change": str(uuid.uuid5(client, str(n))),
                "base": "a" * 64,
                "head": "b" * 64,
                "nodes": [
                    {
                        "node": room.nodes[1 + n // 2 % 5],
                        "voxels_before": 90,
                        "voxels_after": 100,
                        "added": 12,
                        "removed": 2,
                        "dice": 0.9,
                        "sad_mm": 8.0 + n / 1000,
                    }
                ],
            },
            software=VERSION,
        )
        for n in range(count)
    )


def test_five_thousand_events_are_turned_page_by_page(
    case: Room, django_assert_max_num_queries: Any
):
    many(case, 5000)
    text = page(case)
    assert len(re.findall(r'<tr id="e', text)) == PAGE
    pages = max(int(n) for n in re.findall(r"page=(\d+)#lines", text))
    assert pages > 20
    with django_assert_max_num_queries(30):
        last = page(case, f"?page={pages}")
    assert positions(last)[-1] == 5000 + 53
    at = page(case, "?at=2500")
    assert any(abs(place - 2500) < 5 for place in positions(at))
    assert at.count('class="bar') < 1500, "the picture does not grow with the events"


def test_the_verdict_names_the_head_and_where_a_chain_is_broken(
    case: Room, monkeypatch: pytest.MonkeyPatch
):
    path = f"/cases/{case.case.pk}/timeline/verdict"
    assert 'hx-trigger="load"' in page(case)
    text = case.client("auditor").get(path).content.decode()
    head = history.head_of(case.case.chain)
    assert head is not None
    assert "The chain holds" in text
    assert head["hash"] in text
    fault = Fault(case.case.chain, 7, "altered", "event 7 was <altered>.")
    monkeypatch.setattr(history, "verify", lambda **asked: Verdict(1, 40, 0, (fault,)))
    text = case.client("auditor").get(path).content.decode()
    assert "The chain is broken" in text
    assert "?at=7#e7" in text
    assert "event 7 was &lt;altered&gt;." in text


def test_verifying_is_on_record_with_what_was_found(case: Room):
    path = f"/cases/{case.case.pk}/timeline/verify"
    before = history.head_of(case.case.chain)
    answer = case.client("auditor").post(path, headers={"HX-Request": "true"})
    assert "this is now on record" in answer.content.decode()
    event = Event.objects.get(action="chain.verified")
    assert event.actor == case.users["auditor"]
    assert (event.facts["holds"], event.facts["head"]) == (True, before)
    assert case.client("auditor").get(path).status_code == 405
    assert "Chain verified: it holds" in page(case)


def test_a_broken_chain_is_a_failure_on_record(case: Room, monkeypatch: pytest.MonkeyPatch):
    fault = Fault(case.case.chain, 7, "altered", "event 7 was altered.")
    monkeypatch.setattr(history, "verify", lambda **asked: Verdict(1, 40, 0, (fault,)))
    timeline_services.verify(case=case.case, actor=case.users["auditor"])
    event = Event.objects.get(action="chain.verified")
    assert (event.outcome, event.reason) == ("failure", "event 7 was altered.")


def test_a_look_is_on_record_once_and_turning_pages_is_the_same_look(
    case: Room, monkeypatch: pytest.MonkeyPatch
):
    client = case.client("admin")
    for path in ("timeline/", "timeline/?phase=ai", "timeline/verdict"):
        client.get(f"/cases/{case.case.pk}/{path}")
    looks = Event.objects.filter(action="timeline.opened", actor=case.users["admin"])
    assert [look.facts["what"] for look in looks] == ["timeline"]
    client.get(f"/cases/{case.case.pk}/nodes/{case.nodes[1]}/")
    assert looks.all().count() == 2
    monkeypatch.setattr(timeline_services, "ONE_LOOK", -timeline_services.ONE_LOOK)
    client.get(f"/cases/{case.case.pk}/timeline/")
    assert looks.all().count() == 3


def test_the_csv_holds_every_event_and_is_on_record(case: Room):
    answer = case.client("auditor").get(f"/cases/{case.case.pk}/timeline.csv")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    events = Event.objects.filter(chain=case.case.chain).exclude(action="timeline.exported")
    assert tuple(rows[0]) == CSV_COLUMNS
    assert [int(row["position"]) for row in rows] == list(range(1, events.count() + 1))
    for row, event in zip(rows, events.order_by("position"), strict=True):
        assert (row["action"], row["hash"]) == (event.action, bytes(event.hash).hex())
        assert row["research_use"] == RESEARCH_NOTICE
    export = Event.objects.get(action="timeline.exported")
    assert export.facts["rows"] == len(rows)
    part = case.client("auditor").get(f"/cases/{case.case.pk}/timeline.csv?phase=labelling")
    assert 0 < len(part.content.splitlines()) - 1 < len(rows)


def test_no_cell_of_the_csv_is_a_formula(case: Room):
    reader = story_of(case.case)
    assert reader.lines
    Event.objects.bulk_create(
        [
            Event(
                chain=case.case.chain,
                actor=case.users["coordinator"],
                actor_name="=cmd()",
                action="reading.held",
                subject_type="reading",
                subject_id=str(case.reading.pk),
                reason="@SUM(1)",
                software=VERSION,
            )
        ]
    )
    text = case.client("auditor").get(f"/cases/{case.case.pk}/timeline.csv").content.decode()
    assert "'=cmd()" in text
    assert "'@SUM(1)" in text
    assert ",=cmd" not in text


def test_words_from_people_cannot_become_markup(case: Room):
    bad = "<img src=x onerror=alert(1)>"
    Event.objects.bulk_create(
        [
            Event(
                chain=case.case.chain,
                actor=case.users["coordinator"],
                actor_name=bad,
                action="reading.held",
                subject_type="reading",
                subject_id=str(case.reading.pk),
                reason=bad,
                facts={"slot": bad},
                software=VERSION,
            )
        ]
    )
    assert "<img" not in page(case).partition("<main")[2].replace("mark.svg", "")


def test_the_case_page_leads_auditors_to_the_timeline_and_nobody_else(case: Room):
    link = f"/cases/{case.case.pk}/timeline/"
    assert link in case.client("auditor").get(f"/cases/{case.case.pk}/").content.decode()
    assert link not in case.client("coordinator").get(f"/cases/{case.case.pk}/").content.decode()
