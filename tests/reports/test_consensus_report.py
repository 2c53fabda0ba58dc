"""The report of a consensus: what it says of settling, labels and versions, by a second path."""

from __future__ import annotations

import csv
import io
import re
import uuid
from typing import Any

import numpy as np
import pytest

from backend.reading import maskstore, services
from backend.reading.models import Consensus
from backend.reports.models import Report
from backend.reports.record.facts import facts_of
from backend.reports.sources import of_chain
from tests.reports.conftest import document_of, file_of, report_now
from tests.reports.room import Room, offered, wanted
from tests.reports.settled import drawn_by_second, fresh, publish, sign


@pytest.fixture(scope="module")
def published(made_room: Room) -> Report:
    """The report of the case once it was published; undone with the module."""
    publish(made_room)
    return report_now(made_room)


def part(report: Report, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(s for s in document_of(report)["sections"] if s["id"] == name)
    return found


def table(report: Report, name: str, place: int = 0) -> list[list[str]]:
    blocks = [block for block in part(report, name)["blocks"] if block["kind"] == "table"]
    return [row["cells"] for row in blocks[place]["rows"]]


def test_the_agreed_nodes_are_those_of_the_agreed_mask(room: Room, published: Report) -> None:
    consensus = Consensus.objects.get(case=room.case)
    assert consensus.mask is not None
    volume = maskstore.volume(consensus.mask)
    rows = document_of(published)["numbers"]["nodes"]["consensus"]
    voxel = 2.0 * 0.8 * 0.8
    assert {row["number"]: row["volume_mm3"] for row in rows} == pytest.approx(
        {int(n): float((volume == n).sum()) * voxel for n in np.unique(volume) if n}
    )
    first, second = wanted(), drawn_by_second()
    places = {row["origin"]: volume == row["number"] for row in rows}
    assert np.array_equal(places["union"], second == 3)
    kept = [volume == row["number"] for row in rows if row["origin"] == "intersection"]
    assert any(np.array_equal(mask, (first == 2) & (second == 2)) for mask in kept)


def test_the_ai_is_held_against_the_consensus(room: Room, published: Report) -> None:
    consensus = Consensus.objects.get(case=room.case)
    assert consensus.mask is not None
    truth, ai = maskstore.volume(consensus.mask), offered()
    under = np.isin(ai, [1, 2, 3, 5])  # Node 4 is below 4.5 mm.
    names = [n for n in np.unique(truth) if n]
    found = [n for n in names if under[truth == n].mean() >= 0.4]
    metrics = {row["id"]: row["value"] for row in document_of(published)["metrics"]}
    assert metrics["recall"] == pytest.approx(len(found) / len(names))
    hits = [n for n in (1, 2, 3, 5) if set(np.unique(truth[ai == n])) & set(found)]
    a, b = np.isin(truth, found), np.isin(ai, hits)
    assert metrics["dice"] == pytest.approx(2 * (a & b).sum() / (a.sum() + b.sum()))


def test_the_readers_agreement_sets_the_untouched_apart(published: Report) -> None:
    rows = {row[0]: row[1:] for row in table(published, "agreement")}
    assert rows["Untouched by both"] == ["1", "1.00", "0.00", "0.00", "0.00"]
    assert rows["Edited by at least one"][0] == "2"
    assert rows["Added by both"][0] == "1"
    assert rows["All pairs"][0] == "4"
    facts = part(published, "agreement")["blocks"][0]["blocks"][0]["items"]
    told = {fact["name"]: fact["text"] for fact in facts}
    assert told["Detection F1"] == "0.80 (2 × 4 of 10)"
    assert told["Impressions alike"] == "0 of 1; 3 unmarked"
    assert told["Called metastatic"] == "by both 0, by one 1, by neither 3"


def test_every_discrepancy_says_how_by_whom_and_why(published: Report) -> None:
    rows = table(published, "discrepancies")
    by_how = {row[3]: row for row in rows}
    assert by_how["union"][:2] == ["2 (AI 3)", "node 2"]
    assert by_how["union"][4:] == [
        "Dr Adjudicator, adjudicator",
        by_how["union"][5],
        "Both saw a part of it.",
    ]
    assert by_how["intersection"][4] == "Dr Reader1 and Dr Reader2"
    assert by_how["ignored by rule"][4] == "rule"
    assert by_how["ignored by rule"][1] == "left out"
    assert by_how["mean of both, by rule"][0] == "6 (R1 6, R2 6)"
    assert by_how["mean of both, by rule"][2] == "Not the same voxels; within all tolerances."
    # Who is X is drawn by lot; the first reader was in doubt.
    told = part(published, "agreement")["blocks"][0]["blocks"][0]["items"]
    x = next(item["text"] for item in told if item["name"] == "X in the settling")
    doubting = "X" if x == "Dr Reader1" else "Y"
    assert any(f"{doubting} is in doubt" in row[2] for row in rows)
    steps = table(published, "discrepancies", 1)
    assert [step[3] for step in steps][:2] == ["left to the adjudicator", "decided: union"]


def test_labels_stand_with_their_evidence(published: Report) -> None:
    rows = {row[0]: row for row in table(published, "consensus")}
    assert rows["node 1"][5] == "metastatic"
    assert "PET of 2024-05-31, 12 days after the CT: positive" in rows["node 1"][6]
    assert rows["node 2"][5] == "metastatic (central necrosis alone)"
    assert rows["node 3"][5:] == ["indeterminate", "Too small to tell.", "Dr Reader1, reader"]
    assert rows["node 4"][5:7] == ["non-metastatic", "none"]
    (nodes,) = [b for b in part(published, "consensus")["blocks"] if b["kind"] == "table"]
    assert "Site" not in [column["text"] for column in nodes["head"]], "no site is known"
    sizes = next(row for row in table(published, "sizes") if row[0] == "all")
    assert sizes[1::4] == ["2", "2", "1", "5"]
    without = next(row for row in table(published, "sizes", 1) if row[0] == "all")
    assert without[1::4] == ["2", "1", "1", "4"]


def test_the_result_and_what_holds_come_before_the_scores(published: Report) -> None:
    document = document_of(published)
    assert [section["id"] for section in document["sections"]][:3] == [
        "summary",
        "scores",
        "notices",
    ]
    assert [row[:1] + row[3:4] for row in table(published, "summary")] == [
        ["node 1", "metastatic"],
        ["node 2", "metastatic (central necrosis alone)"],
        ["node 3", "indeterminate"],
    ]
    said, *_, checked = part(published, "summary")["blocks"]
    assert said["text"] == "5 nodes agreed on: 2 metastatic, 2 non-metastatic, 1 indeterminate."
    assert [item["name"] for item in checked["items"]] == ["Consensus 1", *["holds"] * 3]
    assert "Dr Adjudicator (adjudicator, " in checked["items"][0]["text"]
    notice = part(published, "notices")["blocks"][0]["text"]
    assert "of 5, 2 name their evidence and 3 rest on the readers’ judgement alone" in notice


def test_what_was_offered_and_not_counted_is_said_beside_precision(published: Report) -> None:
    (scores,) = part(published, "scores")["blocks"]
    words = {item["id"]: item["words"] for item in scores["items"]}
    assert words["precision"].startswith("3 of 4 counted: 5 offered, 1 below 4.5 mm")


def test_one_word_for_one_label(published: Report) -> None:
    html = file_of(published, "html").decode()
    assert "“not marked metastatic”, not “proven benign”" in html
    assert "not marked metastatic" not in html.replace("“not marked metastatic”", "")


def test_no_code_word_and_no_bare_uuid_stands_in_the_log(published: Report) -> None:
    log = table(published, "chain")
    assert not [row for row in log if re.search(r"[A-Z]+_[A-Z]+|[0-9a-f]{8}-[0-9a-f]{4}", row[3])]
    assert any("Node 3 (AI 2) labelled" in row[3] for row in log)


def test_void_signatures_stay_on_the_page(published: Report) -> None:
    rows = table(published, "signatures")
    assert [row[0] for row in rows[2:]] == [
        "Dr Reader1",
        "Dr Reader1",
        "Dr Reader2",
        "Dr Adjudicator",
    ]
    assert "Node 3 once more, please." in rows[2][5]
    assert {row[5] for row in rows[3:]} == {"stands"}


def test_the_tables_are_files_too(published: Report) -> None:
    nodes = list(csv.DictReader(io.StringIO(file_of(published, "csv").decode("utf-8-sig"))))
    rows = document_of(published)["numbers"]["nodes"]["consensus"]
    assert [float(node["sad_mm"]) for node in nodes] == [row["sad_mm"] for row in rows]
    assert [node["label"] for node in nodes][:3] == ["metastatic", "metastatic", "indeterminate"]
    steps = list(csv.DictReader(io.StringIO(file_of(published, "steps").decode("utf-8-sig"))))
    assert {step["settled_as"] for step in steps} == {"union", "intersection", "ignore", "mean"}


def test_the_paper_says_what_the_page_says(published: Report) -> None:
    assert file_of(published, "pdf").startswith(b"%PDF-1.7")
    assert len(file_of(published, "pdf")) < 2_000_000
    assert document_of(published)["content"] in file_of(published, "html").decode()


def test_a_second_version_carries_what_it_does_not_reopen(room: Room, published: Report) -> None:
    first = Consensus.objects.get(case=room.case)
    again = first.discrepancies.get(resolution="union")
    second = services.reopen_consensus(
        consensus=first,
        actor=room.users["coordinator"],
        client=uuid.uuid4(),
        reason="The vessel was seen on the coronal plane.",
        discrepancies=[again.pk],
    )
    found = second.discrepancies.get(state="open")
    step = services.propose(
        discrepancy=found,
        user=room.users["reader2"],
        client=uuid.uuid4(),
        seen=0,
        resolution="absent",
        rationale="A vessel after all.",
    )
    services.agree(
        discrepancy=fresh(found),
        user=room.users["reader1"],
        client=uuid.uuid4(),
        seen=1,
        step=step.pk,
    )
    second = Consensus.objects.get(pk=second.pk)
    if second.state != "ready":
        for node in second.nodes.exclude(labels__isnull=False):
            services.set_label(
                consensus=second,
                number=node.number,
                user=room.users["reader1"],
                client=uuid.uuid4(),
                seen=0,
                value="non_metastatic",
            )
    second = sign(room, second, "reader1", "reader2")
    assert second.state == "published"
    source = of_chain(room.case.chain)
    facts = facts_of(source.events, source.blob)
    one, two = facts["consensus"]
    assert (one["state"], two["state"]) == ("superseded", "published")
    assert (one["faults"], two["faults"]) == ([], [])
    then = {d["cluster"]: d["resolution"] for d in one["discrepancies"]}
    now = {d["cluster"]: d["resolution"] for d in two["discrepancies"]}
    assert {place for place in now if now[place] != then[place]} == {found.cluster.number}
    assert {d["carried"] for d in two["discrepancies"] if not d["by_rule"]} == {True, False}
    assert {node["label"]["carried"] for node in two["nodes"]} >= {True}
    report = report_now(room)
    document = document_of(report)
    assert document["subtitle"].startswith("Consensus version 2, published")
    assert document["alarm"] is None
    assert "(in the version before)" in file_of(report, "html").decode()
