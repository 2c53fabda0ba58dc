"""In front of Django: what lies ready of a series, where Django just allowed it.

A Django view costs about 3 ms of Python for 512 kB that lie in a file. This route answers
`GET …/instances/{sop}/frames/{n}`, `GET …/series/{series}/metadata` and `…/instances` itself when
`grants` holds a permission for the same credential and address, and passes all else on unchanged.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import re
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from django.conf import settings

from backend.archive import grants
from backend.archive.accept import (
    EXPLICIT_LITTLE_ENDIAN,
    NotAcceptable,
    bulk_layout,
    json_layout,
    media_ranges,
)
from backend.archive.direct_file import send_file
from backend.archive.grants import Document, Placed, Ready
from backend.audit.news import hub
from backend.audit.services import GRANTS
from backend.store import BlobMissing, store

Scope: TypeAlias = dict[str, Any]
Send: TypeAlias = Callable[[dict[str, Any]], Awaitable[None]]
Application: TypeAlias = Callable[..., Awaitable[None]]
Headers: TypeAlias = dict[bytes, bytes]

_SERIES = re.compile(
    r"(/dicom-web(?:/[a-z]+/[0-9a-f-]{36})?/studies/[0-9.]{1,64}/series/[0-9.]{1,64})"
    r"(?:/metadata|/instances|/instances/([0-9.]{1,64})/frames/([1-9][0-9]{0,5}))"
)
_OCTETS = f"application/octet-stream; transfer-syntax={EXPLICIT_LITTLE_ENDIAN}".encode()
_IMMUTABLE = b"private, max-age=31536000, immutable"
_REVALIDATE = b"private, no-cache"
_SAFE = (b"x-content-type-options", b"nosniff")
READY_BYTES = 24 << 20


class FastRoute:
    """An ASGI application around Django's."""

    def __init__(self, django: Application) -> None:
        self.django = django
        self._revoked: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    async def __call__(self, scope: Scope, receive: Any, send: Send) -> None:
        """Answer what is granted; pass on all else."""
        if scope["type"] == "http" and scope["method"] == "GET" and not scope["query_string"]:
            path = _SERIES.fullmatch(scope["path"])
            if path is not None and await self._answered(path, scope, send):
                return
        await self.django(scope, receive, send)

    async def _answered(self, path: re.Match[str], scope: Scope, send: Send) -> bool:
        self._listen()
        headers = dict(scope["headers"])
        credential = grants.credential_of(
            headers.get(b"authorization", b"").decode("latin-1"),
            _session(headers.get(b"cookie", b"")),
        )
        if credential is None:
            return False
        found = grants.granted(credential, path[0] if path[2] is None else path[1])
        if isinstance(found, Document):
            return path[2] is None and await _send_document(found, headers, send)
        if isinstance(found, Ready):
            return await _send_ready(found, headers, send)
        placed = found.get(path[2]) if found is not None else None
        if placed is None or int(path[3]) > placed.frames:
            return False
        return await _send_frame(placed, int(path[3]), headers, send)

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


async def _send_frame(placed: Placed, number: int, headers: Headers, send: Send) -> bool:
    multipart = _multipart(headers.get(b"accept", b"*/*"))
    if multipart is None:
        return False
    told = [
        (b"etag", f'"{placed.blob}-{number}-{"m" if multipart else "s"}"'.encode()),
        (b"cache-control", _IMMUTABLE),
        (b"vary", b"Accept, Cookie"),
    ]
    if headers.get(b"if-none-match") == told[0][1]:
        await _answer(send, 304, told, b"")
        return True
    kind, head, tail = _OCTETS, b"", b""
    if multipart:
        boundary = uuid.uuid4().hex.encode()
        head = b"--%b\r\nContent-Type: %b\r\n\r\n" % (boundary, _OCTETS)
        tail = b"\r\n--%b--\r\n" % boundary
        kind = b'multipart/related; type="application/octet-stream"; boundary="%b"' % boundary
    told = [(b"content-type", kind), *told]
    start = placed.offset + (number - 1) * placed.frame_bytes
    try:
        descriptor = os.open(placed.path, os.O_RDONLY)
    except OSError:  # The file went away: Django says what is to be done.
        return False
    try:
        if await send_file(
            send, [*told, _SAFE], descriptor, start, placed.frame_bytes, before=head, after=tail
        ):
            return True
        body = await _read(descriptor, start, placed.frame_bytes, head, tail)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    await _answer(send, 200, told, body)
    return True


