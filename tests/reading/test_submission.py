"""What submitting asks for, what it binds, and that it is final."""

from __future__ import annotations

import hashlib
import json
import uuid

import numpy as np
import pytest
from django.db import DatabaseError, IntegrityError, transaction

from backend.audit import history
from backend.audit.models import Event
from backend.errors import NotAllowed, WrongState
from backend.imaging.masks import effective
from backend.reading import maskstore, services
from backend.reading.checks import NodeFacts, checks_of, merged
from backend.reading.models import (
    Change,
    Mask,
    NodeState,
    Protocol,
    Reading,
    Signature,
)
from backend.reading.services.guards import stage_of
from tests.reading.site import Site, Twin


def missing(twin: Twin) -> set[str]:
    with pytest.raises(WrongState) as refused:
        twin.submit()
    assert refused.value.code == "INCOMPLETE"
    return {check["code"] for check in refused.value.extra["checks"] if not check["ok"]}


def test_submit_asks_for_every_decision_every_reason_and_every_plane(
    ready: Site, twin: Twin
) -> None:
    planes = {"PLANE_AXIAL", "PLANE_CORONAL", "PLANE_SAGITTAL"}
    assert missing(twin) == {"NODE_UNDECIDED", *planes}
    twin.look_through()
    assert missing(twin) == {"NODE_UNDECIDED"}
    first, second, third = ready.nodes
    twin.send(twin.make("decision", node=first, decision="rejected"))
    twin.send(twin.make("decision", node=second, decision="accepted"))
    for z, (r, c) in ((6, (14, 14)), (7, (14, 14)), (8, (14, 14))):
        twin.send(twin.paint(third, z, (r, c, 20, 20), erase=True))
    assert missing(twin) == {"REASON_MISSING", "NODE_EMPTY"}
    twin.send(twin.make("decision", node=first, decision="rejected", reason="muscle"))
    twin.send(twin.make("decision", node=third, decision="rejected", reason="artefact"))
    assert twin.submit().reading.state == "submitted"


def test_the_effective_mask_is_the_head_without_rejected_nodes(ready: Site, twin: Twin) -> None:
    first, second, third = ready.nodes
    added = str(uuid.uuid4())
    twin.send(twin.make("decision", node=first, decision="rejected", reason="vessel"))
    twin.send(twin.make("decision", node=second, decision="accepted"))
    twin.send(twin.paint(third, 6, (12, 14, 15, 18)))
    twin.send(twin.paint(added, 9, (2, 2, 7, 8)))
    twin.look_through()
    twin.submit()
    reading = ready.reading()
    assert reading.effective is not None
    wanted = effective(twin.volume, [1])
    assert np.array_equal(maskstore.volume(reading.effective), wanted)
    assert reading.effective.manifest.parents == (twin.head,)
    assert reading.effective.manifest.labels == {2: second, 3: third, 4: added}
    assert reading.effective.manifest.hash == reading.effective.hash
    assert reading.head.hash == twin.head
    assert np.array_equal(maskstore.volume(reading.head), twin.volume)


def test_a_wrong_password_signs_nothing_and_is_on_record(ready: Site, twin: Twin) -> None:
    twin.decide_all()
    twin.look_through()
    with pytest.raises(NotAllowed, match="not your password"):
        twin.submit(password="guess")
    event = Event.objects.get(action="signature.refused")
    assert (event.outcome, event.chain) == ("failure", ready.case.chain)
    assert event.facts == {"reading": str(ready.reading().pk)}
    assert ready.reading().state == "open"
    assert not Signature.objects.exists()


def test_another_head_or_another_lease_is_not_signed(ready: Site, twin: Twin) -> None:
    twin.decide_all()
    twin.look_through()
    with pytest.raises(WrongState) as moved:
        twin.submit(head="0" * 64)
    assert (moved.value.code, moved.value.extra["head"]) == ("HEAD_MOVED", twin.head)
    services.take_lease(
        reading=ready.reading(), user=twin.user, client=uuid.uuid4(), take_over=True
    )
    with pytest.raises(WrongState) as lost:
        twin.submit()
    assert lost.value.code == "LEASE_LOST"


def test_the_signature_binds_name_time_meaning_and_everything_read(ready: Site, twin: Twin) -> None:
    twin.decide_all()
    node = ready.nodes[0]
    twin.send(twin.make("impression", node=node, value="metastatic", confidence=90))
    twin.look_through()
    signature = twin.submit()
    text = json.dumps(signature.record, sort_keys=True, separators=(",", ":"))
    assert hashlib.sha256(text.encode()).hexdigest() == signature.record_hash
    record = signature.record
    reading = ready.reading()
    assert (record["head"], record["effective"]) == (twin.head, reading.effective.hash)
    assert record["nodes"][0] == {
        "node": node,
        "label": 1,
        "decision": "accepted",
        "reason": "",
        "impression": "metastatic",
        "impression_reason": "",
        "confidence": 90,
        "doubt": False,
    }
    assert (signature.printed_name, signature.meaning) == ("Rita Reader", "authorship")
    event = Event.objects.get(action="reading.submitted")
    assert event.facts["record_hash"] == signature.record_hash
    assert event.facts["effective"] == record["effective"]
    assert signature.at == reading.submitted_at
    assert reading.active_seconds == pytest.approx(7.5)
    stored = list(reading.node_states.select_related("node"))
    assert reading.effective is not None
    assert services.hash_of(services.record_of(reading, reading.effective, stored)) == (
        signature.record_hash
    )


