"""The queue role can take jobs and finish them, and see nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tests import postgres


@pytest.fixture
def as_queue(django_db_setup: None) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres.TESTS.queue) as connection:
        yield connection
        connection.rollback()


def test_the_queue_role_can_do_what_a_worker_does(as_queue: psycopg.Connection) -> None:
    with psycopg.connect(postgres.TESTS.owner, autocommit=True) as owner:
        (job,) = owner.execute(
            "insert into procrastinate_jobs (queue_name, task_name) values ('q-test', 't')"
            " returning id"
        ).fetchone() or (0,)
        try:
            as_queue.execute("select * from procrastinate_prune_stalled_workers_v1(30)")
            (worker,) = as_queue.execute(
                "select * from procrastinate_register_worker_v1()"
            ).fetchone() or (0,)
            as_queue.execute("select procrastinate_update_heartbeat_v1(%s)", [worker])
            fetched = as_queue.execute(
                "select id from procrastinate_fetch_job_v2(%s, %s)", [["q-test"], worker]
            ).fetchone()
            assert fetched == (job,)
            as_queue.execute("select id from procrastinate_jobs where abort_requested")
            as_queue.execute("select procrastinate_finish_job_v1(%s, 'succeeded', false)", [job])
            as_queue.execute("select procrastinate_unregister_worker_v1(%s)", [worker])
            as_queue.execute("listen procrastinate_any_queue_v1")
        finally:
            as_queue.rollback()
            owner.execute("delete from procrastinate_jobs where id = %s", [job])


@pytest.mark.parametrize(
    "forbidden",
    [
        "select * from accounts_user",
        "select * from accounts_workertoken",
        "select * from jobs_run",
        "select * from jobs_runattempt",
        "select * from audit_event",
        "select * from django_session",
        "insert into procrastinate_jobs (queue_name, task_name) values ('inference', 'x')",
        "update procrastinate_jobs set args = '{}'",
        "update procrastinate_jobs set queue_name = 'other'",
        "delete from procrastinate_jobs",
        "select * from procrastinate_events",
        "create table mine (id int)",
    ],
)
def test_the_queue_role_can_do_nothing_else(as_queue: psycopg.Connection, forbidden: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        as_queue.execute(forbidden)  # type: ignore[arg-type]


def test_the_queue_role_can_read_no_other_table(as_queue: psycopg.Connection) -> None:
    rows = as_queue.execute(
        "select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace"
        " and has_any_column_privilege(oid, 'select')"
    ).fetchall()

    assert {name for (name,) in rows} == {"procrastinate_jobs", "procrastinate_workers"}
