"""Evidence: entered by the abstractor, sealed until nodes are agreed, withdrawn with a reason."""

from __future__ import annotations

import datetime
import uuid
from typing import Any

import pytest
from django.db import DatabaseError, transaction
from django.utils import timezone

from backend.audit.models import Event, NewsItem
from backend.errors import BadInput, NotAllowed, WrongState
from backend.reading import services
from backend.reading.label_selectors import labelled_nodes
from backend.reading.models import ConsensusSignature, Evidence
from backend.reading.services.evidence import Entry
from tests.reading.labels_room import LabelRoom, day
from tests.reading.site import Site

CANARY = "canary-in-the-pathology-report"


@pytest.fixture
def room(ready: Site) -> LabelRoom:
    """Two readers compared; one thing to settle."""
    return LabelRoom(ready)


@pytest.fixture
def agreed(room: LabelRoom) -> LabelRoom:
    """The nodes are agreed on."""
    room.settle()
    return room


def body(**own: Any) -> dict[str, Any]:
    return {
        "client": str(uuid.uuid4()),
        "kind": "PET",
        "result": "positive",
        "date": "2026-03-14",
        "source": "PET/CT report",
        "scope": "patient",
        **own,
    }


def test_an_abstractor_enters_before_anything_is_read(room: LabelRoom) -> None:
    path = f"/api/cases/{room.case.pk}/evidence"
    answer = room.send("abstractor", "POST", path, body())
    assert answer.status_code == 200, answer.content
    found = answer.json()["evidence"]
    assert (found["days_from_study"], found["counts_as_positive"]) == (10, True)
    assert found["text"] == (
        "PET of 2026-03-14, 10 days after the CT: positive, of the patient as a whole."
    )
    assert room.send("abstractor", "GET", path).json() == {"evidence": [found]}


def test_what_does_not_count_is_kept_and_says_so(room: LabelRoom) -> None:
    path = f"/api/cases/{room.case.pk}/evidence"
    found = room.send("abstractor", "POST", path, body(date="2026-06-30")).json()["evidence"]
    assert not found["counts_as_positive"]
    assert "118 days after the CT" in found["why_not"]


def test_all_that_keeps_it_from_counting_is_said_and_the_cure_once(room: LabelRoom) -> None:
    path = f"/api/cases/{room.case.pk}/evidence"
    given = body(result="negative", date="2026-06-30")
    found = room.send("abstractor", "POST", path, given).json()["evidence"]
    assert found["why_not"] == (
        "PET: negative does not count, only positive does. "
        "The PET is 118 days after the CT; within 92 days it would count. "
        "Rest the label on other evidence."
    )


def test_faults_stand_beside_their_fields(room: LabelRoom) -> None:
    path = f"/api/cases/{room.case.pk}/evidence"
    answer = room.send("abstractor", "POST", path, body(kind="HIST", date=None, scope="side_level"))
    assert answer.status_code == 400
    assert set(answer.json()["fields"]) == {"date", "side", "level", "procedure", "correspondence"}
    assert not Evidence.objects.exists()


def test_the_same_entry_again_is_one(room: LabelRoom) -> None:
    path, given = f"/api/cases/{room.case.pk}/evidence", body()
    first = room.send("abstractor", "POST", path, given).json()
    assert room.send("abstractor", "POST", path, given).json() == first
    assert Evidence.objects.count() == 1
    assert Event.objects.filter(action="evidence.entered").count() == 1
    answer = room.send("abstractor", "POST", path, {**given, "result": "negative"})
    assert (answer.status_code, answer.json()["error"]) == (409, "CLIENT_REUSED")


@pytest.mark.parametrize("changed", [{"date": "2026-03-15"}, {"known_at": "2026-03-20"}])
def test_a_corrected_day_is_never_taken_for_the_same_entry(
    room: LabelRoom, changed: dict[str, str]
) -> None:
    path, given = f"/api/cases/{room.case.pk}/evidence", body()
    room.send("abstractor", "POST", path, given)
    answer = room.send("abstractor", "POST", path, given | changed)
    assert (answer.status_code, answer.json()["error"]) == (409, "CLIENT_REUSED")


def test_a_corrected_place_is_never_taken_for_the_same_entry(room: LabelRoom) -> None:
    path = f"/api/cases/{room.case.pk}/evidence"
    given = body(scope="side_level", side="R", level="IIA")
    assert room.send("abstractor", "POST", path, given).status_code == 200
    assert room.send("abstractor", "POST", path, given).status_code == 200
    answer = room.send("abstractor", "POST", path, given | {"side": "L"})
    assert (answer.status_code, answer.json()["error"]) == (409, "CLIENT_REUSED")


