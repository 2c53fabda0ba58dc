"""Two readers submit; what they disagree on is found, recorded and told, once."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.db import DatabaseError, IntegrityError, transaction
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob

from backend.accounts.models import User
from backend.accounts.roles import Role
from backend.audit import history
from backend.audit.models import Event, NewsItem
from backend.errors import NotAllowed, WrongState
from backend.reading import maskstore, services, tasks
from backend.reading.models import Cluster, Comparison, Discrepancy, Mask, Protocol
from backend.reading.services import comparing
from backend.reading.services.guards import stage_of
from tests.reading.site import PASSWORD, SHAPE, Site, Twin, build_site


def jobs(site: Site) -> list[str]:
    """States of the case's comparison jobs."""
    found = ProcrastinateJob.objects.filter(
        task_name=comparing.TASK, args={"case": str(site.case.pk)}
    )
    return list(found.values_list("status", flat=True))


def finish(twin: Twin) -> None:
    """Accept whatever is undecided, look, sign."""
    reading = twin.site.reading(twin.name)
    for state in reading.node_states.filter(decision="undecided"):
        twin.send(twin.make("decision", node=str(state.node_id), decision="accepted"))
    twin.look_through()
    twin.submit()


def two_readers(site: Site) -> tuple[Twin, Twin]:
    """Both read: 1 is rejected by one, 2 is the same, 3 differs a little; one small node extra."""
    first, second = Twin(site), Twin(site, "reader2")
    one, two, three = site.nodes
    first.send(first.make("decision", node=one, decision="rejected", reason="vessel"))
    first.send(first.paint(str(uuid.uuid4()), 10, (2, 2, 5, 5)))
    second.send(second.paint(three, 7, (14, 20, 20, 21)))
    second.send(second.make("impression", node=two, value="non_metastatic"))
    finish(first)
    finish(second)
    return first, second


def compare(site: Site) -> Comparison:
    """What the work process does with the job."""
    tasks.compare(str(site.case.pk))
    site.case.refresh_from_db()
    return Comparison.objects.get(case=site.case)


@pytest.fixture
def read(ready: Site) -> Site:
    """A case both readers have submitted."""
    two_readers(ready)
    return ready


def by_outcome(comparison: Comparison) -> dict[str, Cluster]:
    return {cluster.outcome: cluster for cluster in comparison.clusters.all()}


def test_the_second_submission_queues_one_comparison_and_the_first_none(ready: Site) -> None:
    finish(Twin(ready))
    assert jobs(ready) == []
    assert not Comparison.objects.exists()
    finish(Twin(ready, "reader2"))
    assert jobs(ready) == ["todo"]
    comparison = Comparison.objects.get()
    assert (comparison.first.slot, comparison.second.slot) == ("R1", "R2")
    assert (comparison.state, comparison.case) == ("queued", ready.case)


def test_a_submission_rolled_back_leaves_no_job(ready: Site) -> None:
    finish(Twin(ready))
    second = Twin(ready, "reader2")
    second.decide_all()
    second.look_through()

    def submit_and_fail() -> None:
        with transaction.atomic():
            second.submit()
            assert jobs(ready) == ["todo"]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        submit_and_fail()
    assert jobs(ready) == []
    assert not Comparison.objects.exists()
    second.submit()
    assert jobs(ready) == ["todo"]


def test_what_two_readers_disagree_on_is_found_and_the_rest_settled_by_rule(read: Site) -> None:
    comparison = compare(read)
    assert (comparison.state, comparison.message) == ("made", "")
    found = by_outcome(comparison)
    assert set(found) == {"open", "settled", "identical", "ignored"}
    one, two, three = read.nodes
    assert [node["node"] for node in found["open"].second_nodes] == [one]
    assert found["open"].first_nodes == []
    assert [node["node"] for node in found["settled"].first_nodes] == [three]
    assert [node["node"] for node in found["identical"].first_nodes] == [two]
    assert not found["identical"].discrepancies.exists()
    opened = found["open"].discrepancies.get()
    assert (opened.state, opened.resolution, opened.by_rule) == ("open", "", False)
    assert [trigger["kind"] for trigger in opened.triggers] == ["presence"]
    ignored = found["ignored"].discrepancies.get()
    assert (ignored.state, ignored.resolution, ignored.by_rule) == ("resolved", "ignore", True)
    assert "is below 5 mm" in ignored.rationale
    settled = found["settled"].discrepancies.get()
    assert (settled.state, settled.resolution, settled.by_rule) == ("resolved", "mean", True)
    assert settled.triggers == []
    assert settled.geometry["rule"] == "mean_signed_distance"
    assert len(comparison.facts["pairs"]) == 2
    assert comparison.facts["rules"] == read.case.protocol.definition["comparison"]


