"""Two readers settle what they disagree on; what they cannot, the adjudicator does. Once each."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.db import DatabaseError, transaction
from django.utils import timezone

from backend.accounts.models import User
from backend.accounts.roles import Role
from backend.audit import history
from backend.audit.models import Event, NewsItem
from backend.errors import BadInput, ConcordError, Missing, NotAllowed, WrongState
from backend.imaging.masks import canonical_json
from backend.reading import services
from backend.reading.models import (
    Comparison,
    Consensus,
    ConsensusNode,
    Discrepancy,
    Mask,
    Protocol,
    Reading,
    Step,
)
from backend.reading.services import settling, shapes
from backend.store import store
from tests.reading.consensus_room import Room
from tests.reading.site import PASSWORD, Site, Twin, build_site
from tests.reading.test_comparing import compare, finish

WHY = "The border to the vessel is seen here."


@pytest.fixture
def room(ready: Site) -> Room:
    """A compared case of which something is to be settled."""
    return Room(ready)


class Table:
    """Who sits where, and one discrepancy that both readers have."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.users = room.site.users
        self.one, self.other = self.users["reader1"], self.users["reader2"]
        self.found = next(
            d for d in room.discrepancies() if d.cluster.first_nodes and d.cluster.second_nodes
        )

    def fresh(self) -> Discrepancy:
        self.found = Discrepancy.objects.select_related("cluster").get(pk=self.found.pk)
        return self.found

    def act(self, verb: str, user: User | str, **given: Any) -> Step:
        """Do something, as it stands now."""
        person = self.users[user] if isinstance(user, str) else user
        now = self.fresh()
        asked = {"client": uuid.uuid4(), "seen": now.version, "rationale": WHY}
        if verb in ("propose", "resolve"):
            asked["resolution"] = "union"
        if verb == "agree":
            asked["step"] = now.proposal_id or uuid.uuid4()
        done: Step = getattr(services, verb)(discrepancy=now, user=person, **{**asked, **given})
        self.fresh()
        return done


@pytest.fixture
def table(room: Room) -> Table:
    """The first discrepancy that both readers have a node in."""
    return Table(room)


def refused(verb: Any, code: str, kind: type[ConcordError] = WrongState) -> ConcordError:
    """Must raise that error; whatever it began is rolled back."""
    with pytest.raises(kind) as caught, transaction.atomic():
        verb()
    assert caught.value.code == code
    return caught.value


def forbidden(statement: Any) -> None:
    """The database itself must refuse."""
    with pytest.raises(DatabaseError), transaction.atomic():
        statement()


def test_a_comparison_opens_the_first_version_with_all_there_is_to_settle(room: Room) -> None:
    consensus = room.consensus
    assert (consensus.version, consensus.state, consensus.supersedes) == (1, "draft", None)
    assert consensus.comparison == room.comparison
    states = set(consensus.discrepancies.values_list("state", "by_rule"))
    assert states == {("open", False), ("resolved", True)}
    event = Event.objects.get(action="consensus.opened")
    assert event.facts["version"] == 1
    assert [c["number"] for c in event.facts["clusters"]] == [
        cluster.number for cluster in room.comparison.clusters.order_by("number")
    ]


def test_one_proposes_and_the_other_agrees(table: Table) -> None:
    step = table.act("propose", "reader1", resolution="X")
    assert (table.found.state, table.found.version, table.found.proposal) == ("proposed", 1, step)
    assert (step.role, step.action, step.resolution) == ("reader", "propose", "X")
    agreed = table.act("agree", "reader2", rationale="Yes.")
    assert (table.found.state, table.found.resolution) == ("resolved", "X")
    assert (table.found.version, table.found.proposal, table.found.decision) == (2, None, agreed)
    assert table.found.rationale == f"{WHY} · Yes."
    assert (agreed.proposal, agreed.resolution) == (step, "X")
    assert not table.found.by_rule


