"""The browsers' sockets: a person's worklist, one open reading, one open consensus."""

from __future__ import annotations

from uuid import UUID

from channels.db import database_sync_to_async
from django.urls import path

from backend.accounts.models import User
from backend.audit.consumers import NewsConsumer
from backend.errors import Missing
from backend.reading import selectors
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
        return [reading_audience(selectors.reading_for(user, reading))]
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
    """`/ws/consensus/{id}`: one consensus, for who may see it."""

    async def audiences(self) -> list[str] | None:
        """See `audiences_of_consensus`."""
        consensus = self.scope["url_route"]["kwargs"]["consensus"]
        asked = database_sync_to_async(audiences_of_consensus)
        found: list[str] | None = await asked(self.scope["user"], consensus)
        return found


websocket_urlpatterns = [
    path("ws/me", MyNews.as_asgi()),
    path("ws/readings/<uuid:reading>", ReadingNews.as_asgi()),
    path("ws/consensus/<uuid:consensus>", ConsensusNews.as_asgi()),
]