def test_the_event_holds_all_of_it(agreed: LabelRoom) -> None:
    item = agreed.enter("HIST", known_at=day(21))
    event = Event.objects.get(action="evidence.entered")
    assert (event.subject_id, event.chain) == (str(item.pk), agreed.case.chain)
    assert event.facts == {
        "id": str(item.pk),
        "kind": "HIST",
        "result": "positive",
        "date": "2026-03-14",
        "known_at": "2026-03-25",
        "source": "report",
        "scope": "node",
        "node": str(agreed.node(1).node_id),
        "number": 1,
        "side": "",
        "level": "",
        "details": {"procedure": "excision", "correspondence": "the largest node"},
        "entered_by": str(agreed.users["abstractor"].pk),
        "days_from_study": 10,
        "counts_as_positive": True,
        "text": "Histology of 2026-03-14, 10 days after the CT: positive by excision, node 1 "
        "(the largest node).",
    }


def outside(room: LabelRoom, name: str) -> list[Any]:
    """Everything somebody may try to learn of evidence."""
    case, consensus = room.case.pk, room.consensus.pk
    some = Evidence.objects.values_list("pk", flat=True).first() or uuid.UUID(int=7)
    fixed = body(client=str(uuid.UUID(int=9)))
    answers = [
        room.send(name, "GET", f"/api/cases/{case}/evidence"),
        room.send(name, "POST", f"/api/cases/{case}/evidence", fixed),
        room.send(name, "POST", f"/api/cases/{case}/evidence", {}),
        room.send(name, "POST", f"/api/evidence/{some}/withdraw", {"reason": "x"}),
        room.send(name, "GET", "/evidence/"),
        room.send(name, "GET", f"/evidence/{case}/"),
        room.send(name, "POST", f"/evidence/{case}/enter"),
        room.send(name, "POST", f"/evidence/items/{some}/withdraw"),
        room.send(name, "GET", f"/api/consensus/{consensus}"),
        room.send(name, "PUT", f"/api/consensus/{consensus}/nodes/1/label", {
            "client": str(uuid.UUID(int=8)), "seen": 0, "value": "metastatic",
            "evidence": [str(some)],
        }),
        room.send(name, "POST", f"/api/consensus/{consensus}/sign", {
            "client": str(uuid.UUID(int=8)), "record_hash": "0" * 64, "password": "wrong",
        }),
        room.send(name, "GET", f"/api/cases/{case}/comparison"),
        room.send(name, "GET", "/api/worklist"),
        room.send(name, "GET", "/"),
        room.send(name, "GET", f"/cases/{case}/"),
    ]  # fmt: skip
    found = []
    for answer in answers:
        text = answer.content.decode()
        assert CANARY not in text
        assert str(some) not in text.replace(f'value="{some}"', "")
        found.append((answer.status_code, len(text) if "csrf" not in text else None))
    return found


@pytest.mark.parametrize("name", ["reader1", "reader2", "adjudicator", "coordinator"])
def test_before_the_nodes_are_agreed_nobody_who_reads_learns_of_evidence(
    room: LabelRoom, name: str
) -> None:
    before = outside(room, name)
    news = NewsItem.objects.count()
    for kind in ("PET", "PET"):
        room.enter(kind, source=CANARY, details={"tracer": CANARY})
    hidden = room.enter(source=CANARY)
    services.withdraw_evidence(evidence=hidden, user=room.users["abstractor"], reason=CANARY)
    assert NewsItem.objects.count() == news
    assert outside(room, name) == before


def test_from_labelling_on_the_readers_see_it_and_are_told(room: LabelRoom) -> None:
    room.enter(source=CANARY)
    room.settle()
    for name in ("reader1", "reader2"):
        (item,) = room.send(name, "GET", f"/api/consensus/{room.consensus.pk}").json()["evidence"]
        assert item["source"] == CANARY
        path = f"/api/cases/{room.case.pk}/evidence"
        assert room.send(name, "GET", path).json()["evidence"] == [item]
    room.enter()
    (news,) = NewsItem.objects.filter(type="evidence.changed")
    assert (news.audience, news.payload) == (room.consensus.audience, {})
    path = f"/api/cases/{room.case.pk}/evidence"
    for name, status in (("coordinator", 404), ("adjudicator", 404), ("auditor", 200)):
        assert room.send(name, "GET", path).status_code == status, name
    room.leave(1)
    assert room.send("adjudicator", "GET", path).status_code == 200