def test_every_step_is_an_event_with_all_that_is_needed_to_tell_it_again(table: Table) -> None:
    step = table.act(
        "propose", "reader1", resolution="redrawn", shape=table.room.shape(4, (9, 9, 12, 12))
    )
    table.act("agree", "reader2", rationale="")
    proposed = Event.objects.get(action="discrepancy.proposed")
    assert proposed.chain == table.room.site.case.chain
    assert (proposed.reason, proposed.actor_id) == (WHY, table.one.pk)
    assert step.mask is not None
    wanted = {
        "consensus": str(table.room.consensus.pk),
        "cluster": table.found.cluster.number,
        "version": 1,
        "role": "reader",
        "resolution": "redrawn",
        "mask": step.mask.hash,
        "step": str(step.pk),
    }
    assert wanted.items() <= proposed.facts.items()
    agreed = Event.objects.get(action="discrepancy.agreed")
    assert (agreed.facts["proposal"], agreed.facts["mask"]) == (str(step.pk), step.mask.hash)
    assert history.verify(chain=table.room.site.case.chain).holds


def test_both_readers_and_the_coordinator_hear_of_a_step_and_an_adjudicator_of_a_deferral(
    table: Table,
) -> None:
    def told(since: int) -> list[tuple[str, str]]:
        items = NewsItem.objects.filter(id__gt=since).order_by("id")
        return list(items.values_list("audience", "type"))

    def last() -> int:
        return NewsItem.objects.order_by("id").values_list("id", flat=True).last() or 0

    audience = table.room.consensus.audience
    everybody = {
        (audience, "discrepancy.changed"),
        (f"user:{table.one.pk}", "worklist.changed"),
        (f"user:{table.other.pk}", "worklist.changed"),
        (f"coordinators:{table.room.consensus.case.project_id}", "case.changed"),
    }
    before = last()
    table.act("propose", "reader1")
    assert set(told(before)) == everybody
    item = NewsItem.objects.filter(audience=audience).latest("id")
    assert item.payload == {"discrepancy": str(table.found.pk), "version": 1, "state": "proposed"}
    before = last()
    table.act("defer", "reader2")
    assert set(told(before)) == {
        *everybody,
        (f"user:{table.users['adjudicator'].pk}", "worklist.changed"),
    }


def test_a_new_proposal_takes_the_place_of_the_last_whoever_made_it(table: Table) -> None:
    first = table.act("propose", "reader1", resolution="X")
    second = table.act("propose", "reader1", resolution="Y")
    third = table.act("propose", "reader2", resolution="absent")
    assert (table.found.version, table.found.proposal) == (3, third)
    for gone in (first, second):
        refused(lambda gone=gone: table.act("agree", "reader1", step=gone.pk), "MOVED_ON")
    table.act("agree", "reader1")
    assert table.found.resolution == "absent"


def test_nobody_agrees_to_a_proposal_of_their_own(table: Table) -> None:
    table.act("propose", "reader1")
    error = refused(lambda: table.act("agree", "reader1"), "OWN_PROPOSAL", NotAllowed)
    assert set(error.possible) == {"propose", "defer"}
    assert table.fresh().state == "proposed"


def test_agreeing_that_it_cannot_be_told_leaves_it(table: Table) -> None:
    table.act("propose", "reader1", resolution="indeterminate")
    step = table.act("agree", "reader2", rationale="")
    assert (table.found.state, table.found.resolution) == ("indeterminate", "")
    assert (step.action, table.found.decision) == ("leave", step)
    assert Event.objects.filter(action="discrepancy.left").count() == 1


def test_either_reader_alone_defers_and_then_the_adjudicators_word_ends_it(table: Table) -> None:
    refused(lambda: table.act("resolve", "adjudicator"), "NOT_FOUND", Missing)
    table.act("propose", "reader1")
    table.act("defer", "reader2")
    assert (table.found.state, table.found.proposal) == ("deferred", None)
    for verb in ("propose", "agree", "defer"):
        error = refused(lambda verb=verb: table.act(verb, "reader1"), "WRONG_STATE")
        assert error.possible == []
        refused(lambda verb=verb: table.act(verb, "adjudicator"), "NOT_YOURS", NotAllowed)
    refused(lambda: table.act("resolve", "reader1"), "NOT_YOURS", NotAllowed)
    step = table.act("resolve", "adjudicator", resolution="Y", rationale="A vessel enters it.")
    assert (table.found.state, table.found.resolution) == ("resolved", "Y")
    assert (step.role, table.found.decision) == ("adjudicator", step)
    assert table.found.rationale == "A vessel enters it."


def test_the_adjudicator_may_leave_it_too(table: Table) -> None:
    table.act("defer", "reader1")
    step = table.act("resolve", "adjudicator", resolution="indeterminate")
    assert (table.found.state, step.action) == ("indeterminate", "leave")


