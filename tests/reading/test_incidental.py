"""A finding the study does not ask for reaches the coordinator, and nothing of the study."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.db import InternalError, ProgrammingError, transaction
from django.test import Client

from backend.audit.models import Event, NewsItem
from backend.reading.models import IncidentalFinding, Reading
from tests.reading.site import Site

WORDS = "Nodule of 8 mm in the left upper lobe"


def told(client: Client, reading: Reading, **own: Any) -> Any:
    body = {"id": str(uuid.uuid4()), "words": WORDS, "slice": 3, **own}
    return client.post(
        f"/api/readings/{reading.pk}/incidental", body, content_type="application/json"
    )


@pytest.fixture
def found(ready: Site) -> str:
    """One finding that waits."""
    return str(told(ready.client("reader1"), ready.reading()).json()["id"])


def test_the_coordinator_is_told_where_and_by_whom_and_says_what_is_done(
    ready: Site, found: str
) -> None:
    coordinator, page = ready.client("coordinator"), f"/cases/{ready.case.pk}/"
    assert "1 incidental finding" in coordinator.get("/cases/rows/").content.decode()
    shown = coordinator.get(page).content.decode()
    assert WORDS in shown
    assert "Rita Reader" in shown
    assert "axial slice 9 of 12" in shown, "as the viewer counts, from the head"
    address = f"{page}incidental/{found}"
    coordinator.post(address, {"words": " "})
    assert IncidentalFinding.objects.get().taken_up_at is None
    coordinator.post(address, {"words": "Told the ward"})
    assert "Told the ward" in coordinator.get(page).content.decode()
    assert "incidental finding" not in coordinator.get("/cases/rows/").content.decode()
    mine = ready.client("reader1").get(f"/api/readings/{ready.reading().pk}/incidental").json()
    assert mine["findings"][0]["taken_up_at"] is not None
    coordinator.post(address, {"words": "Once more"})
    assert IncidentalFinding.objects.get().taken_up_words == "Told the ward"


def test_it_is_part_of_no_record_of_the_case(ready: Site, found: str) -> None:
    events = Event.objects.filter(action__startswith="incidental.")
    assert [(event.chain, event.subject_id) for event in events] == [("system", found)]
    for event in Event.objects.filter(chain=ready.case.chain):
        assert WORDS not in f"{event.reason} {event.facts}"
    for item in NewsItem.objects.all():
        assert WORDS not in str(item.payload)
    assert WORDS not in str(ready.client("reader1").get("/api/worklist").json())


def test_the_other_reader_learns_nothing_of_it(ready: Site, found: str) -> None:
    other = ready.client("reader2")
    hidden = other.get(f"/api/readings/{ready.reading().pk}/incidental")
    absent = other.get(f"/api/readings/{uuid.uuid4()}/incidental")
    assert (hidden.status_code, hidden.content) == (404, absent.content)
    assert told(other, ready.reading()).status_code == 404
    own = other.get(f"/api/readings/{ready.reading('reader2').pk}/incidental").json()
    assert own == {"findings": []}
    told_to = {item.audience for item in NewsItem.objects.filter(type="case.changed")}
    assert told_to == {f"coordinators:{ready.case.project_id}"}


def test_it_is_told_once_however_often_it_is_sent(ready: Site) -> None:
    client, name = ready.client("reader1"), str(uuid.uuid4())
    answers = [told(client, ready.reading(), id=name).json() for _ in range(2)]
    assert answers[0] == answers[1]
    assert IncidentalFinding.objects.count() == 1
    assert Event.objects.filter(action="incidental.reported").count() == 1
    taken = told(ready.client("reader2"), ready.reading("reader2"), id=name)
    assert taken.status_code == 400


@pytest.mark.parametrize("other", [{"words": "Something else"}, {"slice": 4}, {"slice": None}])
def test_under_one_name_nothing_else_is_told(ready: Site, other: dict[str, Any]) -> None:
    client, name = ready.client("reader1"), str(uuid.uuid4())
    told(client, ready.reading(), id=name)
    refused = told(client, ready.reading(), id=name, **other)
    assert (refused.status_code, refused.json()["error"]) == (409, "ALREADY_TOLD")
    assert refused.json()["told"] == {"id": name, "words": WORDS, "slice": 3}
    assert IncidentalFinding.objects.get().words == WORDS
    assert Event.objects.filter(action="incidental.reported").count() == 1


@pytest.mark.parametrize(
    "wrong", [{"words": " "}, {"words": "x" * 1001}, {"slice": 12}, {"slice": -1}, {"id": "x"}]
)
def test_what_cannot_be_meant_is_refused(ready: Site, wrong: dict[str, Any]) -> None:
    assert told(ready.client("reader1"), ready.reading(), **wrong).status_code == 400
    assert not IncidentalFinding.objects.exists()


def test_only_its_reader_tells_and_only_a_coordinator_takes_it_up(ready: Site, found: str) -> None:
    auditor = ready.client("auditor")
    assert told(auditor, ready.reading()).status_code == 403
    page = f"/cases/{ready.case.pk}/"
    assert WORDS in auditor.get(page).content.decode()
    auditor.post(f"{page}incidental/{found}", {"words": "Mine"})
    assert ready.client("reader2").post(f"{page}incidental/{found}").status_code == 404
    ready.client("coordinator").post(f"{page}incidental/{uuid.uuid4()}", {"words": "None"})
    assert IncidentalFinding.objects.get().taken_up_at is None


def test_the_database_keeps_it_as_it_was_told(ready: Site, found: str) -> None:
    finding = IncidentalFinding.objects.filter(pk=found)
    for change in (lambda: finding.update(words="Nothing"), finding.delete):
        with pytest.raises((InternalError, ProgrammingError)), transaction.atomic():
            change()
    assert finding.get().words == WORDS
