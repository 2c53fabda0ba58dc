"""Who learns of a consensus, from when on, and what of it: by the API, masks, sockets, lists."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from backend.accounts.roles import Role
from backend.audit.models import Event
from backend.reading.consumers import audiences_of_consensus
from backend.reading.models import Mask, Membership, Reading, Step
from tests.reading.consensus_room import LONG, OUTSIDERS, Room
from tests.reading.site import PASSWORD, Site, Twin, build_site
from tests.reading.test_comparing import compare, finish

LAYERS = ("x", "y", "ai", "agreed", "ignored", "redrawn")
VERBS = ("propose", "agree", "defer", "resolve")


@pytest.fixture
def room(site: Site) -> Room:
    """A case with four things to settle, and everyone who may not see it."""
    room = Room(site)
    room.add_people()
    return room


def same(found: Any, absent: Any) -> bool:
    """Whether two answers are alike to the byte."""
    return (found.status_code, found.content, sorted(found.headers.items())) == (
        absent.status_code,
        absent.content,
        sorted(absent.headers.items()),
    )


def body(verb: str) -> dict[str, Any]:
    given: dict[str, Any] = {"client": str(uuid.uuid4()), "seen": 0, "rationale": LONG}
    if verb == "agree":
        given["step"] = str(uuid.uuid4())
    if verb in ("propose", "resolve"):
        given["resolution"] = "X"
    return given


def attempts(consensus: Any, discrepancy: Any) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Every address of a consensus and a discrepancy, with what is sent there."""
    yield f"/api/consensus/{consensus}", None
    for layer in LAYERS:
        yield f"/api/consensus/{consensus}/volumes/{layer}", None
        yield f"/api/consensus/{consensus}/volumes/{layer}?step={uuid.uuid4()}", None
    here = {"client": str(uuid.uuid4()), "discrepancy": str(discrepancy), "seen": 0}
    answers = [{**here, "step": str(uuid.uuid4())}]
    signer = {"username": "reader2", "password": PASSWORD}
    yield f"/api/consensus/{consensus}/agree", {**signer, "answers": answers}
    yield f"/dicom-web/consensus/{consensus}/studies", None
    yield f"/dicom-web/consensus/{consensus}/series", None
    for verb in VERBS:
        yield f"/api/discrepancies/{discrepancy}/{verb}", body(verb)


def hidden(room: Room, name: str) -> bool:
    """Whether a person gets, everywhere, exactly what they get for what does not exist."""
    known, nowhere = room.consensus.pk, uuid.uuid4()
    tried = list(attempts(known, room.discrepancies()[0].pk))
    absent = list(attempts(nowhere, nowhere))
    seen = []
    for (path, given), (other, _) in zip(tried, absent, strict=True):
        answers = [
            room.get(name, each) if given is None else room.post(name, each, given)
            for each in (path, other)
        ]
        seen.append(same(*answers))
    heard = audiences_of_consensus(room.site.users[name], known) is None
    assert set(seen) == {seen[0]}, (name, seen)
    assert seen[0] == heard
    return heard


def test_people_outside_get_what_is_not_there(room: Room) -> None:
    for name in OUTSIDERS:
        assert hidden(room, name), name
    room.settle()
    for name in OUTSIDERS:
        assert hidden(room, name), name


def test_strangers_and_workers_are_turned_away_before_anything_is_looked_up(room: Room) -> None:
    known, nowhere = room.consensus.pk, uuid.uuid4()
    tried = attempts(known, room.discrepancies()[0].pk)
    for (path, given), (other, _) in zip(tried, attempts(nowhere, nowhere), strict=True):
        for name in ("stranger", "worker"):
            answers = [
                room.get(name, each) if given is None else room.post(name, each, given)
                for each in (path, other)
            ]
            assert same(*answers), (name, path)
            assert answers[0].status_code in (401, 403)
    assert not Step.objects.exists()


