"""A newer run ends while a reading is open: who is offered what, what is taken, what stays."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np
import pytest

from backend.accounts.roles import Role
from backend.audit.models import Event, NewsItem
from backend.errors import BadInput, NotAllowed, WrongState
from backend.reading import services
from backend.reading.models import Membership, Protocol, Reading
from tests.reading.site import Site, Twin, ai_volume, build_site


def newer_volume() -> np.ndarray[Any, np.dtype[np.uint16]]:
    """The AI's first node gone, its third a slice less, and a fourth one."""
    volume = ai_volume()
    volume[volume == 1] = 0
    volume[6, 14:20, 14:20] = 0
    volume[1:3, 18:22, 2:6] = 4
    return volume


def again(site: Site, volume: np.ndarray[Any, Any] | None = None) -> dict[int, str]:
    """The coordinator has the AI look again, and it answers; label → node of its proposal."""
    site.case.refresh_from_db()
    services.presegment_again(case=site.case, actor=site.users["coordinator"])
    volume = newer_volume() if volume is None else volume
    kept = site.nodes
    site.presegment(volume)
    nodes, site.nodes = dict(enumerate(site.nodes, 1)), kept
    return nodes


def offered(site: Site, name: str = "reader1") -> Any:
    answer = site.client(name).get(f"/api/readings/{site.reading(name).pk}/proposal")
    assert answer.status_code == 200, answer.content
    return answer.json()["proposal"]


def of_kind(proposal: dict[str, Any], kind: str) -> dict[str, Any]:
    (found,) = [one for one in proposal["differences"] if one["kind"] == kind]
    return dict(found)


def source(proposal: dict[str, Any], difference: dict[str, Any]) -> dict[str, Any]:
    return {"mask": proposal["mask"], "nodes": [node["uuid"] for node in difference["nodes"]]}


def news_of(reading: Reading) -> list[NewsItem]:
    return list(NewsItem.objects.filter(audience=f"reading:{reading.pk}").order_by("seq"))


@pytest.fixture
def begun(ready: Site, twin: Twin) -> Twin:
    """The first reader accepted one node, and drew at another."""
    twin.send(twin.make("decision", node=ready.nodes[1], decision="accepted"))
    twin.send(twin.paint(ready.nodes[2], 9, (15, 15, 17, 17)))
    return twin


def test_nothing_moves_under_the_hands_of_who_reads(ready: Site, begun: Twin) -> None:
    before = ready.reading()
    again(ready)
    after = ready.reading()
    assert after.head == before.head
    assert (after.base_id, after.ai_mask_id) == (before.base_id, before.ai_mask_id)
    assert set(after.node_states.values_list("node_id", flat=True)) == set(
        before.node_states.values_list("node_id", flat=True)
    )
    told = news_of(after)[-2:]
    assert [item.type for item in told] == ["run.state", "mask_ready"]
    assert told[0].payload["state"] == "queued"
    assert told[1].payload["offered"] is True
    event = Event.objects.filter(action="case.presegmented").latest("number")
    assert event.facts["readings_offered_it"] == [str(after.pk)]
    # The other reader had not opened theirs.
    assert event.facts["readings_started_from_it"] == [str(ready.reading("reader2").pk)]
    assert ready.reading("reader2").proposed is None


def test_who_opened_a_proposal_and_changed_nothing_yet_keeps_it_on_screen(
    ready: Site, twin: Twin
) -> None:
    before = ready.reading()
    again(ready)
    after = ready.reading()
    assert (after.head, after.ai_mask_id) == (before.head, before.ai_mask_id)
    assert after.proposed_id not in (None, before.ai_mask_id)


def test_each_difference_is_told_with_its_measures_and_what_the_reader_edited(
    ready: Site, begun: Twin
) -> None:
    nodes = again(ready)
    proposal = offered(ready)
    assert proposal["head"] == begun.head
    assert proposal["model"]["name"] == "tests"
    assert len(proposal["differences"]) == 3
    gone, changed, new = (of_kind(proposal, kind) for kind in ("gone", "changed", "new"))
    assert [node["uuid"] for node in gone["present"]] == [ready.nodes[0]]
    assert gone["nodes"] == []
    assert [node["uuid"] for node in new["nodes"]] == [nodes[4]]
    assert (new["nodes"][0]["onto"], new["present"], new["dice"]) == (None, [], 0)
    assert new["nodes"][0]["measures"]["volume_mm3"] == 64
    assert sum(run[1] for part in new["nodes"][0]["slices"] for run in part["runs"]) == 32
    (present,) = changed["present"]
    assert (present["uuid"], present["edited"], present["number"]) == (ready.nodes[2], True, 3)
    assert changed["nodes"][0]["onto"] == ready.nodes[2]
    # Two slices of 36 voxels, both in the reader's three and the four voxels they drew.
    assert changed["dice"] == round(2 * 72 / (72 + 112), 4)
    assert "score" not in str(proposal)


