"""Signatures under a consensus: of one record, by those who decided; the last one publishes it."""

from __future__ import annotations

import hashlib
import json
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, transaction
from django.test import Client
from django.utils import timezone

from backend.accounts import services as accounts
from backend.accounts.models import User
from backend.accounts.roles import Role
from backend.audit.models import Event, NewsItem
from backend.errors import BadInput, NotAllowed, WrongState
from backend.reading import services
from backend.reading.consensus_record import hash_of, record_of_consensus
from backend.reading.consensus_signatures import consensus_faults
from backend.reading.models import ConsensusSignature
from backend.store import store
from tests.reading.labels_room import LabelRoom
from tests.reading.site import PASSWORD, Site, other_project


@pytest.fixture
def room(ready: Site) -> LabelRoom:
    """Everything is labelled."""
    room = LabelRoom(ready)
    room.settle()
    room.label(1, "metastatic", evidence=[room.enter("HIST")])
    room.label_all()
    return room


def code(refused: pytest.ExceptionInfo[Any]) -> str:
    found: str = refused.value.code
    return found


def test_the_last_signature_publishes(room: LabelRoom) -> None:
    assert room.consensus.state == "ready"
    first = room.sign("reader1")
    assert room.consensus.state == "signing"
    assert room.consensus.published_at is None
    second = room.sign("reader2")
    consensus = room.consensus
    assert (consensus.state, consensus.record_hash) == ("published", first.record_hash)
    assert consensus.published_at is not None
    assert consensus.case.stage == "published"
    assert (first.printed_name, first.role, first.meaning) == (
        "Rita Reader",
        "reader",
        "consensus",
    )
    assert second.record == first.record
    actions = list(
        Event.objects.filter(chain=room.case.chain, action__startswith="consensus.")
        .order_by("position")
        .values_list("action", flat=True)
    )
    assert actions[-3:] == ["consensus.signed", "consensus.signed", "consensus.published"]
    published = Event.objects.get(action="consensus.published")
    assert consensus.mask is not None
    assert published.facts["mask"] == consensus.mask.hash
    assert published.facts["record_hash"] == first.record_hash


def test_the_record_holds_everything_and_is_kept_under_its_hash(room: LabelRoom) -> None:
    signature = room.sign("reader1")
    kept = store().read(signature.record_hash)
    assert hashlib.sha256(kept).hexdigest() == signature.record_hash
    record = json.loads(kept)
    assert record == signature.record
    event = Event.objects.get(action="consensus.signed")
    assert event.facts["record"] == event.facts["record_hash"] == signature.record_hash
    comparison, consensus = room.comparison, room.consensus
    assert record["mask"] == consensus.mask.hash
    assert record["ignored"] == consensus.ignored.hash
    assert [one["effective"] for one in record["readings"]] == [
        comparison.first.effective.hash,
        comparison.second.effective.hash,
    ]
    assert (record["geometry"], record["version"]) == (room.case.geometry_hash, 1)
    by_people = [one for one in record["discrepancies"] if not one["by_rule"]]
    assert {one["rationale"] for one in by_people} == {"the border is seen here"}
    readers = [str(room.users[name].pk) for name in ("reader1", "reader2")]
    assert by_people[0]["decided_by"] == readers
    first, *others = record["nodes"]
    assert first["label"]["evidence"][0]["details"]["correspondence"] == "the largest node"
    assert (first["label"]["value"], first["label"]["rests_on_necrosis_alone"]) == (
        "metastatic",
        False,
    )
    assert all(node["label"]["value"] == "non_metastatic" for node in others)
    assert len(record["nodes"]) == len(room.numbers)


def test_nothing_is_signed_before_every_node_is_labelled(ready: Site) -> None:
    room = LabelRoom(ready)
    room.settle()
    with pytest.raises(WrongState) as refused:
        room.sign("reader1")
    assert code(refused) == "WRONG_STATE"
    assert refused.value.extra["missing"][0] == "Node 1: It has no label. Give it one."


def test_what_was_shown_is_what_is_signed(room: LabelRoom) -> None:
    shown = room.hash
    room.label(2, "indeterminate", by="reader2")
    assert room.consensus.state == "ready"
    path = f"/api/consensus/{room.consensus.pk}/sign"
    body = {"client": str(uuid.uuid4()), "record_hash": shown, "password": PASSWORD}
    answer = room.send("reader1", "POST", path, body)
    assert (answer.status_code, answer.json()["error"]) == (409, "RECORD_CHANGED")
    assert answer.json()["record_hash"] == room.hash != shown
    assert not ConsensusSignature.objects.exists()
    detail = room.send("reader1", "GET", f"/api/consensus/{room.consensus.pk}").json()
    assert detail["signing"]["record_hash"] == room.hash
    again = room.send("reader1", "POST", path, {**body, "record_hash": room.hash})
    assert again.status_code == 200
    assert again.json()["state"] == "signing"


