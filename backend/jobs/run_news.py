"""`/ws/runs/{run}`: how one run goes, live, for who may look at it.

News: `run.progress {stage, fraction, progress}` · `run.metrics {…}` ·
`run.changed {state, attempt}`. Beside them, kept nowhere: `run.gauge` (by the names of
`protocol.GAUGE`), what the worker at it said last of its machine.
"""

from __future__ import annotations

from uuid import UUID

from channels.db import database_sync_to_async
from django.urls import path

from backend.accounts.models import User
from backend.audit.consumers import NewsConsumer
from backend.errors import Missing
from backend.jobs import selectors


def audiences_of_run(user: User, run: UUID) -> list[str] | None:
    """The run alone; None where the user may not know of it."""
    if not selectors.opens_runs_page(user):
        return None
    try:
        return [f"run:{selectors.run_seen_by(user, run).pk}"]
    except Missing:
        return None


class RunNews(NewsConsumer):
    """See the module."""

    async def audiences(self) -> list[str] | None:
        """See `audiences_of_run`."""
        run = self.scope["url_route"]["kwargs"]["run"]
        asked = database_sync_to_async(audiences_of_run)
        found: list[str] | None = await asked(self.scope["user"], run)
        return found

    async def connect(self) -> None:
        """As every socket; the page that opens it shows the gauge as it was drawn."""
        self._gauge: dict[str, float] = {}
        await super().connect()

    async def tell_beside(self) -> None:
        """Say how busy the worker's machine is, if that changed."""
        run = self.scope["url_route"]["kwargs"]["run"]
        gauge = await database_sync_to_async(selectors.gauge_of_run)(run)
        if gauge and gauge != self._gauge and await self._may_hear():
            self._gauge = gauge
            await self.send_json({"type": "run.gauge", "payload": gauge})


websocket_urlpatterns = [path("ws/runs/<uuid:run>", RunNews.as_asgi())]
