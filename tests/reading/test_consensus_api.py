"""Settling over the API: what is there, what each may do, and what it comes to."""

from __future__ import annotations

import gzip
import json
import struct
import uuid
from typing import Any

import numpy as np
import pytest
from django.db import transaction
from zstandard import ZstdDecompressor

from backend.audit.models import NewsItem
from backend.reading import maskstore, services
from backend.reading.models import Consensus, Step
from backend.reading.protocols import SETTLING
from backend.reading.services import projects
from tests.reading.consensus_room import LONG, Room
from tests.reading.site import PASSWORD, SHAPE, Site, Twin, build_site, default_model
from tests.reading.test_comparing import compare, finish


@pytest.fixture
def room(site: Site) -> Room:
    """A case with four things to settle."""
    return Room(site)


def unpacked(data: bytes) -> tuple[dict[str, Any], np.ndarray[Any, Any]]:
    """Header and voxels of a container, read by hand."""
    (length,) = struct.unpack_from("<I", data)
    header = json.loads(data[4 : 4 + length])
    volume = np.zeros(header["shape"], np.uint16)
    size = volume[0].nbytes
    for place, entry in enumerate(header["slices"]):
        start = 4 + length + place * size
        plane = np.frombuffer(data[start : start + size], "<u2")
        volume[entry["index"]] = plane.reshape(volume.shape[1:])
    return header, volume


def of_number(found: dict[str, Any], number: int) -> dict[str, Any]:
    return next(each for each in found["discrepancies"] if each["cluster"] == number)


def test_a_draft_shows_what_is_to_be_settled_and_nothing_that_comes_later(room: Room) -> None:
    found = room.detail("reader1")
    case = room.site.case
    assert found["case"] == {"id": str(case.pk), "label": "LN-0001", "study_date": "2026-03-04"}
    assert (found["version"], found["state"], found["role"]) == (1, "draft", "reader")
    assert found["dicomweb"] == f"/dicom-web/consensus/{found['id']}"
    assert found["grid"]["shape"] == list(SHAPE)
    assert found["grid"]["geometry"] == case.geometry_hash
    assert found["show_ai"] is True
    assert found["resolutions"] == [
        "X", "Y", "AI", "union", "intersection", "redrawn", "absent", "indeterminate",
    ]  # fmt: skip
    assert found["counts"] == {
        "open": 4,
        "proposed": 0,
        "deferred": 0,
        "resolved": 0,
        "indeterminate": 0,
        "by_rule": 1,
        "identical": 1,
    }
    assert (found["nodes"], found["evidence"]) == ([], [])
    assert len(found["clusters"]) == 6
    assert [each["cluster"] for each in found["discrepancies"]] == sorted(
        each["cluster"] for each in found["discrepancies"]
    )
    opened = [each for each in found["discrepancies"] if not each["by_rule"]]
    assert {each["state"] for each in opened} == {"open"}
    assert all(each["possible"] == ["propose", "defer"] for each in opened)
    assert all(each["proposal"] is None and each["steps"] == [] for each in opened)
    (ruled,) = [each for each in found["discrepancies"] if each["by_rule"]]
    assert (ruled["resolution"], ruled["possible"]) == ("ignore", [])
    assert [(step["by"], step["resolution"]) for step in ruled["steps"]] == [("rule", "ignore")]
    assert [version["version"] for version in found["versions"]] == [1]


def test_beside_x_and_y_stands_what_each_decided_and_why(room: Room) -> None:
    found = room.detail("reader1")
    first = "x" if room.comparison.x_is_first else "y"
    second = "y" if first == "x" else "x"
    node = room.site.nodes[0]
    (cluster,) = [
        cluster
        for cluster in room.comparison.clusters.all()
        if node in {each["node"] for each in cluster.second_nodes}
    ]
    (shown,) = [each for each in found["clusters"] if each["number"] == cluster.number]
    assert shown[first] is None
    assert shown["decisions"][first] == [{"decision": "rejected", "reason": "vessel"}]
    assert shown["decisions"][second] == [{"decision": "accepted", "reason": None}]
    (cluster,) = [
        cluster
        for cluster in room.comparison.clusters.all()
        if room.added in {each["node"] for each in cluster.first_nodes}
    ]
    (shown,) = [each for each in found["clusters"] if each["number"] == cluster.number]
    assert shown["decisions"] == {first: [{"decision": "added", "reason": None}], second: []}
    assert room.detail("reader2")["clusters"] == found["clusters"]
    assert {each["decisions"] for each in room.detail("coordinator")["clusters"]} == {None}