def test_the_adjudicator_ends_nothing_that_was_not_left_to_them(table: Table) -> None:
    left = next(
        d for d in table.room.discrepancies() if d.pk != table.found.pk and d.state == "open"
    )
    services.defer(discrepancy=left, user=table.other, client=uuid.uuid4(), seen=0, rationale=WHY)
    table.act("propose", "reader1")
    for resolution in ("union", "indeterminate"):
        error = refused(
            lambda given=resolution: table.act("resolve", "adjudicator", resolution=given),
            "WRONG_STATE",
        )
        assert error.possible == []
    assert table.fresh().state == "proposed"


def test_a_reader_who_is_an_adjudicator_too_never_ends_what_they_read(table: Table) -> None:
    services.grant_role(
        project=table.room.site.case.project, user=table.one, role=Role.ADJUDICATOR, actor=None
    )
    table.act("defer", "reader2")
    refused(lambda: table.act("resolve", "reader1"), "NOT_YOURS", NotAllowed)


@pytest.mark.parametrize("name", ["coordinator", "auditor"])
def test_who_oversees_a_case_decides_nothing_of_it(table: Table, name: str) -> None:
    for verb in ("propose", "agree", "defer", "resolve"):
        refused(lambda verb=verb: table.act(verb, name), "NOT_YOURS", NotAllowed)


def test_for_a_stranger_there_is_nothing_to_decide(table: Table) -> None:
    stranger = User.objects.create_user("stranger", password=PASSWORD)
    for verb in ("propose", "agree", "defer", "resolve"):
        refused(lambda verb=verb: table.act(verb, stranger), "NOT_FOUND", Missing)


def test_the_same_act_again_is_answered_as_it_was_whatever_happened_since(table: Table) -> None:
    client = uuid.uuid4()
    asked = {"client": client, "seen": 0, "resolution": "X"}
    first = table.act("propose", "reader1", **asked)
    assert first.answer["discrepancy"]["state"] == "proposed"
    assert first.answer["discrepancy"]["proposal"]["step"] == str(client)
    table.act("agree", "reader2")
    events = Event.objects.count()
    again = table.act("propose", "reader1", **asked)
    assert (again.pk, again.answer) == (first.pk, first.answer)
    assert Event.objects.count() == events
    refused(lambda: table.act("propose", "reader1", **asked | {"resolution": "Y"}), "CLIENT_REUSED")
    refused(lambda: table.act("propose", "reader2", **asked), "CLIENT_REUSED")
    refused(lambda: table.act("defer", "reader1", client=client, seen=0), "CLIENT_REUSED")


def test_who_decides_on_what_is_no_longer_so_is_told_what_changed(table: Table) -> None:
    table.act("propose", "reader1", resolution="Y")
    error = refused(lambda: table.act("propose", "reader2", seen=0), "MOVED_ON")
    told = error.extra
    assert (told["discrepancy"]["version"], told["discrepancy"]["state"]) == (1, "proposed")
    assert [(step["by"], step["resolution"]) for step in told["since"]] == [("other", "Y")]
    assert "agree" in told["discrepancy"]["possible"]
    assert table.fresh().version == 1


@pytest.mark.parametrize("rationale", ["", "   ", "x" * 1001])
def test_whoever_decides_says_why(table: Table, rationale: str) -> None:
    for verb in ("propose", "defer"):
        refused(
            lambda verb=verb: table.act(verb, "reader1", rationale=rationale),
            "RATIONALE_NEEDED",
            BadInput,
        )
    table.act("defer", "reader1")
    refused(
        lambda: table.act("resolve", "adjudicator", rationale=rationale),
        "RATIONALE_NEEDED",
        BadInput,
    )
    assert not Step.objects.filter(action__in=["propose", "resolve"]).exists()


@pytest.mark.parametrize("resolution", ["mean", "ignore", "", "x", "both"])
def test_only_what_the_protocol_names_can_be_proposed(table: Table, resolution: str) -> None:
    error = refused(
        lambda: table.act("propose", "reader1", resolution=resolution), "BAD_RESOLUTION", BadInput
    )
    assert error.possible == [
        "X", "Y", "AI", "union", "intersection", "redrawn", "absent", "indeterminate",
    ]  # fmt: skip


@pytest.fixture
def without_ai(db: None) -> None:
    """A protocol that does not show the AI while its readers settle."""
    protocol = Protocol.objects.get(code="LN-CT-BLIND")
    protocol.definition["settling"]["show_ai"] = False
    protocol.save()


