"""What the database's owner altered after a consensus was signed, verification finds."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from django.db import connection, transaction

from backend.audit import history
from backend.reading.consensus_signatures import consensus_faults
from tests import postgres
from tests.reading.labels_room import LabelRoom
from tests.reading.site import Site

TABLES = (
    "referencelabel",
    "evidence",
    "discrepancy",
    "consensusnode",
    "consensus",
    "consensussignature",
)


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


ALTERED = {
    "a label": (
        "update reading_referencelabel set value = 'indeterminate' where position = 1"
        " and value = 'non_metastatic'",
        "is not as it was signed (label: value)",
    ),
    "the rationale": (
        "update reading_referencelabel set rationale = 'else' where value = 'metastatic'",
        "node 1 is not as it was signed (label: rationale)",
    ),
    "a label, as the log sees it": (
        "update reading_referencelabel set reason = 'else' where value = 'metastatic'",
        "not what the log holds (reason)",
    ),
    "evidence": (
        "update reading_evidence set result = 'negative'",
        "node 1 is not as it was signed (label: evidence)",
    ),
    "evidence, as the log sees it": (
        "update reading_evidence set date = date + 1",
        "not what was entered (date)",
    ),
    "a withdrawal": (
        "update reading_evidence set withdrawn_at = now(), withdrawn_by_id = entered_by_id,"
        " withdrawn_reason = 'x'",
        "not withdrawn as the log says",
    ),
    "evidence taken away": (
        "delete from reading_evidence",
        "is a piece of evidence that is no longer stored",
    ),
    "a label taken away": (
        "delete from reading_referencelabel where value = 'metastatic'",
        "is a label that is no longer stored",
    ),
    "a decision": (
        "update reading_discrepancy set rationale = 'else' where not by_rule",
        "is not as it was signed (rationale)",
    ),
    "a node": (
        "update reading_consensusnode set level = 'III' where number = 1",
        "node 1 is not as it was signed (level)",
    ),
    "the mask": (
        "update reading_consensus set mask_id = ignored_id",
        "Version 1 is not as it was signed: mask",
    ),
    "the record": (
        "update reading_consensussignature set record = jsonb_set(record, '{nodes}', '[]')",
        "the record kept does not have the hash that was signed",
    ),
    "the name": (
        "update reading_consensussignature set printed_name = 'Someone'",
        "not what the log holds (printed_name)",
    ),
    "a signature": (
        "delete from reading_consensussignature where printed_name = 'Rolf Reader'",
        "is a signature that is no longer stored",
    ),
    "the publication": (
        "update reading_consensus set record_hash = repeat('0', 64)",
        "is not published as the log says",
    ),
}


def test_everything_altered_after_signing_is_found(ready: Site) -> None:
    room = LabelRoom(ready)
    room.settle()
    room.label(1, "metastatic", evidence=[room.enter("HIST")])
    room.publish()
    assert consensus_faults() == []
    for what, (statement, sentence) in ALTERED.items():
        point = transaction.savepoint()
        with connection.cursor() as cursor:
            cursor.execute(statement)
            assert cursor.rowcount, what
        found = consensus_faults()
        assert any(sentence in text for _, text in found), (what, found)
        assert {chain for chain, _ in found} == {room.case.chain}
        verdict = history.verify(chain=room.case.chain)
        assert {fault.kind for fault in verdict.faults} == {"signed_record"}, what
        transaction.savepoint_rollback(point)
    assert history.verify(chain=room.case.chain).holds