def test_a_proposal_is_answered_by_the_other_reader_alone(room: Room) -> None:
    found = room.discrepancies()[0]
    told = room.act("reader1", "propose", found, resolution="union").json()
    mine = told["discrepancy"]
    assert (mine["state"], mine["version"], mine["proposal"]["by"]) == ("proposed", 1, "you")
    assert mine["possible"] == ["propose", "defer"]
    assert told["consensus"] == {"state": "draft", "counts": room.detail("reader1")["counts"]}
    assert (told["consensus"]["counts"]["open"], told["consensus"]["counts"]["proposed"]) == (3, 1)
    theirs = of_number(room.detail("reader2"), found.cluster.number)
    assert theirs["proposal"]["by"] == "other"
    assert theirs["proposal"]["rationale"] == LONG
    assert theirs["possible"] == ["propose", "agree", "defer"]
    own = room.act("reader1", "agree", found)
    assert (own.status_code, own.json()["error"]) == (403, "OWN_PROPOSAL")
    assert own.json()["possible"] == ["propose", "defer"]
    agreed = room.act("reader2", "agree", found, rationale="").json()["discrepancy"]
    assert (agreed["state"], agreed["resolution"], agreed["possible"]) == ("resolved", "union", [])
    assert [step["by"] for step in agreed["steps"]] == ["other", "you"]
    again = of_number(room.detail("reader1"), found.cluster.number)
    assert [step["by"] for step in again["steps"]] == ["you", "other"]
    assert again["rationale"] == LONG


def test_agreeing_that_it_cannot_be_told_leaves_it(room: Room) -> None:
    found = room.discrepancies()[0]
    room.act("reader2", "propose", found, resolution="indeterminate")
    left = room.act("reader1", "agree", found).json()["discrepancy"]
    assert (left["state"], left["resolution"]) == ("indeterminate", None)
    assert room.detail("reader2")["counts"]["indeterminate"] == 1


def test_the_last_agreement_opens_the_label_phase(room: Room) -> None:
    room.settle("union")
    found = room.detail("reader2")
    assert found["state"] == "labelling"
    assert len(found["nodes"]) == 5
    assert {node["label"] for node in found["nodes"]} == {None}
    assert found["labels"]["values"][0] == "metastatic"
    closed = room.act("reader1", "propose", room.discrepancies()[0])
    assert (closed.status_code, closed.json()["error"]) == (409, "CONSENSUS_CLOSED")
    assert all(each["possible"] == [] for each in found["discrepancies"])


def test_what_is_deferred_the_adjudicator_resolves(room: Room) -> None:
    found = room.discrepancies()[1]
    told = room.act("reader2", "defer", found).json()["discrepancy"]
    assert (told["state"], told["possible"]) == ("deferred", [])
    seen = room.detail("adjudicator")
    assert seen["role"] == "adjudicator"
    asked = of_number(seen, found.cluster.number)
    assert asked["possible"] == ["resolve"]
    assert [step["by"] for step in asked["steps"]] == ["other"]
    others = [each for each in seen["discrepancies"] if each["id"] != str(found.pk)]
    assert all(each["possible"] == [] for each in others)
    resolved = room.act("adjudicator", "resolve", found, resolution="absent").json()["discrepancy"]
    assert (resolved["state"], resolved["resolution"]) == ("resolved", "absent")
    assert [step["by"] for step in resolved["steps"]] == ["other", "you"]
    reader = of_number(room.detail("reader2"), found.cluster.number)
    assert [step["by"] for step in reader["steps"]] == ["you", "adjudicator"]


def test_an_auditor_is_told_names_and_does_nothing(room: Room) -> None:
    found = room.discrepancies()[0]
    room.act("reader1", "propose", found)
    seen = of_number(room.detail("auditor"), found.cluster.number)
    assert seen["proposal"]["by"] == "Rita Reader"
    assert seen["possible"] == []
    refused = room.act("auditor", "agree", found)
    assert (refused.status_code, refused.json()["possible"]) == (403, [])