def test_what_is_taken_is_one_undoable_change_that_names_its_source(
    ready: Site, begun: Twin
) -> None:
    again(ready)
    proposal = offered(ready)
    new = of_kind(proposal, "new")
    before, node = begun.volume.copy(), str(uuid.uuid4())
    (answer,) = begun.send(
        taken := begun.make(
            "voxels",
            nodes=[node],
            slices=new["nodes"][0]["slices"],
            proposal=source(proposal, new),
        )
    )
    assert answer["nodes"][0]["decision"] == "added"
    facts = Event.objects.filter(action="reading.changed.voxels").latest("number").facts
    assert facts["proposal"] == {
        "mask": proposal["mask"],
        "run": proposal["run"],
        "model": {"name": "tests", "version": "1", "sha256": "a" * 64},
        "nodes": [new["nodes"][0]["uuid"]],
        "taken_as_proposed": True,
    }
    assert {one["kind"] for one in offered(ready)["differences"]} == {"gone", "changed"}
    begun.send(begun.make("undo", undoes=taken["id"], inverse=begun.difference(before)))
    assert {one["kind"] for one in offered(ready)["differences"]} == {"gone", "changed", "new"}


def test_what_is_gone_is_taken_by_a_rejection_and_part_of_a_shape_is_said_to_be_part(
    ready: Site, begun: Twin
) -> None:
    again(ready)
    proposal = offered(ready)
    gone, changed = of_kind(proposal, "gone"), of_kind(proposal, "changed")
    (node,) = (one["uuid"] for one in gone["present"])
    rejected = begun.make(
        "decision",
        node=node,
        decision="rejected",
        reason="other",
        proposal=source(proposal, gone),
    )
    begun.send(rejected)
    facts = Event.objects.filter(action="reading.changed.decision").latest("number").facts
    assert (facts["proposal"]["nodes"], facts["after"]["reason"]) == ([], "other")
    part = {**changed["nodes"][0]["slices"][0], "runs": [[0, 1, 0]]}
    stroke = begun.make(
        "voxels", nodes=[ready.nodes[2]], slices=[part], proposal=source(proposal, changed)
    )
    begun.send(stroke)
    facts = Event.objects.filter(action="reading.changed.voxels").latest("number").facts
    assert facts["proposal"]["taken_as_proposed"] is False
    assert {one["kind"] for one in offered(ready)["differences"]} == {"changed", "new"}


def test_who_began_before_the_ai_answered_is_offered_all_of_it(site: Site) -> None:
    twin = Twin(site)
    twin.send(twin.paint(str(uuid.uuid4()), 1, (20, 20, 22, 22)))
    site.presegment()
    assert site.reading().head.hash == twin.head
    assert [one["kind"] for one in offered(site)["differences"]] == ["new"] * 3


def test_an_arm_without_ai_hears_of_no_run_and_takes_nothing_from_it(
    ready: Site, begun: Twin
) -> None:
    again(ready)
    proposal = offered(ready)
    Reading.objects.filter(pk=ready.reading().pk).update(arm="no_ai")
    heard = len(news_of(ready.reading()))
    again(ready, ai_volume())
    assert offered(ready) is None
    assert len(news_of(ready.reading())) == heard
    new = of_kind(proposal, "new")
    change = begun.make(
        "voxels",
        nodes=[str(uuid.uuid4())],
        slices=new["nodes"][0]["slices"],
        proposal=source(proposal, new),
    )
    with pytest.raises(BadInput) as refused:
        begun.send(change)
    assert refused.value.code == "NO_SUCH_PROPOSAL"


def test_a_protocol_may_forbid_what_comes_later(ready: Site) -> None:
    used = ready.case.protocol
    Protocol.objects.create(
        code=used.code,
        version=used.version + 1,
        name=used.name,
        design=used.design,
        definition={**used.definition, "later_proposals": False},
    )
    strict = build_site(serial=2)
    strict.presegment()
    twin = Twin(strict)
    twin.send(twin.make("decision", node=strict.nodes[1], decision="accepted"))
    again(strict)
    assert offered(strict) is None
    assert news_of(strict.reading())[-1].payload["offered"] is False


