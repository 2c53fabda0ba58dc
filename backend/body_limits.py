"""In front of Django: no request's body is longer than its address takes.

Django writes a whole body to the disk before it asks who sends it, so that anybody could fill the
disk. (STOW reads its own body while it arrives, and counts it.)
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from http.cookies import CookieError, SimpleCookie
from importlib import import_module
from typing import Any, TypeAlias

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.db import connection

from backend.archive.arriving import reads_its_body
from backend.errors import BadInput
from backend.jobs.api import MAX_BODY_BYTES

Scope: TypeAlias = dict[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[dict[str, Any]]]
Send: TypeAlias = Callable[[dict[str, Any]], Awaitable[None]]
Application: TypeAlias = Callable[..., Awaitable[None]]

# More than a piece of an upload (16 MiB), a list of changes (8 MB) or any form.
USUAL_BYTES = 64 << 20
# What a form is wrapped in, beside its files.
_DRESSING_BYTES = 1 << 20
_MASK = re.compile(r"/api/runs/[0-9a-f-]{36}/attempts/[0-9]+/(mask|result)")
_UPLOAD = "/archive/upload"


class _TooLong(Exception):
    """More came than the address takes."""


class BodyLimits:
    """An ASGI application around Django's."""

    def __init__(self, django: Application) -> None:
        self.django = django

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; 413 as soon as it is told or seen to be too long."""
        if scope["type"] != "http" or reads_its_body(scope):
            await self.django(scope, receive, send)
            return
        told = _told(scope)
        limit = await _limit(scope, told)
        came = 0

        async def counted() -> dict[str, Any]:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            if came > limit:
                raise _TooLong
            return message

        try:
            if told is not None and told > limit:
                raise _TooLong
            await self.django(scope, counted, send)
        except _TooLong:
            await _refuse(send, limit)


def _told(scope: Scope) -> int | None:
    """What Content-Length says; 0 where there is no body, None where it comes in chunks."""
    headers = dict(scope["headers"])
    told = headers.get(b"content-length", b"")
    if told.isdigit():
        return int(told)
    return None if b"transfer-encoding" in headers else 0


async def _limit(scope: Scope, told: int | None) -> int:
    path = scope["path"]
    if _MASK.fullmatch(path):
        return MAX_BODY_BYTES
    large = told is None or told > USUAL_BYTES
    if path == _UPLOAD and large and await sync_to_async(_signed_in)(scope):
        return int(settings.MAX_UPLOAD_BYTES) + _DRESSING_BYTES
    return USUAL_BYTES


def _signed_in(scope: Scope) -> bool:
    try:
        return is_somebodys(scope)
    finally:
        connection.close()


def is_somebodys(scope: Scope) -> bool:
    """Whether the request's session is someone's. (What they may do, the view asks.)"""
    cookies: SimpleCookie = SimpleCookie()
    try:
        cookies.load(dict(scope["headers"]).get(b"cookie", b"").decode("latin-1"))
    except CookieError:
        return False
    found = cookies.get(settings.SESSION_COOKIE_NAME)
    if found is None:
        return False
    sessions = import_module(settings.SESSION_ENGINE)
    return SESSION_KEY in sessions.SessionStore(found.value)


async def _refuse(send: Send, limit: int) -> None:
    error = BadInput(
        "TOO_LARGE",
        f"The request is larger than the {limit >> 20} MiB that this address takes.",
        "Send less at once; the upload page sends large files in pieces.",
    )
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(error.body()).encode()})