def test_where_the_protocol_hides_the_ai_there_is_none(without_ai: None, ready: Site) -> None:
    table = Table(Room(ready))
    error = refused(
        lambda: table.act("propose", "reader1", resolution="AI"), "BAD_RESOLUTION", BadInput
    )
    assert "AI" not in error.message
    assert "AI" not in error.possible


def test_what_would_leave_nothing_is_refused_before_it_is_proposed(table: Table) -> None:
    added = next(
        d
        for d in table.room.discrepancies()
        if [n["node"] for n in d.cluster.first_nodes] == [table.room.added]
    )
    table.found = added
    for resolution, code in (("AI", "NO_AI_SHAPE"), ("intersection", "NO_INTERSECTION")):
        refused(lambda r=resolution: table.act("propose", "reader1", resolution=r), code)
    assert not Step.objects.exists()
    table.act("propose", "reader1", resolution="absent")


def shape_of(table: Table, **changed: Any) -> dict[str, Any]:
    part = table.room.shape(4, (2, 2, 5, 5))["slices"][0]
    return {"slices": [{**part, **changed}]}


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"runs": []}, "EMPTY_SHAPE"),
        ({"runs": [[0, 9, 0]]}, "EMPTY_SHAPE"),
        ({"runs": [[0, 9, 2]]}, "BAD_CHANGE"),
        ({"runs": [[0, 10, 1]]}, "BAD_CHANGE"),
        ({"sop": "1.2.3"}, "BAD_CHANGE"),
        ({"box": [0, 0, 25, 25]}, "BAD_CHANGE"),
        ({"odd": 4}, "BAD_CHANGE"),
    ],
)
def test_a_shape_is_judged_as_a_change_of_voxels_is(
    table: Table, changed: dict[str, Any], code: str
) -> None:
    shape = shape_of(table, **changed)
    masks = Mask.objects.count()
    refused(
        lambda: table.act("propose", "reader1", resolution="redrawn", shape=shape), code, BadInput
    )
    assert Mask.objects.count() == masks


