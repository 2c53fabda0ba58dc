"""An undo takes back the change it names, and does nothing else."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np
import pytest

from backend.audit.models import Event
from backend.errors import BadInput
from backend.reading.models import Change, NodeState
from tests.reading.site import Site, Twin

BOX = (4, 5, 10, 12)


def state_of(site: Site, node: str) -> NodeState:
    return site.reading().node_states.get(node_id=node)


def undo_of(twin: Twin, change: dict[str, Any], **inverse: Any) -> dict[str, Any]:
    """An undo that the client has not taken over: it may be refused."""
    body = {"kind": "undo", "undoes": change["id"], "inverse": inverse}
    return {"id": str(uuid.uuid4()), "base": twin.head, **body}


def refuse(twin: Twin, undo: dict[str, Any]) -> None:
    before = Change.objects.count()
    with pytest.raises(BadInput) as refused:
        twin.send(undo)
    assert refused.value.code == "NOT_THE_INVERSE"
    assert refused.value.body()["cure"]
    assert Change.objects.count() == before


def test_the_inverse_of_a_decision_is_what_stood_before(ready: Site, twin: Twin) -> None:
    node, other, _ = ready.nodes
    first = twin.make("decision", node=node, decision="rejected", reason="fat")
    twin.send(first)
    reject = {"kind": "decision", "decision": "rejected", "reason": "vessel"}
    refuse(twin, undo_of(twin, first, node=other, **reject))
    refuse(twin, undo_of(twin, first, node=node, **reject))
    refuse(twin, undo_of(twin, first, kind="decision", node=node, decision="accepted"))
    refuse(twin, undo_of(twin, first, kind="decision", node=other, decision="undecided"))
    refuse(twin, undo_of(twin, first, kind="doubt", node=node, value=False))
    assert state_of(ready, node).reason == "fat"
    assert state_of(ready, other).decision == "undecided"
    second = twin.make("decision", node=node, decision="accepted")
    twin.send(second)
    back = {"kind": "decision", "node": node, "decision": "rejected"}
    refuse(twin, undo_of(twin, second, **back))
    undo = twin.make("undo", undoes=second["id"], inverse=back | {"reason": "fat"})
    twin.send(undo)
    assert (state_of(ready, node).decision, state_of(ready, node).reason) == ("rejected", "fat")
    redo = {"kind": "decision", "node": node, "decision": "accepted"}
    twin.send(twin.make("undo", undoes=undo["id"], inverse=redo))
    assert state_of(ready, node).decision == "accepted"


def test_a_word_the_browser_only_guessed_leads_to_what_stood_before(
    ready: Site, twin: Twin
) -> None:
    """Strokes drawn and undone while offline: the browser still shows the node as reshaped."""
    node = ready.nodes[0]
    accept = twin.make("decision", node=node, decision="accepted")
    twin.send(accept)
    guessed = {"kind": "decision", "node": node, "decision": "reshaped"}
    twin.send(twin.make("undo", undoes=accept["id"], inverse=guessed))
    assert state_of(ready, node).decision == "undecided"
    event = Event.objects.get(action="reading.changed.undo")
    assert event.facts["after"] == {"decision": "undecided", "reason": ""}
    twin.send(twin.make("decision", node=node, decision="rejected", reason="fat"))
    refuse(twin, undo_of(twin, accept, **guessed))


def test_the_inverse_of_an_impression_and_of_a_doubt(ready: Site, twin: Twin) -> None:
    node, other, _ = ready.nodes
    said = {"node": node, "value": "metastatic", "confidence": 80, "reason": "round"}
    twin.send(twin.make("impression", **said))
    change = twin.make("impression", node=node, value="non_metastatic", confidence=60)
    twin.send(change)
    inverse = {"kind": "impression", "node": node, "value": "metastatic", "confidence": 80}
    for wrong in (
        {"confidence": 81},
        {"confidence": None},
        {"value": "non_metastatic"},
        {"value": None},
        {"node": other},
        {"reason": "square"},
    ):
        refuse(twin, undo_of(twin, change, **{**inverse, **wrong}))
    undo = twin.make("undo", undoes=change["id"], inverse=inverse)
    twin.send(undo)
    state = state_of(ready, node)
    assert (state.impression, state.confidence, state.impression_reason) == (
        "metastatic",
        80,
        "round",
    )
    redo = {"kind": "impression", "node": node, "value": "non_metastatic", "confidence": 60}
    twin.send(twin.make("undo", undoes=undo["id"], inverse=redo))
    assert state_of(ready, node).impression == "non_metastatic"
    doubt = twin.make("doubt", node=node, value=True)
    twin.send(doubt)
    refuse(twin, undo_of(twin, doubt, kind="doubt", node=node, value=True))
    refuse(twin, undo_of(twin, doubt, kind="doubt", node=other, value=False))
    calm = {"kind": "doubt", "node": node, "value": False}
    twin.send(twin.make("undo", undoes=doubt["id"], inverse=calm))
    assert not state_of(ready, node).doubt
    told = [event.facts["after"] for event in Event.objects.filter(action__endswith=".undo")]
    assert told == [
        {"value": "metastatic", "confidence": 80},
        {"value": "non_metastatic", "confidence": 60},
        False,
    ]


def test_the_inverse_of_a_stroke_restores_its_voxels_and_no_others(ready: Site, twin: Twin) -> None:
    node, other, _ = ready.nodes
    before = twin.volume.copy()
    stroke = twin.paint(node, 3, BOX)
    twin.send(stroke)
    back = values_of(twin, before, 3, BOX)
    elsewhere = twin.stroke(node, 9, (0, 0, 2, 2))
    refuse(twin, undo_of(twin, stroke, **elsewhere))
    refuse(twin, undo_of(twin, stroke, **twin.stroke(node, 3, BOX, erase=True)))
    refuse(twin, undo_of(twin, stroke, **twin.stroke(other, 3, BOX)))
    refuse(twin, undo_of(twin, stroke, **values_of(twin, before, 3, (4, 5, 9, 12))))
    more = {**back, "slices": [*back["slices"], *elsewhere["slices"]]}
    refuse(twin, undo_of(twin, stroke, **more))
    refuse(twin, undo_of(twin, stroke, **{**back, "nodes": [*back["nodes"], str(uuid.uuid4())]}))
    refuse(twin, undo_of(twin, stroke, kind="decision", node=node, decision="undecided"))
    undo = twin.make("undo", undoes=stroke["id"], inverse=back)
    twin.send(undo)
    assert np.array_equal(twin.volume, before)
    assert twin.head == ready.reading().head.hash
    refuse(twin, undo_of(twin, undo, **twin.stroke(node, 3, (0, 0, 2, 2))))
    redo = twin.make("undo", undoes=undo["id"], inverse=twin.stroke(node, 3, BOX))
    twin.send(redo)
    twin.send(twin.make("undo", undoes=redo["id"], inverse=back))
    assert np.array_equal(twin.volume, before)
    assert state_of(ready, node).decision == "undecided"


def test_what_was_drawn_over_since_may_stay(ready: Site, twin: Twin) -> None:
    node, other, _ = ready.nodes
    before = twin.volume.copy()
    stroke = twin.paint(node, 9, (2, 2, 6, 6))
    twin.send(stroke)
    twin.send(twin.paint(other, 9, (4, 2, 8, 6)))
    refuse(twin, undo_of(twin, stroke, **twin.stroke(node, 9, (2, 2, 8, 6), erase=True)))
    rest = twin.stroke(node, 9, (2, 2, 4, 6), erase=True)
    twin.send(twin.make("undo", undoes=stroke["id"], inverse=rest))
    number = {name: label for label, name in twin.labels.items()}[other]
    before[9, 4:8, 2:6] = number
    assert np.array_equal(twin.volume, before)


def values_of(twin: Twin, then: Any, index: int, box: tuple[int, int, int, int]) -> dict[str, Any]:
    """The patch that brings back what stood in a box."""
    r0, c0, r1, c1 = box
    nodes = [twin.labels[label] for label in sorted(twin.labels)]
    runs = [[i, 1, int(value)] for i, value in enumerate(then[index, r0:r1, c0:c1].ravel())]
    part = {"sop": twin.sops[index], "box": list(box), "runs": runs}
    return {"kind": "voxels", "nodes": nodes, "slices": [part]}
