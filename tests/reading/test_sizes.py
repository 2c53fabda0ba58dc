"""Axes measured by hand stand beside the server's measures and never replace them."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from backend.audit.models import Event
from backend.errors import BadInput
from tests.reading.site import Site, Twin

LONG = [[3, 3.0, 3.0], [3, 6.0, 7.0]]


def manual(site: Site, node: str) -> Any:
    return site.reading().node_states.get(node_id=node).manual


def test_a_caliper_is_measured_by_the_server_and_kept_beside_its_own_value(
    ready: Site, twin: Twin
) -> None:
    node = ready.nodes[0]
    measured = ready.reading().node_states.get(node_id=node).measures
    change = twin.make("size", node=node, long=LONG, short=4.25)
    (answer,) = twin.send(change)
    (record,) = answer["nodes"]
    assert record["manual"]["long"] == {"mm": 5.0, "text": "5.00", "ends_vox": LONG}
    assert record["manual"]["short"] == {"mm": 4.25, "text": "4.2", "ends_vox": None}
    state = ready.reading().node_states.get(node_id=node)
    assert state.measures == measured
    assert state.decision == "undecided"
    assert ready.reading().head.hash == twin.head
    event = Event.objects.get(action="reading.changed.size")
    assert event.facts["before"] == {"manual": None}
    assert event.facts["after"]["manual"]["short"]["mm"] == 4.25


def test_it_is_taken_back_and_made_again(ready: Site, twin: Twin) -> None:
    node = ready.nodes[0]
    twin.send(twin.make("size", node=node, long=12, short=None))
    change = twin.make("size", node=node, long=LONG, short=4.25)
    twin.send(change)
    inverse = {"kind": "size", "node": node, "long": 12, "short": None}
    back = twin.make("undo", undoes=change["id"], inverse=inverse)
    twin.send(back)
    assert manual(ready, node)["long"]["mm"] == 12
    again = {"kind": "size", "node": node, "long": LONG, "short": 4.25}
    twin.send(twin.make("undo", undoes=back["id"], inverse=again))
    assert manual(ready, node)["long"]["mm"] == 5
    for wrong in ({"long": 13}, {"short": 1.0}, {"node": ready.nodes[1]}):
        body = {"kind": "undo", "undoes": change["id"], "inverse": {**inverse, **wrong}}
        with pytest.raises(BadInput) as refused:
            twin.send({"id": str(uuid.uuid4()), "base": twin.head, **body})
        assert refused.value.code == "NOT_THE_INVERSE"
    twin.send(twin.make("size", node=node, long=None, short=None))
    assert manual(ready, node) is None


@pytest.mark.parametrize(
    "long",
    [
        0,
        -3,
        301,
        True,
        "12",
        [[3, 3, 3]],
        [[3, 3, 3], [3, 3, 3]],
        [[3, 3, 3], [3, 3, 24]],
        [[3, 3, 3], [3, 3]],
        [[3, 3, 3], [3, 3, None]],
    ],
)
def test_what_is_no_length_is_refused(ready: Site, twin: Twin, long: Any) -> None:
    body = {"kind": "size", "node": ready.nodes[0], "long": long, "short": None}
    with pytest.raises(BadInput) as refused:
        twin.send({"id": str(uuid.uuid4()), "base": twin.head, **body})
    assert refused.value.code == "BAD_CHANGE"


def test_it_is_signed(ready: Site, twin: Twin) -> None:
    twin.send(twin.make("size", node=ready.nodes[0], long=LONG, short=None))
    twin.decide_all()
    twin.look_through()
    nodes = {node["node"]: node for node in twin.submit().record["nodes"]}
    assert nodes[ready.nodes[0]]["manual"]["long"]["mm"] == 5
    assert "manual" not in nodes[ready.nodes[1]]
