"""Reports of a case on its way to a consensus."""

from __future__ import annotations

from tests.reports.conftest import document_of, report_now
from tests.reports.room import Room
from tests.reports.settled import compared, settle
from tests.reports.test_consensus_report import part, table


def test_a_comparison_not_settled_yet_says_so(room: Room) -> None:
    consensus = compared(room)
    document = document_of(report_now(room))
    assert document["subtitle"].endswith("compared and not settled yet")
    open_ones = consensus.discrepancies.filter(state="open").count()
    texts = [
        block["text"]
        for section in document["sections"]
        if section["id"] in ("discrepancies", "consensus")
        for block in section["blocks"]
        if block["kind"] == "text"
    ]
    assert texts[0] == "Not reached: discrepancies are still open."
    assert f"{open_ones} of these are still open." in texts[1]


def test_agreed_nodes_without_labels_say_so(room: Room) -> None:
    settle(room, compared(room))
    report = report_now(room)
    assert document_of(report)["subtitle"] == "Consensus version 1, agreed and not published yet"
    assert {row[5] for row in table(report, "consensus")} == {"not labelled"}
    assert part(report, "consensus")["blocks"][0]["lead"] == "Not published."
