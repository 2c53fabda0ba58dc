"""Changes: answered once and for ever, chained, leased, measured, undone, and on record."""

from __future__ import annotations

import json
import uuid
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.audit import history
from backend.audit.models import Event, NewsItem
from backend.errors import BadInput, ConcordError, NotAllowed, WrongState
from backend.imaging.grid import Grid
from backend.imaging.nodes import measure_all
from backend.reading import maskstore, services
from backend.reading.models import Change, Mask, MaskSlice, Node, NodeState
from tests.reading.site import Site, Twin, build_site


def state_of(site: Site, node: str, name: str = "reader1") -> NodeState:
    return NodeState.objects.get(reading=site.reading(name), node_id=node)


def test_each_change_makes_one_version_one_event_and_the_clients_own_head(
    ready: Site, twin: Twin
) -> None:
    events = Event.objects.filter(action__startswith="reading.changed").count()
    added = str(uuid.uuid4())
    first, second, third = ready.nodes
    changes = [
        ("decision", {"node": first, "decision": "accepted"}),
        ("decision", {"node": second, "decision": "rejected", "reason": "vessel"}),
        ("impression", {"node": first, "value": "metastatic", "confidence": 80}),
        ("doubt", {"node": first, "value": True}),
    ]
    results = [twin.send(twin.make(kind, **body))[0] for kind, body in changes]
    results += twin.send(twin.paint(third, 6, (12, 14, 15, 18)))
    results += twin.send(twin.paint(added, 9, (2, 2, 7, 8)))
    reading = ready.reading()
    assert results[-1]["head"] == twin.head == reading.head.hash
    assert reading.head.manifest.hash == twin.head
    assert np.array_equal(maskstore.volume(reading.head), twin.volume)
    assert reading.head.manifest.labels == twin.labels
    assert Event.objects.filter(action__startswith="reading.changed").count() == events + 6
    assert reading.changes.count() == 6
    assert {s.decision for s in reading.node_states.all()} == {
        "accepted",
        "rejected",
        "reshaped",
        "added",
    }
    assert state_of(ready, second).reason_group == "false_positive"
    assert Node.objects.get(pk=added).origin == "added"
    assert results[-1]["nodes"][0]["label"] == 4
    assert history.verify(chain=ready.case.chain).holds
    told = NewsItem.objects.filter(audience=f"reading:{reading.pk}", type="change.applied")
    assert [item.payload["head"] for item in told.order_by("seq")] == [r["head"] for r in results]


def test_measures_after_a_stroke_are_those_of_the_whole_mask(ready: Site, twin: Twin) -> None:
    node = ready.nodes[1]
    twin.send(twin.paint(node, 8, (11, 3, 18, 9)))
    twin.send(twin.paint(node, 4, (12, 4, 14, 8), erase=True))
    expected = measure_all(twin.volume, Grid.from_json(ready.case.grid_json))
    for state in ready.reading().node_states.all():
        assert state.measures == json.loads(json.dumps(expected[state.label].to_json()))
    assert [s.touched for s in ready.reading().node_states.order_by("label")] == [
        False,
        True,
        False,
    ]


def test_the_same_change_sent_again_gets_its_first_answer(ready: Site, twin: Twin) -> None:
    one = twin.paint(ready.nodes[0], 3, (2, 2, 4, 4))
    first = twin.send(one)
    two = twin.make("decision", node=ready.nodes[1], decision="accepted")
    later = twin.send(one, two)
    assert later[0] == first[0]
    services.take_lease(
        reading=ready.reading(), user=twin.user, client=uuid.uuid4(), take_over=True
    )
    assert twin.send(one, two) == later
    assert Change.objects.count() == 2


def test_a_chain_made_offline_is_applied_in_order(ready: Site, twin: Twin) -> None:
    added = str(uuid.uuid4())
    chain = [
        twin.paint(added, 9, (2, 2, 7, 8)),
        twin.paint(added, 10, (3, 3, 6, 6)),
        twin.make("impression", node=added, value="indeterminate", confidence=None),
        twin.make("decision", node=ready.nodes[2], decision="accepted"),
    ]
    results = twin.send(*chain)
    assert [r["head"] for r in results[:-1]] == [c["base"] for c in chain[1:]]
    assert results[-1]["head"] == twin.head
    assert Mask.objects.filter(reading=ready.reading(), kind="reading").count() == 4


def test_a_list_is_applied_whole_or_not_at_all(ready: Site, twin: Twin) -> None:
    head = twin.head
    good = twin.paint(ready.nodes[0], 3, (2, 2, 4, 4))
    bad = twin.make("decision", node=str(uuid.uuid4()), decision="accepted")
    with pytest.raises(BadInput, match="There is no node"):
        twin.send(good, bad)
    assert ready.reading().head.hash == head
    assert Change.objects.count() == 0
    assert Event.objects.filter(action__startswith="reading.changed").count() == 0


