"""The body of a STOW request, read while it arrives.

Django's ASGI handler takes a whole body in, through a file on the disk, before it asks who sends
it. For `POST …/studies` the view is called at once and reads what has come so far: nobody who may
not send is listened to, storing begins with the first object, and a request of any length takes
no more memory than `HELD_BYTES`. Where that is possible the body does not even pass through the
event loop (`direct_body`).
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import IO, Any, TypeAlias, cast

from django.core.handlers.asgi import ASGIHandler
from django.db import close_old_connections

from backend.archive.direct_body import DirectBody, direct_body

HELD_BYTES = 8 << 20
SILENT_SECONDS = 60.0
_STOW = re.compile(r"/dicom-web/studies(/[0-9.]{1,64})?")

Receive: TypeAlias = Callable[[], Awaitable[dict[str, Any]]]


class Body:
    """What one client sends: filled by the event loop, read by the view's thread."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._loop = asyncio.get_running_loop()
        self._chunks: deque[bytes] = deque()
        self._held = 0
        self._ended = False
        self._wanted = 0
        self._changed = threading.Condition()
        self._room = asyncio.Event()
        self._gone = asyncio.Event()

    async def fill(self) -> None:
        """Take in what arrives, until the message ends or the client goes."""
        more = True
        while more:
            message = await self._receive()
            more = message["type"] == "http.request" and message.get("more_body", False)
            with self._changed:
                chunk = message.get("body", b"")
                if chunk and not self._ended:
                    self._chunks.append(chunk)
                    self._held += len(chunk)
                full = more and self._held >= HELD_BYTES
                if full:
                    self._room.clear()
                if not more or self._held >= self._wanted:
                    self._ended = self._ended or not more
                    self._changed.notify()
            if message["type"] == "http.disconnect":
                self._gone.set()
                return
            if full:
                await self._room.wait()
        await self._receive()  # Nothing comes after a body but the client's going.
        self._gone.set()

    async def gone(self) -> dict[str, Any]:
        """What Django's handler hears of the client: that it went."""
        await self._gone.wait()
        return {"type": "http.disconnect"}

    def read(self, size: int = -1, /) -> bytes:
        """`size` bytes, fewer at the end (all with -1); waits for them without a connection to
        the database. What breaks off, or is silent for a minute, ends early."""
        left = size if size >= 0 else 1 << 62
        found: list[bytes] = []
        while left > 0 and (taken := self._next(left)):
            found += taken
            left -= sum(map(len, taken))
        return found[0] if len(found) == 1 else b"".join(found)

    def _next(self, most: int) -> list[bytes]:
        """At most so many bytes once they are here; as many as are held at a time."""
        self._wanted = wanted = min(most, HELD_BYTES)

        def here() -> bool:
            return self._ended or self._held >= wanted

        if not here():
            close_old_connections()
        with self._changed:
            if not self._changed.wait_for(here, SILENT_SECONDS):
                self._ended = True
            taken = self._take(most)
        self._loop.call_soon_threadsafe(self._room.set)
        return taken

    def _take(self, wanted: int) -> list[bytes]:
        taken = []
        while self._chunks and wanted > 0:
            chunk = self._chunks.popleft()
            if len(chunk) > wanted:
                self._chunks.appendleft(chunk[wanted:])
                chunk = chunk[:wanted]
            taken.append(chunk)
            wanted -= len(chunk)
            self._held -= len(chunk)
        return taken

    def close(self) -> None:
        """Nobody reads any more: let go of what came, and of what still comes."""
        with self._changed:
            self._ended = True
            self._chunks.clear()
            self._held = 0
            self._changed.notify()
        self._loop.call_soon_threadsafe(self._room.set)


def reads_its_body(scope: dict[str, Any]) -> bool:
    """Whether this is a request whose body is read while it arrives."""
    return scope["method"] == "POST" and _STOW.fullmatch(scope["path"]) is not None


class Handler(ASGIHandler):
    """Django's handler; a STOW request's body is read while it arrives."""

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if not reads_its_body(scope):
            await super().handle(scope, receive, send)
            return
        direct = direct_body(receive, dict(scope["headers"]))
        if direct is not None:
            await self._handle_direct(scope, direct, send)
            return
        body = Body(receive)
        filling = asyncio.create_task(body.fill())
        try:
            await super().handle(scope, body.gone, send)
        finally:
            filling.cancel()
            body.close()

    async def _handle_direct(self, scope: Any, body: DirectBody, send: Any) -> None:
        async def answer(message: Mapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                body.before_answer()
            await send(message)

        try:
            await super().handle(scope, body.gone, answer)
        finally:
            body.close()

    async def read_body(self, receive: Any) -> Any:
        """A `Body` as it is; any other body whole, as Django does."""
        body = getattr(receive, "__self__", None)
        if isinstance(body, Body | DirectBody):
            return cast("IO[bytes]", body)
        return await super().read_body(receive)