VERBS = ("propose", "agree", "defer", "resolve")
# What each may do, by the state a discrepancy is in; the first reader made the proposal.
MAY = {
    ("open", "reader1"): {"propose", "defer"},
    ("open", "reader2"): {"propose", "defer"},
    ("proposed", "reader1"): {"propose", "defer"},
    ("proposed", "reader2"): {"propose", "agree", "defer"},
    ("deferred", "adjudicator"): {"resolve"},
}


@pytest.mark.parametrize("state", ["open", "proposed", "deferred", "resolved", "indeterminate"])
def test_in_every_state_each_may_do_what_the_table_says_and_is_told_so(
    room: Room, state: str
) -> None:
    asked, other = room.discrepancies()[:2]
    room.act("reader2", "defer", other)  # So that the adjudicator sees the consensus at all.
    if state in ("proposed", "resolved", "indeterminate"):
        word = "indeterminate" if state == "indeterminate" else "X"
        room.act("reader1", "propose", asked, resolution=word)
    if state in ("resolved", "indeterminate"):
        room.act("reader2", "agree", asked)
    if state == "deferred":
        room.act("reader1", "defer", asked)
    asked.refresh_from_db()
    assert asked.state == state
    for name in ("reader1", "reader2", "adjudicator", "auditor", "coordinator"):
        may = MAY.get((state, name), set())
        offered = of_number(room.detail(name), asked.cluster.number)["possible"]
        assert set(offered) == may, name
        for verb in VERBS:
            if verb in may:
                continue
            answer = room.act(name, verb, asked)
            body = answer.json()
            if body["error"] == "MOVED_ON":  # There is no such proposal.
                assert (verb, state) == ("agree", "proposed")
            else:
                assert answer.status_code in (403, 409), (name, verb)
                assert set(body["possible"]) == may, (name, verb, body)
    asked.refresh_from_db()
    assert asked.state == state
    for (at, name), verbs in MAY.items():
        for verb in sorted(verbs) if at == state else ():
            point = transaction.savepoint()
            assert room.act(name, verb, asked).status_code == 200, (name, verb)
            transaction.savepoint_rollback(point)


def test_who_acts_on_what_moved_on_is_told_what_changed(room: Room) -> None:
    found = room.discrepancies()[0]
    first = room.act("reader1", "propose", found, resolution="X")
    assert first.status_code == 200
    late = room.act("reader2", "propose", found, resolution="Y", seen=0)
    body = late.json()
    assert (late.status_code, body["error"], body["possible"]) == (409, "MOVED_ON", ["reload"])
    assert body["discrepancy"] == of_number(room.detail("reader2"), found.cluster.number)
    assert [(step["action"], step["by"], step["resolution"]) for step in body["since"]] == [
        ("propose", "other", "X")
    ]
    room.act("reader1", "propose", found, resolution="union")
    body = room.act("reader2", "defer", found, seen=1).json()
    assert [step["resolution"] for step in body["since"]] == ["union"]
    gone = room.act("reader2", "agree", found, step=first.json()["discrepancy"]["proposal"]["step"])
    assert (gone.status_code, gone.json()["error"]) == (409, "MOVED_ON")
    assert Step.objects.count() == 2


def test_an_act_sent_again_is_answered_as_it_was(room: Room) -> None:
    found = room.discrepancies()[0]
    act = {"client": str(uuid.uuid4()), "seen": 0, "resolution": "union"}
    told = room.act("reader1", "propose", found, **act)
    room.act("reader2", "propose", found, resolution="X")
    again = room.act("reader1", "propose", found, **act)
    assert (again.status_code, again.json()) == (200, told.json())
    assert Step.objects.count() == 2
    for name, verb, body in (
        ("reader1", "propose", {**act, "resolution": "Y"}),
        ("reader1", "defer", {"client": act["client"], "seen": 0}),
        ("reader2", "propose", act),
    ):
        other = room.act(name, verb, found, **body)
        assert (other.status_code, other.json()["error"]) == (409, "CLIENT_REUSED")