def test_a_change_on_an_older_version_is_told_what_changed_since(ready: Site, twin: Twin) -> None:
    start = twin.head
    done = [twin.make("decision", node=node, decision="accepted") for node in ready.nodes[:2]]
    twin.send(*done)
    stale = {"id": str(uuid.uuid4()), "base": start, "kind": "doubt", "node": ready.nodes[0]}
    with pytest.raises(WrongState) as moved:
        twin.send({**stale, "value": True})
    assert moved.value.code == "HEAD_MOVED"
    assert moved.value.extra["head"] == twin.head
    since = moved.value.extra["since"]
    assert [change["id"] for change in since] == [change["id"] for change in done]
    assert since[0]["base"] == start
    with pytest.raises(WrongState) as unknown:
        twin.send({**stale, "base": "f" * 64, "value": True})
    assert (unknown.value.code, unknown.value.extra["since"]) == ("HEAD_MOVED", [])


def test_nothing_is_written_without_the_lease(ready: Site, twin: Twin) -> None:
    reading = ready.reading()
    with pytest.raises(WrongState) as held:
        services.take_lease(reading=reading, user=twin.user, client=uuid.uuid4(), take_over=False)
    assert held.value.code == "LEASE_HELD"
    again = services.take_lease(
        reading=reading, user=twin.user, client=twin.client_id, take_over=False
    )
    assert again == twin.lease
    services.take_lease(reading=reading, user=twin.user, client=uuid.uuid4(), take_over=True)
    for lease in (twin.lease, None, uuid.uuid4()):
        change = {"id": str(uuid.uuid4()), "base": twin.head, "kind": "doubt"}
        with pytest.raises(WrongState) as lost:
            services.apply_changes(
                reading=reading,
                user=twin.user,
                lease=lease,
                changes=[{**change, "node": ready.nodes[0], "value": True}],
            )
        assert lost.value.code == "LEASE_LOST"
        assert lost.value.extra["holder"] == "Rita Reader"
    assert Change.objects.count() == 0
    with pytest.raises(WrongState, match="another window"):
        services.take_lease(reading=reading, user=twin.user, client=twin.client_id, take_over=False)


def test_only_its_reader_writes_a_reading(ready: Site, twin: Twin) -> None:
    change = twin.make("decision", node=ready.nodes[0], decision="accepted")
    for name in ("reader2", "auditor", "coordinator"):
        with pytest.raises(NotAllowed):
            services.apply_changes(
                reading=ready.reading(),
                user=ready.users[name],
                lease=twin.lease,
                changes=[change],
            )


def test_the_others_node_cannot_be_painted(ready: Site, twin: Twin) -> None:
    own = str(uuid.uuid4())
    twin.send(twin.paint(own, 9, (2, 2, 7, 8)))
    other = Twin(ready, "reader2")
    with pytest.raises(BadInput, match="neither of this reading nor new"):
        other.send(other.paint(own, 9, (2, 2, 7, 8)))
    elsewhere = build_site(serial=2)
    elsewhere.presegment()
    alien = elsewhere.nodes[0]
    with pytest.raises(BadInput, match="neither of this reading nor new"):
        twin.send(twin.paint(alien, 9, (2, 2, 7, 8)))


GRID_SOP = "2.25.71.3"
BAD_BODIES: list[dict[str, Any]] = [
    {"kind": "voxels", "nodes": ["N"], "slices": [{"sop": "1.2", "box": [0, 0, 2, 2], "runs": []}]},
    {
        "kind": "voxels",
        "nodes": ["N"],
        "slices": [{"sop": GRID_SOP, "box": [0, 0, 25, 2], "runs": []}],
    },
    {
        "kind": "voxels",
        "nodes": ["N"],
        "slices": [{"sop": GRID_SOP, "box": [0, 0, 2, 2], "runs": [[3, 2, 1]]}],
    },
    {
        "kind": "voxels",
        "nodes": ["N"],
        "slices": [{"sop": GRID_SOP, "box": [0, 0, 2, 2], "runs": [[0, 1, 2]]}],
    },
    {
        "kind": "voxels",
        "nodes": ["N"],
        "slices": [{"sop": GRID_SOP, "box": [0, 0, 2, 2], "runs": [[-1, 2, 0]]}],
    },
    {
        "kind": "voxels",
        "nodes": ["N"],
        "slices": [{"sop": GRID_SOP, "box": [0, 0, 2, 2], "runs": []}] * 2,
    },
    {"kind": "voxels", "nodes": "N", "slices": []},
    {"kind": "voxels", "nodes": [], "slices": {}},
    {"kind": "voxels", "nodes": ["not a uuid"], "slices": []},
    {"kind": "decision", "node": "N", "decision": "reshaped"},
    {"kind": "decision", "node": "N", "decision": "rejected", "reason": "ugly"},
    {"kind": "decision", "node": "N", "decision": "accepted", "reason": "vessel"},
    {"kind": "decision", "node": None, "decision": "accepted"},
    {"kind": "impression", "node": "N", "value": "benign"},
    {"kind": "impression", "node": "N", "value": "metastatic", "confidence": 101},
    {"kind": "impression", "node": "N", "value": "metastatic", "confidence": True},
    {"kind": "doubt", "node": "N", "value": "yes"},
    {"kind": "undo", "undoes": "U", "inverse": {"kind": "undo"}},
    {"kind": "undo", "undoes": "U"},
    {"kind": "undo", "undoes": "U", "inverse": {"kind": "doubt", "node": "N", "value": True}},
    {"kind": "split", "node": "N"},
    {"kind": "paint"},
    {"kind": ["voxels"]},
    {"kind": {"voxels": 1}},
    {"kind": "doubt", "node": "N", "value": True, "more": "kept for ever, unread"},
    {},
]


