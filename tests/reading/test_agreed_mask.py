"""The agreed mask as it is kept: whose voxels, under which identity, and built again the same."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np
import pytest

from backend.audit.models import Event
from backend.imaging.masks import Manifest, canonical_json
from backend.reading import maskstore, services
from backend.reading.models import Cluster, Consensus, ConsensusNode, Discrepancy, Mask, Node
from backend.reading.services.agreed import rebuilt
from backend.reading.sharing import DEEPER
from backend.store import store
from tests.reading.consensus_room import Room
from tests.reading.site import BOXES, SHAPE, Site, Twin
from tests.reading.test_comparing import compare, finish

WHY = "It is seen so."


@pytest.fixture
def room(ready: Site) -> Room:
    """A compared case of which something is to be settled."""
    return Room(ready)


def decide(site: Site, found: Discrepancy, resolution: str, **own: Any) -> None:
    """One reader proposes, the other agrees."""
    users = site.users
    step = services.propose(
        discrepancy=found,
        user=users["reader1"],
        client=uuid.uuid4(),
        seen=0,
        resolution=resolution,
        rationale=WHY,
        **own,
    )
    services.agree(
        discrepancy=found, user=users["reader2"], client=uuid.uuid4(), seen=1, step=step.pk
    )


def settle(site: Site, ways: dict[int, str] | str, **own: Any) -> Consensus:
    """Settle all that is open: by the number of its cluster, or all alike."""
    consensus = Consensus.objects.filter(case=site.case).latest("version")
    for found in consensus.discrepancies.filter(state="open").order_by("cluster__number"):
        way = ways if isinstance(ways, str) else ways[found.cluster.number]
        decide(site, found, way, **(own if way == "redrawn" else {}))
    consensus = Consensus.objects.get(pk=consensus.pk)
    assert consensus.state in ("labelling", "ready")
    return consensus


def volume(mask: Mask | None) -> np.ndarray[Any, Any]:
    return np.zeros(SHAPE, np.uint16) if mask is None else maskstore.volume(mask)


def both(room: Room, cluster: Cluster) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """X's and Y's voxels in a cluster."""
    comparison = room.comparison
    parts = [
        np.isin(volume(comparison.first.effective), [n["label"] for n in cluster.first_nodes]),
        np.isin(volume(comparison.second.effective), [n["label"] for n in cluster.second_nodes]),
    ]
    return (parts[0], parts[1]) if comparison.x_is_first else (parts[1], parts[0])


def node_of(consensus: Consensus, cluster: Cluster) -> ConsensusNode:
    return consensus.nodes.get(cluster=cluster)


def two_sided(room: Room) -> Cluster:
    """A cluster to settle that both have a node in, not drawn alike."""
    for found in room.discrepancies():
        cluster = found.cluster
        if (
            cluster.first_nodes
            and cluster.second_nodes
            and cluster.shared_voxels < cluster.union_voxels
        ):
            return cluster
    raise AssertionError


@pytest.mark.parametrize("way", ["X", "Y", "union", "intersection", "AI", "redrawn"])
def test_the_shape_that_was_agreed_on_is_the_one_that_is_kept(room: Room, way: str) -> None:
    cluster = two_sided(room)
    ways = {found.cluster.number: "absent" for found in room.discrepancies()}
    ways[cluster.number] = way
    shape = room.shape(5, (9, 9, 13, 14))
    consensus = settle(room.site, ways, shape=shape)
    node = node_of(consensus, cluster)
    kept = volume(consensus.mask) == node.number
    x, y = both(room, cluster)
    drawn = np.zeros(SHAPE, np.bool_)
    drawn[5, 9:13, 9:14] = True
    z, r, c = BOXES[1]
    ai = np.zeros(SHAPE, np.bool_)
    ai[z[0] : z[1], r[0] : r[1], c[0] : c[1]] = True
    wanted = {
        "X": x, "Y": y, "union": x | y, "intersection": x & y, "AI": ai, "redrawn": drawn,
    }  # fmt: skip
    assert np.array_equal(kept, wanted[way])
    assert node.origin == way
    assert node.measures["voxels"] == int(kept.sum())
    assert str(node.node_id) == room.site.nodes[1]


def test_what_is_absent_leaves_nothing_and_what_cannot_be_told_is_ignored(room: Room) -> None:
    first, second, *rest = room.discrepancies()
    ways = {found.cluster.number: "union" for found in rest}
    ways |= {first.cluster.number: "absent", second.cluster.number: "indeterminate"}
    consensus = settle(room.site, ways)
    for found in (first, second):
        assert not consensus.nodes.filter(cluster=found.cluster).exists()
    ignored, agreed = volume(consensus.ignored), volume(consensus.mask)
    assert np.array_equal(
        ignored == second.cluster.number, np.logical_or(*both(room, second.cluster)) & (agreed == 0)
    )
    small = consensus.discrepancies.get(resolution="ignore").cluster.number
    assert set(np.unique(ignored)) == {0, small, second.cluster.number}
    assert not ((ignored > 0) & (agreed > 0)).any()


def test_what_both_drew_alike_is_agreed_as_it_is(room: Room) -> None:
    consensus = settle(room.site, "X")
    node = consensus.nodes.get(origin="identical")
    drawn = volume(room.comparison.first.effective) == node.cluster.first_nodes[0]["label"]
    assert np.array_equal(volume(consensus.mask) == node.number, drawn)


def test_the_mean_of_two_borders_is_agreed_as_the_rule_drew_it(ready: Site) -> None:
    three = ready.nodes[2]
    for name in ("reader1", "reader2"):
        twin = Twin(ready, name)
        if name == "reader2":
            twin.send(twin.paint(three, 7, (14, 20, 20, 21)))
        finish(twin)
    comparison = compare(ready)
    consensus = Consensus.objects.get()
    node = consensus.nodes.get(origin="mean")
    settled = volume(comparison.settled) == node.cluster.number
    assert np.array_equal(volume(consensus.mask) == node.number, settled)
    assert str(node.node_id) == three


def test_nodes_are_numbered_from_the_skull_base_to_the_clavicle(room: Room) -> None:
    nodes = list(settle(room.site, "union").nodes.order_by("number"))
    assert [node.number for node in nodes] == list(range(1, len(nodes) + 1))
    heights = [node.measures["centroid_mm"][2] for node in nodes]
    assert heights == sorted(heights, reverse=True)


def test_several_nodes_of_one_reader_stay_several_and_keep_their_identities(ready: Site) -> None:
    """Reader 2 cut the AI's third node in two; both agree to that."""
    three, part = ready.nodes[2], str(uuid.uuid4())
    finish(Twin(ready))
    second = Twin(ready, "reader2")
    for index in range(*BOXES[2][0]):
        second.send(second.paint(three, index, (16, 14, 17, 20), erase=True))
        second.send(second.paint(part, index, (17, 14, 20, 20)))
    finish(second)
    comparison = compare(ready)
    cluster = comparison.clusters.get(outcome="open")
    consensus = settle(ready, "Y" if comparison.x_is_first else "X")
    found = {node.measures["voxels"]: node.node for node in consensus.nodes.filter(cluster=cluster)}
    # Voxels decide: the larger part has the first reader's name, though reader 2 gave it another.
    assert set(found) == {36, 54}
    assert str(found[54].pk) == three
    assert str(found[36].pk) not in (three, part)
    assert found[36].first_mask == consensus.mask


