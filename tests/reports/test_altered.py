"""What the database's owner altered after the signature, a report names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection

from backend.audit import history
from backend.reading.models import NodeState, Signature
from backend.reading.services import hash_of
from backend.reading.signatures import signature_faults
from backend.reports.models import Report
from backend.reports.reporting import rebuild_report
from tests import postgres
from tests.reports.conftest import document_of, file_of, report_now
from tests.reports.room import Room

TABLES = ("nodestate", "nodeversion", "signature", "change", "reading")


@pytest.fixture(scope="module", autouse=True)
def _no_triggers(django_db_setup: None) -> Iterator[None]:
    """Nothing in the database refuses to be rewritten."""

    def turn(how: str) -> None:
        with psycopg.connect(postgres.TESTS.owner, autocommit=True) as owner:
            for table in TABLES:
                owner.execute(f"alter table reading_{table} {how} trigger user")  # type: ignore[arg-type]

    turn("disable")
    yield
    turn("enable")


def alter(statement: str, *parameters: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        assert cursor.rowcount


def report_of(room: Room) -> tuple[dict[str, Any], str]:
    report = report_now(room)
    return document_of(report), file_of(report, "html").decode()


def test_an_untouched_reading_holds(room: Room) -> None:
    assert signature_faults() == []
    document, html = report_of(room)
    assert (document["alarm"], document["numbers"]["checks"][0]["ok"]) == (None, True)
    assert "not what was signed" not in html
    assert "shows only against heads" in html
    assert "from the events of its case and the files they name" in html


def test_an_altered_impression_is_named_at_the_top_and_never_holds(
    room: Room, report: Report
) -> None:
    node = room.nodes[1]
    for statement in (
        "update reading_nodestate set impression = 'non_metastatic'"
        " where node_id = %s and reading_id = %s",
        "update reading_nodeversion set impression = 'non_metastatic'"
        " where node_id = %s and reading_id = %s and impression = 'metastatic'",
    ):
        alter(statement, node, room.reading.pk)
    assert NodeState.objects.get(node=node, reading=room.reading).impression == "non_metastatic"
    document, html = report_of(room)
    first = document["numbers"]["checks"][0]
    assert not first["ok"]
    assert "What is stored is not what was signed." in first["text"]
    assert (
        "Node 1: impression was signed as “metastatic” and is stored as “non_metastatic”."
        in first["text"]
    )
    header = html[html.index("<header>") : html.index("</header>")]
    assert "<strong>Fails.</strong> What is stored is not what was signed." in header
    assert "The chain holds" in html  # The chain itself is untouched, and says so.
    assert rebuild_report(str(report.pk)).same  # What was reported before is told by the log.
    verdict = history.verify(chain=room.case.chain)
    assert {fault.kind for fault in verdict.faults} == {"signed_record"}


ALTERED = {
    "the state alone": (
        "update reading_nodestate set confidence = 10 where node_id = %(node)s"
        " and reading_id = %(reading)s",
        "Node 1: confidence was signed as “80” and is stored as “10”",
    ),
    "the last version alone": (
        "update reading_nodeversion set doubt = true where reading_id = %(reading)s"
        " and node_id = %(node)s and impression = 'metastatic'",
        "The last version kept of node 1 is not what was signed",
    ),
    "an earlier version": (
        "update reading_nodeversion set decision = 'undecided' where reading_id = %(reading)s"
        " and node_id = %(node)s and impression = ''",
        "A version of node 1 is not what change 1 made",
    ),
    "a change record": (
        "update reading_change set facts = '{\"node\": 1}' where reading_id = %(reading)s"
        " and position = 2",
        "Change 2 is not the one the log holds",
    ),
    "the record": (
        "update reading_signature set record = jsonb_set(record, '{nodes,0,doubt}', 'true')"
        " where reading_id = %(reading)s",
        "does not have the hash that was signed",
    ),
    "the hash": (
        "update reading_signature set record_hash = repeat('0', 64) where reading_id = %(reading)s",
        "The hash of the signature is not the one the log holds",
    ),
    "the name": (
        "update reading_signature set printed_name = 'Someone' where reading_id = %(reading)s",
        "The name or the meaning",
    ),
    "the mask": (
        "update reading_reading set effective_id = base_id where id = %(reading)s",
        "The reading is not as it was signed: effective",
    ),
    "the whole signature": (
        "delete from reading_signature where reading_id = %(reading)s",
        "is a signature that is no longer stored",
    ),
}


@pytest.mark.parametrize("what", ALTERED)
def test_whatever_was_altered_is_a_fault_of_its_chain(room: Room, what: str) -> None:
    statement, sentence = ALTERED[what]
    with connection.cursor() as cursor:
        cursor.execute(statement, {"node": room.nodes[1], "reading": room.reading.pk})
        assert cursor.rowcount == 1
    found = signature_faults()
    assert any(sentence in text for _, text in found), found
    assert {chain for chain, _ in found} == {room.case.chain}


def test_a_record_and_hash_forged_together_are_found_by_the_log(room: Room) -> None:
    signature = Signature.objects.get(reading=room.reading)
    record = signature.record
    record["nodes"][0]["impression"] = "non_metastatic"
    alter(
        "update reading_nodestate set impression = 'non_metastatic'"
        " where node_id = %s and reading_id = %s",
        record["nodes"][0]["node"],
        room.reading.pk,
    )
    alter(
        "update reading_signature set record = %s, record_hash = %s where id = %s",
        json.dumps(record),
        hash_of(record),
        signature.pk,
    )
    document, _ = report_of(room)
    assert "not the one the log holds" in document["alarm"]