@pytest.mark.parametrize("number", range(len(BAD_BODIES)))
def test_a_body_that_is_wrong_is_refused_with_a_sentence(
    ready: Site, twin: Twin, number: int
) -> None:
    text = json.dumps(BAD_BODIES[number]).replace('"N"', json.dumps(ready.nodes[0]))
    body = json.loads(text.replace('"U"', json.dumps(str(uuid.uuid4()))))
    with pytest.raises(BadInput) as refused:
        twin.send({"id": str(uuid.uuid4()), "base": twin.head, **body})
    assert refused.value.message.endswith((".", ")"))
    assert refused.value.code != "NOT_YET" or body["kind"] == "split"
    assert Change.objects.count() == 0


def test_undo_brings_back_voxels_measures_and_decision_exactly(ready: Site, twin: Twin) -> None:
    node = ready.nodes[0]
    before = twin.volume.copy()
    manifest = ready.reading().head.manifest
    measures = state_of(ready, node).measures
    stroke = twin.paint(node, 3, (4, 5, 10, 12))
    twin.send(stroke)
    assert state_of(ready, node).decision == "reshaped"
    patch = old_values(twin, before, 3, (4, 5, 10, 12), node)
    undo = twin.make("undo", undoes=stroke["id"], inverse=patch)
    (answer,) = twin.send(undo)
    head = ready.reading().head
    assert answer["head"] == twin.head == head.hash
    assert head.manifest.slices == manifest.slices
    state = state_of(ready, node)
    assert (state.decision, state.touched, state.measures) == ("undecided", False, measures)
    redo = twin.make("undo", undoes=undo["id"], inverse=twin.stroke(node, 3, (4, 5, 10, 12)))
    twin.send(redo)
    assert state_of(ready, node).decision == "reshaped"
    assert Change.objects.get(client_id=redo["id"]).undoes is not None


def old_values(
    twin: Twin, before: Any, index: int, box: tuple[int, int, int, int], node: str
) -> dict[str, Any]:
    """The inverse of a stroke: what stood in its box."""
    r0, c0, r1, c1 = box
    number = {n: label for label, n in twin.labels.items()}[node]
    values = before[index, r0:r1, c0:c1].ravel()
    runs = [[i, 1, 1 if value == number else 0] for i, value in enumerate(values)]
    part = {"sop": twin.sops[index], "box": list(box), "runs": runs}
    return {"kind": "voxels", "nodes": [node], "slices": [part]}


def test_undo_of_a_rejection_of_a_reshaped_node_says_reshaped_again(
    ready: Site, twin: Twin
) -> None:
    node = ready.nodes[0]
    twin.send(twin.paint(node, 3, (4, 5, 10, 12)))
    reject = twin.make("decision", node=node, decision="rejected", reason="fat")
    twin.send(reject)
    inverse = {"kind": "decision", "node": node, "decision": "reshaped"}
    twin.send(twin.make("undo", undoes=reject["id"], inverse=inverse))
    state = state_of(ready, node)
    assert (state.decision, state.reason, state.reason_group) == ("reshaped", "", "")


def test_a_new_node_taken_back_leaves_no_voxel_and_keeps_its_number(
    ready: Site, twin: Twin
) -> None:
    node = str(uuid.uuid4())
    stroke = twin.paint(node, 9, (2, 2, 7, 8))
    twin.send(stroke)
    inverse = twin.stroke(node, 9, (2, 2, 7, 8), erase=True)
    (answer,) = twin.send(twin.make("undo", undoes=stroke["id"], inverse=inverse))
    assert [n["empty"] for n in answer["nodes"]] == [True]
    assert 9 not in ready.reading().head.manifest.slices
    other = str(uuid.uuid4())
    (answer,) = twin.send(twin.paint(other, 9, (2, 2, 7, 8)))
    assert answer["nodes"][0]["label"] == 5