def test_what_comes_after_publication_waits_for_the_next_version(room: LabelRoom) -> None:
    room.enter()
    room.publish()
    before = NewsItem.objects.count()
    room.enter(source=CANARY)
    assert NewsItem.objects.count() == before
    answer = room.send("reader1", "GET", f"/api/consensus/{room.consensus.pk}")
    assert len(answer.json()["evidence"]) == 1
    assert CANARY not in answer.content.decode()
    (found,) = room.consensus.discrepancies.filter(by_rule=False)
    room.reopen(found)
    assert room.consensus.state == "draft"
    for path in (f"/api/consensus/{room.consensus.pk}", f"/api/cases/{room.case.pk}/evidence"):
        assert CANARY not in room.send("reader1", "GET", path).content.decode()
    room.settle("X")
    answer = room.send("reader1", "GET", f"/api/consensus/{room.consensus.pk}")
    assert CANARY in answer.content.decode()


def test_who_reads_enters_the_necrosis_they_see_and_nothing_else(agreed: LabelRoom) -> None:
    with pytest.raises(NotAllowed) as refused:
        agreed.enter("PET", by="reader1")
    assert refused.value.code == "NECROSIS_ONLY"
    item = agreed.enter("NECR", by="reader1")
    assert (item.node, item.date) == (agreed.node(1), None)
    with pytest.raises(NotAllowed):
        agreed.enter("NECR", by="auditor")
    agreed.label_all()
    agreed.sign("reader1")
    with pytest.raises(WrongState) as signing:
        agreed.enter("NECR", by="reader2")
    assert "Object to it first" in str(signing.value)


def test_necrosis_names_a_slice_of_this_very_ct(agreed: LabelRoom) -> None:
    with pytest.raises(BadInput) as refused:
        agreed.enter("NECR", by="reader1", details={"slice_index": 12})
    assert set(refused.value.extra["fields"]) == {"slice_index"}


def test_withdrawing_makes_the_label_incomplete_again(agreed: LabelRoom) -> None:
    item = agreed.enter()
    agreed.label(1, "metastatic", evidence=[item])
    agreed.label_all()
    assert agreed.consensus.state == "ready"
    services.withdraw_evidence(
        evidence=item, user=agreed.users["abstractor"], reason="another patient"
    )
    assert agreed.consensus.state == "labelling"
    assert labelled_nodes(agreed.consensus)[0].needs == (
        "Evidence its label rests on was withdrawn (another patient). Label it again.",
    )
    with pytest.raises(BadInput) as refused:
        agreed.label(1, "metastatic", evidence=[item])
    assert refused.value.code == "EVIDENCE_WITHDRAWN"
    agreed.label(1, "metastatic", evidence=[agreed.enter("HIST")])
    assert agreed.consensus.state == "ready"


def test_withdrawing_while_it_is_signed_voids_the_signatures(agreed: LabelRoom) -> None:
    item = agreed.enter()
    agreed.label(1, "metastatic", evidence=[item])
    agreed.label_all()
    signature = agreed.sign("reader1")
    services.withdraw_evidence(evidence=item, user=agreed.users["abstractor"], reason="an error")
    signature.refresh_from_db()
    assert (agreed.consensus.state, signature.void_reason) == (
        "labelling",
        "Evidence was withdrawn: an error",
    )
    event = Event.objects.get(action="consensus.objected")
    assert event.facts["voided"] == [str(signature.pk)]
    assert ConsensusSignature.objects.count() == 1


def test_a_reader_takes_signatures_away_by_objecting_alone(agreed: LabelRoom) -> None:
    item = agreed.enter("NECR", by="reader1")
    agreed.label(1, "metastatic", evidence=[item])
    agreed.label_all()
    signature = agreed.sign("reader2")
    path = f"/api/evidence/{item.pk}/withdraw"
    answer = agreed.send("reader1", "POST", path, {"reason": "not so"})
    assert (answer.status_code, answer.json()["error"]) == (409, "WRONG_STATE")
    signature.refresh_from_db()
    assert (agreed.consensus.state, signature.void_reason) == ("signing", "")
    item.refresh_from_db()
    assert item.withdrawn_at is None