def test_the_adjudicator_learns_of_it_when_something_is_deferred_and_not_before(
    room: Room,
) -> None:
    def all_of_adjudicator() -> list[Any]:
        paths = ["/api/worklist", "/", "/worklist/rows/", "/worklist/deferred/"]
        paths += [path for path, given in attempts(room.consensus.pk, uuid.uuid4()) if not given]
        paths += [f"/api/cases/{room.site.case.pk}/comparison"]
        answers = [room.get("adjudicator", path.partition("?")[0]) for path in paths]
        return [(a.status_code, len(a.content)) for a in answers]

    one, two, *_ = room.discrepancies()
    before = all_of_adjudicator()
    assert hidden(room, "adjudicator")
    room.act("reader1", "propose", one)
    assert hidden(room, "adjudicator")
    assert all_of_adjudicator() == before
    room.act("reader2", "defer", two)
    assert not hidden(room, "adjudicator")
    assert room.get("adjudicator", "/api/worklist").json()["deferred"]
    room.act("adjudicator", "resolve", two)
    room.settle()
    room.act("reader2", "agree", one)
    assert room.detail("adjudicator")["state"] == "labelling"


def test_who_read_the_case_is_never_its_adjudicator(room: Room) -> None:
    case = room.site.case
    user = room.site.users["reader1"]
    Membership.objects.create(project=case.project, user=user, role=Role.ADJUDICATOR.value)
    found = room.discrepancies()[0]
    room.act("reader1", "defer", found)
    assert room.detail("reader1")["role"] == "reader"
    assert room.get("reader1", "/api/worklist").json()["deferred"] == []
    refused = room.act("reader1", "resolve", found)
    assert (refused.status_code, refused.json()["error"]) == (403, "NOT_YOURS")
    Reading.objects.filter(pk=room.site.reading("reader1").pk).update(state="returned")
    assert hidden(room, "reader1")
    assert hidden(room, "adjudicator")


def test_a_returned_reading_closes_it_to_both_readers(room: Room) -> None:
    assert not hidden(room, "reader1")
    Reading.objects.filter(pk=room.site.reading("reader2").pk).update(state="returned")
    for name in ("reader1", "reader2"):
        assert hidden(room, name)
        (row,) = room.get(name, "/api/worklist").json()["results"]
        assert row["settle"] is None
    assert room.detail("auditor")["role"] == "observer"


def test_a_coordinator_gets_states_and_counts_and_no_masks_or_words(room: Room) -> None:
    one, two, three, four = room.discrepancies()
    room.act("reader1", "propose", one)
    room.act("reader1", "propose", two)
    room.act("reader2", "agree", two)
    room.act("reader2", "defer", three)
    shape = room.shape(3, (4, 4, 9, 10))
    room.act("reader1", "propose", four, resolution="redrawn", shape=shape)
    answer = room.get("coordinator", f"/api/consensus/{room.consensus.pk}")
    found = answer.json()
    assert found["role"] == "observer"
    states = [each["state"] for each in found["discrepancies"] if not each["by_rule"]]
    assert sorted(states) == ["deferred", "proposed", "proposed", "resolved"]
    assert found["counts"]["proposed"] == 2
    assert all(each["proposal"] is None for each in found["discrepancies"])
    assert all(each["steps"] == [] and each["possible"] == [] for each in found["discrepancies"])
    assert LONG not in answer.content.decode()
    nowhere = room.get("coordinator", f"/api/consensus/{uuid.uuid4()}/volumes/x")
    for layer in LAYERS:
        volume = room.get("coordinator", f"/api/consensus/{room.consensus.pk}/volumes/{layer}")
        assert same(volume, nowhere), layer
    comparison = room.get("coordinator", f"/api/cases/{room.site.case.pk}/comparison")
    assert LONG not in comparison.content.decode()


def test_observers_change_nothing(room: Room) -> None:
    found = room.discrepancies()[0]
    room.act("reader1", "propose", found)
    for name in ("auditor", "coordinator", "root"):
        for verb in VERBS:
            answer = room.act(name, verb, found)
            assert (answer.status_code, answer.json()["possible"]) == (403, []), (name, verb)
    assert Step.objects.count() == 1