def test_the_settled_shape_is_a_mask_between_both_readers_borders(read: Site) -> None:
    comparison = compare(read)
    cluster = by_outcome(comparison)["settled"]
    assert comparison.settled is not None
    assert comparison.settled.manifest.hash == comparison.settled.hash
    assert comparison.settled.manifest.labels == {cluster.number: read.nodes[2]}
    shape = maskstore.volume(comparison.settled) == cluster.number
    sides = [read.reading(name).effective for name in ("reader1", "reader2")]
    assert comparison.settled.manifest.parents == tuple(mask.hash for mask in sides)
    a, b = (maskstore.volume(mask) == 3 for mask in sides)
    assert not (a & b & ~shape).any()
    assert not (shape & ~(a | b)).any()
    assert cluster.discrepancies.get().geometry["voxels"] == int(np.count_nonzero(shape))


def test_every_decision_of_a_rule_is_an_event_on_the_cases_chain(read: Site) -> None:
    comparison = compare(read)
    chain = Event.objects.filter(chain=read.case.chain)
    made = chain.get(action="comparison.made")
    assert made.subject_id == str(comparison.pk)
    assert made.facts["outcomes"] == {"identical": 1, "settled": 1, "ignored": 1, "open": 1}
    assert made.facts["x"] == ("first" if comparison.x_is_first else "second")
    found = by_outcome(comparison)
    for action, outcome in (
        ("discrepancy.settled_by_rule", "settled"),
        ("discrepancy.ignored_by_rule", "ignored"),
    ):
        event = chain.get(action=action)
        assert event.number > made.number
        assert event.subject_id == str(found[outcome].discrepancies.get().pk)
        assert event.reason == found[outcome].discrepancies.get().rationale
    assert history.verify(chain=read.case.chain).holds


def test_both_readings_are_compared_and_both_readers_told_then_and_not_before(
    read: Site,
) -> None:
    names = ("reader1", "reader2")
    audiences = [f"user:{read.users[name].pk}" for name in names]
    audiences += [f"reading:{read.reading(name).pk}" for name in names]
    before = {a: NewsItem.objects.filter(audience=a).count() for a in audiences}
    assert not NewsItem.objects.filter(type__startswith="comparison").exists()
    comparison = compare(read)
    assert [read.reading(name).state for name in names] == ["compared", "compared"]
    assert read.case.stage == "compared" == stage_of(read.case)
    for audience in audiences:
        news = list(NewsItem.objects.filter(audience=audience).order_by("seq"))[before[audience] :]
        kind = "worklist.changed" if audience.startswith("user") else "comparison.made"
        assert [item.type for item in news] == [kind]
    assert news[0].payload == {"comparison": str(comparison.pk)}


def counts() -> list[int]:
    models: tuple[Any, ...] = (Comparison, Cluster, Discrepancy, Mask, Event, NewsItem)
    return [model.objects.count() for model in models]


def test_comparing_again_changes_nothing(read: Site) -> None:
    compare(read)
    before = counts()
    compare(read)
    assert services.compare_readings(case=read.case) is None
    assert counts() == before