def test_two_nodes_of_one_name_are_told_apart(ready: Site) -> None:
    """Both kept the AI's third node, each the other end of it."""
    three = ready.nodes[2]
    for name, gone, more in (("reader1", (14, 17), (20, 23)), ("reader2", (17, 20), (11, 14))):
        twin = Twin(ready, name)
        for index in range(*BOXES[2][0]):
            twin.send(twin.paint(three, index, (gone[0], 14, gone[1], 20), erase=True))
            twin.send(twin.paint(three, index, (more[0], 14, more[1], 20)))
        finish(twin)
    compare(ready)
    consensus = settle(ready, "union")
    nodes = [node for node in consensus.nodes.all() if node.origin == "union"]
    names = {str(node.node_id): node.node for node in nodes}
    assert len(names) == 2
    minted = next(node for name, node in names.items() if name != three)
    assert (minted.origin, minted.run_id, minted.reading) == ("split", None, None)
    assert minted.first_mask == consensus.mask
    assert consensus.mask is not None
    assert rebuilt(consensus)[0] == consensus.mask.hash


def test_of_contested_voxels_each_goes_to_one_node_and_they_are_counted(room: Room) -> None:
    """A redrawn shape reaches into its neighbour."""
    cluster = two_sided(room)
    others = [d.cluster for d in room.discrepancies() if d.cluster != cluster]
    neighbour = next(c for c in others if c.first_nodes and c.first_nodes[0]["node"] == room.added)
    ways = {c.number: "absent" for c in others} | {
        cluster.number: "redrawn",
        neighbour.number: "X" if room.comparison.x_is_first else "Y",
    }
    consensus = settle(room.site, ways, shape=room.shape(9, (2, 12, 9, 18)))
    assert consensus.facts["contested_voxels"] == 7 * 4
    assert consensus.facts["contested_rule"] == DEEPER
    assert consensus.facts["covered"] == []
    sizes = [
        node.measures["voxels"] for node in consensus.nodes.filter(cluster__in=[cluster, neighbour])
    ]
    assert sum(sizes) == 7 * 6 + 3 * 7 * 8 - 28


