"""The life of a node: each step with who, what, when, how it measured, and a picture of it."""

from __future__ import annotations

import html
import re
import uuid
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from backend.audit.models import Event
from backend.imaging.seg import tracking_uid
from backend.reading import maskstore
from backend.reading.models import Case, Consensus, Mask, Node, NodeVersion, Reading
from backend.reports import timeline_shapes
from backend.reports.timeline_life import life_of
from backend.reports.timeline_room import events_of, story_of
from backend.reports.timeline_steps import Life, Shape
from tests.reports import story
from tests.reports.room import Room, offered, wanted
from tests.reports.test_pages import text_of


@pytest.fixture(scope="module")
def told(made_room: Room) -> Room:
    """The small case, published."""
    story.published(made_room)
    return made_room


@pytest.fixture
def case(told: Room, room: Room) -> Room:
    return room


def life(room: Room, node: str) -> Life:
    found = story_of(room.case)
    manifest = lambda mask: timeline_shapes.manifest_of(room.case, mask)  # noqa: E731
    return life_of(node, events_of(room.case), found.folded, found.cast, manifest)


def page(room: Room, node: str) -> str:
    return text_of(room.client("auditor").get(f"/cases/{room.case.pk}/nodes/{node}/"))


def pictures(text: str) -> list[str]:
    return [html.unescape(src) for src in re.findall(r'<img src="([^"]+picture[^"]+)"', text)]


def lanes(found: Life) -> list[str]:
    return list(dict.fromkeys(step.lane for step in found.steps))


def test_a_life_goes_from_the_ai_to_the_label(case: Room):
    found = life(case, case.nodes[2])
    assert lanes(found) == [
        "ai", "first", "second", "compared", "settling", "agreed", "label", "signed",
    ]  # fmt: skip
    words = [step.what for step in found.steps]
    assert words[0] == "Proposed AI 2"
    assert "AI 2 marked as in doubt" in words
    assert "4 strokes on AI 2" in words
    assert "Undone: AI 2 reshaped" in words
    assert any(what.startswith("Node ") and "either drew" in what for what in words)
    assert found.steps[-1].who == "Dr Reader1, Dr Reader2 and Dr Adjudicator"
    text = page(case, case.nodes[2])
    assert tracking_uid(case.nodes[2]) in text
    assert "Both saw a part of it." in text


def test_a_rejected_node_shows_why(case: Room):
    found = life(case, case.nodes[3])
    assert found.agreed == []
    assert found.ended == [
        "Dr Reader1 signed without it: rejected (vessel)",
        "Version 1 of the consensus made no node of it",
    ]
    text = page(case, case.nodes[3])
    assert "rejected (vessel)" in text
    assert "A vessel: it goes on through all slices." in text


def test_a_node_that_took_another_s_identity_shows_both_ancestors(case: Room):
    first, second = case.nodes[6], story.OTHERS
    mine, theirs = page(case, first), page(case, second)
    assert "R2 6 as its other ancestor" in mine
    assert f'href="/cases/{case.case.pk}/nodes/{second}/"' in mine
    assert "under the identity of" in theirs
    assert f'href="/cases/{case.case.pk}/nodes/{first}/"' in theirs
    assert lanes(life(case, first)) == lanes(life(case, second))
    assert {"first", "second", "settling", "agreed"} <= set(lanes(life(case, first)))
    assert "Drawn along the fat plane." in theirs


def test_a_node_drawn_the_same_by_both_has_nothing_to_settle(case: Room):
    found = life(case, case.nodes[5])
    assert "settling" not in lanes(found)
    (agreed,) = [step for step in found.steps if step.lane == "agreed"]
    assert "drawn the same by both" in agreed.what
    assert (agreed.who, agreed.role) == ("Concord", "by rule")


def test_an_agreed_shape_is_credited_to_who_decided_it(case: Room):
    """The adjudicator decided the last cluster, and so none of the others."""
    by = {}
    for node in (case.nodes[2], case.nodes[6], case.nodes[3]):
        (agreed,) = [step for step in life(case, node).steps if step.lane == "agreed"]
        by[node] = (agreed.who, agreed.role)
    assert by == {
        case.nodes[2]: ("Dr Reader2 and Dr Reader1", "both readers"),
        case.nodes[6]: ("Dr Adjudicator", "adjudicator"),
        case.nodes[3]: ("Dr Reader2 and Dr Reader1", "both readers"),
    }