def test_what_no_label_rests_on_is_withdrawn_without_ado(agreed: LabelRoom) -> None:
    item = agreed.enter()
    agreed.label_all()
    services.withdraw_evidence(evidence=item, user=agreed.users["abstractor"], reason="twice")
    assert agreed.consensus.state == "ready"


def test_what_a_published_label_rests_on_is_not_withdrawn(agreed: LabelRoom) -> None:
    item = agreed.enter()
    agreed.label(1, "metastatic", evidence=[item])
    agreed.publish()
    path = f"/api/evidence/{item.pk}/withdraw"
    answer = agreed.send("abstractor", "POST", path, {"reason": "an error"})
    assert (answer.status_code, answer.json()["error"]) == (409, "PUBLISHED")
    assert answer.json()["message"].startswith("The label of node 1 in version 1")
    assert "reopen the consensus first" in answer.json()["cure"]
    with pytest.raises(DatabaseError), transaction.atomic():
        Evidence.objects.filter(pk=item.pk).update(
            withdrawn_at=timezone.now(),
            withdrawn_by=agreed.users["abstractor"],
            withdrawn_reason="past the service",
        )
    agreed.reopen()
    assert agreed.consensus.state == "ready"
    assert agreed.send("abstractor", "POST", path, {"reason": "an error"}).status_code == 200
    assert agreed.consensus.state == "labelling"
    assert agreed.version(1).state == "published"


def test_who_did_not_enter_it_does_not_withdraw_it(agreed: LabelRoom) -> None:
    item, own = agreed.enter(), agreed.enter("NECR", by="reader1")
    for name, one in (("reader1", item), ("reader2", own), ("auditor", item)):
        path = f"/api/evidence/{one.pk}/withdraw"
        assert agreed.send(name, "POST", path, {"reason": "x"}).status_code == 403, name
    path = f"/api/evidence/{own.pk}/withdraw"
    assert agreed.send("reader1", "POST", path, {"reason": "not so"}).status_code == 200
    again = agreed.send("reader1", "POST", path, {"reason": "not so"})
    assert (again.status_code, again.json()["evidence"]["withdrawn"]) == (200, "not so")
    assert agreed.send("reader1", "POST", path, {"reason": "else"}).status_code == 409


def refused(statement: Any) -> None:
    with pytest.raises(DatabaseError), transaction.atomic():
        statement()


def test_the_database_itself_keeps_evidence_as_it_was_entered(agreed: LabelRoom) -> None:
    item = agreed.enter()
    rows = Evidence.objects.filter(pk=item.pk)
    refused(lambda: rows.update(result="negative"))
    refused(rows.delete)
    refused(lambda: rows.update(withdrawn_at=timezone.now()))
    services.withdraw_evidence(evidence=item, user=agreed.users["abstractor"], reason="twice")
    refused(lambda: rows.update(withdrawn_reason="else"))

    def insert(**own: Any) -> None:
        given: dict[str, Any] = {
            "case": agreed.case,
            "kind": "PET",
            "result": "positive",
            "date": datetime.date(2026, 3, 14),
            "source": "report",
            "scope": "patient",
            "entered_by": agreed.users["abstractor"],
            **own,
        }
        Evidence.objects.create(**given)

    refused(lambda: insert(result="regression"))
    refused(lambda: insert(date=None))
    refused(lambda: insert(source=""))
    refused(lambda: insert(kind="NECR", result="present", date=None))
    refused(lambda: insert(scope="side_level", side="R"))
    refused(lambda: insert(scope="node"))
    refused(lambda: insert(entered_by=agreed.users["reader1"]))
    insert()


# The abstractor's pages.


def form(**own: Any) -> dict[str, Any]:
    given = {
        "kind": "PET",
        "client": str(uuid.uuid4()),
        "result": "positive",
        "date": "2026-03-14",
        "scope": "side_level",
        "side": "R",
        "level": "IIA",
        "source": "PET/CT report",
    }
    return {**given, **own}


def test_the_abstractors_pages_show_no_image_no_reading_and_no_readers_name(
    room: LabelRoom,
) -> None:
    room.enter()
    client = room.client("abstractor")
    assert client.get("/").headers["Location"] == "/evidence/"
    listed = client.get("/evidence/").content.decode()
    page = client.get(f"/evidence/{room.case.pk}/").content.decode()
    for text in (listed, page):
        assert room.case.subject.pseudonym in text
        assert room.case.label in text
        for name in ("Rita", "Rolf", "viewer", "/dicom-web", room.case.series_uid):
            assert name not in text
        assert 'href="/evidence/"' in text
    assert "Not agreed yet" in page
    room.settle()
    page = client.get(f"/evidence/{room.case.pk}/").content.decode()
    assert page.count("data-node=") == len(room.numbers)
    for node in room.consensus.nodes.all():
        assert str(node.node_id) not in page
    consensus = room.consensus.pk
    for path in (f"/api/consensus/{consensus}", f"/api/cases/{room.case.pk}/comparison", "/cases/"):
        assert client.get(path).status_code == 404, path