def test_a_late_second_worker_changes_nothing(read: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    computing = comparing._compute

    def overtaken(comparison: Comparison) -> Any:
        computed = computing(comparison)
        monkeypatch.setattr(comparing, "_compute", computing)
        compare(read)
        counted.extend(counts())
        return computed

    counted: list[int] = []
    monkeypatch.setattr(comparing, "_compute", overtaken)
    assert compare(read).state == "made"
    assert counts() == counted


def test_two_readers_who_did_the_same_have_nothing_to_settle(ready: Site) -> None:
    for name in ("reader1", "reader2"):
        finish(Twin(ready, name))
    comparison = compare(ready)
    assert {cluster.outcome for cluster in comparison.clusters.all()} == {"identical"}
    assert not Discrepancy.objects.exists()
    assert comparison.settled is None


def test_two_readers_who_found_nothing_are_compared_too(ready: Site) -> None:
    for name in ("reader1", "reader2"):
        twin = Twin(ready, name)
        twin.decide_all("rejected")
        finish(twin)
    comparison = compare(ready)
    assert (comparison.state, comparison.clusters.count()) == ("made", 0)
    assert ready.case.stage == "compared"


def test_readers_are_shown_in_a_random_order_that_only_the_secret_gives(settings: Any) -> None:
    names = [uuid.UUID(int=n) for n in range(200)]
    order = [comparing._x_is_first(name) for name in names]
    assert 60 < sum(order) < 140
    assert order == [comparing._x_is_first(name) for name in names]
    settings.SECRET_KEY = "another site"
    assert order != [comparing._x_is_first(name) for name in names]


def broken(*_: Any) -> None:
    raise RuntimeError("A slice is gone.")


def test_a_failure_says_why_and_can_be_tried_again(
    read: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(comparing, "compare", broken)
        comparison = compare(read)
    assert (comparison.state, comparison.message) == ("failed", "A slice is gone.")
    event = Event.objects.get(action="comparison.failed")
    assert (event.outcome, event.reason) == ("failure", "A slice is gone.")
    assert read.reading().state == "submitted"
    with pytest.raises(NotAllowed):
        services.compare_again(case=read.case, actor=read.users["reader1"])
    services.compare_again(case=read.case, actor=read.users["coordinator"])
    assert jobs(read) == ["todo"]
    assert compare(read).state == "made"
    with pytest.raises(WrongState, match=r"No comparison .* has failed"):
        services.compare_again(case=read.case, actor=read.users["coordinator"])


def test_what_a_dead_work_process_left_is_offered_again_three_times(read: Site) -> None:
    comparison = Comparison.objects.get()
    assert services.offer_comparisons_again() == 0

    def stale(attempts: int) -> None:
        Comparison.objects.filter(pk=comparison.pk).update(
            touched=timezone.now() - timedelta(minutes=10), attempts=attempts
        )

    stale(attempts=2)
    assert services.offer_comparisons_again() == 1
    assert services.offer_comparisons_again() == 0
    assert jobs(read) == ["todo"]
    stale(attempts=3)
    assert services.offer_comparisons_again() == 0
    comparison.refresh_from_db()
    assert comparison.state == "failed"
    assert "ended 3 times" in comparison.message


def test_a_protocol_without_rules_compares_nothing(db: None) -> None:
    protocol = Protocol.objects.get(code="LN-CT-BLIND")
    del protocol.definition["comparison"]
    protocol.save()
    site = build_site()
    for name in ("reader1", "reader2"):
        twin = Twin(site, name)
        twin.send(twin.paint(str(uuid.uuid4()), 5, (2, 2, 8, 8)))
        finish(twin)
    assert jobs(site) == []
    assert site.case.readings.filter(state="submitted").count() == 2


def refused(statement: Any) -> None:
    with pytest.raises(DatabaseError), transaction.atomic():
        statement()


def test_the_database_keeps_a_made_comparison_as_it_is(read: Site) -> None:
    comparison = compare(read)
    cluster = comparison.clusters.first()
    assert cluster is not None
    opened = Discrepancy.objects.filter(state="open")
    decided = Discrepancy.objects.filter(state="resolved")
    refused(lambda: Comparison.objects.update(message="x"))
    refused(lambda: Comparison.objects.update(x_is_first=not comparison.x_is_first))
    refused(lambda: comparison.clusters.update(shared_voxels=1))
    refused(lambda: comparison.clusters.all().delete())
    refused(lambda: opened.update(triggers=[]))
    refused(lambda: opened.delete())
    refused(lambda: opened.update(state="resolved"))
    refused(lambda: opened.update(state="resolved", resolution="X", decided_at=timezone.now()))
    refused(lambda: opened.update(by_rule=True))
    refused(lambda: decided.update(state="open", resolution="", by_rule=False, decided_at=None))
    cluster.pk, cluster.number = uuid.uuid4(), 99
    refused(lambda: cluster.save(force_insert=True))
    refused(lambda: opened.update(state="proposed"))


def test_the_database_compares_two_submitted_readings_of_one_case_once(ready: Site) -> None:
    first, second = ready.reading("reader1"), ready.reading("reader2")

    def insert(**own: Any) -> None:
        given: dict[str, Any] = {"case": ready.case, "first": first, "second": second}
        Comparison.objects.create(x_is_first=True, touched=timezone.now(), **(given | own))

    refused(insert)
    two_readers(ready)
    with pytest.raises(IntegrityError), transaction.atomic():
        insert()
    refused(lambda: insert(second=first))
    refused(lambda: insert(state="made", first=second, second=first))
    refused(lambda: Comparison.objects.update(first=second, second=first))
    refused(lambda: Comparison.objects.update(state="failed"))


def test_voxels_are_compared_as_submitted_not_as_drawn(ready: Site) -> None:
    first, _ = two_readers(ready)
    assert (first.volume == 1).any()
    comparison = compare(ready)
    labels = [node["label"] for c in comparison.clusters.all() for node in c.first_nodes]
    assert 1 not in labels
    assert first.volume.shape == SHAPE


@pytest.mark.parametrize("before", ["made", "failed"])
def test_a_new_round_is_compared_anew(
    ready: Site, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    two_readers(ready)
    with monkeypatch.context() as patch:
        if before == "failed":
            patch.setattr(comparing, "compare", broken)
        old = compare(ready)
    assert old.state == before
    returned = ready.reading("reader2")
    type(returned).objects.filter(pk=returned.pk).update(state="returned")
    third = User.objects.create_user("reader3", password=PASSWORD)
    services.grant_role(project=ready.case.project, user=third, role=Role.READER, actor=None)
    services.assign(case=ready.case, slot="R2", reader=third, actor=None)
    ready.users["reader3"] = third
    finish(Twin(ready, "reader3"))
    tasks.compare(str(ready.case.pk))
    ready.case.refresh_from_db()
    new = Comparison.objects.get(second=ready.reading("reader3"))
    assert (new.state, new.first) == ("made", ready.reading("reader1"))
    assert ready.case.stage == "compared" == stage_of(ready.case)
    assert Comparison.objects.filter(pk=old.pk).exists() == (before == "made")


def test_a_reading_returned_meanwhile_is_not_compared(read: Site) -> None:
    reading = read.reading("reader1")
    type(reading).objects.filter(pk=reading.pk).update(state="returned")
    comparison = compare(read)
    assert comparison.state == "failed"
    assert "Cannot compare a reading that is returned" in comparison.message
    assert read.reading("reader2").state == "submitted"