def test_an_acceptance_is_told_with_the_signature_that_seals_it(case: Room):
    steps = [step for step in life(case, case.nodes[1]).steps if step.lane == "first"]
    accepted = Event.objects.get(
        chain=case.case.chain,
        action="reading.changed.decision",
        facts__node=case.nodes[1],
        subject_id=str(case.reading.pk),
    )
    assert [step.what for step in steps] == ["AI 1 impression", "AI 1 accepted and signed"]
    assert steps[-1].detail == f"accepted at event {accepted.position}"


def test_every_step_about_a_shape_has_a_picture_a_deferral_too(case: Room):
    for node in (*case.nodes.values(), story.OTHERS):
        for step in life(case, node).steps:
            shows = step.before is not None or step.after is not None
            assert shows or step.lane in ("agreed", "evidence", "label", "signed"), step.what
    (deferred,) = [
        step for step in life(case, case.nodes[6]).steps if "to the adjudicator" in step.what
    ]
    assert deferred.before is not None
    assert deferred.after is not None
    assert deferred.sides == ("Dr Reader1", "Dr Reader2")


def test_evidence_of_a_node_stands_in_its_life_and_in_no_other(case: Room):
    consensus = Consensus.objects.get(case=case.case)
    first = str(consensus.nodes.order_by("number").values_list("node_id", flat=True)[0])
    for node in case.nodes.values():
        told = [step for step in life(case, node).steps if step.lane == "evidence"]
        assert len(told) == (node == first)
    (step,) = [step for step in life(case, first).steps if step.lane == "evidence"]
    assert "Histology of 2026-03-10" in step.detail
    assert step.who == "Dr Abstractor"


def test_a_shape_that_did_not_change_is_shown_where_its_axes_were_drawn(case: Room):
    """As the report does, which names that slice."""
    box = (0, 0, 0, *case.case.grid.shape)
    for step in life(case, case.nodes[1]).steps:
        found = timeline_shapes.difference(case.case, step.before, step.after, box)
        if found.after is not None and not (found.before and found.changed):
            assert found.slice_index == found.after.slice_index
    count = case.case.grid.shape[0]
    assert f"slice 15 of {count}" in page(case, case.nodes[1])


def test_the_ai_s_nodes_that_reach_into_a_box_are_found(case: Room):
    offered_mask = Mask.objects.get(case=case.case, kind="ai")
    where = np.argwhere(offered() == 2)
    box = [*where.min(axis=0), *(where.max(axis=0) + 1)]
    assert timeline_shapes.nodes_in(case.case, offered_mask.hash, box) == (case.nodes[2],)
    whole = (0, 0, 0, *case.case.grid.shape)
    found = timeline_shapes.nodes_in(case.case, offered_mask.hash, whole)
    assert found == tuple(case.nodes[n] for n in (1, 2, 3, 4, 5))
    assert timeline_shapes.nodes_in(case.case, "0" * 64, whole) == ()


def test_the_numbers_of_a_step_are_those_of_the_masks(case: Room):
    reading = Reading.objects.get(pk=case.reading.pk)
    (step,) = [
        step
        for step in life(case, case.nodes[5]).steps
        if step.lane == "first" and "reshaped" in step.what
    ]
    box = (0, 0, 0, *case.case.grid.shape)
    found = timeline_shapes.difference(case.case, step.before, step.after, box)
    before, after = offered() == 5, wanted() == 5
    assert found.added == int((after & ~before).sum())
    assert found.removed == int((before & ~after).sum())
    assert found.dice == pytest.approx(2 * (before & after).sum() / (before.sum() + after.sum()))
    version = NodeVersion.objects.get(
        node=case.nodes[5], reading=reading, change__kind="voxels"
    ).measures
    assert version is not None
    assert found.after is not None
    assert found.after.sad_mm == version["sad_mm"]
    assert found.after.volume_mm3 == version["volume_mm3"]
    changed = (before ^ after).sum(axis=(1, 2))
    assert changed[found.slice_index] == changed.max()
    text = page(case, case.nodes[5])
    assert f"+{found.added} −{found.removed}" in text
    assert f"{found.dice:.3f}" in text


def test_a_run_of_strokes_counts_what_came_of_it_all(case: Room):
    (step,) = [s for s in life(case, case.nodes[2]).steps if s.strokes]
    box = (0, 0, 0, *case.case.grid.shape)
    found = timeline_shapes.difference(case.case, step.before, step.after, box)
    gross = re.match(r"\+(\d+) −(\d+)", step.detail)
    assert gross
    assert found.added <= int(gross[1])
    assert found.added - found.removed == int(gross[1]) - int(gross[2])