def secrets_of(room: Room, name: str) -> list[str]:
    """What of a reader's work the other never learns: ids and hashes of masks and changes."""
    reading = room.site.reading(name)
    found = [str(reading.pk), reading.reader.username, reading.reader.shown_name]
    found += Mask.objects.filter(reading=reading).values_list("hash", flat=True)
    found += [str(client) for client in reading.changes.values_list("client_id", flat=True)]
    found += [str(node) for node in reading.own_nodes.values_list("pk", flat=True)]
    return found


@pytest.mark.parametrize("asker", ["reader1", "reader2", "adjudicator"])
def test_no_answer_names_a_reader_or_anything_of_their_own(room: Room, asker: str) -> None:
    one, two, three, four = room.discrepancies()
    told = []
    room.act("reader2", "defer", three)
    for name in ("reader1", "reader2"):
        told += [room.act(name, "propose", one), room.act(name, "propose", two, seen=0)]
    shape = room.shape(3, (4, 4, 9, 10))
    told += [room.act("reader1", "propose", four, resolution="redrawn", shape=shape)]
    told = [answer for answer in told if answer.wsgi_request.user.username == asker]
    paths = [path for path, given in attempts(room.consensus.pk, uuid.uuid4()) if given is None]
    paths += ["/api/worklist", "/", "/worklist/rows/", "/worklist/deferred/"]
    told += [room.get(asker, path) for path in paths]
    others = [name for name in ("reader1", "reader2") if name != asker]
    secrets = [secret for name in others for secret in secrets_of(room, name)]
    assert {room.added, room.small} <= set(secrets_of(room, "reader1"))
    for answer in told:
        streamed = getattr(answer, "streaming", False)
        content = b"".join(answer.streaming_content) if streamed else answer.content
        text = content.decode("latin-1") + json.dumps(dict(answer.headers))
        for secret in secrets:
            assert secret not in text, (answer.wsgi_request.path, secret)
    whole = room.get(asker, f"/api/consensus/{room.consensus.pk}").content.decode()
    assert not [word for word in ("R1", "R2", '"first"', '"second"') if word in whole]


def test_before_the_comparison_a_row_is_the_same_whatever_the_peer_did(ready: Site) -> None:
    def all_of_reader2() -> list[Any]:
        client = ready.client("reader2")
        paths = ("/api/worklist", "/", "/worklist/rows/", "/worklist/deferred/")
        answers = [client.get(path) for path in paths]
        tokenless = [a.content.split(b'X-CSRFToken"')[0] for a in answers]
        return [(a.status_code, len(c)) for a, c in zip(answers, tokenless, strict=True)]

    finish(Twin(ready, "reader2"))
    before = all_of_reader2()
    assert ready.client("reader2").get("/api/worklist").json()["results"][0]["settle"] is None
    first = Twin(ready)
    first.send(first.paint(str(uuid.uuid4()), 9, (2, 2, 7, 8)))
    assert all_of_reader2() == before
    finish(first)
    assert all_of_reader2() == before
    compare(ready)
    assert ready.client("reader2").get("/api/worklist").json()["results"][0]["settle"]


def test_an_administrators_look_is_on_record(room: Room) -> None:
    path = f"/api/consensus/{room.consensus.pk}"
    assert room.get("root", path).status_code == 200
    assert room.get("root", f"{path}/volumes/x").status_code == 200
    looks = Event.objects.filter(action="admin.looked", chain=room.site.case.chain)
    assert [look.facts["what"] for look in looks] == [
        f"consensus {room.consensus.pk}",
        f"consensus {room.consensus.pk} x",
    ]


def test_a_step_of_another_consensus_shows_no_shape_here(room: Room) -> None:
    elsewhere = Room(build_site(2))
    found = elsewhere.discrepancies()[0]
    shape = elsewhere.shape(3, (4, 4, 9, 10))
    told = elsewhere.act("reader1", "propose", found, resolution="redrawn", shape=shape).json()
    step = told["discrepancy"]["proposal"]["step"]
    here = room.get("reader1", f"/api/consensus/{room.consensus.pk}/volumes/redrawn?step={step}")
    assert here.status_code == 404
    there = f"/api/consensus/{elsewhere.consensus.pk}/volumes/redrawn?step={step}"
    assert elsewhere.get("reader1", there).status_code == 200
