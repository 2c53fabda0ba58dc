"""One LISTEN connection per web process, fanned out to the sockets of that process.

A notification only says *which* audience has news; the rows are then read by their number, so a
lost notification or a dropped connection costs time, never a message.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

import psycopg
from channels.db import database_sync_to_async
from django.db import connection
from psycopg.conninfo import make_conninfo

from backend.audit.models import NewsHead, NewsItem
from backend.database import KEEPALIVES

logger = logging.getLogger(__name__)
CHANNEL = "concord_news"
RECONNECT_SECONDS = 0.2
# Also without a notification, open audiences are looked at this often.
SAFETY_POLL_SECONDS = 15.0


class NewsHub:
    """Wakes the subscribers of an audience when it has news."""

    def __init__(self) -> None:
        self._wakers: dict[str, set[asyncio.Event]] = {}
        self._listener: asyncio.Task[None] | None = None

    def subscribe(self, audiences: list[str]) -> asyncio.Event:
        """An event that is set whenever one of `audiences` may have news."""
        waker = asyncio.Event()
        for audience in audiences:
            self._wakers.setdefault(audience, set()).add(waker)
        if self._listener is None or self._listener.done():
            self._listener = asyncio.create_task(self._listen())
        return waker

    def unsubscribe(self, waker: asyncio.Event) -> None:
        """Forget a subscriber; the last one to go closes the connection."""
        for audience in list(self._wakers):
            self._wakers[audience].discard(waker)
            if not self._wakers[audience]:
                del self._wakers[audience]
        if not self._wakers and self._listener is not None:
            self._listener.cancel()
            self._listener = None

    def _wake(self, audience: str | None = None) -> None:
        named = self._wakers.values() if audience is None else [self._wakers.get(audience, set())]
        for wakers in named:
            for waker in wakers:
                waker.set()

    async def _listen(self) -> None:
        while True:
            try:
                await self._listen_once()
            except (psycopg.Error, OSError) as error:
                logger.warning("news: lost the database (%s); listening again", error)
                await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen_once(self) -> None:
        parameters: dict[str, Any] = connection.get_connection_params()
        wanted = {k: parameters[k] for k in ("dbname", "user", "password", "host", "port")}
        conninfo = make_conninfo("", **wanted, **KEEPALIVES)
        async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as listening:
            await listening.execute(f"listen {CHANNEL}")
            self._wake()  # What was said while nobody listened.
            while True:
                async for notify in listening.notifies(timeout=SAFETY_POLL_SECONDS):
                    self._wake(notify.payload)
                self._wake()


def wake(audience: str) -> None:
    """Have the sockets of an audience look again, when the transaction commits.

    For what is told beside the news and kept nowhere: nothing is numbered, nothing can be missed.
    """
    with connection.cursor() as cursor:
        cursor.execute("select pg_notify(%s, %s)", [CHANNEL, audience])


# The loop that runs the sockets is one per process; tests may run several, one after another.
_hubs: dict[asyncio.AbstractEventLoop, NewsHub] = {}


def hub() -> NewsHub:
    """The hub of the running event loop."""
    loop = asyncio.get_running_loop()
    for known in [known for known in _hubs if known.is_closed()]:
        del _hubs[known]
    return _hubs.setdefault(loop, NewsHub())


def heads_now(audiences: list[str]) -> dict[str, int]:
    """The last `seq` of each audience (0 where nothing was said yet)."""
    known = dict(NewsHead.objects.filter(audience__in=audiences).values_list("audience", "seq"))
    return {audience: known.get(audience, 0) for audience in audiences}


heads = database_sync_to_async(heads_now)


@database_sync_to_async
def since(seen: dict[str, int]) -> list[dict[str, Any]]:
    """What each audience was told after the `seq` it saw, in order, as socket messages."""
    found: list[dict[str, Any]] = []
    for audience, seq in seen.items():
        items = NewsItem.objects.filter(audience=audience, seq__gt=seq).order_by("seq")
        found += [
            {"type": n.type, "audience": n.audience, "seq": n.seq, "payload": n.payload}
            for n in items
        ]
    return found


@contextlib.asynccontextmanager
async def subscription(audiences: list[str]) -> Any:
    """A waker for `audiences`, unsubscribed at the end."""
    waker = hub().subscribe(audiences)
    try:
        yield waker
    finally:
        hub().unsubscribe(waker)
