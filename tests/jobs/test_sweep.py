"""What dead workers left behind is offered again; what live ones do is left alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection, transaction
from django.utils import timezone

from backend.jobs import queue, services
from backend.jobs.models import Run, WorkerSession
from backend.jobs.protocol import JOB_LOCK, RunState
from backend.jobs.sweep import sweep
from tests import postgres
from tests.stack import until

MakeRun = Callable[..., Run]


def fetch(run: Run) -> int:
    """Take the run's job from the queue, as a worker does; it was a while ago."""
    (job,) = queue.unfinished_jobs(run.id)
    with connection.cursor() as cursor:
        cursor.execute("update procrastinate_jobs set status = 'doing' where id = %s", [job.id])
        cursor.execute(
            "update procrastinate_events set at = now() - interval '10 s' where job_id = %s",
            [job.id],
        )
    return job.id


def part(session: WorkerSession, seconds: float) -> None:
    WorkerSession.objects.update(gone=timezone.now() - timedelta(seconds=seconds))


@pytest.fixture
def other_connection(db: None) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres.TESTS.queue, autocommit=True) as found:
        yield found


def test_nothing_to_do_is_nothing_done(make_run: MakeRun) -> None:
    make_run()

    assert sweep() == 0


def test_a_waiting_run_whose_job_is_nowhere_is_queued_again(make_run: MakeRun) -> None:
    run = make_run()
    queue.retire(job.id for job in queue.unfinished_jobs(run.id))

    assert sweep() == 1

    assert len(queue.unfinished_jobs(run.id)) == 1


def test_a_job_fetched_by_a_worker_that_died_before_claiming_is_queued_again(
    make_run: MakeRun,
) -> None:
    run = make_run()
    fetched = fetch(run)

    assert sweep() == 1

    (job,) = queue.unfinished_jobs(run.id)
    assert (job.doing, job.id != fetched) == (False, True)


MADE = """
insert into procrastinate_jobs (queue_name, task_name, args, status)
values ('inference', 'inference.run', '{}', 'doing') returning id
"""


def test_a_job_that_its_worker_finishes_at_the_same_moment_is_left_as_it_is(db: None) -> None:
    with (
        psycopg.connect(postgres.TESTS.owner) as worker,
        psycopg.connect(postgres.TESTS.owner, autocommit=True) as watching,
    ):
        (job,) = watching.execute(MADE).fetchone() or ()
        waits = "select 1 from pg_locks where not granted and locktype = 'transactionid'"

        def finish_when_waited_for() -> None:
            until(lambda: watching.execute(waits).fetchone(), "the sweep to wait for the row", 30)
            worker.commit()

        worker.execute("select procrastinate_finish_job_v1(%s, 'succeeded', false)", [job])
        finishing = threading.Thread(target=finish_when_waited_for)
        finishing.start()
        point = transaction.savepoint()
        try:
            queue.retire([job])
        finally:
            finishing.join()
            transaction.savepoint_rollback(point)  # It still holds the row.
            state = watching.execute("select status from procrastinate_jobs where id = %s", [job])
            assert state.fetchone() == ("succeeded",)
            watching.execute("delete from procrastinate_jobs where id = %s", [job])


def test_a_run_whose_worker_is_gone_is_offered_again_and_says_where_it_was_lost(
    make_run: MakeRun, session: WorkerSession
) -> None:
    run = make_run()
    fetched = fetch(run)
    services.claim(run=run.id, session=session, job=fetched)
    services.progress(run=run.id, attempt=1, stage="infer", fraction=0.2)
    part(session, 5)

    assert sweep() == 1

    found = Run.objects.get(pk=run.pk)
    assert found.state == RunState.QUEUED.value
    assert found.message == "worker-a stopped in stage infer."
    assert [(job.id != fetched, job.doing) for job in queue.unfinished_jobs(run.id)] == [
        (True, False)
    ]
    assert sweep() == 0


def test_a_worker_keeps_its_run_while_its_socket_stands(
    make_run: MakeRun, session: WorkerSession
) -> None:
    run = make_run()
    services.claim(run=run.id, session=session, job=fetch(run))

    assert sweep() == 0


def test_a_worker_keeps_its_run_while_its_lock_is_held(
    make_run: MakeRun, session: WorkerSession, other_connection: psycopg.Connection
) -> None:
    run = make_run()
    fetched = fetch(run)
    services.claim(run=run.id, session=session, job=fetched)
    part(session, 5)
    other_connection.execute("select pg_advisory_lock(%s, %s)", [JOB_LOCK, fetched])

    assert sweep() == 0
    other_connection.execute("select pg_advisory_unlock_all()")
    assert sweep() == 1


def test_a_socket_that_closed_just_now_may_come_back(
    make_run: MakeRun, session: WorkerSession, settings: Any
) -> None:
    settings.LEASE_GRACE_SECONDS = 60.0
    run = make_run()
    services.claim(run=run.id, session=session, job=fetch(run))
    part(session, 0.5)

    assert sweep() == 0


def test_a_worker_that_says_nothing_for_long_loses_its_run(
    make_run: MakeRun, session: WorkerSession, other_connection: psycopg.Connection
) -> None:
    run = make_run()
    fetched = fetch(run)
    services.claim(run=run.id, session=session, job=fetched)
    other_connection.execute("select pg_advisory_lock(%s, %s)", [JOB_LOCK, fetched])
    WorkerSession.objects.update(heard=timezone.now() - timedelta(seconds=60))

    assert sweep() == 1

    assert "said nothing for" in Run.objects.get(pk=run.pk).message


def test_three_lost_attempts_leave_the_run_dead_with_a_sentence(
    make_run: MakeRun, session: WorkerSession
) -> None:
    run = make_run()
    part(session, 5)
    for _ in range(3):
        services.claim(run=run.id, session=session, job=fetch(run))
        assert sweep() == 1

    found = Run.objects.get(pk=run.pk)
    assert found.state == RunState.DEAD.value
    assert found.message.startswith("Given up after 3 attempts")
    assert found.message.endswith("The case can be read without it.")
    assert queue.unfinished_jobs(run.id) == []


def test_a_job_of_a_dead_work_process_is_done_again(db: None) -> None:
    queue.defer("tests.nothing", case="1")
    with connection.cursor() as cursor:
        cursor.execute("update procrastinate_jobs set status = 'doing' where queue_name = 'work'")
        sweep()
        cursor.execute("select status, attempts from procrastinate_jobs where queue_name = 'work'")
        assert cursor.fetchall() == [("todo", 1)]
