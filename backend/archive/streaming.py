"""Long answers in pieces, and multipart/related both ways; never a whole series in memory."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import IO, Protocol

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse

from backend.archive.findings import NotTaken
from backend.archive.sources import MAX_FILE_BYTES
from backend.errors import BadInput

CHUNK_BYTES = 1 << 20
WINDOW_BYTES = 2 << 20
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
    """Something with `read(size)`; what has `readinto` too is read without a copy."""

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
    delimiter = b"\r\n--" + boundary.encode("latin-1")
    scanner = _Scanner(stream)
    try:
        scanner.until(delimiter)
        while scanner.after_delimiter():
            header = scanner.until(b"\r\n\r\n", limit=_HEADER_BYTES)
            if header is None:
                raise _broken()
            body = scanner.until(delimiter, limit=MAX_FILE_BYTES)
            yield _headers(header), _reader(body)
    finally:
        scanner.close()


# Windows that no message uses now: memory that is new costs as much as a copy.
_windows: deque[bytearray] = deque(maxlen=8)


class _Scanner:
    """A message seen through a window of memory, which moves on (and grows) as it is read."""

    def __init__(self, stream: Readable | IO[bytes]) -> None:
        self._read, self._readinto = stream.read, getattr(stream, "readinto", None)
        try:
            self._window = _windows.pop()
        except IndexError:
            self._window = bytearray(WINDOW_BYTES)
        self._window[:2] = b"\r\n"  # The first delimiter stands at the beginning of a line too.
        self._begin, self._end = 0, 2

    def close(self) -> None:
        """Leave the window to the next message."""
        if len(self._window) == WINDOW_BYTES:
            _windows.append(self._window)

    def _more(self) -> None:
        if self._end == len(self._window):
            self._make_room()
        with memoryview(self._window)[self._end :] as room:
            if self._readinto is not None:
                count = self._readinto(room)
            else:
                piece = self._read(min(len(room), CHUNK_BYTES))
                count = len(piece)
                room[:count] = piece
        if not count:
            raise _broken()
        self._end += count

    def _make_room(self) -> None:
        held = self._end - self._begin
        window = self._window
        if held > len(window) * 7 // 8:
            window = bytearray(len(window) + max(WINDOW_BYTES, len(window) // 4))
        with memoryview(window) as to, memoryview(self._window) as here:
            to[:held] = here[self._begin : self._end]
        self._window, self._begin, self._end = window, 0, held

    def until(self, mark: bytes, limit: int = MAX_FILE_BYTES) -> bytes | None:
        """What lies before the mark (None if longer than the limit); the mark is passed."""
        seen, overflow = 0, False
        while (place := self._window.find(mark, self._begin + seen, self._end)) < 0:
            seen = max(0, self._end - self._begin - len(mark) + 1)
            if seen > limit:
                self._begin += seen
                seen, overflow = 0, True
            self._more()
        found = None
        if not overflow and place - self._begin <= limit:
            with memoryview(self._window) as window:
                found = bytes(window[self._begin : place])
        self._begin = place + len(mark)
        return found

    def after_delimiter(self) -> bool:
        """Pass the end of a delimiter line; False at the closing one."""
        while self._end - self._begin < 2:
            self._more()
        if self._window.startswith(b"--", self._begin, self._end):
            return False
        # A part may have no header at all: keep the line end that begins the empty line.
        while (place := self._window.find(b"\r\n", self._begin, self._end)) < 0:
            self._more()
        self._begin = place
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
