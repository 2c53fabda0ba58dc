"""`manage.py work`: the process that does Django's own background work.

Takes jobs of the `work` queue and, every second, what rooms registered in
`jobs.registry.every_second`. Ends in good order on SIGTERM: jobs begun are finished first.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import Error as DatabaseError
from django.db import connection
from procrastinate.contrib.django import app
from procrastinate.exceptions import ConnectorException

from backend.jobs import registry
from backend.jobs.protocol import WORK_QUEUE
from backend.jobs.queue import WORK_SILENCE_SECONDS

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0
HEARTBEAT_SECONDS = 5.0
DRAIN_SECONDS = 8.0


class Command(BaseCommand):
    """Do the background work until asked to stop."""

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        """How many jobs at a time."""
        parser.add_argument("--concurrency", type=int, default=2)

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until SIGTERM or SIGINT."""
        asyncio.run(_work(options["concurrency"], lambda: self.stdout.write("work: started")))


async def _work(concurrency: int, started: Callable[[], object]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    started()  # From here on it ends in good order.
    chores = [asyncio.create_task(_every_second(chore, stop)) for chore in registry.every_second]
    queue = asyncio.create_task(_take_jobs(concurrency, stop))
    await stop.wait()
    await asyncio.gather(queue, *chores)


async def _take_jobs(concurrency: int, stop: asyncio.Event) -> None:
    """Work the queue; begin anew where the database went away."""
    while not stop.is_set():
        # A second app on the worker's own connections, with the same tasks: what tasks and chores
        # themselves defer still goes through Django's connection, as part of its transaction.
        worker_app = app.with_connector(app.connector.get_worker_connector())
        try:
            async with worker_app.open_async():
                await _until(
                    stop,
                    worker_app.run_worker_async(
                        queues=[WORK_QUEUE],
                        concurrency=concurrency,
                        fetch_job_polling_interval=POLL_SECONDS,
                        update_heartbeat_interval=HEARTBEAT_SECONDS,
                        stalled_worker_timeout=WORK_SILENCE_SECONDS,
                        shutdown_graceful_timeout=DRAIN_SECONDS,
                        install_signal_handlers=False,
                    ),
                )
        except (ConnectorException, psycopg.OperationalError):
            logger.warning("the queue does not answer; trying again")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), POLL_SECONDS)


async def _until(stop: asyncio.Event, work: Any) -> None:
    """Await `work`; when `stop` is set, cancel it, which lets it finish what it began."""
    running = asyncio.ensure_future(work)
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not running.done():
        running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def _every_second(chore: Callable[[], object], stop: asyncio.Event) -> None:
    """Call `chore` again and again, in a thread and with a connection of its own."""
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1, thread_name_prefix=getattr(chore, "__name__", "chore")) as thread:
        while not stop.is_set():
            began = time.monotonic()
            await loop.run_in_executor(thread, _once, chore)
            rest = settings.SWEEP_SECONDS - (time.monotonic() - began)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), max(rest, 0.05))
        await loop.run_in_executor(thread, _hang_up)


def _hang_up() -> None:
    """Close this thread's connection (`connection.close` alone would be the caller's)."""
    connection.close()


def _once(chore: Callable[[], object]) -> None:
    try:
        chore()
    except DatabaseError:
        logger.warning("the database does not answer; trying again", exc_info=True)
        connection.close()
    except Exception:  # One room's fault must not stop the others' chores.
        logger.exception("a chore failed; trying again")