def test_painting_over_a_neighbour_changes_and_measures_both(ready: Site, twin: Twin) -> None:
    first, second, _ = ready.nodes
    (answer,) = twin.send(twin.paint(first, 5, (12, 4, 14, 8)))
    assert [node["uuid"] for node in answer["nodes"]] == [first, second]
    assert {node["decision"] for node in answer["nodes"]} == {"reshaped"}
    facts = Event.objects.get(action="reading.changed.voxels").facts
    by_node = {entry["node"]: entry for entry in facts["nodes"]}
    assert by_node[first]["added"] == 8
    assert by_node[second] == {
        **by_node[second],
        "removed": 8,
        "added": 0,
        "voxels_before": 80,
        "voxels_after": 72,
    }
    assert by_node[second]["dice"] == pytest.approx(2 * 72 / (80 + 72))


def test_a_rejected_node_painted_over_stays_rejected(ready: Site, twin: Twin) -> None:
    first, second, _ = ready.nodes
    twin.send(twin.make("decision", node=second, decision="rejected", reason="vessel"))
    twin.send(twin.paint(first, 5, (12, 4, 14, 8)))
    assert state_of(ready, second).decision == "rejected"
    assert state_of(ready, second).reason == "vessel"


def test_a_change_keeps_only_the_slices_that_differ(ready: Site, twin: Twin) -> None:
    twin.send(twin.paint(ready.nodes[0], 3, (2, 2, 4, 4)))
    head = ready.reading().head
    assert [s.index for s in MaskSlice.objects.filter(mask=head)] == [3]
    twin.send(twin.make("decision", node=ready.nodes[0], decision="accepted"))
    assert not MaskSlice.objects.filter(mask=ready.reading().head).exists()
    assert state_of(ready, ready.nodes[0]).decision == "reshaped"


def test_two_readers_who_do_the_same_get_the_same_hash_and_rows_of_their_own(
    ready: Site, twin: Twin
) -> None:
    other = Twin(ready, "reader2")
    node = ready.nodes[0]
    twin.send(twin.make("decision", node=node, decision="accepted"))
    assert ready.client("reader2").get(f"/api/masks/{twin.head}").status_code == 404
    other.send(other.make("decision", node=node, decision="accepted"))
    assert twin.head == other.head
    assert Mask.objects.filter(hash=twin.head).count() == 2
    assert ready.client("reader2").get(f"/api/masks/{twin.head}").status_code == 200


STROKES = st.lists(
    st.tuples(
        st.integers(0, 4),
        st.integers(0, 11),
        st.integers(0, 20),
        st.integers(0, 20),
        st.integers(1, 4),
        st.integers(1, 4),
        st.booleans(),
    ),
    min_size=1,
    max_size=6,
)


@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(strokes=STROKES)
def test_whatever_is_painted_server_and_client_agree(
    ready: Site, twin: Twin, strokes: list[tuple[int, int, int, int, int, int, bool]]
) -> None:
    nodes = [*ready.nodes, *(str(uuid.uuid4()) for _ in range(2))]
    changes = [
        twin.paint(nodes[n], z, (r, c, min(24, r + h), min(24, c + w)), erase=erase)
        for n, z, r, c, h, w, erase in strokes
    ]
    assert twin.send(*changes)[-1]["head"] == twin.head
    reading = ready.reading()
    assert np.array_equal(maskstore.volume(reading.head), twin.volume)
    expected = measure_all(twin.volume, reading.case.grid)
    for state in reading.node_states.all():
        found = expected.get(state.label)
        wanted = None if found is None else json.loads(json.dumps(found.to_json()))
        assert state.measures == wanted


def test_a_large_stroke_is_applied(ready: Site, twin: Twin) -> None:
    runs = [[row * 24 + c, 1, (row + c) % 2] for row in range(24) for c in range(24)]
    slices = [
        {"sop": twin.sops[z], "box": [0, 0, 24, 24], "runs": runs} for z in range(len(twin.sops))
    ]
    change = {"kind": "voxels", "nodes": [ready.nodes[0]], "slices": slices}
    body = {"id": str(uuid.uuid4()), "base": twin.head, **change}
    assert 60_000 < len(json.dumps(body)) < 250_000
    twin.send(body)


def test_errors_speak_of_the_readers_own_reading_alone(ready: Site, twin: Twin) -> None:
    twin.decide_all()
    twin.look_through()
    twin.submit()
    other = Twin(ready, "reader2")
    with pytest.raises(ConcordError) as error:
        other.submit()
    assert "Rita" not in str(error.value.body())
