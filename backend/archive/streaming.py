"""Long answers in pieces, and multipart/related both ways; never a whole series in memory."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import IO, Protocol

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse

from backend.archive.findings import NotTaken
from backend.archive.sources import MAX_FILE_BYTES
from backend.errors import BadInput

CHUNK_BYTES = 1 << 20
_HEADER_BYTES = 16 << 10


def streamed(
    request: HttpRequest, parts: Iterator[bytes], content_type: str, length: int | None = None
) -> StreamingHttpResponse:
    """An answer made of parts as they are asked for; reads no database while it goes out."""
    source: Iterator[bytes] | AsyncIterator[bytes] = parts
    if isinstance(request, ASGIRequest):
        source = _asynchronously(parts)
    response = StreamingHttpResponse(source, content_type=content_type)
    if length is not None:
        response["Content-Length"] = str(length)
    return response


async def _asynchronously(parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    step = sync_to_async(lambda: next(parts, None), thread_sensitive=False)
    while (part := await step()) is not None:
        yield part


class Multipart:
    """A multipart/related message being written."""

    def __init__(self, part_type: str) -> None:
        self.boundary = uuid.uuid4().hex
        self.part_type = part_type
        bare = part_type.partition(";")[0]
        self.content_type = f'multipart/related; type="{bare}"; boundary="{self.boundary}"'

    def around(self, data: bytes, part_type: str | None = None) -> bytes:
        """One part with its header and the line end after it."""
        head = f"--{self.boundary}\r\nContent-Type: {part_type or self.part_type}\r\n"
        return b"%s\r\n%s\r\n" % (head.encode(), data)

    def around_parts(self, parts: Iterable[bytes]) -> Iterator[bytes]:
        """A message of one part whose body comes in pieces."""
        yield f"--{self.boundary}\r\nContent-Type: {self.part_type}\r\n\r\n".encode()
        yield from parts
        yield b"\r\n" + self.end

    @property
    def end(self) -> bytes:
        """The last line."""
        return f"--{self.boundary}--\r\n".encode()

    def stream(self, parts: Iterable[tuple[str, bytes]]) -> Iterator[bytes]:
        """The whole message from (part type, bytes) pairs."""
        for part_type, data in parts:
            yield self.around(data, part_type)
        yield self.end


class Readable(Protocol):
    """Something with `read(size)`."""

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes; none at the end."""
        ...


Part = tuple[dict[str, str], Callable[[], bytes]]


def parts_of(stream: Readable | IO[bytes], boundary: str) -> Iterator[Part]:
    """Header and reader of each part of a multipart message that arrives.

    A part over the limit is skipped; its reader raises `NotTaken`.

    Raises:
        BadInput: where the message breaks off or has no such boundary.
    """
    scanner = _Scanner(stream)
    delimiter = b"\r\n--" + boundary.encode("latin-1")
    scanner.buffer = bytearray(b"\r\n")
    scanner.until(delimiter)
    while scanner.after_delimiter():
        header = scanner.until(b"\r\n\r\n", limit=_HEADER_BYTES)
        if header is None:
            raise _broken()
        body = scanner.until(delimiter, limit=MAX_FILE_BYTES)
        yield _headers(header), _reader(body)


class _Scanner:
    def __init__(self, stream: Readable | IO[bytes]) -> None:
        self.stream = stream
        self.buffer = bytearray()

    def _more(self) -> None:
        chunk = self.stream.read(CHUNK_BYTES)
        if not chunk:
            raise _broken()
        self.buffer += chunk

    def until(self, mark: bytes, limit: int = MAX_FILE_BYTES) -> bytes | None:
        """What lies before the mark (None if longer than the limit); the mark is passed."""
        start, overflow = 0, False
        while (place := self.buffer.find(mark, start)) < 0:
            start = max(0, len(self.buffer) - len(mark) + 1)
            if start > limit:
                del self.buffer[:start]
                start, overflow = 0, True
            self._more()
        found = None if overflow or place > limit else bytes(memoryview(self.buffer)[:place])
        del self.buffer[: place + len(mark)]
        return found

    def after_delimiter(self) -> bool:
        """Pass the end of a delimiter line; False at the closing one."""
        while len(self.buffer) < 2:
            self._more()
        if self.buffer[:2] == b"--":
            return False
        # A part may have no header at all: keep the line end that begins the empty line.
        place = self.buffer.find(b"\r\n")
        while place < 0:
            self._more()
            place = self.buffer.find(b"\r\n")
        del self.buffer[:place]
        return True


def _headers(data: bytes) -> dict[str, str]:
    lines = data.decode("latin-1").strip().split("\r\n")
    pairs = (line.partition(":") for line in lines if ":" in line)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _reader(body: bytes | None) -> Callable[[], bytes]:
    def read() -> bytes:
        if body is None:
            raise NotTaken(
                "TOO_LARGE",
                f"{{name}} is larger than the {MAX_FILE_BYTES >> 20} MiB allowed for one file.",
                "Send the series as single-frame images.",
            )
        return body

    return read


def _broken() -> BadInput:
    return BadInput(
        "BROKEN_MULTIPART",
        "The multipart message breaks off or does not use its boundary.",
        "Send the request again; what came before the break is stored.",
    )
