"""An answer of one body: whole, a part of it (Range), or the word that it has not changed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseNotModified,
    JsonResponse,
)

from backend.archive.streaming import CHUNK_BYTES, streamed
from backend.errors import BadInput
from backend.store import store

IMMUTABLE = "private, max-age=31536000, immutable"
REVALIDATE = "private, no-cache"
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


@dataclass(frozen=True)
class Held:
    """Bytes in memory."""

    data: bytes = field(repr=False)

    def __len__(self) -> int:
        return len(self.data)

    def parts(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from `start` up to `stop`."""
        yield self.data[start:stop]


@dataclass(frozen=True)
class Lying:
    """Bytes of a plain blob in the content store, read as they go out."""

    blob: str
    offset: int
    size: int

    def __len__(self) -> int:
        return self.size

    def parts(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from `start` up to `stop`, a megabyte at a time."""
        while start < stop:
            size = min(CHUNK_BYTES, stop - start)
            yield store().read_range(self.blob, self.offset + start, size)
            start += size


def etag_of(data: bytes) -> str:
    """The strong ETag of bytes."""
    return f'"{hashlib.sha256(data).hexdigest()}"'


def is_known(request: HttpRequest, etag: str) -> bool:
    """Whether If-None-Match names the ETag (or anything)."""
    told = [tag.strip() for tag in request.headers.get("If-None-Match", "").split(",")]
    return "*" in told or any(tag.removeprefix("W/") == etag for tag in told)


def unchanged(etag: str, cache: str) -> HttpResponseNotModified:
    """304."""
    return HttpResponseNotModified(headers={"ETag": etag, "Cache-Control": cache, "Vary": "Accept"})


def one_body(
    request: HttpRequest, body: Held | Lying, content_type: str, *, etag: str, cache: str
) -> HttpResponseBase:
    """The body as the request's conditions want it: 200, 206, 304 or 416."""
    if is_known(request, etag):
        return unchanged(etag, cache)
    headers = {
        "ETag": etag,
        "Cache-Control": cache,
        "Vary": "Accept",
        "Accept-Ranges": "bytes",
    }
    start, stop, status = 0, len(body), 200
    wanted = _RANGE.fullmatch(request.headers.get("Range", "").strip())
    if wanted is not None and wanted[0] != "bytes=-" and _still(request, etag):
        found = _span(wanted[1], wanted[2], len(body))
        if found is None:
            return _no_such_range(len(body))
        start, stop = found
        status = 206
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(body)}"
    response: HttpResponseBase
    if request.method == "HEAD":
        response = HttpResponse(content_type=content_type)
        response["Content-Length"] = str(stop - start)
    elif isinstance(body, Held) or stop - start <= CHUNK_BYTES:
        response = HttpResponse(b"".join(body.parts(start, stop)), content_type=content_type)
    else:
        parts = body.parts(start, stop)
        response = streamed(request, parts, content_type, stop - start)
    response.status_code = status
    for name, value in headers.items():
        response[name] = value
    return response


def _still(request: HttpRequest, etag: str) -> bool:
    """Whether If-Range, where given, names the bytes of now; a date never does."""
    return request.headers.get("If-Range", etag) == etag


def _span(first: str, last: str, size: int) -> tuple[int, int] | None:
    """Start and stop (exclusive) of a range, None where nothing of it is there."""
    if not first:
        count = min(int(last), size)
        return (size - count, size) if count else None
    start = int(first)
    stop = min(int(last) + 1, size) if last else size
    return (start, stop) if start < stop else None


def _no_such_range(size: int) -> JsonResponse:
    error = BadInput(
        "BAD_RANGE",
        f"Nothing of the range lies within the {size} bytes there are.",
        f"Ask for bytes between 0 and {size - 1}, or for the whole.",
    )
    return JsonResponse(error.body(), status=416, headers={"Content-Range": f"bytes */{size}"})