def test_a_shape_is_redrawn_shown_and_agreed_on(room: Room) -> None:
    found = room.discrepancies()[0]
    shape = room.shape(3, (4, 4, 9, 10))
    told = room.act("reader1", "propose", found, resolution="redrawn", shape=shape).json()
    proposal = told["discrepancy"]["proposal"]
    assert proposal["mask"] == Step.objects.get().mask.hash  # type: ignore[union-attr]
    path = f"/api/consensus/{room.consensus.pk}/volumes/redrawn?step={proposal['step']}"
    for name in ("reader1", "reader2", "auditor"):
        answer = room.get(name, path)
        assert answer.status_code == 200
        header, volume = unpacked(answer.content)
        assert header["labels"] == [[1, str(found.cluster.number)]]
        expected = np.zeros(SHAPE, np.uint16)
        expected[3, 4:9, 4:10] = 1
        assert np.array_equal(volume, expected)
    for odd in ("", f"?step={uuid.uuid4()}"):
        gone = room.get("reader1", f"/api/consensus/{room.consensus.pk}/volumes/redrawn{odd}")
        assert gone.status_code == 404
    bad = room.get("reader1", f"/api/consensus/{room.consensus.pk}/volumes/redrawn?step=odd")
    assert (bad.status_code, bad.json()["error"]) == (400, "BAD_STEP")
    agreed = room.act("reader2", "agree", found).json()["discrepancy"]
    assert agreed["resolution"] == "redrawn"


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("propose", {"resolution": "mean"}),
        ("propose", {"resolution": "ignore"}),
        ("propose", {"resolution": "odd"}),
        ("propose", {"rationale": ""}),
        ("propose", {"rationale": "x" * 1001}),
        ("propose", {"seen": -1}),
        ("propose", {"client": "odd"}),
        ("propose", {"resolution": "redrawn"}),
        ("propose", {"resolution": "redrawn", "shape": {"slices": []}}),
        ("propose", {"resolution": "redrawn", "shape": [1]}),
        ("propose", {"resolution": "X", "shape": {"slices": []}}),
        ("defer", {"rationale": " "}),
        ("agree", {"step": "odd"}),
    ],
)
def test_what_cannot_be_used_is_refused_and_changes_nothing(
    room: Room, verb: str, body: dict[str, Any]
) -> None:
    found = room.discrepancies()[0]
    answer = room.act("reader1", verb, found, **body)
    assert answer.status_code == 400, answer.content
    assert answer.json()["cure"]
    assert not Step.objects.exists()


def test_x_and_y_are_the_submitted_masks_named_by_cluster(room: Room) -> None:
    comparison = room.comparison
    sides = comparison.first, comparison.second
    x, y = sides if comparison.x_is_first else sides[::-1]
    clusters = {c["number"]: c for c in room.detail("reader1")["clusters"]}
    for layer, reading in (("x", x), ("y", y)):
        answer = room.get("reader2", f"/api/consensus/{room.consensus.pk}/volumes/{layer}")
        header, volume = unpacked(answer.content)
        assert reading.effective is not None
        assert np.array_equal(volume, maskstore.volume(reading.effective))
        assert header["geometry"] == room.site.case.geometry_hash
        named = {
            node["label"]: str(number)
            for number, cluster in clusters.items()
            for node in (cluster[layer] or {"nodes": []})["nodes"]
        }
        assert dict(header["labels"]) == named
        assert set(np.unique(volume)) - {0} == set(named)


def test_the_ais_nodes_are_named_by_the_cluster_they_lie_in(room: Room) -> None:
    answer = room.get("reader1", f"/api/consensus/{room.consensus.pk}/volumes/ai")
    header, volume = unpacked(answer.content)
    assert set(np.unique(volume)) == {0, 1, 2, 3, 4}
    by_node = {
        node["node"]: str(cluster.number)
        for cluster in room.comparison.clusters.all()
        for node in (*cluster.first_nodes, *cluster.second_nodes)
    }
    assert dict(header["labels"]) == {
        number: by_node[node] for number, node in enumerate(room.site.nodes, 1)
    }


def test_an_ais_node_that_both_rejected_lies_in_no_cluster(ready: Site) -> None:
    for name in ("reader1", "reader2"):
        twin = Twin(ready, name)
        twin.send(twin.make("decision", node=ready.nodes[1], decision="rejected", reason="vessel"))
        finish(twin)
    compare(ready)
    consensus = Consensus.objects.get()
    answer = ready.client("reader1").get(f"/api/consensus/{consensus.pk}/volumes/ai")
    header, _ = unpacked(answer.content)
    assert dict(header["labels"])[2] == ""


