"""What a case's events and blobs tell, without its tables."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from backend.audit.history import stored_rows
from backend.imaging.masks import canonical_json
from backend.reading.models import Mask
from backend.reports.record.events import (
    Event,
    UnreadableEvent,
    faults_of,
    of_line,
    of_row,
    to_line,
)
from backend.reports.record.facts import facts_of
from backend.store import BlobMissing, store
from tests.reports.room import Room


def events_of(room: Room) -> list[Event]:
    return [of_row(row) for row in stored_rows(chain=room.case.chain)]


def blob(name: str) -> bytes:
    try:
        return store().read(name)
    except BlobMissing:
        return canonical_json(Mask.objects.filter(hash=name)[0].manifest_json)


def test_the_events_of_a_case_tell_its_reading(room: Room) -> None:
    facts = facts_of(events_of(room), blob)
    assert json.loads(json.dumps(facts)) == facts
    assert facts["case"]["label"] == room.case.label
    assert facts["case"]["protocol"]["definition"] == room.case.protocol.definition
    assert facts["images"]["grid"] == room.case.grid_json
    assert facts["model"]["notice"] == "Made for tests."
    first, second = facts["readings"]
    assert (first["slot"], first["state"], second["signed"]) == ("R1", "submitted", False)
    assert first["signature"]["faults"] == []
    assert first["masks"]["effective"] == room.reading.effective.hash
    nodes = {node["label"]: node for node in first["nodes"]}
    assert [step["what"] for step in nodes[3]["history"]] == ["proposed", "rejected, vessel"]
    assert nodes[6]["history"][0]["what"] == "added"
    assert (nodes[1]["origin"], nodes[6]["origin"]) == ("ai", "added")
    assert facts["chain"]["holds"]


def test_a_line_is_the_event_again(room: Room) -> None:
    for event in events_of(room):
        assert of_line(to_line(event)) == event


def test_an_altered_event_is_found(room: Room) -> None:
    events = events_of(room)
    assert faults_of(events) == []
    forged = replace(events[3], reason="Someone else's words")
    assert faults_of([*events[:3], forged, *events[4:]]) == [
        f"{room.case.chain}: event 4 was altered."
    ]
    assert "event 4 was deleted" in faults_of([*events[:3], *events[4:]])[0]


@pytest.mark.parametrize(
    ("line", "said"),
    [("[]", "other fields"), ("{", "not JSON"), ('{"number": 1}', "other fields")],
)
def test_a_line_that_is_no_event_is_refused(line: str, said: str) -> None:
    with pytest.raises(UnreadableEvent, match=f"Line 7 is no event of Concord: .*{said}"):
        of_line(line, "Line 7")
