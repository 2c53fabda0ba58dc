"""The base of every socket that brings news to a browser."""

from __future__ import annotations

import asyncio
import contextlib
import json
from importlib import import_module
from typing import Any
from urllib.parse import parse_qs

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest

from backend.audit import news

NOT_SIGNED_IN = 4401
NOT_FOUND = 4404


@database_sync_to_async
def user_of_session(key: str | None) -> Any:
    """Whose session it is now: nobody's once it ended, or its user may no longer sign in."""
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(key)
    return get_user(request)


class NewsConsumer(AsyncJsonWebsocketConsumer):
    """Sends the news of its audiences, each once and in order.

    Who comes back says where they stood in the address, `?since={audience: seq}` as JSON, and is
    told from there on: what was missed and what is new, in one order, each once. An open line may
    also be asked for older news by `{"since": {audience: seq}}`. Audiences that are not the
    client's own are ignored. Before anything is told, it is asked anew whether
    the session still stands and which audiences are still its own.
    """

    async def audiences(self) -> list[str] | None:
        """Whose news this socket may hear; None or empty refuses it. To be overridden."""
        raise NotImplementedError

    async def connect(self) -> None:
        """Accept a signed-in user who has an audience."""
        user = self.scope.get("user")
        self._pump: asyncio.Task[None] | None = None
        await self.accept()
        if user is None or not user.is_authenticated:
            await self.close(NOT_SIGNED_IN)
            return
        audiences = await self.audiences()
        if not audiences:
            await self.close(NOT_FOUND)
            return
        self._seen = _standing(await news.heads(audiences), self.scope["query_string"])
        self._pump = asyncio.create_task(self._tell())
        await self.send_json({"type": "hello", "seen": self._seen})

    async def disconnect(self, code: int) -> None:
        """Stop telling."""
        if self._pump is not None:
            self._pump.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._pump

    async def receive(
        self, text_data: str | None = None, bytes_data: bytes | None = None, **kwargs: Any
    ) -> None:
        """Hear text; a browser sends nothing else."""
        if text_data:
            await super().receive(text_data=text_data, **kwargs)

    @classmethod
    async def decode_json(cls, text_data: str) -> Any:
        """The message, None for what is no JSON: it asks for nothing."""
        try:
            return json.loads(text_data)
        except (ValueError, RecursionError):
            return None

    async def receive_json(self, content: Any, **kwargs: Any) -> None:
        """Catch up from where the client stood."""
        asked = content.get("since") if isinstance(content, dict) else None
        if self._pump is None or not isinstance(asked, dict) or not await self._may_hear():
            return
        for audience, seq in asked.items():
            if audience in self._seen and isinstance(seq, int) and seq < self._seen[audience]:
                for message in await news.since({audience: seq}):
                    if message["seq"] <= self._seen[audience]:
                        await self.send_json(message)

    async def _tell(self) -> None:
        async with news.subscription(list(self._seen)) as waker:
            while True:
                waker.clear()
                messages = await news.since(self._seen)
                if messages and not await self._may_hear():
                    return
                for message in messages:
                    if message["audience"] in self._seen:
                        self._seen[message["audience"]] = message["seq"]
                        await self.send_json(message)
                await self.tell_beside()
                await waker.wait()

    async def tell_beside(self) -> None:
        """Tell what is no news: looked at whenever there may be some. To be overridden."""

    async def _may_hear(self) -> bool:
        """Forget the audiences that are no longer its own; without any left, the line ends."""
        user = await user_of_session(self.scope["session"].session_key)
        if not user.is_authenticated:
            await self.close(NOT_SIGNED_IN)
            return False
        self.scope["user"] = user
        own = set(await self.audiences() or ())
        self._seen = {audience: seq for audience, seq in self._seen.items() if audience in own}
        if not self._seen:
            await self.close(NOT_FOUND)
        return bool(self._seen)


def _standing(heads: dict[str, int], query: bytes) -> dict[str, int]:
    """Where each audience's news begin: at its head, or before it where the address says so."""
    asked = parse_qs(query.decode("ascii", "replace")).get("since", ["{}"])[-1]
    try:
        said = json.loads(asked)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        return heads
    known = {name: seq for name, seq in said.items() if type(seq) is int and seq >= 0}
    return {name: min(head, known.get(name, head)) for name, head in heads.items()}


class NoSuchSocket(NewsConsumer):
    """Any other address: closed as what is hidden is closed."""

    async def audiences(self) -> list[str] | None:
        """Nobody's."""
        return None
