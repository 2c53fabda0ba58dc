"""Timelines and exports of a consensus that was reopened: both versions stay and are told apart."""

from __future__ import annotations

import csv
import io
import uuid

import pytest

from backend.reading import services
from backend.reading.consensus_record import hash_of, record_of_consensus
from backend.reading.models import Consensus
from backend.reports import exporting, timeline_shapes
from backend.reports import services as reports
from backend.reports.timeline_life import life_of
from backend.reports.timeline_room import events_of, story_of
from backend.store import store
from tests.reports import story
from tests.reports.room import PASSWORD, Room
from tests.reports.test_pages import text_of

WHY = "Pathology came in late."


@pytest.fixture(scope="module")
def reopened(made_room: Room) -> Room:
    """Published, reopened with one decision to make again, settled otherwise, published again."""
    room = made_room
    first = story.published(room)
    again = next(
        d
        for d in first.discrepancies.all()
        if room.nodes[3] in {n["node"] for n in d.cluster.first_nodes + d.cluster.second_nodes}
    )
    second = services.reopen_consensus(
        consensus=first,
        actor=room.users["coordinator"],
        client=uuid.uuid4(),
        reason=WHY,
        discrepancies=[again.pk],
    )
    found = second.discrepancies.get(cluster=again.cluster)
    story.agree_on(room, found, "union", "It is a node after all.")
    second.refresh_from_db()
    for node in second.nodes.all():
        if not node.labels.exists():
            services.set_label(
                consensus=second,
                number=node.number,
                user=room.users["reader1"],
                client=uuid.uuid4(),
                seen=0,
                value="non_metastatic",
            )
    for name in ("reader1", "reader2", "adjudicator"):
        second = Consensus.objects.get(pk=second.pk)
        services.sign_consensus(
            consensus=second,
            user=room.users[name],
            client=uuid.uuid4(),
            record_hash=hash_of(record_of_consensus(second)),
            password=PASSWORD,
        )
    assert Consensus.objects.get(pk=second.pk).state == "published"
    return room


@pytest.fixture
def case(reopened: Room, room: Room) -> Room:
    return room


def test_the_timeline_says_why_it_was_reopened_and_what_was_kept(case: Room):
    text = text_of(case.client("auditor").get(f"/cases/{case.case.pk}/timeline/"))
    for words in (
        "Consensus version 1 reopened",
        WHY,
        "Consensus version 2 opened",
        "1 opened again",
        "Consensus version 1 superseded",
        "Consensus version 2 published",
        "It is a node after all.",
    ):
        assert words in text, words


def test_the_life_of_a_node_holds_what_both_versions_made_of_it(case: Room):
    found = story_of(case.case)
    life = life_of(
        case.nodes[3],
        events_of(case.case),
        found.folded,
        found.cast,
        lambda mask: timeline_shapes.manifest_of(case.case, mask),
    )
    assert [(version, uuid_) for version, _, uuid_ in life.agreed] == [(2, case.nodes[3])]
    assert "Version 1 of the consensus made no node of it" in life.ended
    groups = [step.group for step in life.steps if step.lane == "settling"]
    assert groups == sorted(groups)
    assert set(groups) == {"1", "2"}
    page = case.client("auditor").get(f"/cases/{case.case.pk}/nodes/{case.nodes[3]}/")
    assert "version 2" in text_of(page)


def test_labels_that_were_carried_over_say_what_they_were(case: Room):
    page = case.client("auditor").get(f"/cases/{case.case.pk}/nodes/{case.nodes[5]}/")
    assert text_of(page).count("metastatic") >= 2


def test_both_versions_are_exported_each_with_its_own_nodes(case: Room):
    counts = []
    for version in (1, 2):
        consensus = Consensus.objects.get(case=case.case, version=version)
        export = reports.request_consensus_export(
            consensus=consensus, file_format="csv", actor=case.users["auditor"]
        )
        export = exporting.make_export(export.pk)
        assert (export.state, export.message) == ("ready", "")
        data = store().read(export.blob).decode("utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(data)))
        assert {row["version"] for row in rows} == {str(version)}
        assert all(row["label"] for row in rows)
        counts.append(len(rows))
    assert counts == [5, 6]
