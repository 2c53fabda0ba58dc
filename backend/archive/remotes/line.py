"""One line to a remote: HTTP that can be stopped at any moment, within limits, without redirects.

The code around it is synchronous and speaks to the database; each wait for the network runs a
private event loop for a quarter of a second at a time and asks in between whether to go on.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import httpx
from django.conf import settings

from backend.archive.remotes.models import Remote, SignIn
from backend.archive.remotes.problems import too_long, too_slow, unreachable
from backend.errors import BadInput
from backend.version import VERSION

T = TypeVar("T")

CONNECT_SECONDS = 10.0
LOOK_SECONDS = 0.25
# An answer that comes slower than this over so long is given up: one transfer is done at a time,
# and a remote that sends a byte now and then would hold up all others for ever.
SLOWEST_BYTES_A_SECOND = 256
SLOW_SECONDS = 120.0


def _go_on() -> None:
    """Nobody stops it."""


class Line:
    """An open line; use it as a context manager.

    Args:
        remote: where to.
        go_on: called at least every quarter of a second; raises to stop what is under way.
        seconds: how long everything together may take; None for as long as it goes on.
    """

    def __init__(
        self, remote: Remote, *, go_on: Callable[[], None] = _go_on, seconds: float | None = None
    ) -> None:
        self._go_on = go_on
        self._until = None if seconds is None else time.monotonic() + seconds
        self._loop = asyncio.new_event_loop()
        self._root = remote.url.rstrip("/")
        try:
            self._client = httpx.AsyncClient(
                auth=_auth(remote),
                headers={
                    "User-Agent": f"Concord/{VERSION}",
                    "Accept-Encoding": "identity",
                    **_bearer(remote),
                },
                verify=trust_of(remote),
                timeout=httpx.Timeout(settings.REMOTE_TIMEOUT_SECONDS, connect=CONNECT_SECONDS),
                follow_redirects=False,
                trust_env=False,  # No proxy and no password of this machine's environment.
            )
        except BaseException:
            self._loop.close()
            raise

    def __enter__(self) -> Line:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._loop.run_until_complete(self._client.aclose())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            self._loop.close()

    def wait(self, seconds: float) -> None:
        """Wait; raises what `go_on` raises."""
        self._do(asyncio.sleep(seconds))

    @contextmanager
    def answer(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        body: Callable[[], AsyncIterator[bytes]] | None = None,
    ) -> Iterator[Answer]:
        """An answer whose headers have come and whose body has not; raises `RemoteProblem`."""
        # Wildcards stay as they are: not every PACS reads them escaped.
        asked = urlencode(query, safe="*?^", quote_via=quote)
        request = self._client.build_request(
            method,
            f"{self._root}{path}{'?' if asked else ''}{asked}",
            headers=headers,
            content=body() if body is not None else None,
        )
        response = self._do(self._client.send(request, stream=True))
        try:
            yield Answer(self, response)
        finally:
            self._loop.run_until_complete(_closed(response))

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for network work; cancelled where `go_on` raises or the time is over."""
        task = self._loop.create_task(work)
        try:
            while True:
                self._go_on()
                if self._until is not None and time.monotonic() > self._until:
                    raise httpx.ReadTimeout("too long")
                self._loop.run_until_complete(asyncio.wait({task}, timeout=LOOK_SECONDS))
                if task.done():
                    return task.result()
        except (httpx.HTTPError, httpx.StreamError, OSError) as error:
            raise unreachable(error) from error
        finally:
            if not task.done():
                task.cancel()
                self._loop.run_until_complete(asyncio.wait({task}))


class Answer:
    """A response; `read` gives its body piece by piece, as a file would, within what is allowed."""

    def __init__(self, line: Line, response: httpx.Response) -> None:
        self._line, self.response = line, response
        self._pieces = response.aiter_bytes()
        self._read = 0
        self._rest = b""
        self._allowed = self._limit = 1 << 20
        self._since, self._before = time.monotonic(), 0

    @property
    def kind(self) -> str:
        """The media type, lower case, without parameters."""
        return str(self.response.headers.get("content-type", "")).partition(";")[0].strip().lower()

    def allow(self, more: int) -> None:
        """From here on so many bytes may come."""
        self._allowed, self._limit = more, self._read + more

    def read(self, size: int = -1, /) -> bytes:
        """Some bytes, none at the end; raises `RemoteProblem` past the limit."""
        piece = self._rest
        while not piece:
            found = self._line._do(_next(self._pieces))
            if found is None:
                return b""
            piece = found
        if 0 < size < len(piece):
            piece, self._rest = piece[:size], piece[size:]
        else:
            self._rest = b""
        self._read += len(piece)
        if self._read > self._limit:
            raise too_long(self._allowed)
        self._require_pace()
        return piece

    def _require_pace(self) -> None:
        """Raise `RemoteProblem` where next to nothing came for long."""
        now = time.monotonic()
        if now - self._since < SLOW_SECONDS:
            return
        if self._read - self._before < SLOWEST_BYTES_A_SECOND * SLOW_SECONDS:
            raise too_slow()
        self._since, self._before = now, self._read

    def all(self) -> bytes:
        """The whole body; raises `RemoteProblem` past the limit."""
        found = bytearray()
        while piece := self.read():
            found += piece
        return bytes(found)


async def _next(pieces: AsyncIterator[bytes]) -> bytes | None:
    return await anext(pieces, None)


async def _closed(response: httpx.Response) -> None:
    try:
        await response.aclose()
    except (httpx.HTTPError, OSError):
        return  # It is gone already.


def _auth(remote: Remote) -> httpx.Auth | None:
    if remote.sign_in != SignIn.BASIC:
        return None
    return httpx.BasicAuth(remote.username, remote.password)


def _bearer(remote: Remote) -> dict[str, str]:
    if remote.sign_in != SignIn.BEARER:
        return {}
    return {"Authorization": f"Bearer {remote.password}"}


def trust_of(remote: Remote) -> ssl.SSLContext:
    """Which certificates are trusted; raises `BadInput` where those entered are none."""
    context = ssl.create_default_context()
    if remote.ca_certificates:
        try:
            context.load_verify_locations(cadata=remote.ca_certificates)
        except (ssl.SSLError, ValueError, TypeError):  # The last is of text beyond ASCII.
            raise BadInput(
                "BAD_CERTIFICATE",
                "What was entered as certificate is none.",
                "Paste the certificate as PEM text, from BEGIN CERTIFICATE to END CERTIFICATE.",
            ) from None
    if not remote.verify_tls:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
