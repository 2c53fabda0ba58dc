"""What the audit log refuses, and what verification finds after the owner tampered with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connections

from backend.accounts.models import User
from backend.audit import history
from backend.audit.models import Event, EventIsImmutable, NewsItem
from backend.audit.services import News, record
from tests import postgres

ALIAS = "tampered"
INSERT = """
insert into audit_event (chain, position, actor_name, action, subject_type, subject_id, outcome,
                         reason, facts, software, previous, hash)
values (%s, 0, 'Rita', %s, 'case', '1', 'success', '', '{"n": 1}', '0', '', '')
"""


class Log:
    """A database with two chains of events, its owner's door, and `verify_audit`."""

    def __init__(self, folder: Path) -> None:
        self.urls = postgres.copy_database("audit_log")
        self.folder = folder
        self.web = psycopg.connect(self.urls.web, autocommit=True)
        self.owner = psycopg.connect(self.urls.owner, autocommit=True)
        self.add("case:a", 5)
        self.add("case:b", 3)

    def add(self, chain: str, count: int) -> None:
        for n in range(count):
            self.web.execute(INSERT, [chain, f"thing.happened_{n}"])

    def tamper(self, *statements: str) -> None:
        self.owner.execute("alter table audit_event disable trigger all")
        for statement in statements:
            self.owner.execute(statement)
        self.owner.execute("alter table audit_event enable trigger all")

    def verify(self, heads: Path | None = None) -> dict[str, Any]:
        exported = json.loads(heads.read_text()) if heads else None
        return history.as_json(history.verify(exported=exported, using=ALIAS))

    def export_heads(self) -> Path:
        heads = self.folder / "heads.json"
        heads.write_text(json.dumps(history.signed_heads(using=ALIAS)))
        return heads

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", "verify_audit", *arguments],
            cwd=postgres.ROOT,
            env={**os.environ, **postgres.environment(self.urls, postgres.STATE)},
            check=False,
            capture_output=True,
            text=True,
        )

    def close(self) -> None:
        self.web.close()
        self.owner.close()
        connections[ALIAS].close()
        del connections.databases[ALIAS]


@pytest.fixture
def log(tmp_path: Path, django_db_blocker: Any) -> Iterator[Log]:
    log = Log(tmp_path)
    connections.databases[ALIAS] = connections.databases["default"] | {"NAME": "audit_log"}
    with django_db_blocker.unblock():
        yield log
        log.close()


def faults(verdict: dict[str, Any]) -> list[tuple[str, str, int]]:
    return [(f["kind"], f["chain"], f["position"]) for f in verdict["faults"]]


def test_an_untouched_log_holds_also_against_its_exported_heads(log: Log) -> None:
    heads = log.folder / "heads.json"
    exported = log.command("--export-heads", str(heads))
    assert exported.returncode == 0
    assert "The audit chain holds" in exported.stdout
    assert "shows only against exported heads" in exported.stdout
    log.add("case:a", 2)
    verdict = json.loads(log.command("--json", "--heads", str(heads)).stdout)
    assert verdict["holds"]
    assert verdict["heads_compared"] >= 2


def test_the_command_names_the_fault_and_fails(log: Log) -> None:
    log.tamper("update audit_event set reason = 'x' where chain = 'case:a' and position = 3")
    done = log.command()
    assert done.returncode == 1
    assert "FAULT altered: case:a: event 3 was altered." in done.stdout


