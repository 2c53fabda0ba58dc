"""The browsers' sockets: a person's worklist, one open reading, one open consensus."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID, uuid4

from channels.db import database_sync_to_async
from django.urls import path

from backend.accounts.models import User
from backend.audit.consumers import NewsConsumer
from backend.errors import Missing
from backend.reading import selectors, services
from backend.reading.attendance import ALIVE_EVERY, Place, company_of, place_of
from backend.reading.consensus_selectors import consensus_for
from backend.reading.services.announcing import overseers_audience, reading_audience

# What came in, before it is a case of any project.
ARCHIVE = "coordinators"


def audiences_of_person(user: User) -> list[str]:
    """The person; for who oversees projects, the archive and these projects, and no others."""
    own = [f"user:{user.pk}"]
    if not selectors.may_oversee(user):
        return own
    return [*own, ARCHIVE, *map(overseers_audience, selectors.overseen_projects(user))]


def audiences_of_reading(user: User, reading: UUID) -> list[str] | None:
    """The reading alone; None where the user may not know of it."""
    try:
        return [reading_audience(selectors.known_reading(user, reading))]
    except Missing:
        return None


def audiences_of_consensus(user: User, consensus: UUID) -> list[str] | None:
    """The consensus alone; None where the user may not know of it."""
    try:
        return [consensus_for(user, consensus)[0].audience]
    except Missing:
        return None


class MyNews(NewsConsumer):
    """`/ws/me`: the user's own worklist; and, for who oversees cases, the cases."""

    async def audiences(self) -> list[str] | None:
        """See `audiences_of_person`."""
        found: list[str] = await database_sync_to_async(audiences_of_person)(self.scope["user"])
        return found


class ReadingNews(NewsConsumer):
    """`/ws/readings/{id}`: one reading, for who may see it."""

    async def audiences(self) -> list[str] | None:
        """See `audiences_of_reading`."""
        reading = self.scope["url_route"]["kwargs"]["reading"]
        asked = database_sync_to_async(audiences_of_reading)
        found: list[str] | None = await asked(self.scope["user"], reading)
        return found


class ConsensusNews(NewsConsumer):
    """`/ws/consensus/{id}`: one consensus, for who may see it.

    Who settles it is told beside the news who else is there, whenever that changes:
    `{"type": "presence", "payload": {"present": […]}}`, see `attendance.company_of`; and says by
    `{"looking": …}` where they are themselves, see `attendance.place_of`.
    """

    async def audiences(self) -> list[str] | None:
        """See `audiences_of_consensus`."""
        asked = database_sync_to_async(audiences_of_consensus)
        found: list[str] | None = await asked(self.scope["user"], self._consensus)
        return found

    async def connect(self) -> None:
        """As every socket; nobody is there until they say what they look at."""
        self._line = uuid4()
        self._alive: float | None = None
        self._place: Place | None = None
        self._company: list[dict[str, Any]] = []
        await super().connect()

    async def disconnect(self, code: int) -> None:
        """Stop telling, and be there no longer."""
        await super().disconnect(code)
        if self._alive is not None:
            await database_sync_to_async(services.leave)(line=self._line)

    async def receive_json(self, content: Any, **kwargs: Any) -> None:
        """Catch up, or hear where the person at the other end looks."""
        await super().receive_json(content, **kwargs)
        place = place_of(content)
        if place is None or place == self._place or self._pump is None:
            return
        if await self._may_hear():
            self._place = place
            await self._attend(place)

    async def _attend(self, place: Place) -> None:
        try:
            await database_sync_to_async(services.attend)(
                line=self._line, consensus=self._consensus, user=self.scope["user"], place=place
            )
        except Missing:
            return
        self._alive = time.monotonic()

    async def tell_beside(self) -> None:
        """Say who else is there, if that changed; and that this line is alive."""
        try:
            company = await database_sync_to_async(company_of)(self.scope["user"], self._consensus)
        except Missing:
            company = []
        if company != self._company and await self._may_hear():
            self._company = company
            await self.send_json({"type": "presence", "payload": {"present": company}})
        if self._alive is None or time.monotonic() - self._alive < ALIVE_EVERY.total_seconds():
            return
        if await self._may_hear():
            self._alive = time.monotonic()
            await database_sync_to_async(services.keep_attending)(line=self._line)

    @property
    def _consensus(self) -> UUID:
        found: UUID = self.scope["url_route"]["kwargs"]["consensus"]
        return found


websocket_urlpatterns = [
    path("ws/me", MyNews.as_asgi()),
    path("ws/readings/<uuid:reading>", ReadingNews.as_asgi()),
    path("ws/consensus/<uuid:consensus>", ConsensusNews.as_asgi()),
]