def test_shapes_of_a_settlement_are_read_from_the_masks_it_rests_on(case: Room):
    consensus = Consensus.objects.get(case=case.case)
    first, second = consensus.comparison.first, consensus.comparison.second
    assert first.effective is not None
    assert second.effective is not None
    parts = [(m.hash, (case.nodes[2],)) for m in (first.effective, second.effective)]
    a, b = (maskstore.volume(m) == 2 for m in (first.effective, second.effective))
    for shared, expected in ((False, a | b), (True, a & b)):
        shape = Shape(tuple(parts), shared=shared)
        planes = [
            timeline_shapes.plane_of(case.case, shape, index) for index in range(len(expected))
        ]
        assert np.array_equal(np.array(planes), expected)


def test_every_picture_of_a_life_can_be_drawn_and_shows_what_it_says(case: Room):
    client = case.client("auditor")
    shown = 0
    for node in (*case.nodes.values(), story.OTHERS):
        for address in pictures(page(case, node)):
            answer = client.get(address)
            assert answer.status_code == 200, address
            assert answer.headers["Content-Type"] == "image/svg+xml"
            root = ET.fromstring(answer.content)  # noqa: S314 - our own
            strokes = [e.get("stroke") for e in root.iter() if e.tag.endswith("path")]
            assert ("after=" in address) == ("#57d6be" in strokes), address
            assert ("before=" in address) == ("#f0f4f5" in strokes), address
            shown += 1
    assert shown > 25


def test_all_pictures_of_one_node_have_one_window_and_scale(case: Room):
    places = {re.search(r"at=([^&]+)", a)[1] for a in pictures(page(case, case.nodes[2]))}  # type: ignore[index]
    assert len(places) == 1


def test_a_picture_is_kept_by_the_browser_under_its_hash(case: Room):
    client = case.client("auditor")
    address = pictures(page(case, case.nodes[2]))[0]
    answer = client.get(address)
    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.headers["Cache-Control"].startswith("private")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    again = client.get(address, headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = client.get(pictures(page(case, case.nodes[2]))[1])
    assert other.headers["ETag"] != answer.headers["ETag"]
    assert page(case, case.nodes[2]).count('loading="lazy"') == len(
        pictures(page(case, case.nodes[2]))
    )


@pytest.mark.parametrize(
    "query",
    [
        "",
        "slice=10",
        "slice=x&at=16,46,40",
        "slice=99&at=16,46,40",
        "slice=-1&at=16,46,40",
        "slice=10&at=16,46",
        "slice=10&at=nan,46,40",
        "slice=10&at=16,46,1e9",
        "slice=10&at=16,46,40&after=nothing",
        f"slice=10&at=16,46,40&after={'a' * 64}:{uuid.UUID(int=1002)}",
        f"slice=10&at=16,46,40&before={'a' * 64}:x",
    ],
)
def test_a_picture_of_nothing_is_missing(case: Room, query: str):
    path = f"/cases/{case.case.pk}/nodes/{case.nodes[2]}/picture.svg?{query}"
    assert case.client("auditor").get(path).status_code == 404


def test_a_mask_of_another_case_is_not_shown_here(case: Room):
    case.case.refresh_from_db()
    other = Case.objects.create(
        project=case.case.project,
        protocol=case.case.protocol,
        subject=case.case.subject,
        number=99,
        label="LN-0099",
        series_id=uuid.uuid4(),
        series_uid="1.2",
        study_uid="1.3",
        geometry_hash=case.case.geometry_hash,
        grid_json=case.case.grid_json,
    )
    foreign = Mask.objects.create(
        case=other, hash="f" * 64, kind="empty", author_kind="system", manifest_json={}
    )
    path = f"/cases/{case.case.pk}/nodes/{case.nodes[2]}/picture.svg?slice=10&at=16,46,40"
    answer = case.client("auditor").get(f"{path}&after={foreign.hash}:{case.nodes[2]}")
    assert answer.status_code == 404
    node = Node.objects.get(pk=case.nodes[2])
    assert case.client("auditor").get(f"/cases/{other.pk}/nodes/{node.pk}/").status_code == 404


def test_the_chart_has_a_mark_for_every_measured_step(case: Room):
    found = life(case, case.nodes[2])
    text = page(case, case.nodes[2])
    measured = [step for step in found.steps if step.sad_mm is not None or step.ends]
    chart = text.partition('class="life-chart"')[2].partition("</svg>")[0]
    assert chart.count('class="mark') == len(measured) >= 7
    assert "Square: AI. Disc: first reader. Ring: second reader. Diamond: agreed." in text
    added = page(case, story.OTHERS)
    assert "Square: AI." not in added, "the legend names no mark that is not there"
