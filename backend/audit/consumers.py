"""The base of every socket that brings news to a browser."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

from channels.generic.websocket import AsyncJsonWebsocketConsumer

from backend.audit import news

NOT_SIGNED_IN = 4401
NOT_FOUND = 4404


class NewsConsumer(AsyncJsonWebsocketConsumer):
    """Sends the news of its audiences, each once and in order.

    The client may send `{"since": {audience: seq}}` after a reconnect and is told what it missed;
    audiences that are not its own are ignored.
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
        self._seen = await news.heads(audiences)
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
        if self._pump is None or not isinstance(asked, dict):
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
                for message in await news.since(self._seen):
                    self._seen[message["audience"]] = message["seq"]
                    await self.send_json(message)
                await waker.wait()


class NoSuchSocket(NewsConsumer):
    """Any other address: closed as what is hidden is closed."""

    async def audiences(self) -> list[str] | None:
        """Nobody's."""
        return None
