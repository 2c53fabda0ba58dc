"""Nodes split and merged: who keeps the name, what is remembered, and the way back."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.audit import history
from backend.audit.models import Event
from backend.errors import BadInput
from backend.reading import maskstore
from backend.reading.models import Change, Node, NodeState, NodeVersion
from tests.reading.site import SHAPE, Site, Twin


def state_of(site: Site, node: str) -> NodeState:
    return site.reading().node_states.select_related("node").get(node_id=node)


def upper(twin: Twin, node: str, rows: int) -> np.ndarray[Any, Any]:
    """The voxels of a node in its first rows."""
    whole = twin.volume == twin.number(node)
    first = int(np.argwhere(whole)[:, 1].min())
    whole[:, first + rows :] = False
    return whole


def split(twin: Twin, node: str, rows: int = 2) -> tuple[dict[str, Any], str]:
    part = str(uuid.uuid4())
    shape = twin.shape(upper(twin, node, rows))
    return twin.make("split", node=node, part=part, slices=shape), part


def undo(twin: Twin, change: dict[str, Any], before: np.ndarray[Any, Any]) -> dict[str, Any]:
    return twin.make("undo", undoes=change["id"], inverse=twin.difference(before))


def refused(twin: Twin, **body: Any) -> BadInput:
    count = Change.objects.count()
    with pytest.raises(BadInput) as found:
        twin.send({"id": str(uuid.uuid4()), "base": twin.head, **body})
    assert found.value.message.endswith(".")
    assert found.value.body()["cure"]
    assert Change.objects.count() == count
    return found.value


def agree(site: Site, twin: Twin) -> None:
    """The client's mask, the server's, and the hash of both."""
    reading = site.reading()
    assert reading.head.hash == twin.head
    assert np.array_equal(maskstore.volume(reading.head), twin.volume)


def test_a_part_becomes_a_node_of_its_own_and_the_rest_keeps_its_name(
    ready: Site, twin: Twin
) -> None:
    node = ready.nodes[0]
    whole = int((twin.volume == 1).sum())
    change, part = split(twin, node)
    (answer,) = twin.send(change)
    agree(ready, twin)
    kept, new = state_of(ready, node), state_of(ready, part)
    assert new.node.origin == "split"
    assert (new.label, new.parents, new.decision) == (4, [node], "added")
    assert (kept.label, kept.decision, kept.touched, kept.parents) == (1, "reshaped", True, [])
    assert kept.measures["voxels"] + new.measures["voxels"] == whole
    told = {record["uuid"]: record for record in answer["nodes"]}
    assert told[part]["parents"] == [node]
    assert NodeVersion.objects.get(node_id=part).parents == [node]
    event = Event.objects.get(action="reading.changed.split")
    assert event.facts["lineage"] == {
        "kind": "split",
        "node": node,
        "label": 1,
        "other": part,
        "other_label": 4,
    }
    assert history.verify(chain=ready.case.chain).holds


def test_a_split_and_its_undo_and_redo_go_through_voxels(ready: Site, twin: Twin) -> None:
    node = ready.nodes[0]
    twin.send(twin.make("decision", node=node, decision="accepted"))
    before = twin.volume.copy()
    change, part = split(twin, node)
    twin.send(change)
    after = twin.volume.copy()
    back = undo(twin, change, before)
    twin.send(back)
    agree(ready, twin)
    assert np.array_equal(twin.volume, before)
    assert state_of(ready, node).decision == "accepted"
    assert state_of(ready, part).measures is None
    twin.send(undo(twin, back, after))
    agree(ready, twin)
    assert np.array_equal(twin.volume, after)
    assert state_of(ready, part).parents == [node]
    assert state_of(ready, part).node.origin == "split"
    assert state_of(ready, node).decision == "reshaped"
    again, other = split(twin, ready.nodes[1])
    twin.send(again)
    assert state_of(ready, other).label == 5, "a number was used twice"


def test_the_part_must_be_smaller_inside_and_new(ready: Site, twin: Twin) -> None:
    node, other, third = ready.nodes
    body: dict[str, Any] = {"kind": "split", "node": node, "part": str(uuid.uuid4())}
    whole = twin.shape(twin.volume == 1)
    assert refused(twin, **body, slices=whole).code == "PART_NOT_SMALLER"
    assert refused(twin, **body, slices=twin.shape(upper(twin, node, 4))).code == "PART_NOT_SMALLER"
    assert refused(twin, **body, slices=[]).code == "PART_NOT_SMALLER"
    assert refused(twin, **body, slices=twin.shape(upper(twin, other, 1))).code == "PART_OUTSIDE"
    piece = twin.shape(upper(twin, node, 1))
    assert refused(twin, **{**body, "part": third}, slices=piece).code == "PART_NOT_NEW"
    assert refused(twin, **{**body, "part": node}, slices=piece).code == "BAD_CHANGE"
    assert refused(twin, **{**body, "node": str(uuid.uuid4())}, slices=piece).code == "NO_SUCH_NODE"
    erasing = [{**part, "runs": [[*run[:2], 0] for run in part["runs"]]} for part in piece]
    assert refused(twin, **body, slices=erasing).code == "BAD_CHANGE"
    rolf = Twin(ready, "reader2")
    mine = str(uuid.uuid4())
    rolf.send(rolf.paint(mine, 9, (2, 2, 7, 8)))
    assert refused(twin, **{**body, "part": mine}, slices=piece).code == "NODE_NOT_NEW"
    twin.send(twin.make("decision", node=node, decision="rejected", reason="vessel"))
    assert refused(twin, **body, slices=piece).code == "NODE_REJECTED"


def test_the_larger_of_two_merged_keeps_its_name(ready: Site, twin: Twin) -> None:
    small, _, large = ready.nodes
    sizes = [int((twin.volume == number).sum()) for number in (1, 3)]
    assert sizes[0] < sizes[1]
    wrong = {"kind": "merge", "node": small, "merged": large}
    assert refused(twin, **wrong).code == "MERGED_IS_LARGER"
    twin.send(twin.make("impression", node=large, value="metastatic", confidence=90))
    twin.send(twin.make("merge", node=large, merged=small))
    agree(ready, twin)
    kept, gone = state_of(ready, large), state_of(ready, small)
    assert kept.measures["voxels"] == sum(sizes)
    assert (kept.parents, kept.decision, kept.impression) == ([small], "reshaped", "metastatic")
    assert (gone.decision, gone.measures, str(gone.merged_into)) == ("merged", None, large)
    assert not any(check["node"] == small for check in ready_checks(ready))
    assert refused(twin, kind="merge", node=large, merged=small).code == "NODE_EMPTY"
    decided = refused(twin, kind="decision", node=small, decision="accepted")
    assert decided.code == "NODE_MERGED"


def ready_checks(site: Site) -> list[dict[str, Any]]:
    return site.client("reader1").get(f"/api/readings/{site.reading().pk}").json()["checks"]


def test_a_merge_is_taken_back_and_made_again(ready: Site, twin: Twin) -> None:
    small, _, large = ready.nodes
    twin.send(twin.make("decision", node=small, decision="accepted"))
    before = twin.volume.copy()
    change = twin.make("merge", node=large, merged=small)
    twin.send(change)
    after = twin.volume.copy()
    back = undo(twin, change, before)
    twin.send(back)
    agree(ready, twin)
    one, other = state_of(ready, small), state_of(ready, large)
    assert (one.decision, one.merged_into, one.touched) == ("accepted", None, False)
    assert (other.decision, other.parents) == ("undecided", [])
    again = undo(twin, back, after)
    twin.send(again)
    one, other = state_of(ready, small), state_of(ready, large)
    assert (one.decision, str(one.merged_into), other.parents) == ("merged", large, [small])
    twin.send(undo(twin, again, before))
    assert state_of(ready, small).merged_into is None
    agree(ready, twin)


def test_an_undo_that_splits_or_merges_is_refused(ready: Site, twin: Twin) -> None:
    small, _, large = ready.nodes
    change = twin.make("merge", node=large, merged=small)
    twin.send(change)
    for inverse in (
        {"kind": "merge", "node": large, "merged": small},
        {
            "kind": "split",
            "node": large,
            "part": str(uuid.uuid4()),
            "slices": twin.shape(upper(twin, large, 1)),
        },
        twin.stroke(small, 9, (0, 0, 2, 2)),
    ):
        code = refused(twin, kind="undo", undoes=change["id"], inverse=inverse).code
        assert code == "NOT_THE_INVERSE"


def test_painting_a_merged_node_brings_it_back(ready: Site, twin: Twin) -> None:
    small, _, large = ready.nodes
    twin.send(twin.make("merge", node=large, merged=small))
    twin.send(twin.paint(small, 3, (4, 4, 6, 6)))
    state = state_of(ready, small)
    assert (state.decision, state.merged_into) == ("reshaped", None)
    assert state.measures is not None


def test_splits_and_merges_made_offline_chain_and_are_answered_once(
    ready: Site, twin: Twin
) -> None:
    before = twin.volume.copy()
    first, part = split(twin, ready.nodes[0])
    second = twin.make("merge", node=ready.nodes[2], merged=part)
    third = twin.make("impression", node=ready.nodes[2], value="metastatic", confidence=50)
    merged = twin.volume.copy()
    assert not np.array_equal(before, merged)
    answers = twin.send(first, second, third)
    assert [answer["head"] for answer in answers][-1] == twin.head
    agree(ready, twin)
    assert twin.send(first, second, third) == answers
    assert Change.objects.count() == 3
    assert Node.objects.filter(origin="split").count() == 1


def test_what_is_signed_names_the_lineage_and_the_effective_mask_has_the_survivors(
    ready: Site, twin: Twin
) -> None:
    small, middle, large = ready.nodes
    change, part = split(twin, middle)
    twin.send(change)
    twin.send(twin.make("merge", node=large, merged=small))
    twin.send(twin.make("decision", node=middle, decision="accepted"))
    twin.look_through()
    signature = twin.submit()
    nodes = {node["node"]: node for node in signature.record["nodes"]}
    assert nodes[part]["parents"] == [middle]
    assert nodes[small]["merged_into"] == large
    assert nodes[large]["parents"] == [small]
    assert "parents" not in nodes[middle]
    effective = ready.reading().effective
    assert effective is not None
    assert set(effective.manifest.labels.values()) == {part, middle, large}
    assert maskstore.volume(effective).shape == SHAPE


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["paint", "erase", "accept", "reject", "split", "merge"]),
        st.integers(0, 4),
        st.integers(0, 4),
        st.integers(0, 11),
        st.integers(0, 18),
    ),
    min_size=3,
    max_size=9,
)


def step_of(
    ready: Site, twin: Twin, step: tuple[str, int, int, int, int], nodes: list[str]
) -> tuple[dict[str, Any], dict[str, Any] | None] | None:
    """A change that is possible now, and the inverse of one that is none of voxels."""
    kind, one, other, slice_, place = step
    node, second = nodes[one % len(nodes)], nodes[other % len(nodes)]
    state = NodeState.objects.filter(reading=ready.reading(), node_id=node).first()
    if kind in ("paint", "erase"):
        box = (place, place, place + 5, place + 4)
        return twin.paint(node, slice_, box, erase=kind == "erase"), None
    if state is None or state.decision == "merged":
        return None
    if kind in ("accept", "reject"):
        before = {"decision": state.decision, **({"reason": state.reason} if state.reason else {})}
        said = {"decision": "rejected", "reason": "fat"} if kind == "reject" else {}
        change = twin.make("decision", node=node, **({"decision": "accepted"} | said))
        return change, {"kind": "decision", "node": node, **before}
    if state.decision == "rejected" or state.measures is None:
        return None
    if kind == "split":
        part = upper(twin, node, 1)
        if not 0 < 2 * int(part.sum()) <= int(state.measures["voxels"]):
            return None
        name = str(uuid.uuid4())
        nodes.append(name)
        return twin.make("split", node=node, part=name, slices=twin.shape(part)), None
    partner = NodeState.objects.filter(reading=ready.reading(), node_id=second).first()
    if partner is None or partner == state or partner.decision in ("rejected", "merged"):
        return None
    if partner.measures is None:
        return None
    sizes = sorted(
        (-int(found.measures["voxels"]), found.label, str(found.node_id))
        for found in (state, partner)
    )
    return twin.make("merge", node=sizes[0][2], merged=sizes[1][2]), None


@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=STEPS)
def test_whatever_is_done_and_undone_ends_where_it_began(
    ready: Site, twin: Twin, steps: list[tuple[str, int, int, int, int]]
) -> None:
    nodes = [*ready.nodes, str(uuid.uuid4()), str(uuid.uuid4())]
    start, said = twin.volume.copy(), said_of(ready, ready.nodes)
    done: list[tuple[dict[str, Any], dict[str, Any] | None, np.ndarray[Any, Any]]] = []
    for step in steps:
        before = twin.volume.copy()
        found = step_of(ready, twin, step, nodes)
        if found is None:
            continue
        twin.send(found[0])
        agree(ready, twin)
        done.append((*found, before))
    for change, inverse, before in reversed(done):
        body = inverse or twin.difference(before)
        twin.send(twin.make("undo", undoes=change["id"], inverse=body))
        agree(ready, twin)
        assert np.array_equal(twin.volume, before)
    assert np.array_equal(twin.volume, start)
    assert said_of(ready, ready.nodes) == said
    assert len(set(twin.labels)) == len(twin.labels)


def said_of(site: Site, nodes: list[str]) -> list[Any]:
    """What is said and measured of nodes."""
    rows = site.reading().node_states.filter(node_id__in=nodes).order_by("label")
    return [(r.decision, r.reason, r.parents, r.merged_into, r.touched, r.measures) for r in rows]