def test_a_submitted_reading_takes_nothing_more(ready: Site, twin: Twin) -> None:
    last = twin.make("decision", node=ready.nodes[0], decision="accepted")
    (answer,) = twin.send(last)
    twin.decide_all()
    twin.look_through()
    twin.submit()
    assert twin.send(last) == [answer]
    with pytest.raises(WrongState, match="takes no changes") as closed:
        twin.send(twin.make("doubt", node=ready.nodes[0], value=True))
    assert closed.value.code == "READING_CLOSED"
    assert closed.value.possible == []
    for verb in (twin.look_through, twin.submit):
        with pytest.raises(WrongState, match="takes no changes"):
            verb()
    with pytest.raises(WrongState, match="takes no changes"):
        Twin(ready)


def test_the_stage_follows_both_readers_and_the_cache_is_right(ready: Site, twin: Twin) -> None:
    for name, stage in (("reader1", "reading"), ("reader2", "read")):
        other = twin if name == "reader1" else Twin(ready, name)
        other.decide_all("rejected")
        other.look_through()
        other.submit()
        ready.case.refresh_from_db()
        assert ready.case.stage == stage == stage_of(ready.case)
    assert history.verify(chain=ready.case.chain).holds
    assert ready.reading("reader2").effective.manifest.slices == {}


def refused(statement: object) -> None:
    with pytest.raises(DatabaseError), transaction.atomic():
        statement()  # type: ignore[operator]


def test_the_database_itself_refuses_to_rewrite_what_is_written(ready: Site, twin: Twin) -> None:
    twin.decide_all()
    twin.look_through()
    twin.submit()
    reading, node = ready.reading(), ready.nodes[0]
    states = NodeState.objects.filter(reading=reading)
    refused(lambda: Mask.objects.filter(hash=twin.head).update(hash="b" * 64))
    refused(lambda: Change.objects.all().delete())
    refused(lambda: Signature.objects.update(printed_name="Someone"))
    refused(lambda: states.filter(node=node).update(doubt=True))
    refused(lambda: states.filter(node=node).delete())
    refused(lambda: Reading.objects.filter(pk=reading.pk).update(head=reading.base))
    refused(lambda: Reading.objects.filter(pk=reading.pk).update(state="open"))
    refused(lambda: Protocol.objects.filter(code="LN-CT-BLIND").update(definition={}))
    ready.case.geometry_hash = "c" * 64
    refused(ready.case.save)
    Protocol.objects.filter(code="LN-CT").update(name="Not in use, so free to change")


def test_the_database_holds_who_fills_which_slot(ready: Site) -> None:
    first, second = ready.reading("reader1"), ready.reading("reader2")

    def again(**own: object) -> None:
        Reading.objects.create(
            case=ready.case, base=first.base, head=first.head, **{"slot": "R1", **own}
        )

    for own in ({"reader": ready.users["adjudicator"]}, {"slot": "ADJ", "reader": second.reader}):
        with pytest.raises(IntegrityError), transaction.atomic():
            again(**own)
    Reading.objects.filter(pk=first.pk).update(state="withdrawn")
    again(reader=ready.users["adjudicator"])
    refused(lambda: Reading.objects.filter(pk=second.pk).update(lease=uuid.uuid4()))
    refused(lambda: Reading.objects.filter(pk=second.pk).update(state="submitted"))
    refused(
        lambda: NodeState.objects.filter(reading=second).update(reason="vessel", decision="added")
    )


def facts(**own: object) -> NodeFacts:
    base: dict[str, object] = {
        "node": uuid.uuid4(),
        "label": 1,
        "from_ai": True,
        "decision": "accepted",
        "reason": "",
        "empty": False,
        "measurable": True,
    }
    return NodeFacts(**(base | own))  # type: ignore[arg-type]


@pytest.mark.parametrize(("seen", "ok"), [([[0, 79]], True), ([[0, 78]], False), ([], False)])
def test_four_fifths_of_the_axial_slices_are_enough(seen: list[list[int]], ok: bool) -> None:
    checks = checks_of([], {"axial": seen}, (100, 9, 9), ["axial"], {"axial": 0.8})
    assert [check.ok for check in checks] == [ok]
    assert "80%" in checks[0].text.replace(" ", "")


def test_warnings_never_keep_anyone_from_submitting() -> None:
    (warning, decided) = checks_of([facts(measurable=False)], {}, (9, 9, 9), [], {})
    assert {warning.code, decided.code} == {"NOT_MEASURABLE", "NODES_DECIDED"}
    assert warning.ok
    assert decided.ok


def test_an_added_node_emptied_again_is_no_ones_business() -> None:
    assert (
        checks_of([facts(from_ai=False, decision="added", empty=True)], {}, (9, 9, 9), [], {}) == []
    )


def test_ranges_seen_are_merged() -> None:
    assert merged([[5, 9], [0, 2], [3, 3], [8, 12], [20, 20]]) == [[0, 3], [5, 12], [20, 20]]
