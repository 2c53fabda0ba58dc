"""Reference labels: given on evidence by either reader, or by the adjudicator they leave it to."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.db import DatabaseError, transaction

from backend.accounts.models import User
from backend.audit.models import Event, NewsItem
from backend.errors import BadInput, Missing, NotAllowed, WrongState
from backend.reading import services
from backend.reading.label_selectors import labelled_nodes
from backend.reading.models import ReferenceLabel
from tests.reading.labels_room import LabelRoom, day
from tests.reading.site import PASSWORD, Site, Twin
from tests.reading.test_comparing import compare


@pytest.fixture
def room(ready: Site) -> LabelRoom:
    """Two readers compared; one thing to settle."""
    return LabelRoom(ready)


@pytest.fixture
def agreed(room: LabelRoom) -> LabelRoom:
    """The nodes are agreed on."""
    room.settle()
    return room


def test_settling_opens_the_labels_and_the_last_label_makes_it_ready(room: LabelRoom) -> None:
    assert room.consensus.state == "draft"
    room.settle()
    assert room.consensus.state == "labelling"
    first, *others = room.numbers
    room.label(first, "non_metastatic")
    assert room.consensus.state == "labelling"
    for number in others:
        room.label(number, "indeterminate", by="reader2")
    assert room.consensus.state == "ready"
    assert Event.objects.get(action="consensus.completed").facts["nodes"] == len(room.numbers)


def test_nothing_is_labelled_before_it_is_settled(room: LabelRoom) -> None:
    with pytest.raises(WrongState) as refused:
        services.set_label(
            consensus=room.consensus, number=1, user=room.users["reader1"], client=uuid.uuid4(),
            seen=0, value="non_metastatic",
        )  # fmt: skip
    assert (refused.value.code, refused.value.possible) == ("WRONG_STATE", ["settle"])
    assert "Settle what is open first." in str(refused.value)


def test_metastatic_needs_evidence_that_counts(agreed: LabelRoom) -> None:
    with pytest.raises(BadInput) as refused:
        agreed.label(1, "metastatic")
    assert refused.value.code == "EVIDENCE_NEEDED"
    far = agreed.enter(date=day(93))
    with pytest.raises(BadInput, match="93 days after the CT"):
        agreed.label(1, "metastatic", evidence=[far])
    other = agreed.enter("HIST", node=2)
    with pytest.raises(BadInput, match="another node"):
        agreed.label(1, "metastatic", evidence=[other])
    near = agreed.enter(date=day(92))
    label = agreed.label(1, "metastatic", evidence=[far, near])
    assert label.evidence == sorted([str(far.pk), str(near.pk)])
    assert not label.rests_on_necrosis_alone


def test_evidence_of_the_patient_needs_a_rationale(agreed: LabelRoom) -> None:
    item = agreed.enter(scope="patient", node=None)
    with pytest.raises(BadInput) as refused:
        agreed.label(1, "metastatic", evidence=[item])
    assert refused.value.code == "RATIONALE_NEEDED"
    assert agreed.label(1, "metastatic", evidence=[item], rationale="the only one avid").pk


def test_evidence_of_another_case_or_of_none_is_no_evidence(agreed: LabelRoom) -> None:
    with pytest.raises(BadInput) as refused:
        agreed.label(1, "metastatic", evidence=[uuid.uuid4()])
    assert refused.value.code == "NO_SUCH_EVIDENCE"


def test_what_rests_on_necrosis_alone_is_flagged(agreed: LabelRoom) -> None:
    necrosis = agreed.enter("NECR", by="reader2")
    assert agreed.label(1, "metastatic", evidence=[necrosis]).rests_on_necrosis_alone
    both = agreed.label(1, "metastatic", evidence=[necrosis, agreed.enter("HIST")])
    assert not both.rests_on_necrosis_alone


def test_not_assessable_says_why(agreed: LabelRoom) -> None:
    with pytest.raises(BadInput) as refused:
        agreed.label(1, "not_assessable")
    assert refused.value.code == "REASON_NEEDED"
    assert agreed.label(1, "not_assessable", reason="dental artefact").reason == "dental artefact"


def test_the_newest_label_holds_and_the_older_stay(agreed: LabelRoom) -> None:
    agreed.label_all()
    assert agreed.consensus.state == "ready"
    agreed.label(1, "indeterminate", by="reader2")
    assert agreed.consensus.state == "ready"
    labels = ReferenceLabel.objects.filter(node=agreed.node(1))
    assert [(x.position, x.value) for x in labels] == [(1, "non_metastatic"), (2, "indeterminate")]
    assert labelled_nodes(agreed.consensus)[0].label == labels[1]


def test_who_labels_on_an_old_look_is_told_what_is_there_now(agreed: LabelRoom) -> None:
    agreed.label(1, "non_metastatic")
    path = f"/api/consensus/{agreed.consensus.pk}/nodes/1/label"
    body = {"client": str(uuid.uuid4()), "seen": 0, "value": "indeterminate"}
    answer = agreed.send("reader2", "PUT", path, body)
    assert (answer.status_code, answer.json()["error"]) == (409, "MOVED_ON")
    node = answer.json()["node"]
    assert (node["number"], node["position"]) == (1, 1)
    assert (node["label"]["value"], node["label"]["by"]) == ("non_metastatic", "other")
    again = agreed.send("reader2", "PUT", path, {**body, "seen": 1})
    assert again.status_code == 200
    assert again.json()["node"]["label"]["by"] == "you"
    assert again.json()["consensus"] == {"state": "labelling"}


def test_the_same_act_again_changes_nothing(agreed: LabelRoom) -> None:
    client = uuid.uuid4()
    first = agreed.label(1, "non_metastatic", client=client, seen=0)
    agreed.label(1, "indeterminate", by="reader2")
    again = agreed.label(1, "non_metastatic", client=client, seen=0)
    assert again == first
    assert agreed.seen(1) == 2
    for own in ({"number": 2}, {"value": "indeterminate"}, {"by": "reader2"}):
        given: dict[str, Any] = {"number": 1, "value": "non_metastatic", "by": "reader1", **own}
        with pytest.raises(WrongState) as refused:
            agreed.label(**given, client=client, seen=0)
        assert refused.value.code == "CLIENT_REUSED"


def test_a_label_is_told_by_number_alone(agreed: LabelRoom) -> None:
    item = agreed.enter()
    before = NewsItem.objects.count()
    agreed.label(1, "metastatic", evidence=[item], rationale="a secret thought")
    news = list(NewsItem.objects.order_by("pk")[before:])
    mine = [item for item in news if item.audience == agreed.consensus.audience]
    assert [(x.type, x.payload) for x in mine] == [("label.changed", {"number": 1, "position": 1})]
    assert "secret" not in str([item.payload for item in news])
    readers = {f"user:{agreed.users[name].pk}" for name in ("reader1", "reader2")}
    assert readers <= {item.audience for item in news if item.type == "worklist.changed"}


def test_the_event_says_everything_of_a_label(agreed: LabelRoom) -> None:
    item = agreed.enter()
    label = agreed.label(1, "metastatic", evidence=[item], rationale="avid")
    event = Event.objects.get(action="label.set")
    assert (event.chain, event.actor, event.subject_id) == (
        agreed.case.chain,
        agreed.users["reader1"],
        str(label.pk),
    )
    assert event.facts == {
        "consensus": str(agreed.consensus.pk),
        "version": 1,
        "label": str(label.pk),
        "number": 1,
        "node": str(agreed.node(1).node_id),
        "position": 1,
        "kind": "set",
        "value": "metastatic",
        "rationale": "avid",
        "evidence": [str(item.pk)],
        "rests_on_necrosis_alone": False,
        "role": "reader",
        "state": "labelling",
    }


def test_what_is_left_to_the_adjudicator_only_they_label(agreed: LabelRoom) -> None:
    with pytest.raises(Missing):
        agreed.label(1, "non_metastatic", by="adjudicator")
    with pytest.raises(BadInput, match="needs a rationale"):
        agreed.leave(1, rationale=" ")
    agreed.leave(1)
    for name in ("reader1", "reader2"):
        with pytest.raises(NotAllowed) as refused:
            agreed.label(1, "non_metastatic", by=name)
        assert refused.value.code == "DEFERRED"
    with pytest.raises(NotAllowed) as other:
        agreed.label(2, "non_metastatic", by="adjudicator")
    assert other.value.code == "NOT_DEFERRED"
    for number in agreed.numbers[1:]:
        agreed.label(number, "non_metastatic")
    assert agreed.consensus.state == "labelling"
    label = agreed.label(1, "indeterminate", by="adjudicator")
    assert (label.role, agreed.consensus.state) == ("adjudicator", "ready")
    with pytest.raises(NotAllowed):
        agreed.label(1, "non_metastatic", by="reader1")
    assert agreed.label(1, "non_metastatic", by="adjudicator").position == 3


def test_a_deferral_reaches_the_adjudicator_and_nobody_elses_worklist(agreed: LabelRoom) -> None:
    audience = f"user:{agreed.users['adjudicator'].pk}"
    assert not NewsItem.objects.filter(audience=audience).exists()
    agreed.leave(1)
    assert NewsItem.objects.get(audience=audience).type == "worklist.changed"
    assert (
        agreed.send("adjudicator", "GET", f"/api/consensus/{agreed.consensus.pk}").status_code
        == 200
    )


def test_others_label_nothing(agreed: LabelRoom) -> None:
    path = f"/api/consensus/{agreed.consensus.pk}/nodes/1/label"
    body = {"client": str(uuid.uuid4()), "seen": 0, "value": "non_metastatic"}
    User.objects.create_user("stranger", password=PASSWORD)
    agreed.users["stranger"] = User.objects.get(username="stranger")
    for name in ("adjudicator", "abstractor", "coordinator", "stranger"):
        answer = agreed.send(name, "PUT", path, body)
        assert answer.status_code == 404, name
    assert agreed.send("auditor", "PUT", path, body).status_code == 403
    assert not ReferenceLabel.objects.exists()


def test_a_node_that_is_not_agreed_is_missing(agreed: LabelRoom) -> None:
    path = f"/api/consensus/{agreed.consensus.pk}/nodes/99/label"
    body = {"client": str(uuid.uuid4()), "seen": 0, "value": "non_metastatic"}
    assert agreed.send("reader1", "PUT", path, body).status_code == 404


def test_the_answer_names_nobody_and_says_what_is_needed(agreed: LabelRoom) -> None:
    agreed.label(1, "non_metastatic", by="reader2")
    found = agreed.send("reader1", "GET", f"/api/consensus/{agreed.consensus.pk}").json()
    first, second, *_ = found["nodes"]
    assert (first["label"]["by"], first["needs"]) == ("other", [])
    assert (second["label"], second["needs"]) == (None, ["It has no label. Give it one."])
    assert first["possible"] == ["label", "defer"]
    assert found["labels"]["values"][0] == "metastatic"
    assert not found["signing"]["can_sign"]
    assert found["signing"]["record_hash"] == ""
    assert f"Node {second['number']}: It has no label. Give it one." in found["signing"]["missing"]
    named = agreed.send("auditor", "GET", f"/api/consensus/{agreed.consensus.pk}").json()
    assert named["nodes"][0]["label"]["by"] == "Rolf Reader"
    seen = agreed.send("coordinator", "GET", f"/api/consensus/{agreed.consensus.pk}").json()
    assert (seen["nodes"], seen["evidence"]) == ([], [])


def refused(statement: Any) -> None:
    with pytest.raises(DatabaseError), transaction.atomic():
        statement()


def test_the_database_itself_keeps_labels_as_they_were_given(agreed: LabelRoom) -> None:
    item = agreed.enter()
    label = agreed.label(1, "metastatic", evidence=[item])
    rows = ReferenceLabel.objects.filter(pk=label.pk)
    refused(lambda: rows.update(value="indeterminate"))
    refused(rows.delete)

    def insert(**own: Any) -> None:
        given: dict[str, Any] = {
            "node": agreed.node(1),
            "position": 2,
            "kind": "set",
            "value": "non_metastatic",
            "by": agreed.users["reader1"],
            "role": "reader",
            **own,
        }
        ReferenceLabel.objects.create(**given)

    refused(lambda: insert(position=3))
    refused(lambda: insert(value=""))
    refused(lambda: insert(value="metastatic"))
    refused(lambda: insert(value="metastatic", evidence=[str(uuid.uuid4())]))
    refused(lambda: insert(value="not_assessable"))
    refused(lambda: insert(kind="deferred", value=""))
    refused(lambda: insert(by=agreed.users["auditor"]))
    refused(lambda: insert(by=agreed.users["adjudicator"], role="adjudicator"))
    insert()
    agreed.leave(1)
    refused(lambda: insert(position=4))
    insert(position=4, by=agreed.users["adjudicator"], role="adjudicator")


def test_a_consensus_without_nodes_is_ready_at_once(ready: Site) -> None:
    for name in ("reader1", "reader2"):
        twin = Twin(ready, name)
        twin.decide_all("rejected")
        twin.look_through()
        twin.submit()
    compare(ready)
    services.settle_what_is_decided()
    consensus = ready.case.consensuses.get()
    assert (consensus.state, consensus.nodes.count()) == ("ready", 0)
