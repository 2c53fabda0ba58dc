"""Two readers at one screen: the other agrees with their own password, and nobody in their name."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from backend.accounts import services as accounts
from backend.audit.models import Event
from backend.reading.models import Discrepancy, Step
from tests.reading.consensus_room import Room
from tests.reading.site import PASSWORD, Site


@pytest.fixture
def room(site: Site) -> Room:
    """Four things to settle; the first reader proposed on three of them."""
    room = Room(site)
    room.add_people()
    for found in room.discrepancies()[:3]:
        assert room.act("reader1", "propose", found).status_code == 200
    return room


def shown(found: Discrepancy) -> dict[str, Any]:
    """A proposal as it stands on the screen."""
    found.refresh_from_db()
    return {
        "client": str(uuid.uuid4()),
        "discrepancy": str(found.pk),
        "seen": found.version,
        "step": str(found.proposal_id or uuid.uuid4()),
    }


def body(room: Room, username: str = "reader2", **own: Any) -> dict[str, Any]:
    proposed = room.discrepancies(state="proposed")
    answers = [shown(found) for found in proposed] or [shown(room.discrepancies()[0])]
    return {"username": username, "password": PASSWORD, "answers": answers, **own}


def agrees(room: Room, given: dict[str, Any], session: str = "reader1") -> Any:
    return room.post(session, f"/api/consensus/{room.consensus.pk}/agree", given)


def states(room: Room) -> list[str]:
    return sorted(found.state for found in room.discrepancies())


UNTOUCHED = ["open", "proposed", "proposed", "proposed"]


def test_the_other_reader_agrees_to_all_and_the_session_stays_the_firsts(room: Room) -> None:
    answer = agrees(room, body(room))
    assert (answer.status_code, answer.json()) == (200, {"agreed": 3})
    assert states(room) == ["open", "resolved", "resolved", "resolved"]
    told = Event.objects.filter(action="discrepancy.agreed")
    assert {(event.actor, event.facts["session"]) for event in told} == {
        (room.site.users["reader2"], "reader1")
    }
    found = room.discrepancies()[0]
    assert [step["by"] for step in steps(room, "reader1", found)] == ["you", "other"]
    assert [step["by"] for step in steps(room, "reader2", found)] == ["other", "you"]


def steps(room: Room, name: str, found: Discrepancy) -> list[dict[str, Any]]:
    rows = room.detail(name)["discrepancies"]
    (row,) = (row for row in rows if row["id"] == str(found.pk))
    return list(row["steps"])


def test_the_last_agreement_settles_the_case_and_twice_is_once(room: Room) -> None:
    room.act("reader1", "propose", room.discrepancies()[3], resolution="indeterminate")
    given = body(room)
    assert agrees(room, given).json() == {"agreed": 4}
    assert room.consensus.state == "labelling"
    count = Step.objects.count()
    assert agrees(room, given).json() == {"agreed": 4}
    assert Step.objects.count() == count


def test_a_wrong_password_agrees_to_nothing_is_on_record_and_not_tried_for_ever(
    room: Room,
) -> None:
    for name in ("reader2", "nobody-of-that-name"):
        answer = agrees(room, body(room, name, password="guess"))
        assert (answer.status_code, answer.json()["error"]) == (403, "WRONG_PASSWORD")
        assert answer.json()["message"] == "That is not a user name and its password."
    event = Event.objects.filter(action="signature.refused").earliest("number")
    assert (event.actor, event.chain) == (room.site.users["reader1"], room.site.case.chain)
    assert event.facts["named"] == "reader2"
    for _ in range(accounts.MOST_ATTEMPTS - 2):
        agrees(room, body(room, password="guess"))
    answer = agrees(room, body(room))
    assert (answer.status_code, answer.json()["error"]) == (403, "TOO_MANY_ATTEMPTS")
    assert states(room) == UNTOUCHED


@pytest.mark.parametrize(
    "name",
    ["reader1", "reader3", "other_reader", "adjudicator", "auditor", "coordinator", "root"],
)
def test_nobody_but_the_other_reader_agrees_with_whatever_right_password(
    room: Room, name: str
) -> None:
    answer = agrees(room, body(room, name))
    assert (answer.status_code, answer.json()["error"]) == (403, "NOT_THE_OTHER_READER")
    assert states(room) == UNTOUCHED


def test_no_screen_but_a_readers_is_lent(room: Room) -> None:
    for session in ("auditor", "coordinator", "root"):
        answer = agrees(room, body(room), session)
        assert (answer.status_code, answer.json()["error"]) == (403, "NOT_YOURS")
    nowhere = room.post("other_reader", f"/api/consensus/{uuid.uuid4()}/agree", body(room))
    for session in ("other_reader", "reader3", "adjudicator", "abstractor"):
        answer = agrees(room, body(room), session)
        assert (answer.status_code, answer.content) == (404, nowhere.content)
    room.act("reader2", "defer", room.discrepancies()[3])
    answer = agrees(room, body(room), "adjudicator")
    assert (answer.status_code, answer.json()["error"]) == (403, "NOT_YOURS")
    assert not Event.objects.filter(action="signature.refused").exists()
    assert not Step.objects.filter(action="agree").exists()


def test_only_what_was_shown_is_agreed_to_and_all_of_it_or_nothing(room: Room) -> None:
    given = body(room)
    moved = room.discrepancies()[1]
    room.act("reader1", "propose", moved, resolution="indeterminate")
    answer = agrees(room, given)
    assert (answer.status_code, answer.json()["error"]) == (409, "MOVED_ON")
    assert "discrepancy" not in answer.json()
    assert states(room) == UNTOUCHED
    other = body(room)
    other["answers"][0]["step"] = other["answers"][1]["step"]
    assert agrees(room, other).json()["error"] == "MOVED_ON"
    elsewhere = body(room)
    elsewhere["answers"].append({**elsewhere["answers"][0], "discrepancy": str(uuid.uuid4())})
    assert agrees(room, elsewhere).status_code == 404
    assert agrees(room, body(room, answers=[])).status_code == 400
    assert states(room) == UNTOUCHED


def test_nobody_agrees_to_a_proposal_of_their_own_at_another_screen(room: Room) -> None:
    own = room.discrepancies()[3]
    room.act("reader2", "propose", own)
    answer = agrees(room, body(room, answers=[shown(own)]))
    assert (answer.status_code, answer.json()["error"]) == (403, "OWN_PROPOSAL")
    assert states(room) == ["proposed"] * 4
