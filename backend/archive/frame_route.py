"""Frames in front of Django: one pixel frame in one read, where Django allowed it a moment ago.

A Django view costs about 3 ms of Python for 512 kB that lie ready in a file. This route answers
`GET …/instances/{sop}/frames/{n}` itself when `grants` holds a permission for the same credential
and series, and passes everything else on unchanged.
"""

from __future__ import annotations

import asyncio
import os
import re
import uuid
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any, TypeAlias

from django.conf import settings

from backend.archive import grants
from backend.archive.accept import EXPLICIT_LITTLE_ENDIAN, NotAcceptable, bulk_layout, media_ranges
from backend.archive.grants import Placed
from backend.audit.news import hub
from backend.audit.services import GRANTS

Scope: TypeAlias = dict[str, Any]
Send: TypeAlias = Callable[[dict[str, Any]], Awaitable[None]]
Application: TypeAlias = Callable[..., Awaitable[None]]

_FRAME = re.compile(
    r"(/dicom-web(?:/[a-z]+/[0-9a-f-]{36})?/studies/[0-9.]{1,64}/series/[0-9.]{1,64})"
    r"/instances/([0-9.]{1,64})/frames/([1-9][0-9]{0,5})"
)
_KIND = f"application/octet-stream; transfer-syntax={EXPLICIT_LITTLE_ENDIAN}"
IMMUTABLE = b"private, max-age=31536000, immutable"


class FrameRoute:
    """An ASGI application around Django's."""

    def __init__(self, django: Application) -> None:
        self.django = django
        self._revoked: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    async def __call__(self, scope: Scope, receive: Any, send: Send) -> None:
        """Answer a granted frame; pass on all else."""
        if not (scope["type"] == "http" and scope["method"] == "GET"):
            await self.django(scope, receive, send)
            return
        found = self._granted(scope)
        if found is None:
            await self.django(scope, receive, send)
            return
        placed, number, headers = found
        multipart = _multipart(headers.get(b"accept", b"*/*"))
        if multipart is None:
            await self.django(scope, receive, send)
            return
        etag = f'"{placed.blob}-{number}-{"m" if multipart else "s"}"'.encode()
        if headers.get(b"if-none-match") == etag:
            await _answer(send, 304, etag, [], b"")
            return
        try:
            data = await _read(placed, number - 1)
        except OSError:  # The file went away: Django says what is to be done.
            await self.django(scope, receive, send)
            return
        kind = _KIND.encode()
        if multipart:
            boundary = uuid.uuid4().hex.encode()
            data = b"--%b\r\nContent-Type: %b\r\n\r\n%b\r\n--%b--\r\n" % (
                boundary,
                kind,
                data,
                boundary,
            )
            kind = b'multipart/related; type="application/octet-stream"; boundary="%b"' % boundary
        await _answer(send, 200, etag, [(b"content-type", kind)], data)

    def _granted(self, scope: Scope) -> tuple[Placed, int, dict[bytes, bytes]] | None:
        path = _FRAME.fullmatch(scope["path"])
        if path is None or scope["query_string"]:
            return None
        self._listen()
        headers = dict(scope["headers"])
        authorization = headers.get(b"authorization", b"").decode("latin-1")
        session = _session(headers.get(b"cookie", b""))
        credential = grants.credential_of(authorization, session)
        table = grants.grant_of(credential, path[1]) if credential else None
        placed = table.get(path[2]) if table else None
        number = int(path[3])
        if placed is None or number > placed.frames:
            return None
        return placed, number, headers

    def _listen(self) -> None:
        """Forget every grant when one was revoked anywhere, or may have been."""
        loop = asyncio.get_running_loop()
        if self._revoked is None or self._revoked[0] is not loop:
            grants.forget_all()
            self._revoked = loop, hub().subscribe([GRANTS])
        waker = self._revoked[1]
        if waker.is_set():
            waker.clear()
            grants.forget_all()


def _session(cookies: bytes) -> str | None:
    name = settings.SESSION_COOKIE_NAME.encode() + b"="
    for cookie in cookies.split(b";"):
        cookie = cookie.strip()
        if cookie.startswith(name):
            return cookie[len(name) :].decode("latin-1")
    return None


@lru_cache(maxsize=256)
def _multipart(accept: bytes) -> bool | None:
    """Whether this Accept header means multipart; None where Django must judge it."""
    try:
        return bulk_layout(media_ranges(accept.decode("latin-1")), pieces=1)
    except NotAcceptable:
        return None


async def _read(placed: Placed, index: int) -> bytes:
    """One frame; in a thread where it has to come from the disk."""
    start = placed.offset + index * placed.frame_bytes
    descriptor = os.open(placed.path, os.O_RDONLY)
    try:
        data = _from_memory(descriptor, placed.frame_bytes, start)
        if data is None:
            data = await asyncio.to_thread(os.pread, descriptor, placed.frame_bytes, start)
    finally:
        os.close(descriptor)
    if len(data) != placed.frame_bytes:
        raise OSError(f"{placed.blob} is shorter than its frames")
    return data


def _from_memory(descriptor: int, size: int, start: int) -> bytes | None:
    """The bytes if the kernel holds them all in memory, else None."""
    buffer = bytearray(size)
    try:
        count = os.preadv(descriptor, [buffer], start, os.RWF_NOWAIT)
    except (BlockingIOError, OSError):
        return None
    return bytes(buffer) if count == size else None


async def _answer(
    send: Send, status: int, etag: bytes, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    lengths = [(b"content-length", str(len(body)).encode())] if status == 200 else []
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                *headers,
                *lengths,
                (b"etag", etag),
                (b"cache-control", IMMUTABLE),
                (b"vary", b"Accept, Cookie"),
                (b"x-content-type-options", b"nosniff"),
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})
