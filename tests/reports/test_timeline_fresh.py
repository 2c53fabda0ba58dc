"""The timelines of a case that nobody has read yet."""

from __future__ import annotations

import pytest

from backend.reports import timeline_shapes
from backend.reports.timeline_life import life_of
from backend.reports.timeline_room import events_of, story_of
from tests.reports.room import Room, build_room
from tests.reports.test_pages import text_of


@pytest.fixture
def fresh(content: None, db: None, tmp_path_factory: pytest.TempPathFactory) -> Room:
    return build_room(tmp_path_factory.mktemp("fresh") / "series", signed=False)


def test_a_node_nobody_touched_has_its_proposal(fresh: Room):
    found = story_of(fresh.case)
    life = life_of(
        fresh.nodes[1],
        events_of(fresh.case),
        found.folded,
        found.cast,
        lambda mask: timeline_shapes.manifest_of(fresh.case, mask),
    )
    assert [step.what for step in life.steps] == ["Proposed AI 1"]
    page = fresh.client("auditor").get(f"/cases/{fresh.case.pk}/nodes/{fresh.nodes[1]}/")
    assert "Proposed AI 1" in text_of(page)


def test_the_timeline_of_a_new_case_begins_with_its_opening(fresh: Room):
    text = text_of(fresh.client("auditor").get(f"/cases/{fresh.case.pk}/timeline/"))
    assert "Case opened under LN-CT-BLIND" in text
    assert "Proposed 5 nodes" in text