def test_a_shape_belongs_to_a_redrawn_node_and_to_nothing_else(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = shape_of(table)
    for given in ({"resolution": "redrawn"}, {"resolution": "X", "shape": shape}):
        refused(lambda given=given: table.act("propose", "reader1", **given), "BAD_SHAPE", BadInput)
    odd = {**shape, "nodes": []}
    refused(
        lambda: table.act("propose", "reader1", resolution="redrawn", shape=odd),
        "BAD_CHANGE",
        BadInput,
    )
    monkeypatch.setattr(shapes, "LARGEST_SHAPE", 50)
    refused(
        lambda: table.act("propose", "reader1", resolution="redrawn", shape=shape),
        "BODY_TOO_LARGE",
        BadInput,
    )


def test_a_redrawn_shape_is_kept_as_a_mask_of_the_case_by_the_person(table: Table) -> None:
    step = table.act("propose", "reader1", resolution="redrawn", shape=shape_of(table))
    mask = step.mask
    assert mask is not None
    assert (mask.kind, mask.author, mask.reading) == ("redrawn", table.one, None)
    assert store().read(mask.hash) == canonical_json(mask.manifest_json)
    again = table.act("propose", "reader2", resolution="redrawn", shape=shape_of(table))
    assert again.mask is not None
    assert (again.mask.author, again.mask.pk != mask.pk) == (table.other, True)
    agreed = table.act("agree", "reader1")
    assert agreed.mask == again.mask


def settle(room: Room, resolution: str = "X") -> None:
    """Both readers decide all that is open."""
    table = Table(room)
    for found in room.discrepancies(state="open"):
        table.found = found
        table.act("propose", "reader1", resolution=resolution)
        table.act("agree", "reader2")


def test_the_last_decision_settles_the_consensus_and_then_nothing_is_decided(room: Room) -> None:
    last = Table(room)
    settle(room, "Y")
    consensus = room.consensus
    assert consensus.state == "labelling"
    assert consensus.mask is not None
    assert consensus.settled_at is not None
    last.fresh()
    for verb, name in (("propose", "reader1"), ("agree", "reader2"), ("defer", "reader1")):
        refused(lambda verb=verb, name=name: last.act(verb, name), "CONSENSUS_CLOSED")
    actions = list(
        Event.objects.filter(chain=room.site.case.chain)
        .order_by("number")
        .values_list("action", flat=True)
    )
    assert actions.index("consensus.settled") > max(
        at for at, action in enumerate(actions) if action.startswith("discrepancy.")
    )
    told = NewsItem.objects.filter(audience=consensus.audience, type="consensus.changed")
    assert told.latest("id").payload == {"state": "labelling"}


def test_the_answer_to_the_last_decision_says_where_the_consensus_stands(room: Room) -> None:
    table = Table(room)
    *others, table.found = room.discrepancies(state="open")
    for found in others:
        own = Table(room)
        own.found = found
        own.act("propose", "reader1", resolution="absent")
        assert own.act("agree", "reader2").answer["consensus"]["state"] == "draft"
    table.act("propose", "reader1", resolution="indeterminate")
    answer = table.act("agree", "reader2").answer
    assert answer["consensus"]["state"] == "labelling"
    assert answer["consensus"]["counts"]["indeterminate"] == 1
    assert answer["discrepancy"]["possible"] == []


def broken(*_: Any, **__: Any) -> None:
    raise RuntimeError("A slice is gone.")


def test_a_last_decision_that_cannot_be_settled_is_not_made(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = Table(room)
    *others, table.found = room.discrepancies(state="open")
    for found in others:
        own = Table(room)
        own.found = found
        own.act("propose", "reader1")
        own.act("agree", "reader2")
    table.act("propose", "reader1")
    steps = Step.objects.count()

    with monkeypatch.context() as patch:
        patch.setattr("backend.reading.services.agreed.build", broken)
        with pytest.raises(RuntimeError), transaction.atomic():
            table.act("agree", "reader2")
    assert (table.fresh().state, Step.objects.count()) == ("proposed", steps)
    table.act("agree", "reader2")
    assert room.consensus.state == "labelling"


def test_two_who_did_the_same_have_a_consensus_at_once(ready: Site) -> None:
    for name in ("reader1", "reader2"):
        finish(Twin(ready, name))
    compare(ready)
    consensus = Consensus.objects.get()
    assert (consensus.state, consensus.nodes.count()) == ("labelling", 3)
    assert set(consensus.nodes.values_list("origin", flat=True)) == {"identical"}


def test_two_who_found_nothing_agree_on_that(ready: Site) -> None:
    for name in ("reader1", "reader2"):
        twin = Twin(ready, name)
        twin.decide_all("rejected")
        finish(twin)
    compare(ready)
    consensus = Consensus.objects.get()
    assert consensus.mask is not None
    assert (consensus.state, consensus.nodes.count(), consensus.ignored) == ("ready", 0, None)


def test_readers_whose_reading_was_returned_settle_nothing(table: Table) -> None:
    Reading.objects.filter(pk=table.room.comparison.second_id).update(state="returned")
    for verb in ("propose", "defer"):
        refused(lambda verb=verb: table.act(verb, "reader1"), "NOT_FOUND", Missing)


def test_a_new_round_replaces_what_was_not_finished(room: Room) -> None:
    site, before = room.site, room.consensus
    Reading.objects.filter(pk=room.comparison.second_id).update(state="returned")
    third = User.objects.create_user("reader3", password=PASSWORD)
    services.grant_role(project=site.case.project, user=third, role=Role.READER, actor=None)
    services.assign(case=site.case, slot="R2", reader=third, actor=None)
    site.users["reader3"] = third
    finish(Twin(site, "reader3"))
    services.compare_readings(case=site.case)
    before.refresh_from_db()
    after = room.consensus
    assert (before.state, before.published_at) == ("superseded", None)
    assert (after.version, after.supersedes, after.state) == (2, before, "draft")
    event = Event.objects.get(action="consensus.superseded")
    assert event.facts["by"] == str(after.pk)


def test_drafts_of_before_with_nothing_open_are_settled_by_the_work_process(
    ready: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("reader1", "reader2"):
        finish(Twin(ready, name))
    with monkeypatch.context() as patch:
        patch.setattr("backend.reading.services.comparing.settle_if_nothing_open", lambda *_: False)
        compare(ready)
    assert Consensus.objects.get().state == "draft"
    with monkeypatch.context() as patch:
        patch.setattr(settling, "settle_if_nothing_open", broken)
        assert services.settle_what_is_decided() == 0
    assert services.settle_what_is_decided() == 0  # Not by this process any more.
    monkeypatch.setattr(settling, "_left", set())
    assert services.settle_what_is_decided() == 1
    assert Consensus.objects.get().state == "labelling"
    assert services.settle_what_is_decided() == 0


def test_a_protocol_from_before_settling_allows_everything_but_the_ai(db: None) -> None:
    protocol = Protocol.objects.get(code="LN-CT-BLIND")
    del protocol.definition["settling"]
    protocol.save()
    site = build_site()
    site.presegment()
    table = Table(Room(site))
    refused(lambda: table.act("propose", "reader1", resolution="AI"), "BAD_RESOLUTION", BadInput)
    table.act("propose", "reader1", resolution="union")


def test_the_database_lets_nobody_step_out_of_turn(table: Table) -> None:
    proposal = table.act("propose", "reader1")
    found = table.found

    def step(**own: Any) -> Step:
        given: dict[str, Any] = {
            "id": uuid.uuid4(),
            "discrepancy": found,
            "position": 2,
            "actor": table.other,
            "role": "reader",
            "action": "agree",
            "resolution": "union",
            "proposal": proposal,
            "body_hash": "0" * 64,
        }
        return Step.objects.create(**{**given, **own})

    forbidden(lambda: step(actor=table.one))
    forbidden(lambda: step(position=3))
    forbidden(lambda: step(position=1))
    forbidden(lambda: step(resolution="X"))
    forbidden(lambda: step(proposal=None, rationale="why"))
    forbidden(lambda: step(action="propose", proposal=None, rationale=""))
    forbidden(lambda: step(action="propose", proposal=None, rationale="why", resolution="mean"))
    forbidden(lambda: step(action="propose", proposal=None, rationale="w", resolution="redrawn"))
    forbidden(lambda: step(action="resolve", proposal=None, rationale="why"))
    forbidden(lambda: step(action="resolve", role="adjudicator", proposal=None, rationale="why"))
    for name in ("adjudicator", "coordinator"):
        forbidden(lambda name=name: step(actor=table.users[name]))
    forbidden(lambda: Step.objects.update(rationale="x"))
    forbidden(lambda: Step.objects.update(answer={"x": 1}))
    forbidden(lambda: Step.objects.all().delete())
    same = Discrepancy.objects.filter(pk=found.pk)
    forbidden(lambda: same.update(state="open", proposal=None))
    forbidden(lambda: same.update(version=2))
    forbidden(lambda: same.update(state="deferred", proposal=None, version=2))
    step()
    forbidden(lambda: step(id=uuid.uuid4()))
    decided = {"state": "resolved", "resolution": "union", "decided_at": timezone.now()}
    forbidden(lambda: same.update(**decided, proposal=None, version=2, rationale="why"))


def test_the_database_keeps_what_was_settled(room: Room) -> None:
    draft = Consensus.objects.filter(pk=room.consensus.pk)
    other = Mask.objects.filter(kind="effective").first()
    forbidden(lambda: draft.update(state="labelling", mask=other, settled_at=timezone.now()))
    forbidden(lambda: draft.update(state="published"))
    forbidden(lambda: draft.update(version=2))
    forbidden(lambda: draft.delete())
    settle(room, "union")
    settled = Consensus.objects.get()
    same = Consensus.objects.filter(pk=settled.pk)
    forbidden(lambda: same.update(mask=other))
    forbidden(lambda: same.update(facts={}))
    forbidden(lambda: same.update(settled_at=timezone.now()))
    forbidden(lambda: same.update(state="draft"))
    forbidden(lambda: same.update(published_at=timezone.now(), record_hash="0" * 64))
    forbidden(lambda: settled.nodes.update(origin="X"))
    forbidden(lambda: settled.nodes.all().delete())
    node = ConsensusNode.objects.first()
    assert node is not None
    node.pk, node.number = uuid.uuid4(), 99
    forbidden(lambda: node.save(force_insert=True))
    forbidden(lambda: Discrepancy.objects.update(rationale="x"))
    cluster = settled.comparison.clusters.filter(outcome="identical").first()
    assert cluster is not None
    forbidden(lambda: Discrepancy.objects.create(consensus=settled, cluster=cluster, triggers=[]))
    for version in (1, 3):
        forbidden(
            lambda version=version: Consensus.objects.create(
                case=settled.case, comparison=settled.comparison, version=version
            )
        )
    forbidden(
        lambda: Consensus.objects.create(
            case=settled.case, comparison=Comparison.objects.get(), version=2, state="labelling"
        )
    )
