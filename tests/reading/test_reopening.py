"""Reopening: version n stays as it was signed; version n + 1 begins from it and takes its place."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest

from backend.audit.models import Event
from backend.errors import BadInput, NotAllowed, WrongState
from backend.reading import services
from backend.reading.consensus_record import hash_of, record_of_consensus
from backend.reading.consensus_signatures import consensus_faults
from backend.reading.models import Consensus, Discrepancy, ReferenceLabel
from tests.reading.labels_room import LabelRoom
from tests.reading.site import Site


@pytest.fixture
def room(ready: Site) -> LabelRoom:
    """Version 1 is published; node 1 is metastatic."""
    room = LabelRoom(ready)
    room.settle()
    room.label(1, "metastatic", evidence=[room.enter("HIST")], rationale="as reported")
    room.publish()
    return room


def by_people(consensus: Consensus) -> Discrepancy:
    return consensus.discrepancies.get(by_rule=False)


def labels(consensus: Consensus) -> dict[int, list[str]]:
    rows = ReferenceLabel.objects.filter(node__consensus=consensus).order_by("position")
    found: dict[int, list[str]] = {}
    for row in rows.select_related("node"):
        found.setdefault(row.node.number, []).append(row.value)
    return found


def test_with_nothing_to_settle_only_the_labels_are_open_again(room: LabelRoom) -> None:
    before = labels(room.version(1))
    second = room.reopen()
    assert (second.version, room.consensus.state) == (2, "ready")
    assert room.version(1).state == "published"
    assert labels(second) == before
    copy = ReferenceLabel.objects.get(node__consensus=second, value="metastatic")
    original = ReferenceLabel.objects.get(node__consensus=room.version(1), value="metastatic")
    assert (copy.carried, copy.by, copy.rationale) == (original, original.by, "as reported")
    nodes = room.send("reader1", "GET", f"/api/consensus/{second.pk}").json()["nodes"]
    (shown,) = [node["label"] for node in nodes if node["label"]["value"] == "metastatic"]
    assert (shown["carried"], shown["at"]) == (True, original.at.isoformat())
    room.label(1, "indeterminate")
    room.publish()
    assert (room.version(1).state, room.version(2).state) == ("superseded", "published")


def test_what_is_settled_again_is_open_and_the_rest_stands(room: LabelRoom) -> None:
    first = room.version(1)
    opened = by_people(first)
    second = room.reopen(opened)
    assert second.state == "draft"
    again = by_people(second)
    assert (again.state, again.decision, again.triggers) == ("open", None, opened.triggers)
    for old in first.discrepancies.filter(by_rule=True):
        new = second.discrepancies.get(cluster=old.cluster)
        assert (new.state, new.resolution, new.rationale, new.geometry, new.decided_at) == (
            old.state,
            old.resolution,
            old.rationale,
            old.geometry,
            old.decided_at,
        )
    opened.refresh_from_db()
    assert opened.state == "resolved"
    room.settle("union")
    assert room.consensus.state == "labelling"
    open_again = {node.number for node in room.consensus.nodes.filter(cluster=opened.cluster)}
    assert set(room.numbers) - set(labels(room.consensus)) == open_again != set()
    room.publish()
    assert consensus_faults() == []


def test_both_versions_keep_their_records_and_signatures(room: LabelRoom) -> None:
    first = room.version(1)
    was = first.record_hash
    room.reopen(by_people(first))
    room.settle("absent")
    room.publish()
    first = room.version(1)
    assert hash_of(record_of_consensus(first)) == first.record_hash == was
    assert room.version(2).record_hash != was
    assert first.signatures.count() == room.version(2).signatures.count() == 2
    superseded = Event.objects.get(action="consensus.superseded")
    assert superseded.facts["by"] == str(room.version(2).pk)
    assert consensus_faults() == []


def test_version_one_stays_published_until_version_two_is(room: LabelRoom) -> None:
    room.reopen(by_people(room.version(1)))
    room.settle("absent")
    room.label_all()
    room.sign("reader1")
    assert room.version(1).state == "published"
    room.sign("reader2")
    assert room.version(1).state == "superseded"


def test_the_events_say_what_was_reopened_and_why(room: LabelRoom) -> None:
    first, opened = room.version(1), by_people(room.version(1))
    second = room.reopen(opened)
    told = Event.objects.get(action="consensus.reopened")
    assert (told.actor, told.reason, told.subject_id) == (
        room.users["coordinator"],
        "a late report",
        str(first.pk),
    )
    assert told.facts["reopened"] == [opened.cluster.number]
    event = Event.objects.filter(action="consensus.opened").latest("number")
    assert (event.subject_id, event.facts["supersedes"]) == (str(second.pk), str(first.pk))
    assert event.facts["reopened"] == [opened.cluster.number]
    assert opened.cluster.number not in event.facts["carried"]
    assert {one["state"] for one in event.facts["discrepancies"]} == {"open", "resolved"}


def test_carried_labels_are_told_with_whose_they_are(room: LabelRoom) -> None:
    room.reopen()
    told = Event.objects.filter(action="label.carried")
    assert told.count() == len(room.numbers)
    event = told.get(facts__value="metastatic")
    assert (event.actor, event.facts["by_name"]) == (room.users["coordinator"], "Rita Reader")


def test_a_coordinator_alone_reopens_and_says_why(room: LabelRoom) -> None:
    for name in ("reader1", "adjudicator", "auditor", "abstractor"):
        with pytest.raises(NotAllowed):
            room.reopen(by=name)
    with pytest.raises(BadInput) as refused:
        room.reopen(reason="  ")
    assert refused.value.code == "REASON_NEEDED"
    path = f"/api/consensus/{room.consensus.pk}/reopen"
    body = {"client": str(uuid.uuid4()), "reason": "x", "discrepancies": []}
    statuses = {name: room.send(name, "POST", path, body).status_code for name in room.users}
    assert statuses == {
        "abstractor": 404,
        "adjudicator": 404,
        "auditor": 403,
        "coordinator": 200,
        "reader1": 403,
        "reader2": 403,
    }


def test_what_is_not_of_this_version_is_not_reopened(room: LabelRoom) -> None:
    found = by_people(room.version(1))
    room.reopen(found)
    room.settle("absent")
    room.publish()
    with pytest.raises(BadInput) as refused:
        room.reopen(found)
    assert refused.value.code == "NO_SUCH_DISCREPANCY"
    with pytest.raises(WrongState):
        room.reopen(consensus=room.version(1))


def test_one_version_at_a_time_is_under_way(room: LabelRoom) -> None:
    room.reopen(by_people(room.version(1)))
    with pytest.raises(WrongState) as refused:
        room.reopen(consensus=room.version(1))
    assert refused.value.code == "UNDER_WAY"
    with pytest.raises(WrongState, match="still being settled"):
        room.reopen()


def test_the_same_act_again_is_one_version(room: LabelRoom) -> None:
    client, first = uuid.uuid4(), room.version(1)
    second = room.reopen(client=client)
    assert room.reopen(client=client, consensus=first) == second
    with pytest.raises(WrongState) as refused:
        room.reopen(client=client, consensus=first, reason="else")
    assert refused.value.code == "CLIENT_REUSED"
    assert Consensus.objects.filter(case=room.case).count() == 2


def test_after_an_objection_a_version_nobody_published_gives_way(ready: Site) -> None:
    room = LabelRoom(ready)
    room.ready()
    room.sign("reader1")
    with pytest.raises(WrongState, match="object first"):
        room.reopen()
    services.object_to_consensus(
        consensus=room.consensus,
        user=room.users["reader2"],
        client=uuid.uuid4(),
        reason="the border of node 1",
    )
    room.reopen(by_people(room.version(1)))
    assert (room.version(1).state, room.consensus.state) == ("superseded", "draft")
    room.settle("absent")
    room.publish()
    assert room.version(2).state == "published"
    assert consensus_faults() == []


def test_withdrawn_evidence_leaves_the_carried_label_incomplete(ready: Site) -> None:
    room = LabelRoom(ready)
    room.settle()
    found = by_people(room.consensus)
    other = room.consensus.nodes.exclude(cluster=found.cluster).first()
    assert other is not None
    item = room.enter(node=other.number)
    room.label(other.number, "metastatic", evidence=[item])
    room.publish()
    room.reopen(found)
    services.withdraw_evidence(evidence=item, user=room.users["abstractor"], reason="an error")
    room.settle("union")
    assert room.consensus.state == "labelling"
    path = f"/api/consensus/{room.consensus.pk}"
    nodes = room.send("reader1", "GET", path).json()["nodes"]
    carried = next(node for node in nodes if node["uuid"] == str(other.node_id))
    assert carried["label"]["value"] == "metastatic"
    assert carried["needs"] == [
        "Evidence its label rests on was withdrawn (an error). Label it again."
    ]
    room.publish()
    assert consensus_faults() == []


def test_an_adjudicators_standing_decision_asks_for_their_signature_again(ready: Site) -> None:
    room = LabelRoom(ready)
    room.settle(deferred=True)
    room.label_all()
    for name in ("reader1", "reader2", "adjudicator"):
        room.sign(name)
    room.reopen()
    for name in ("reader1", "reader2"):
        room.sign(name)
    assert room.consensus.state == "signing"
    room.sign("adjudicator")
    assert room.consensus.state == "published"


# The coordinator's form.


def test_the_form_lists_what_can_be_settled_again_and_names_nobody(room: LabelRoom) -> None:
    page = room.client("coordinator").get(f"/cases/{room.case.pk}/").content.decode()
    form = page[page.index('id="reopening"') :]
    form = form[: form.index("</section>")]
    form = re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", form)  # Random letters.
    for found in room.consensus.discrepancies.all():
        assert f'value="{found.pk}"' in form
    for word in ("Rita", "Rolf", "reader1", "R1", "R2"):
        assert word not in form
    assert "only one reader has it" in form
    nodes = room.consensus.nodes.count()
    assert f"{nodes} labels of {nodes} nodes" in form
    assert "with its 2 signatures" in form
    assert "decision and label dropped" in form
    for secret in ("non_metastatic", "metastatic"):
        assert secret not in form, "a coordinator sees no labels"
    for name in ("auditor",):
        page = room.client(name).get(f"/cases/{room.case.pk}/").content.decode()
        assert 'id="reopening"' not in page


def post(room: LabelRoom, name: str = "coordinator", **own: Any) -> Any:
    given = {
        "consensus": str(room.version(1).pk),
        "client": str(uuid.uuid4()),
        "reason": "a late report",
        **own,
    }
    return room.client(name).post(f"/cases/{room.case.pk}/reopen", given, follow=True)


def test_the_form_opens_the_next_version(room: LabelRoom) -> None:
    found = by_people(room.version(1))
    page = post(room, discrepancies=[str(found.pk)]).content.decode()
    assert "Version 2 of the consensus is open." in page
    assert 'id="reopening"' not in page
    assert room.consensus.state == "draft"
    panel = page[page.index('id="settling"') :].partition("</section>")[0]
    assert 'data-standing="1"' in panel
    assert "stands until version 2 is published" in panel


def test_a_wrong_form_opens_nothing_and_says_why(room: LabelRoom) -> None:
    assert "needs a reason" in post(room, reason="").content.decode()
    assert "no such version" in post(room, consensus=str(uuid.uuid4())).content.decode()
    assert "not complete" in post(room, discrepancies=["odd"]).content.decode()
    assert post(room, name="auditor").status_code == 403
    assert post(room, name="reader1").status_code == 404
    assert room.consensus.version == 1
