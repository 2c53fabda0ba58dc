"""The sign of life: advisory locks on a connection to the queue's database.

Postgres frees them the moment the connection ends, however the process ended. One lock says that
this worker lives, one more that it is doing a certain job.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from typing import Any

import psycopg

from backend.jobs.protocol import JOB_LOCK, LOCK_NUMBER_MASK, WORKER_LOCK

logger = logging.getLogger(__name__)

# Without these a host that was cut off would keep its locks for hours.
KEEPALIVES: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
CHECK_SECONDS = 1.0


class Liveness:
    """Holds the locks; takes them again where the database went away."""

    def __init__(self, url: str) -> None:
        self.number = secrets.randbelow(LOCK_NUMBER_MASK - 1) + 1
        self._url = url
        self._jobs: set[int] = set()
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._lock = asyncio.Lock()

    async def hold(self, job: int) -> None:
        """Say that this worker is doing the job."""
        async with self._lock:
            self._jobs.add(job)
            if self._connection is not None:
                with contextlib.suppress(psycopg.OperationalError):
                    await self._take(JOB_LOCK, job & LOCK_NUMBER_MASK)

    async def release(self, job: int) -> None:
        """Say that it is done with the job."""
        async with self._lock:
            self._jobs.discard(job)
            if self._connection is not None:
                with contextlib.suppress(psycopg.OperationalError):
                    await self._connection.execute(
                        "select pg_advisory_unlock(%s, %s)", [JOB_LOCK, job & LOCK_NUMBER_MASK]
                    )

    async def keep(self) -> None:
        """Keep the connection and its locks for as long as this is awaited."""
        try:
            while True:
                async with self._lock:
                    try:
                        await self._check()
                    except psycopg.OperationalError as error:
                        logger.warning("the queue's database does not answer: %s", error)
                        await self._close()
                await asyncio.sleep(CHECK_SECONDS)
        finally:
            await self._close()

    async def _check(self) -> None:
        if self._connection is None:
            self._connection = await psycopg.AsyncConnection.connect(
                self._url, autocommit=True, **KEEPALIVES
            )
            await self._take(WORKER_LOCK, self.number)
            for job in self._jobs:
                await self._take(JOB_LOCK, job & LOCK_NUMBER_MASK)
        else:
            await self._connection.execute("select 1")

    async def _take(self, kind: int, number: int) -> None:
        if self._connection is None:
            return
        await self._connection.execute("select pg_try_advisory_lock(%s, %s)", [kind, number])

    async def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()