def test_a_wrong_password_signs_nothing_and_is_on_record(room: LabelRoom) -> None:
    path = f"/api/consensus/{room.consensus.pk}/sign"
    body = {"client": str(uuid.uuid4()), "record_hash": room.hash, "password": "guess"}
    answer = room.send("reader1", "POST", path, body)
    assert (answer.status_code, answer.json()["error"]) == (403, "WRONG_PASSWORD")
    event = Event.objects.get(action="signature.refused")
    assert (event.chain, event.outcome, event.actor) == (
        room.case.chain,
        "failure",
        room.users["reader1"],
    )
    assert event.facts == {"consensus": str(room.consensus.pk), "version": 1}
    assert not ConsensusSignature.objects.exists()


def test_two_sign_at_the_same_screen_and_the_session_stays_the_firsts(room: LabelRoom) -> None:
    path = f"/api/consensus/{room.consensus.pk}/sign"
    client = room.client("reader1")

    def sign(**own: str) -> Any:
        body = {"client": str(uuid.uuid4()), "record_hash": room.hash, "password": PASSWORD, **own}
        return client.post(path, json.dumps(body), content_type="application/json")

    assert sign().json()["state"] == "signing"
    answer = sign(username="reader2")
    assert (answer.status_code, answer.json()["state"]) == (200, "published")
    event = Event.objects.filter(action="consensus.signed").latest("number")
    assert (event.actor, event.facts["session"]) == (room.users["reader2"], "reader1")
    row = client.get("/api/worklist").json()["results"][0]
    assert row["reading"] == str(room.site.reading("reader1").pk)


@pytest.mark.parametrize("username", ["reader2", "nobody-of-that-name"])
def test_a_name_nobody_has_is_refused_like_a_wrong_password(room: LabelRoom, username: str) -> None:
    path = f"/api/consensus/{room.consensus.pk}/sign"
    body = {"client": str(uuid.uuid4()), "record_hash": room.hash, "password": "guess"}
    answer = room.send("reader1", "POST", path, {**body, "username": username})
    assert (answer.status_code, answer.json()["error"]) == (403, "WRONG_PASSWORD")
    assert answer.json()["message"] == "That is not a user name and its password."
    event = Event.objects.get(action="signature.refused")
    assert event.actor == room.users["reader1"]
    assert event.facts["named"] == (username if username == "reader2" else None)


def test_passwords_are_not_tried_for_ever(room: LabelRoom, monkeypatch: Any) -> None:
    for _ in range(accounts.MOST_ATTEMPTS):
        with pytest.raises(NotAllowed, match="user name and its password"):
            room.sign("reader2", session="reader1", password="guess")
    with pytest.raises(NotAllowed) as refused:
        room.sign("reader2", session="reader1")
    assert code(refused) == "TOO_MANY_ATTEMPTS"
    assert room.sign("reader2").role == "reader"
    monkeypatch.setattr(accounts, "ATTEMPTS_WITHIN", timedelta(0))
    assert room.sign("reader1").role == "reader"


def test_a_name_tried_at_many_screens_is_tried_no_more_than_on_the_sign_in_page(
    room: LabelRoom,
) -> None:
    """Somebody else's account is not guessed by going from keyboard to keyboard."""
    people = ("reader1", "adjudicator")
    for attempt in range(accounts.MOST_ATTEMPTS):
        with pytest.raises(NotAllowed, match="user name and its password"):
            room.sign("reader2", session=people[attempt % 2], password="guess")
    with pytest.raises(NotAllowed) as refused:
        room.sign("reader2", session="coordinator")
    assert code(refused) == "TOO_MANY_ATTEMPTS"
    page = Client().post("/sign-in/", {"username": "reader2", "password": PASSWORD})
    assert page.status_code == 403
    assert not ConsensusSignature.objects.exists()
    assert room.sign("reader1").role == "reader"


