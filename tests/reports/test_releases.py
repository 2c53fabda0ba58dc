"""Releases: what may be listed, who is held out, what is final, and who sees it."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import uuid
from typing import Any

import pytest
from django.db import DatabaseError, transaction
from hypothesis import given
from hypothesis import strategies as st

from backend.audit.models import Event
from backend.errors import BadInput, NotAllowed, WrongState
from backend.reading.models import Consensus, Subject
from backend.reports.models import Release
from backend.reports.releases import services
from backend.reports.releases.splitting import Person, Side, Split, split_of
from backend.store import store
from tests.reports import agreed
from tests.reports.room import Room

people = st.lists(
    st.builds(
        Person,
        key=st.uuids().map(str),
        side=st.sampled_from([None, Side.DEVELOPMENT, Side.LOCKED_TEST]),
        metastatic=st.booleans(),
    ),
    max_size=40,
    unique_by=lambda one: one.key,
)


@given(people, st.sampled_from([0.0, 0.2, 0.33, 0.9]), st.text(max_size=5))
def test_everybody_keeps_their_side_for_life(some: list[Person], held_out: float, seed: str):
    found = split_of(some, seed=seed, held_out=held_out)
    assert set(found) == {one.key for one in some}
    for one in some:
        if one.side is Side.LOCKED_TEST:
            assert found[one.key] is Split.LOCKED_TEST
        if one.side is Side.DEVELOPMENT:
            assert found[one.key] is not Split.LOCKED_TEST
    assert split_of(reversed(some), seed=seed, held_out=held_out) == found


def test_people_are_held_out_in_equal_shares_with_and_without_metastases():
    some = [Person(str(n), None, metastatic=n % 4 == 0) for n in range(100)]
    found = split_of(some, seed="s", held_out=0.2)
    held = [one for one in some if found[one.key] is Split.LOCKED_TEST]
    assert (len(held), sum(one.metastatic for one in held)) == (20, 5)
    assert sum(split is Split.VALIDATION for split in found.values()) == 16
    assert split_of(some, seed="t", held_out=0.2) != found


def test_a_share_that_leaves_nobody_and_a_person_named_twice_are_refused():
    with pytest.raises(ValueError, match=r"0 to 0\.9"):
        split_of([], seed="", held_out=1.0)
    twice = [Person("a", None, False), Person("a", None, True)]
    with pytest.raises(ValueError, match="twice"):
        split_of(twice, seed="", held_out=0.2)


@pytest.fixture
def published(room: Room) -> Consensus:
    consensus = agreed.settle(agreed.draft(room))
    agreed.label(room, consensus)
    agreed.publish(room, consensus)
    return Consensus.objects.get(pk=consensus.pk)


def drafted(room: Room, name: str = "2026-11", held_out: int = 20) -> Release:
    return services.draft_release(
        project=room.case.project, name=name, held_out=held_out, actor=room.users["coordinator"]
    )


def frozen(room: Room) -> Release:
    return services.freeze(release=drafted(room).pk, actor=room.users["coordinator"])


def test_a_draft_lists_what_is_published_and_freezing_makes_it_final(
    room: Room, published: Consensus
):
    release = frozen(room)

    assert release.state == "frozen"
    data = store().read(release.sha256)
    assert hashlib.sha256(data).hexdigest() == release.sha256
    (item,) = json.loads(data)["items"]
    assert published.mask is not None
    assert item["mask"] == published.mask.hash
    assert item["record"] == published.record_hash
    assert (item["case"], item["version"], item["nodes"]) == (room.case.label, 1, 5)
    assert sum(item["labels"].values()) == 5
    # One person: of a fifth of one, nobody is held out; they are open to development for life.
    assert item["split"] == "train"
    assert Subject.objects.get(pk=room.case.subject_id).role == "development"
    event = Event.objects.get(action="case.released")
    assert (event.chain, event.facts["sha256"]) == (room.case.chain, release.sha256)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "another"},
        {"manifest": {}},
        {"held_out": 1},
        {"sha256": "0" * 64},
        {"state": "draft", "sha256": "", "frozen_at": None},
    ],
)
def test_the_database_holds_a_frozen_release_as_it_is(
    room: Room, published: Consensus, change: dict[str, Any]
):
    release = frozen(room)
    with pytest.raises(DatabaseError), transaction.atomic():
        Release.objects.filter(pk=release.pk).update(**change)
    with pytest.raises(DatabaseError), transaction.atomic():
        release.items.all().delete()
    with pytest.raises(DatabaseError), transaction.atomic():
        Release.objects.filter(pk=release.pk).delete()
    with pytest.raises(DatabaseError), transaction.atomic():
        Subject.objects.filter(pk=room.case.subject_id).update(role="locked_test")


def test_only_what_is_published_is_listed_and_frozen(room: Room):
    consensus = agreed.settle(agreed.draft(room))
    release = drafted(room)
    coordinator = room.users["coordinator"]
    assert not release.items.exists()
    with pytest.raises(WrongState, match="published"):
        services.list_case(release=release.pk, case=room.case, actor=coordinator)
    with pytest.raises(WrongState, match="lists no case"):
        services.freeze(release=release.pk, actor=coordinator)
    agreed.label(room, consensus)
    agreed.publish(room, consensus)
    services.list_case(release=release.pk, case=room.case, actor=coordinator)
    Consensus.objects.filter(pk=consensus.pk).update(state="superseded")
    with pytest.raises(WrongState, match=room.case.label):
        services.freeze(release=release.pk, actor=coordinator)
    services.unlist_case(release=release.pk, case=room.case, actor=coordinator)
    assert not release.items.exists()


def test_a_case_the_protocol_flags_is_listed_only_by_hand(room: Room, published: Consensus):
    type(room.case).objects.filter(pk=room.case.pk).update(exclusions=["thick slices"])
    release = drafted(room)
    assert not release.items.exists()
    page = room.client("coordinator").get(f"/releases/{release.pk}/").content.decode()
    assert "thick slices" in page
    room.client("coordinator").post(f"/releases/{release.pk}/cases/{room.case.pk}/list")
    assert release.items.count() == 1


def test_names_and_shares_are_refused_with_the_cure(room: Room):
    drafted(room)
    for name, held_out, said in (("2026-11", 20, "another name"), (" ", 20, "80"), ("b", 91, "90")):
        with pytest.raises(BadInput, match=said):
            drafted(room, name, held_out)
    client = room.client("coordinator")
    for text in ("", "-1", "2.5", "²", "9" * 5000):
        body = {"project": str(room.case.project_id), "name": "x", "held_out": text}
        page = client.post("/releases/draft", body, follow=True).content.decode()
        assert "whole percentage" in page
    assert Release.objects.count() == 1


def test_withdrawing_needs_a_reason_and_is_for_ever(room: Room, published: Consensus):
    release, coordinator = frozen(room), room.users["coordinator"]
    with pytest.raises(BadInput):
        services.withdraw(release=release.pk, reason=" ", actor=coordinator)
    found = services.withdraw(release=release.pk, reason="Wrong labels.", actor=coordinator)
    assert found.sha256 == release.sha256
    with pytest.raises(WrongState):
        services.withdraw(release=release.pk, reason="Again.", actor=coordinator)
    assert Event.objects.get(action="release.withdrawn").reason == "Wrong labels."


@pytest.mark.parametrize(
    "who", ["reader1", "reader2", "adjudicator", "abstractor", "outsider", "stranger"]
)
def test_nobody_else_knows_of_releases(room: Room, published: Consensus, who: str):
    release, client = frozen(room), room.client(who)
    away = 302 if who == "stranger" else 404
    for path in ("/releases/", *(f"/releases/{release.pk}/{end}" for end in ENDS)):
        assert client.get(path).status_code == away, path
    for path in ("freeze", "withdraw", f"cases/{room.case.pk}/unlist"):
        assert client.post(f"/releases/{release.pk}/{path}").status_code == away, path
    body = {"project": str(room.case.project_id), "name": "mine", "held_out": "20"}
    assert client.post("/releases/draft", body).status_code == away
    if who != "stranger":
        assert "/releases/" not in client.get("/", follow=True).content.decode()


ENDS = ("", "manifest.json", "nodes.csv")


def test_a_scientist_sees_what_is_frozen_and_changes_nothing(room: Room, published: Consensus):
    release, client = drafted(room), room.client("scientist")
    for end in ENDS:
        assert client.get(f"/releases/{release.pk}/{end}").status_code == 404
    assert str(release.pk) not in client.get("/releases/").content.decode()
    services.freeze(release=release.pk, actor=room.users["coordinator"])
    page = client.get(f"/releases/{release.pk}/").content.decode()
    assert release.name in page
    assert "Withdraw" not in page
    rows = list(csv.DictReader(io.StringIO(client.get(nodes_of(release)).content.decode())))
    assert [row["node"] for row in rows] == ["1", "2", "4", "5", "6"]
    assert {row["split"] for row in rows} == {"train"}
    assert client.post(f"/releases/{release.pk}/withdraw", {"reason": "x"}).status_code == 403
    project, scientist = room.case.project, room.users["scientist"]
    with pytest.raises(NotAllowed):
        services.draft_release(project=project, name="mine", held_out=20, actor=scientist)


def nodes_of(release: Release) -> str:
    return f"/releases/{release.pk}/nodes.csv"


def test_a_coordinator_never_sees_what_was_found(room: Room, published: Consensus):
    release, client = frozen(room), room.client("coordinator")
    page = client.get(f"/releases/{release.pk}/").content.decode()
    assert room.case.label in page
    assert "metastatic" not in page.lower()
    for end in ENDS[1:]:
        assert client.get(f"/releases/{release.pk}/{end}").status_code == 404
    audited = room.client("auditor").get(f"/releases/{release.pk}/manifest.json")
    assert hashlib.sha256(audited.content).hexdigest() == release.sha256
    reader_names = [room.users[name].shown_name for name in ("reader1", "reader2")]
    assert not any(name in audited.content.decode() for name in reader_names)


def test_a_release_of_another_project_does_not_exist(room: Room):
    client = room.client("coordinator")
    body = {"project": str(uuid.uuid4()), "name": "x", "held_out": "20"}
    assert client.post("/releases/draft", body).status_code == 404
    assert client.get(f"/releases/{uuid.uuid4()}/").status_code == 404
