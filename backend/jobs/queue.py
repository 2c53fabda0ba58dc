"""The queue: procrastinate, in the same Postgres and in the caller's own transaction.

A job carries a run's UUID and nothing else. Its status is only delivery: web alone says what
state a run is in. Jobs of one subject exclude one another (`lock`); a run waits in the queue at
most once (`queueing_lock`).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from procrastinate import App, JobContext, builtin_tasks
from procrastinate.contrib.django.django_connector import DjangoConnector
from procrastinate.exceptions import AlreadyEnqueued
from procrastinate.manager import JobManager
from procrastinate.tasks import configure_task

from backend.jobs.protocol import (
    JOB_LOCK,
    LOCK_NUMBER_MASK,
    PROMPT_QUEUE,
    QUEUE,
    TASK_NAME,
    TRAINING_QUEUE,
    WORK_QUEUE,
    WORKER_LOCK,
)

KEEP_FINISHED_HOURS = 72
# A work process tells it lives every 5 s; what a silent one was doing is done again, three times.
WORK_SILENCE_SECONDS = 15
WORK_ATTEMPTS = 3

# In the work process procrastinate's own app has a connection of its own; jobs deferred through
# it would not be part of Django's transaction. These always are.
_manager = JobManager(DjangoConnector())


def on_app_ready(ready: App) -> None:
    """Called by procrastinate when its app is made: old, finished jobs are deleted every night."""

    @ready.periodic(cron="17 3 * * *")
    @ready.task(
        name="jobs.delete_finished",
        queue=WORK_QUEUE,
        queueing_lock="delete_finished",
        pass_context=True,
    )
    async def delete_finished(context: JobContext, timestamp: int) -> None:
        await builtin_tasks.remove_old_jobs(
            context,
            max_hours=KEEP_FINISHED_HOURS,
            remove_failed=True,
            remove_cancelled=True,
            remove_aborted=True,
        )


def defer(
    task: str,
    *,
    queue: str = WORK_QUEUE,
    lock: str | None = None,
    queueing_lock: str | None = None,
    priority: int = 0,
    **arguments: Any,
) -> bool:
    """Queue a job by its task's name, in the caller's transaction; False if it waits already."""
    job = configure_task(
        name=task,
        job_manager=_manager,
        queue=queue,
        lock=lock,
        queueing_lock=queueing_lock,
        priority=priority,
    )
    try:
        with transaction.atomic():
            job.defer(**arguments)
    except AlreadyEnqueued:
        return False
    return True


def defer_run(run: uuid.UUID, *, subject: str, queue: str = QUEUE, priority: int = 0) -> bool:
    """Queue a run's job in the caller's transaction; False if it waits there already."""
    return defer(
        TASK_NAME,
        queue=queue,
        lock=subject,
        queueing_lock=f"run:{run}",
        priority=priority,
        run=str(run),
    )


@dataclass(frozen=True)
class Job:
    """A job of an inference queue that waits or is being done."""

    id: int
    run: uuid.UUID | None
    doing: bool
    started: datetime | None


def unfinished_jobs(run: uuid.UUID | None = None) -> list[Job]:
    """Jobs of the inference queues that wait or are being done; of one run, or of all."""
    rows = _rows(
        """
        select j.id, j.args ->> 'run', j.status = 'doing',
               (select max(e.at) from procrastinate_events e
                 where e.job_id = j.id and e.type = 'started')
          from procrastinate_jobs j
         where j.status in ('todo', 'doing') and split_part(j.queue_name, ':', 1) = any(%s)
           and (%s::text is null or j.args ->> 'run' = %s)
        """,
        [[QUEUE, PROMPT_QUEUE, TRAINING_QUEUE], run and str(run), run and str(run)],
    )
    return [Job(number, _uuid(name), doing, started) for number, name, doing, started in rows]


def unfinished_work(task: str, **arguments: str) -> list[int]:
    """Numbers of the jobs of the work queue with these arguments that wait or are being done."""
    rows = _rows(
        """
        select id from procrastinate_jobs
         where status in ('todo', 'doing') and queue_name = %s and task_name = %s
           and args @> %s::jsonb
        """,
        [WORK_QUEUE, task, json.dumps(arguments)],
    )
    return [number for (number,) in rows]


def retire(jobs: Iterable[int]) -> None:
    """Finish jobs whose worker is dead, so that their locks are free again.

    One that its worker finishes at the same moment stays as it is: the row is locked, and looked at
    again, before the function is called, which would raise.
    """
    for number in jobs:
        _rows(
            """
            with unfinished as materialized (
                select id from procrastinate_jobs
                 where id = %s and status in ('todo', 'doing') for update)
            select procrastinate_finish_job_v1(id, 'failed', false) from unfinished
            """,
            [number],
        )


def revive_work() -> None:
    """Queue again what a dead work process was doing; after three times it has failed."""
    stalled = _rows(
        """
        select j.id, j.attempts from procrastinate_jobs j
          left join procrastinate_workers w on w.id = j.worker_id
         where j.status = 'doing' and j.queue_name = %s
           and (w.id is null or w.last_heartbeat < now() - make_interval(secs => %s))
           for update of j skip locked
        """,
        [WORK_QUEUE, WORK_SILENCE_SECONDS],
    )
    for number, attempts in stalled:
        if attempts + 1 < WORK_ATTEMPTS:
            _rows("select procrastinate_retry_job_v2(%s, now(), null, null, null)", [number])
        else:
            retire([number])


def abort(run: uuid.UUID) -> None:
    """Cancel a run's waiting job; ask the worker that does it to stop (it hears within 0.2 s)."""
    for job in unfinished_jobs(run):
        _rows("select procrastinate_cancel_job_v1(%s, true, false)", [job.id])


def held_locks() -> tuple[set[int], set[int]]:
    """Numbers of the workers, and of the jobs, that a live connection holds a lock for."""
    rows = _rows(
        """
        select classid::bigint, objid::bigint from pg_locks
         where locktype = 'advisory' and granted and objsubid = 2
           and database = (select oid from pg_database where datname = current_database())
           and classid in (%s, %s)
        """,
        [WORKER_LOCK, JOB_LOCK],
    )
    workers = {number for kind, number in rows if kind == WORKER_LOCK}
    jobs = {number for kind, number in rows if kind == JOB_LOCK}
    return workers, jobs


def lock_number(job: int) -> int:
    """The second key of a job's advisory lock."""
    return job & LOCK_NUMBER_MASK


def _rows(query: str, arguments: list[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, arguments)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found


def _uuid(text: str | None) -> uuid.UUID | None:
    try:
        return uuid.UUID(text or "")
    except ValueError:
        return None