def test_agreed_and_ignored_exist_once_everything_is_settled(room: Room) -> None:
    path = f"/api/consensus/{room.consensus.pk}/volumes"
    for layer in ("agreed", "ignored"):
        early = room.get("reader1", f"{path}/{layer}")
        assert (early.status_code, early.json()["error"]) == (409, "NOT_SETTLED")
        assert early.json()["possible"] == ["settle"]
    room.settle("union")
    header, volume = unpacked(room.get("reader1", f"{path}/agreed").content)
    nodes = room.detail("reader1")["nodes"]
    assert dict(header["labels"]) == {node["number"]: str(node["cluster"]) for node in nodes}
    assert set(np.unique(volume)) - {0} == {node["number"] for node in nodes}
    header, volume = unpacked(room.get("reader1", f"{path}/ignored").content)
    (ignored,) = room.comparison.clusters.filter(outcome="ignored")
    assert header["labels"] == [[ignored.number, str(ignored.number)]]
    assert set(np.unique(volume)) == {0, ignored.number}


def test_a_volume_is_compressed_as_asked_and_never_sent_twice(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/api/consensus/{room.consensus.pk}/volumes/x"
    plain = room.get("reader1", path).content
    zipped = room.get("reader1", path, **{"Accept-Encoding": "gzip"})
    packed = room.get("reader1", path, **{"Accept-Encoding": "gzip, zstd"})
    assert gzip.decompress(zipped.content) == plain
    with ZstdDecompressor().stream_reader(packed.content) as reader:
        assert reader.read() == plain
    assert packed["Content-Encoding"] == "zstd"
    assert packed["Cache-Control"] == "private, max-age=31536000, immutable"
    assert packed["Content-Type"] == room.get("reader1", path)["Content-Type"]

    def unread(*_: Any) -> bytes:
        raise AssertionError("what is cached was read again")

    monkeypatch.setattr(maskstore, "packed", unread)
    monkeypatch.setattr("backend.reading.consensus_volumes.packed", unread)
    known = room.get(
        "reader1", path, **{"Accept-Encoding": "gzip, zstd", "If-None-Match": packed["ETag"]}
    )
    assert (known.status_code, known.content) == (304, b"")


def test_there_is_no_ai_where_the_protocol_shows_none(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = [
        {
            **built_in,
            "version": built_in["version"] + 90,
            "definition": {**built_in["definition"], "settling": {**SETTLING, "show_ai": False}},
        }
        for built_in in projects.BUILT_IN
    ]
    monkeypatch.setattr(projects, "BUILT_IN", hidden)
    default_model()
    room = Room(build_site())
    found = room.detail("reader1")
    assert found["show_ai"] is False
    assert "AI" not in found["resolutions"]
    assert {each["decisions"] for each in found["clusters"]} == {None}
    for name in ("reader1", "auditor"):
        assert room.get(name, f"/api/consensus/{found['id']}/volumes/ai").status_code == 404
    refused = room.act("reader1", "propose", room.discrepancies()[0], resolution="AI")
    assert refused.status_code == 400
    assert "AI" not in refused.json()["possible"]
    found = room.discrepancies()[0]
    room.act("reader2", "defer", found)
    refused = room.act("adjudicator", "resolve", found, resolution="AI")
    assert (refused.status_code, refused.json()["error"]) == (400, "BAD_RESOLUTION")


def rows(room: Room, name: str) -> Any:
    return room.get(name, "/api/worklist").json()


def test_the_worklist_says_how_far_settling_is_and_what_waits(room: Room) -> None:
    (row,) = rows(room, "reader1")["results"]
    consensus = str(room.consensus.pk)
    assert row["settle"] == {
        "url": f"/viewer/settle?StudyInstanceUIDs={room.site.case.study_uid}&consensus={consensus}",
        "consensus": consensus,
        "state": "draft",
        "open": 4,
        "waiting_for_you": 0,
        "text": "4 to settle",
    }
    one, two, *_ = room.discrepancies()
    room.act("reader2", "propose", one, resolution="union")
    room.act("reader2", "defer", two)
    (row,) = rows(room, "reader1")["results"]
    assert row["settle"]["text"] == "3 to settle · 1 waits for your answer · 1 with the adjudicator"
    assert (row["settle"]["open"], row["settle"]["waiting_for_you"]) == (3, 1)
    (row,) = rows(room, "reader2")["results"]
    assert row["settle"]["text"] == "3 to settle · 1 with the adjudicator"
    (waiting,) = rows(room, "adjudicator")["deferred"]
    assert (waiting["text"], waiting["open"]) == ("1 to decide", 1)
    assert waiting["case"]["label"] == "LN-0001"
    page = room.get("adjudicator", "/").content.decode()
    assert "1 to decide" in page
    assert "Nothing was left to you" not in page
    room.act("adjudicator", "resolve", two, resolution="union")
    assert (
        "nothing waits for you" in room.get("adjudicator", "/worklist/deferred/").content.decode()
    )
    page = room.get("reader1", "/worklist/rows/").content.decode()
    assert "3 to settle · 1 waits for your answer" in page
    assert ">Settle</a>" in page
    room.settle()
    room.act("reader1", "agree", one)
    (row,) = rows(room, "reader1")["results"]
    assert (row["settle"]["state"], row["settle"]["text"]) == ("labelling", "5 nodes to label")


def test_who_only_adjudicates_sees_no_empty_list_of_readings(room: Room) -> None:
    assert 'id="deferred"' in room.get("adjudicator", "/").content.decode()
    assert 'id="worklist"' not in room.get("adjudicator", "/").content.decode()
    assert 'id="worklist"' in room.get("reader1", "/").content.decode()


def panel(room: Room, name: str) -> str:
    page: str = room.get(name, f"/cases/{room.site.case.pk}/").content.decode()
    return page[page.index('id="settling"') :].partition("</section>")[0]


def test_the_cases_page_says_how_settling_goes_and_who_still_has_to_act(room: Room) -> None:
    text = panel(room, "coordinator")
    assert '<dd data-count="open">4' in text
    assert "<dt>R1 or R2</dt><dd data-waits>4 to propose</dd>" in text
    assert "/viewer/settle" not in text
    one, two, *_ = room.discrepancies()
    room.act("reader1", "propose", one)
    room.act("reader2", "defer", two)
    text = panel(room, "coordinator")
    assert "<dt>R2</dt><dd data-waits>1 proposal to answer</dd>" in text
    assert "<dt>Adjudicator</dt><dd data-waits>1 to decide</dd>" in text
    assert LONG not in text
    assert f"consensus={room.consensus.pk}" in panel(room, "auditor").replace("&amp;", "&")


def test_the_lists_follow_labels_and_signatures_to_the_end(
    room: Room, django_assert_max_num_queries: Any
) -> None:
    def text(name: str) -> str:
        (row,) = rows(room, name)["results"]
        return str(row["settle"]["text"])

    def sign(name: str) -> None:
        shown = room.detail(name)["signing"]["record_hash"]
        body = {"client": str(uuid.uuid4()), "record_hash": shown, "password": PASSWORD}
        assert room.post(name, f"/api/consensus/{room.consensus.pk}/sign", body).status_code == 200

    room.settle()
    for node in room.detail("reader1")["nodes"]:
        path = f"/api/consensus/{room.consensus.pk}/nodes/{node['number']}/label"
        body = {"client": str(uuid.uuid4()), "seen": 0, "value": "non_metastatic", "evidence": []}
        labelled = room.put("reader1", path, body)
        assert labelled.status_code == 200, labelled.content
    assert (text("reader1"), text("reader2")) == ("waits for your signature",) * 2
    assert "<dt>R1</dt><dd data-waits>to sign</dd>" in panel(room, "coordinator")
    with django_assert_max_num_queries(30):
        room.detail("reader1")
    sign("reader1")
    assert text("reader1") == "signed by you, waits for another signature"
    assert text("reader2") == "waits for your signature"
    assert "<dt>R1</dt>" not in panel(room, "coordinator")
    sign("reader2")
    assert (text("reader1"), text("reader2")) == ("version 1 published",) * 2
    assert "published" in panel(room, "coordinator")
    assert room.detail("reader1")["versions"][0]["published_at"]


def test_it_is_read_in_few_queries_however_much_is_to_settle(
    site: Site, django_assert_max_num_queries: Any
) -> None:
    volume = np.zeros(SHAPE, np.uint16)
    for number in range(30):
        z, rest = divmod(number, 15)
        y, x = divmod(rest, 5)
        volume[5 * z : 5 * z + 3, 6 * y : 6 * y + 3, 4 * x : 4 * x + 3] = number + 1
    site.presegment(volume)
    first, second = Twin(site), Twin(site, "reader2")
    first.send(*(first.make("doubt", node=node, value=True) for node in site.nodes))
    for twin in (first, second):
        twin.send(*(twin.make("decision", node=n, decision="accepted") for n in site.nodes))
        finish(twin)
    compare(site)
    consensus = Consensus.objects.get()
    path = f"/api/consensus/{consensus.pk}"
    for found in consensus.discrepancies.all():
        services.propose(
            discrepancy=found,
            user=site.users["reader1"],
            client=uuid.uuid4(),
            seen=0,
            resolution="X",
            rationale="a reason",
        )
    client = site.client("reader2")
    with django_assert_max_num_queries(16):
        found = client.get(path).json()
    assert found["counts"]["proposed"] == len(found["clusters"]) == 30
    with django_assert_max_num_queries(12):
        (row,) = client.get("/api/worklist").json()["results"]
    assert row["settle"]["waiting_for_you"] == 30
    for found in consensus.discrepancies.select_related("proposal"):
        services.agree(
            discrepancy=found,
            user=site.users["reader2"],
            client=uuid.uuid4(),
            seen=1,
            step=found.proposal.pk,
        )
    with django_assert_max_num_queries(25):
        found = client.get(path).json()
    assert len(found["nodes"]) == 30
    with django_assert_max_num_queries(14):
        (row,) = client.get("/api/worklist").json()["results"]
    assert row["settle"]["text"] == "30 nodes to label"


def test_a_socket_brings_steps_by_number_and_state_alone(room: Room) -> None:
    found = room.discrepancies()[0]
    consensus = room.consensus
    room.act("reader1", "propose", found)
    room.act("reader2", "agree", found)
    heard = NewsItem.objects.filter(audience=consensus.audience).order_by("seq")
    assert [(item.type, item.payload) for item in heard] == [
        (
            "discrepancy.changed",
            {"discrepancy": str(found.pk), "version": version, "state": state},
        )
        for version, state in ((1, "proposed"), (2, "resolved"))
    ]
    assert room.detail("reader1")["news_seq"] == 2
    people = NewsItem.objects.filter(type="worklist.changed", audience__startswith="user:")
    readers = {f"user:{room.site.users[name].pk}" for name in ("reader1", "reader2")}
    assert readers <= set(people.values_list("audience", flat=True))


def test_the_images_come_by_the_consensus_and_nothing_else_of_the_study(room: Room) -> None:
    case = room.site.case
    root = f"/dicom-web/consensus/{room.consensus.pk}"
    found = room.get("reader1", f"{root}/studies/{case.study_uid}/series").json()
    assert [series["0020000E"]["Value"] for series in found] == [[case.series_uid]]
    assert room.get("stranger", f"{root}/studies").status_code == 401
    for name in ("adjudicator", "worker"):
        assert room.get(name, f"{root}/studies").status_code in (401, 404)
    room.act("reader1", "defer", room.discrepancies()[0])
    assert room.get("adjudicator", f"{root}/studies").status_code == 200


def test_the_schema_describes_all_of_it(room: Room) -> None:
    schema = room.get("coordinator", "/api/schema/?format=json").json()
    named = {
        "/api/consensus/{consensus}": ("get", "consensus"),
        "/api/consensus/{consensus}/volumes/{volume}": ("get", "consensus_volume"),
        "/api/discrepancies/{discrepancy}/propose": ("post", "propose"),
        "/api/discrepancies/{discrepancy}/agree": ("post", "agree"),
        "/api/discrepancies/{discrepancy}/defer": ("post", "defer"),
        "/api/discrepancies/{discrepancy}/resolve": ("post", "resolve"),
    }
    for path, (verb, name) in named.items():
        assert schema["paths"][path][verb]["operationId"] == name
    parts = schema["components"]["schemas"]
    found = room.detail("reader1")
    assert set(parts["ConsensusAnswer"]["properties"]) == set(found)
    assert set(parts["SettlingAnswer"]["properties"]) == set(found["discrepancies"][0])
    assert set(parts["SettledCluster"]["properties"]) == set(found["clusters"][0])
    assert set(parts["SettlingCounts"]["properties"]) == set(found["counts"])
    told = room.act("reader1", "propose", room.discrepancies()[0]).json()
    assert set(parts["ActAnswer"]["properties"]) == set(told)
    assert set(parts["ProposalAnswer"]["properties"]) == set(told["discrepancy"]["proposal"])
    assert set(parts["StepAnswer"]["properties"]) == set(told["discrepancy"]["steps"][0])
    row = rows(room, "reader1")
    assert set(parts["WorklistAnswer"]["properties"]) == set(row)
    assert set(parts["SettleRow"]["properties"]) == set(row["results"][0]["settle"])