def test_a_reader_of_another_project_signs_nothing_and_lends_no_screen(room: LabelRoom) -> None:
    other = User.objects.create_user("other_reader", password=PASSWORD)
    services.grant_role(project=other_project(), user=other, role=Role.READER, actor=None)
    room.users["other_reader"] = other
    path = f"/api/consensus/{room.consensus.pk}/sign"
    body = {"client": str(uuid.uuid4()), "record_hash": room.hash, "password": PASSWORD}
    refused = room.send("reader1", "POST", path, {**body, "username": "other_reader"})
    assert (refused.status_code, refused.json()["error"]) == (403, "NOT_A_SIGNER")
    hidden = room.send("other_reader", "POST", path, {**body, "username": "reader2"})
    nowhere = f"/api/consensus/{uuid.uuid4()}/sign"
    absent = room.send("other_reader", "POST", nowhere, {**body, "username": "reader2"})
    assert (hidden.status_code, hidden.content) == (absent.status_code, absent.content)
    assert hidden.status_code == 404
    guess = {**body, "username": "reader2", "password": "guess"}
    assert room.send("other_reader", "POST", path, guess).content == hidden.content
    assert not Event.objects.filter(action="signature.refused").exists()
    assert not ConsensusSignature.objects.exists()


def test_one_person_is_not_two_at_one_screen(room: LabelRoom) -> None:
    path = f"/api/consensus/{room.consensus.pk}/sign"

    def signs(**own: str) -> Any:
        body = {"client": str(uuid.uuid4()), "record_hash": room.hash, "password": PASSWORD, **own}
        answer = room.send("reader1", "POST", path, body)
        return answer.status_code, answer.json().get("error")

    assert signs() == (200, None)
    assert signs(username="reader1") == (409, "ALREADY_SIGNED")
    assert signs(username="Reader1") == (403, "WRONG_PASSWORD")
    User.objects.filter(username="reader2").update(is_active=False)
    assert signs(username="reader2") == (403, "WRONG_PASSWORD")
    User.objects.filter(username="reader2").update(is_active=True)
    assert signs(username="reader2", record_hash="0" * 64) == (409, "RECORD_CHANGED")
    assert room.consensus.state == "signing"
    assert ConsensusSignature.objects.count() == 1


def test_who_did_not_decide_does_not_sign_not_even_at_a_readers_screen(room: LabelRoom) -> None:
    for name in ("adjudicator", "auditor", "abstractor", "coordinator"):
        with pytest.raises(NotAllowed) as refused:
            room.sign(name, session="reader1")
        assert code(refused) == "NOT_A_SIGNER"
    assert not ConsensusSignature.objects.exists()


def test_nobody_signs_twice(room: LabelRoom) -> None:
    room.sign("reader1")
    with pytest.raises(WrongState) as refused:
        room.sign("reader1")
    assert code(refused) == "ALREADY_SIGNED"
    with pytest.raises(WrongState):
        room.sign("reader1", session="reader2")
    assert room.consensus.state == "signing"


def test_the_same_act_again_is_one_signature(room: LabelRoom) -> None:
    client, shown = uuid.uuid4(), room.hash
    first = room.sign("reader1", client=client)
    assert room.sign("reader1", client=client) == first
    with pytest.raises(WrongState) as refused:
        room.sign("reader2", client=client)
    assert code(refused) == "CLIENT_REUSED"
    last = uuid.uuid4()
    second = room.sign("reader2", client=last)
    assert room.consensus.state == "published"
    assert room.sign("reader2", client=last, record_hash=shown) == second
    assert ConsensusSignature.objects.count() == 2
    assert Event.objects.filter(action="consensus.published").count() == 1


def test_an_adjudicator_who_decided_signs_too(ready: Site) -> None:
    room = LabelRoom(ready)
    room.settle(deferred=True)
    room.label_all()
    room.sign("reader1")
    room.sign("reader2")
    assert room.consensus.state == "signing"
    detail = room.send("reader2", "GET", f"/api/consensus/{room.consensus.pk}").json()
    assert [(x["role"], x["name"], x["mine"]) for x in detail["signing"]["required"]] == [
        ("reader", "Rolf Reader", True),
        ("reader", "Rita Reader", False),
        ("adjudicator", None, False),
    ]
    signature = room.sign("adjudicator")
    assert (signature.role, room.consensus.state) == ("adjudicator", "published")


def test_an_adjudicator_who_labelled_signs_too(ready: Site) -> None:
    room = LabelRoom(ready)
    room.settle()
    room.leave(1)
    room.label(1, "indeterminate", by="adjudicator")
    room.label_all()
    room.sign("adjudicator")
    room.sign("reader1")
    assert room.consensus.state == "signing"
    room.sign("reader2")
    assert room.consensus.state == "published"


def test_who_has_not_signed_is_named_to_nobody_else(room: LabelRoom) -> None:
    def required(name: str) -> list[tuple[str | None, bool]]:
        path = f"/api/consensus/{room.consensus.pk}"
        signing = room.send(name, "GET", path).json()["signing"]
        return [(one["name"], one["mine"]) for one in signing["required"]]

    assert required("reader1") == [("Rita Reader", True), (None, False)]
    assert {name for name, _ in required("coordinator")} == {None}
    room.sign("reader2")
    assert required("reader1") == [("Rita Reader", True), ("Rolf Reader", False)]


