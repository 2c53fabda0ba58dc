"""The browsers' sockets: a person's worklist, and one open reading."""

from __future__ import annotations

from channels.db import database_sync_to_async
from django.urls import path

from backend.accounts.models import User
from backend.audit.consumers import NewsConsumer
from backend.errors import Missing
from backend.reading import selectors
from backend.reading.services.announcing import COORDINATORS, reading_audience


class MyNews(NewsConsumer):
    """`/ws/me`: the user's own worklist; and, for who oversees cases, the cases."""

    async def audiences(self) -> list[str] | None:
        """The user, and `coordinators` for coordinators, auditors and administrators."""
        user: User = self.scope["user"]
        own = [f"user:{user.pk}"]
        oversees = await database_sync_to_async(selectors.may_oversee)(user)
        return [*own, COORDINATORS] if oversees else own


class ReadingNews(NewsConsumer):
    """`/ws/readings/{id}`: one reading, for who may see it."""

    async def audiences(self) -> list[str] | None:
        """The reading alone; None where the user may not know of it."""
        reading = self.scope["url_route"]["kwargs"]["reading"]
        try:
            found = await database_sync_to_async(selectors.reading_for)(self.scope["user"], reading)
        except Missing:
            return None
        return [reading_audience(found)]


websocket_urlpatterns = [
    path("ws/me", MyNews.as_asgi()),
    path("ws/readings/<uuid:reading>", ReadingNews.as_asgi()),
]