async def _send_ready(ready: Ready, headers: Headers, send: Send) -> bool:
    names = (b"accept", b"host", b"x-forwarded-proto")
    if grants.asked_of(*(headers.get(n, b"").decode("latin-1") for n in names)) != ready.asked:
        return False
    await _answer(send, 200, [*ready.headers, (b"vary", b"Accept, Cookie")], ready.body)
    return True


async def _send_document(document: Document, headers: Headers, send: Send) -> bool:
    kind = _json(headers.get(b"accept", b"*/*"))
    if kind is None:
        return False
    told = [(b"etag", document.etag.encode()), (b"cache-control", _REVALIDATE)]
    if headers.get(b"if-none-match") == told[0][1]:
        await _answer(send, 304, told, b"")
        return True
    zipped = b"gzip" in headers.get(b"accept-encoding", b"")
    data = _ready.get((document.blob, zipped))
    if data is None:
        try:
            data = await asyncio.to_thread(_document, document.blob, zipped=zipped)
        except (BlobMissing, OSError):
            return False
        _keep((document.blob, zipped), data)
    told += [(b"content-type", kind), (b"vary", b"Accept-Encoding, Cookie")]
    if zipped:
        told.append((b"content-encoding", b"gzip"))
    await _answer(send, 200, told, data)
    return True


def _document(blob: str, *, zipped: bool) -> bytes:
    packed = store().read(blob)
    return packed if zipped else gzip.decompress(packed)


# Documents sent lately, by blob and whether zipped: touched by the event loop alone.
_ready: OrderedDict[tuple[str, bool], bytes] = OrderedDict()


def _keep(key: tuple[str, bool], data: bytes) -> None:
    _ready[key] = data
    while sum(map(len, _ready.values())) > READY_BYTES:
        _ready.popitem(last=False)


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


@lru_cache(maxsize=256)
def _json(accept: bytes) -> bytes | None:
    """The kind of JSON this Accept header means; None where Django must judge it."""
    try:
        return json_layout(media_ranges(accept.decode("latin-1"))).encode()
    except NotAcceptable:
        return None


async def _read(descriptor: int, start: int, size: int, head: bytes, tail: bytes) -> memoryview:
    """One frame between `head` and `tail`; in a thread where it has to come from the disk."""
    # Written once, by the kernel, and handed to the socket as it is.
    body = np.empty(len(head) + size + len(tail), np.uint8).data
    body[: len(head)] = head
    body[len(head) + size :] = tail
    frame = body[len(head) : len(head) + size]
    if not _from_memory(descriptor, frame, start):
        count = await asyncio.to_thread(os.preadv, descriptor, [frame], start)
        if count != size:
            raise OSError("a file is shorter than its frames")
    return body


def _from_memory(descriptor: int, frame: memoryview, start: int) -> bool:
    """Fill the frame if the kernel holds all of it in memory."""
    try:
        return os.preadv(descriptor, [frame], start, os.RWF_NOWAIT) == len(frame)
    except OSError:
        return False


async def _answer(
    send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes | memoryview
) -> None:
    lengths = [(b"content-length", str(len(body)).encode())] if status == 200 else []
    await send(
        {"type": "http.response.start", "status": status, "headers": [*headers, *lengths, _SAFE]}
    )
    await send({"type": "http.response.body", "body": body})