def test_a_signature_is_told_by_role_alone(room: LabelRoom) -> None:
    before = NewsItem.objects.count()
    room.sign("reader1")
    news = list(NewsItem.objects.order_by("pk")[before:])
    mine = [(x.type, x.payload) for x in news if x.audience == room.consensus.audience]
    assert mine == [
        ("signature.given", {"role": "reader"}),
        ("consensus.changed", {"state": "signing"}),
    ]
    assert "Rita" not in str([item.payload for item in news])


def test_an_objection_voids_what_was_signed_and_keeps_it(room: LabelRoom) -> None:
    signature = room.sign("reader1")
    client = uuid.uuid4()
    path = f"/api/consensus/{room.consensus.pk}/object"
    body = {"client": str(client), "reason": "node 2 is a vessel"}
    answer = room.send("reader2", "POST", path, body)
    assert (answer.status_code, answer.json()["state"]) == (200, "labelling")
    assert answer.json()["signing"]["objection"] == "node 2 is a vessel"
    assert "A signer objected: node 2 is a vessel" in answer.json()["signing"]["missing"][0]
    signature.refresh_from_db()
    assert (signature.void_at is not None, signature.void_reason) == (True, "node 2 is a vessel")
    event = Event.objects.get(action="consensus.objected")
    assert (event.actor, event.reason) == (room.users["reader2"], "node 2 is a vessel")
    assert event.facts["voided"] == [str(signature.pk)]
    assert room.send("reader2", "POST", path, body).status_code == 200
    assert Event.objects.filter(action="consensus.objected").count() == 1
    with pytest.raises(WrongState):
        room.sign("reader1")
    room.label(2, "indeterminate", by="reader2")
    assert room.consensus.state == "ready"
    room.sign("reader1")
    room.sign("reader2")
    assert room.consensus.state == "published"
    assert ConsensusSignature.objects.count() == 3
    assert consensus_faults() == []


def test_only_signers_object_with_a_reason_and_while_it_is_signed(room: LabelRoom) -> None:
    def objects(name: str, reason: str = "no") -> None:
        services.object_to_consensus(
            consensus=room.consensus, user=room.users[name], client=uuid.uuid4(), reason=reason
        )

    with pytest.raises(WrongState, match="Cannot object"):
        objects("reader1")
    room.sign("reader1")
    with pytest.raises(NotAllowed):
        objects("adjudicator")
    with pytest.raises(BadInput):
        objects("reader2", " ")
    room.sign("reader2")
    with pytest.raises(WrongState):
        objects("reader2")


def test_nothing_of_what_is_published_is_labelled_or_signed(room: LabelRoom) -> None:
    room.sign("reader1")
    room.sign("reader2")
    with pytest.raises(WrongState, match="Ask the coordinator to reopen it"):
        room.label(1, "indeterminate")
    with pytest.raises(WrongState):
        room.sign("reader1")


def refused(statement: Any) -> None:
    with pytest.raises(DatabaseError), transaction.atomic():
        statement()


def test_the_database_itself_keeps_signatures(room: LabelRoom) -> None:
    signature = room.sign("reader1")
    rows = ConsensusSignature.objects.filter(pk=signature.pk)
    refused(lambda: rows.update(printed_name="Someone"))
    refused(rows.delete)

    def insert(**own: Any) -> None:
        given = {
            "consensus": room.consensus,
            "user": room.users["reader2"],
            "role": "reader",
            "printed_name": "Rolf",
            "at": timezone.now(),
            "meaning": "consensus",
            "record": signature.record,
            "record_hash": signature.record_hash,
            **own,
        }
        ConsensusSignature.objects.create(**given)

    refused(lambda: insert(record_hash="0" * 64))
    with pytest.raises(IntegrityError), transaction.atomic():
        insert(user=room.users["reader1"])
    room.sign("reader2")
    refused(lambda: rows.update(void_at=timezone.now(), void_reason="late"))
    refused(lambda: insert(user=room.users["adjudicator"]))


def test_a_record_missing_from_the_store_is_found(room: LabelRoom) -> None:
    signature = room.sign("reader1")
    for path in store().root.rglob(f"{signature.record_hash}*"):
        path.unlink()
    (fault,) = consensus_faults(room.case.chain)
    assert "the record that was signed is not in the store" in fault[1]


def test_verifying_one_chain_asks_for_that_chain_alone(
    room: LabelRoom, django_assert_max_num_queries: Any
) -> None:
    room.sign("reader1")
    assert consensus_faults("system") == []
    with django_assert_max_num_queries(1):
        consensus_faults("system")
    assert hash_of(record_of_consensus(room.consensus)) == room.hash