def test_the_form_keeps_what_is_complete_and_says_whether_it_counts(room: LabelRoom) -> None:
    client = room.client("abstractor")
    path = f"/evidence/{room.case.pk}/enter"
    answer = client.post(path, form(suv_max="8,4"), follow=True)
    assert "Kept. PET of 2026-03-14" in answer.content.decode()
    assert Evidence.objects.get().details == {"suv_max": 8.4}
    answer = client.post(path, form(date="2026-07-14"), follow=True)
    assert "It makes no node metastatic" in answer.content.decode()


def test_a_wrong_form_keeps_nothing_and_shows_each_fault_beside_its_field(room: LabelRoom) -> None:
    client = room.client("abstractor")
    path = f"/evidence/{room.case.pk}/enter"
    answer = client.post(path, form(date="14.3.2026", source="", suv_max="high"))
    text = answer.content.decode()
    assert answer.status_code == 400
    assert "Write the date as year, month and day" in text
    assert "Enter a number, for example 12.5." in text
    answer = client.post(path, form(source="", level=""))
    text = answer.content.decode()
    assert 'id="err-source"' in text
    assert 'id="err-level"' in text
    assert 'value="IIA" selected' not in text
    assert 'value="R" selected' in text
    assert not Evidence.objects.exists()
    odd = client.post(path, form(kind="odd", scope="odd", node="one", client="odd"))
    assert odd.status_code == 400


def test_a_number_of_an_older_version_is_not_taken_for_one_of_now(agreed: LabelRoom) -> None:
    agreed.label_all()
    agreed.publish()
    agreed.reopen()
    assert agreed.consensus.version == 2
    given = form(scope="node", node="1", version="1", source="Ward report 7")
    path = f"/evidence/{agreed.case.pk}/enter"
    page = agreed.client("abstractor").post(path, given)
    text = page.content.decode()
    assert page.status_code == 400
    assert "numbered anew in version 2" in text
    assert 'name="version" value="2"' in text
    assert "Ward report 7" in text
    assert 'value="1" selected' not in text
    sent = body(scope="node", node=1, version=1)
    api = f"/api/cases/{agreed.case.pk}/evidence"
    answer = agreed.send("abstractor", "POST", api, sent)
    assert (answer.status_code, answer.json()["error"]) == (409, "MOVED_ON")
    unnumbered = agreed.send("abstractor", "POST", api, body(scope="node", node=1))
    assert set(unnumbered.json()["fields"]) == {"node"}
    assert not Evidence.objects.exists()
    kept = agreed.send("abstractor", "POST", api, body(scope="node", node=1, version=2))
    assert kept.status_code == 200
    assert Evidence.objects.get().node == agreed.node(1)


def test_withdrawing_on_the_page_needs_a_reason(room: LabelRoom) -> None:
    item = room.enter()
    client = room.client("abstractor")
    path = f"/evidence/items/{item.pk}/withdraw"
    assert "needs a reason" in client.post(path, {"reason": " "}, follow=True).content.decode()
    page = client.post(path, {"reason": "typed for another"}, follow=True).content.decode()
    assert "typed for another" in page
    assert "withdrawn" in page


def test_an_auditor_looks_and_enters_nothing(room: LabelRoom) -> None:
    room.enter()
    client = room.client("auditor")
    page = client.get(f"/evidence/{room.case.pk}/").content.decode()
    assert "Enter evidence" not in page
    assert "data-evidence" in page
    assert client.post(f"/evidence/{room.case.pk}/enter", form()).status_code == 404


def test_an_entry_names_the_numbers_of_agreed_nodes(agreed: LabelRoom) -> None:
    with pytest.raises(BadInput) as refused_entry:
        services.enter_evidence(
            case=agreed.case,
            user=agreed.users["abstractor"],
            client=uuid.uuid4(),
            entry=Entry("PET", "positive", "report", "node", date=day(1), node=99, version=1),
        )
    assert refused_entry.value.extra["fields"] == {"node": "Choose one of the agreed nodes."}