def test_the_event_says_all_of_it(room: Room) -> None:
    consensus = settle(room.site, "union")
    facts = Event.objects.get(action="consensus.settled").facts
    assert consensus.mask is not None
    assert facts["mask"] == consensus.mask.hash
    assert facts["ignored"] == (consensus.ignored.hash if consensus.ignored else None)
    told = [
        {
            "number": node.number,
            "node": str(node.node_id),
            "cluster": node.cluster.number,
            "origin": node.origin,
            "side": node.side,
            "level": node.level,
            "impressions": node.impressions,
            "measures": node.measures,
        }
        for node in consensus.nodes.order_by("number")
    ]
    assert facts["nodes"] == told


def test_impressions_of_both_readers_stand_beside_each_node(room: Room) -> None:
    consensus = settle(room.site, "union")
    three = consensus.nodes.get(node=room.site.nodes[2])
    x, y = (None, "non_metastatic") if room.comparison.x_is_first else ("non_metastatic", None)
    assert three.impressions == {"x": x, "y": y}


def test_built_again_from_what_is_stored_it_is_the_same_mask(room: Room) -> None:
    ways = ["redrawn", "indeterminate", "X", "union"]
    numbers = [found.cluster.number for found in room.discrepancies()]
    shape = room.shape(5, (9, 9, 13, 14))
    consensus = settle(room.site, dict(zip(numbers, ways, strict=True)), shape=shape)
    assert consensus.mask is not None
    assert consensus.ignored is not None
    assert rebuilt(consensus) == (consensus.mask.hash, consensus.ignored.hash)
    comparison = room.comparison
    sides = [comparison.first.effective, comparison.second.effective]
    assert list(consensus.mask.manifest.parents[:2]) == [mask.hash for mask in sides if mask]
    assert consensus.mask.manifest.labels == {
        node.number: str(node.node_id) for node in consensus.nodes.all()
    }


def test_every_mask_that_was_ever_saved_is_in_the_store_under_its_own_hash(room: Room) -> None:
    settle(room.site, "redrawn", shape=room.shape(5, (9, 9, 13, 14)))
    kinds = set()
    for mask in Mask.objects.all():
        data = store().read(mask.hash)
        assert data == canonical_json(mask.manifest_json)
        assert Manifest.from_bytes(data).hash == mask.hash
        kinds.add(mask.kind)
    assert kinds >= {"empty", "ai", "reading", "effective", "redrawn", "consensus", "ignored"}


def test_a_version_that_decides_the_same_agrees_on_the_same_mask(room: Room) -> None:
    first = settle(room.site, "union")
    before = Mask.objects.count(), Node.objects.count()
    following = services.reopen_consensus(
        consensus=first,
        actor=room.site.users["coordinator"],
        client=uuid.uuid4(),
        reason="A look at one of them again.",
        discrepancies=[],
    )
    following.refresh_from_db()
    assert following.version == 2
    assert (following.mask, following.ignored) == (first.mask, first.ignored)
    assert (Mask.objects.count(), Node.objects.count()) == before
    assert following.nodes.count() == first.nodes.count()