@pytest.mark.parametrize(
    "statement",
    [
        "update audit_event set action = 'x'",
        "delete from audit_event",
        "truncate audit_event",
        "update audit_chainhead set position = 1",
        "alter table audit_event disable trigger all",
        "update audit_newsitem set seq = 9",
    ],
)
def test_the_web_role_cannot_change_the_log(log: Log, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        log.web.execute(statement)


@pytest.mark.parametrize(
    "statement", ["update audit_event set action = 'x'", "truncate audit_event"]
)
def test_even_the_owner_is_refused_while_the_triggers_stand(log: Log, statement: str) -> None:
    with pytest.raises(psycopg.errors.RaiseException, match="write-once"):
        log.owner.execute(statement)


def test_an_altered_row_is_named(log: Log) -> None:
    log.tamper("update audit_event set reason = 'x' where chain = 'case:a' and position = 3")
    assert faults(log.verify()) == [("altered", "case:a", 3)]


def test_a_deleted_middle_row_is_named(log: Log) -> None:
    log.tamper("delete from audit_event where chain = 'case:a' and position = 3")
    assert faults(log.verify()) == [("deleted", "case:a", 3)]


def test_a_deleted_tail_is_named(log: Log) -> None:
    log.tamper("delete from audit_event where chain = 'case:a' and position > 3")
    verdict = log.verify()
    assert faults(verdict) == [("tail_deleted", "case:a", 4)]
    assert "events 4 to 5" in verdict["faults"][0]["sentence"]


def test_two_swapped_rows_are_named(log: Log) -> None:
    log.tamper(
        "update audit_event set position = -3 where chain = 'case:a' and position = 3",
        "update audit_event set position = 3 where chain = 'case:a' and position = 4",
        "update audit_event set position = 4 where chain = 'case:a' and position = -3",
    )
    assert ("swapped", "case:a", 4) in faults(log.verify())


def test_a_rebuilt_chain_shows_only_against_the_exported_heads(log: Log) -> None:
    heads = log.export_heads()
    log.tamper("update audit_event set reason = 'x' where chain = 'case:b' and position = 1")
    log.owner.execute("alter table audit_event disable trigger all")
    previous = b""
    for position in (1, 2, 3):
        row = log.owner.execute(
            "update audit_event e set previous = %s, hash = sha256(%s || audit_canonical(e))"
            " where chain = 'case:b' and position = %s returning hash",
            [previous, previous, position],
        ).fetchone()
        assert row is not None
        previous = bytes(row[0])
    log.owner.execute("update audit_chainhead set hash = %s where chain = 'case:b'", [previous])
    log.owner.execute("alter table audit_event enable trigger all")
    assert log.verify()["holds"]
    assert faults(log.verify(heads)) == [("rebuilt", "case:b", 3)]


def test_a_tail_cut_together_with_its_head_shows_against_the_exported_heads(log: Log) -> None:
    heads = log.export_heads()
    log.tamper("delete from audit_event where chain = 'case:b' and position = 3")
    log.owner.execute(
        "update audit_chainhead h set position = 2, hash = (select hash from audit_event e"
        " where e.chain = h.chain and e.position = 2) where chain = 'case:b'"
    )
    assert log.verify()["holds"]
    assert faults(log.verify(heads)) == [("tail_deleted_with_head", "case:b", 3)]


def test_the_owners_own_functions_are_not_believed(log: Log) -> None:
    """Whoever owns the database could make `audit_canonical` tell the old story."""
    log.tamper("update audit_event set reason = 'x' where chain = 'case:a' and position = 3")
    log.owner.execute(
        "create or replace function audit_canonical(r audit_event) returns bytea"
        " language sql stable as $$ select ''::bytea $$"
    )
    assert faults(log.verify()) == [("altered", "case:a", 3)]


def test_heads_that_are_no_heads_are_refused_with_a_sentence(log: Log) -> None:
    heads = log.folder / "heads.json"
    heads.write_text("[]")
    done = log.command("--heads", str(heads))
    assert done.returncode == 1
    assert "holds no exported heads" in done.stderr
    heads.write_text('{"heads": [], "signature": 7}')
    assert faults(log.verify(heads)) == [("signature", "", 0)]


def test_exported_heads_that_were_forged_are_refused(log: Log) -> None:
    heads = log.export_heads()
    forged = json.loads(heads.read_text())
    forged["heads"][0]["hash"] = "00"
    heads.write_text(json.dumps(forged))
    assert "signature" in {kind for kind, _, _ in faults(log.verify(heads))}


@pytest.mark.django_db
def test_recording_chains_per_case_and_verifies() -> None:
    user = User.objects.create(username="rita", display_name="Rita Reader")
    for chain in ("case:1", "case:1", "case:2"):
        record("case.opened", user, actor=user, chain=chain, thickness_mm=3.0)
    events = Event.objects.filter(chain__startswith="case:").order_by("number")
    assert [(e.chain, e.position) for e in events] == [("case:1", 1), ("case:1", 2), ("case:2", 1)]
    assert events[0].actor_name == "Rita Reader"
    assert history.verify().holds
    head = history.head_of("case:1")
    assert head is not None
    assert head["hash"] == bytes(events[1].hash).hex()


@pytest.mark.django_db
def test_the_model_refuses_every_way_of_changing_an_event() -> None:
    user = User.objects.create(username="rita")
    event = record("case.opened", user, actor=None)
    event.action = "case.closed"
    with pytest.raises(EventIsImmutable):
        event.save()
    with pytest.raises(EventIsImmutable):
        event.delete()
    with pytest.raises(EventIsImmutable):
        Event.objects.all().update(action="x")
    with pytest.raises(EventIsImmutable):
        Event.objects.all().delete()


@pytest.mark.django_db
def test_news_are_numbered_densely_per_audience_and_told_in_the_audiences_order() -> None:
    user = User.objects.create(username="rita")
    news = [News("user:1", "b"), News("reading:1", "a"), News("reading:1", "c")]
    record("thing.happened", user, actor=user, news=news)
    told = NewsItem.objects.order_by("id").values_list("audience", "seq", "type")
    assert list(told) == [("reading:1", 1, "a"), ("reading:1", 2, "c"), ("user:1", 1, "b")]


def test_events_recorded_at_once_stand_in_the_order_of_their_numbers(log: Log) -> None:
    def add(_: int) -> None:
        with psycopg.connect(log.urls.web, autocommit=True) as own:
            for n in range(40):
                own.execute(INSERT, ["case:a", f"thing.happened_{n}"])

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(add, range(6)))
    verdict = log.verify()
    assert verdict["holds"], verdict["faults"][:3]
