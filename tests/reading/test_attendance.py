"""Who is told that somebody else has a consensus open, from when on, and what of it."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from backend.accounts.models import User
from backend.audit.models import Event, NewsItem
from backend.errors import Missing
from backend.reading import services
from backend.reading.attendance import LOST_AFTER, Place, company_of, place_of
from backend.reading.models import Attendance, Membership, Reading
from backend.reading.vocabulary import Phase
from tests.reading.consensus_room import OUTSIDERS, Room
from tests.reading.site import Site, build_site


@pytest.fixture
def room(site: Site) -> Room:
    """A case with four things to settle, and everyone who may not see it."""
    room = Room(site)
    room.add_people()
    return room


def comes(room: Room, name: str, place: Place | None = None, line: uuid.UUID | None = None) -> None:
    """Somebody opens it and looks at a place."""
    services.attend(
        line=line or uuid.uuid4(),
        consensus=room.consensus.pk,
        user=room.site.users[name],
        place=place or Place(Phase.SETTLE),
    )


def sees(room: Room, name: str) -> list[dict[str, Any]]:
    return company_of(room.site.users[name], room.consensus.pk)


def test_each_reader_sees_where_the_other_looks_and_not_who_they_are(room: Room) -> None:
    one, two, *_ = room.discrepancies()
    assert sees(room, "reader2") == []
    line = uuid.uuid4()
    comes(room, "reader1", Place(Phase.SETTLE, one.pk), line)
    told = {"who": "other", "phase": "settle", "discrepancy": str(one.pk), "node": None}
    assert sees(room, "reader2") == [told]
    assert sees(room, "reader1") == []
    comes(room, "reader1", Place(Phase.SETTLE, two.pk), line)
    assert sees(room, "reader2") == [told | {"discrepancy": str(two.pk)}]
    reader = room.site.users["reader1"]
    for secret in (reader.pk, line, reader.username, reader.shown_name, room.site.reading().pk):
        assert str(secret) not in json.dumps(sees(room, "reader2"))
    services.leave(line=line)
    assert sees(room, "reader2") == []
    services.leave(line=line)


def test_a_person_with_two_windows_is_one_where_they_looked_last(room: Room) -> None:
    one, two, *_ = room.discrepancies()
    comes(room, "reader1", Place(Phase.SETTLE, one.pk))
    comes(room, "reader1", Place(Phase.SETTLE, two.pk))
    (other,) = sees(room, "reader2")
    assert other["discrepancy"] == str(two.pk)


def test_it_is_no_record_and_no_news(room: Room) -> None:
    before = Event.objects.count(), NewsItem.objects.count()
    comes(room, "reader1", Place(Phase.SETTLE, room.discrepancies()[0].pk))
    assert (Event.objects.count(), NewsItem.objects.count()) == before


@pytest.mark.parametrize("name", OUTSIDERS)
def test_who_may_not_know_of_it_neither_sees_anybody_nor_is_seen(room: Room, name: str) -> None:
    comes(room, "reader1")
    with pytest.raises(Missing):
        sees(room, name)
    with pytest.raises(Missing):
        comes(room, name)
    assert sees(room, "reader2") != []
    assert Attendance.objects.count() == 1


@pytest.mark.parametrize("name", ["auditor", "coordinator", "root"])
def test_who_only_looks_on_neither_sees_anybody_nor_is_seen(room: Room, name: str) -> None:
    comes(room, "reader1")
    assert sees(room, name) == []
    with pytest.raises(Missing):
        comes(room, name)
    assert sees(room, "reader1") == []


def test_the_adjudicator_is_there_from_the_first_deferral_on(room: Room) -> None:
    comes(room, "reader1")
    comes(room, "reader2")
    for attempt in (lambda: sees(room, "adjudicator"), lambda: comes(room, "adjudicator")):
        with pytest.raises(Missing):
            attempt()
    room.act("reader1", "defer", room.discrepancies()[0])
    comes(room, "adjudicator")
    assert [one["who"] for one in sees(room, "adjudicator")] == ["other", "other"]
    assert [one["who"] for one in sees(room, "reader1")] == ["adjudicator", "other"]
    Membership.objects.filter(user=room.site.users["adjudicator"]).delete()
    assert [one["who"] for one in sees(room, "reader1")] == ["other"]


def test_a_returned_reading_ends_it_for_both(room: Room) -> None:
    comes(room, "reader1")
    comes(room, "reader2")
    Reading.objects.filter(pk=room.site.reading("reader2").pk).update(state="returned")
    for name in ("reader1", "reader2"):
        with pytest.raises(Missing):
            sees(room, name)
        with pytest.raises(Missing):
            comes(room, name)
    assert sees(room, "auditor") == []


def test_nobody_is_there_before_the_comparison(ready: Site) -> None:
    """The readings' and the case's own ids open no table to sit at."""
    for known in (ready.case.pk, ready.reading().pk, ready.reading("reader2").pk):
        for name in ("reader1", "reader2"):
            with pytest.raises(Missing):
                company_of(ready.users[name], known)
            with pytest.raises(Missing):
                services.attend(
                    line=uuid.uuid4(),
                    consensus=known,
                    user=ready.users[name],
                    place=Place(Phase.SETTLE),
                )
    assert not Attendance.objects.exists()


def test_a_line_that_gives_no_sign_of_life_is_gone_and_swept(room: Room) -> None:
    line = uuid.uuid4()
    comes(room, "reader1", line=line)
    Attendance.objects.update(seen=timezone.now() - LOST_AFTER)
    assert sees(room, "reader2") == []
    services.keep_attending(line=line)
    assert len(sees(room, "reader2")) == 1
    Attendance.objects.update(seen=timezone.now() - timedelta(hours=2))
    comes(room, "reader2")
    assert Attendance.objects.get().user == room.site.users["reader2"]


def test_who_may_no_longer_sign_in_is_not_there(room: Room) -> None:
    comes(room, "reader1")
    User.objects.filter(username="reader1").update(is_active=False)
    assert sees(room, "reader2") == []


def test_what_another_consensus_has_is_not_told(room: Room) -> None:
    elsewhere = Room(build_site(2)).discrepancies()[0]
    comes(room, "reader1", Place(Phase.SETTLE, elsewhere.pk, 7))
    (other,) = sees(room, "reader2")
    assert (other["discrepancy"], other["node"]) == (None, None)


ID = uuid.uuid4()


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ({"phase": "settle", "discrepancy": str(ID)}, Place(Phase.SETTLE, ID)),
        ({"phase": "label", "node": 3}, Place(Phase.LABEL, None, 3)),
        ({"phase": "sign", "discrepancy": None, "node": None}, Place(Phase.SIGN)),
        ({"phase": "label", "node": True}, Place(Phase.LABEL)),
        ({"phase": "label", "node": 10**12}, Place(Phase.LABEL)),
        ({"phase": "label", "node": -1}, Place(Phase.LABEL)),
        ({"phase": "settle", "discrepancy": "x"}, None),
        ({"phase": "settle", "discrepancy": 5}, None),
        ({"phase": ["settle"]}, None),
        ({"phase": "elsewhere"}, None),
        ({}, None),
        ("settle", None),
    ],
)
def test_only_a_place_that_can_be_meant_is_heard(said: Any, place: Place | None) -> None:
    assert place_of({"looking": said}) == place
    assert place_of(said if isinstance(said, str) else {"since": said}) is None