def test_a_proposal_is_its_readers_alone(ready: Site, begun: Twin) -> None:
    again(ready)
    path = f"/api/readings/{ready.reading().pk}/proposal"
    assert ready.client("auditor").get(path).json() == {"proposal": None}
    for name in ("reader2", "coordinator", "adjudicator"):
        assert ready.client(name).get(path).status_code == 404, name


def test_a_change_names_no_proposal_but_one_that_was_offered(ready: Site, begun: Twin) -> None:
    node = ready.nodes[0]
    earlier = {"mask": ready.reading().ai_mask.hash, "nodes": []}  # type: ignore[union-attr]
    for given in (
        earlier,
        {"mask": "0" * 64, "nodes": []},
        {"mask": "x", "nodes": []},
        {"mask": "0" * 64},
        {"mask": "0" * 64, "nodes": ["x"]},
        "newer",
    ):
        change = begun.make("decision", node=node, decision="accepted", proposal=given)
        with pytest.raises(BadInput):
            begun.send(change)
        begun.parents = list(ready.reading().head.manifest.parents)
    again(ready)
    stranger = {"mask": offered(ready)["mask"], "nodes": [str(uuid.uuid4())]}
    change = begun.make("decision", node=node, decision="accepted", proposal=stranger)
    with pytest.raises(BadInput):
        begun.send(change)


def test_nothing_is_offered_once_a_reading_is_signed(ready: Site, begun: Twin) -> None:
    again(ready)
    assert offered(ready) is not None
    begun.decide_all()
    begun.look_through()
    begun.submit()
    assert offered(ready) is None
    signed = ready.reading()
    again(ready, ai_volume())
    after = ready.reading()
    assert (after.proposed_id, after.ai_mask_id) == (signed.proposed_id, signed.ai_mask_id)
    assert offered(ready) is None


def test_the_ai_looks_again_only_for_a_coordinator_and_one_run_at_a_time(
    ready: Site, begun: Twin
) -> None:
    with pytest.raises(NotAllowed):
        services.presegment_again(case=ready.case, actor=ready.users["reader1"])
    path = f"/cases/{ready.case.pk}/presegment"
    for name in ("reader1", "auditor"):
        assert ready.client(name).post(path).status_code in (403, 404), name
    assert ready.client("coordinator").post(path).status_code == 302
    ready.case.refresh_from_db()
    assert ready.case.ai_state == "queued"
    with pytest.raises(WrongState) as refused:
        services.presegment_again(case=ready.case, actor=ready.users["coordinator"])
    assert "under way" in str(refused.value)


def test_no_run_is_made_that_would_reach_nobody(ready: Site, twin: Twin) -> None:
    for name in ("reader1", "reader2"):
        reader = twin if name == "reader1" else Twin(ready, name)
        reader.decide_all()
        reader.look_through()
        reader.submit()
    with pytest.raises(WrongState) as refused:
        services.presegment_again(case=ready.case, actor=ready.users["coordinator"])
    assert "signed" in str(refused.value)


def test_a_newer_run_that_fails_leaves_what_the_earlier_one_proposed(
    ready: Site, begun: Twin
) -> None:
    services.presegment_again(case=ready.case, actor=ready.users["coordinator"])
    run = ready.run()
    services.on_run_changed(run, "dead", {"message": "The worker ran out of memory."})
    ready.case.refresh_from_db()
    assert ready.case.ai_state == "ready"
    assert "ran out of memory" in ready.case.ai_message
    assert offered(ready) is None


def test_a_run_under_way_is_cancelled_from_the_reading_by_who_may(ready: Site, begun: Twin) -> None:
    services.presegment_again(case=ready.case, actor=ready.users["coordinator"])
    reader, path = ready.client("reader1"), f"/api/readings/{ready.reading().pk}"
    assert reader.get(path).json()["ai"]["cancel"] is None
    Membership.objects.create(
        project=ready.case.project, user=ready.users["reader1"], role=Role.COORDINATOR.value
    )
    address = reader.get(path).json()["ai"]["cancel"]
    assert address == f"/api/runs/{ready.run().pk}/cancel"
    assert reader.post(address).status_code == 200
    told = reader.get(path).json()["ai"]
    assert (told["cancel"], told["state"]) == (None, "ready")
    assert news_of(ready.reading())[-1].payload["state"] == "ready"
