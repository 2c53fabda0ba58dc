"""The body of a STOW request, read from its connection by the thread that stores it.

Through the event loop every 64 kB of a body cost a callback, two copies and a change of threads: a
third of what storing takes. Here uvicorn stops reading when the headers are there, the thread
receives the body into its own buffer, and uvicorn goes on behind it. What uvicorn's objects are
asked for stands in this file alone; for any other server, over TLS, or without a length the answer
of `direct_body` is None and `arriving.Body` takes the body message by message.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Mapping
from typing import Any

import httptools
from django.db import close_old_connections
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

# A sender that says nothing for this long has gone; after the pause its connection to the
# database is given back while it is waited for.
SILENT_SECONDS = 60.0
PAUSE_SECONDS = 0.05
# The thread is woken for no fewer bytes than these while they come fast.
AT_ONCE_BYTES = 256 << 10
_ZEROS = bytes(1 << 20)


def direct_body(receive: Any, headers: Mapping[bytes, bytes]) -> DirectBody | None:
    """The body of the request that this ASGI `receive` belongs to; None where it is no such one."""
    cycle = cycle_of(receive)
    length = headers.get(b"content-length", b"")
    if cycle is None or not length.isdigit() or len(length) > 18:
        return None
    protocol = cycle.transport.get_protocol()
    connection = cycle.transport.get_extra_info("socket")
    if not isinstance(protocol, HttpToolsProtocol) or protocol.cycle is not cycle:
        return None
    if cycle.disconnected or connection is None:
        return None
    return DirectBody(cycle, protocol, socket.socket(fileno=os.dup(connection.fileno())), length)


def cycle_of(told: Any) -> RequestResponseCycle | None:
    """uvicorn's request behind an ASGI `receive` or `send`; None for others, and over TLS."""
    cycle = getattr(told, "__self__", None)
    if not isinstance(cycle, RequestResponseCycle):
        return None
    return cycle if cycle.transport.get_extra_info("sslcontext") is None else None


class DirectBody:
    """What one client sends: read by the view's thread, which waits for it."""

    def __init__(
        self,
        cycle: RequestResponseCycle,
        protocol: HttpToolsProtocol,
        connection: socket.socket,
        length: bytes,
    ) -> None:
        cycle.flow.pause_reading()
        if cycle.waiting_for_100_continue:
            cycle.waiting_for_100_continue = False
            cycle.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._cycle, self._protocol, self._connection = cycle, protocol, connection
        self._loop = asyncio.get_running_loop()
        self._came, cycle.body = memoryview(cycle.body), bytearray()
        self._to_come = int(length) - len(self._came) if cycle.more_body else 0
        self._received = 0
        self._over = asyncio.Event()
        self._lock = threading.Lock()
        self._reading = self._ended = self._slow = False
        self._woken_for = 1
        connection.settimeout(PAUSE_SECONDS)
        if not self._to_come:
            self._over.set()

    def read(self, size: int = -1, /) -> bytes:
        """`size` bytes, fewer at the end (all with -1)."""
        left = len(self._came) + self._to_come if size < 0 else size
        found = bytearray()
        while left > 0:
            piece = bytearray(min(left, 1 << 20))
            count = self.readinto(memoryview(piece))
            if not count:
                break
            found += memoryview(piece)[:count]
            left -= count
        return bytes(found)

    def readinto(self, into: memoryview, /) -> int:
        """Fill some of `into`; how much (0 at the end). What breaks off or is silent ends early."""
        if self._came:
            count = min(len(into), len(self._came))
            into[:count] = self._came[:count]
            self._came = self._came[count:]
            return count
        with self._lock:
            if self._ended or not self._to_come or not len(into):
                return 0
            self._reading = True
        try:
            count = self._receive(into[: self._to_come])
        except OSError:
            count = 0
        with self._lock:
            self._reading = False
            self._to_come -= count
            self._received += count
            if self._ended or not count:
                self._let_go()
            elif not self._to_come:
                self._wake_for(1)
                self._loop.call_soon_threadsafe(self._go_on)
        return count

    def _receive(self, into: memoryview) -> int:
        """Wait for some of what is sent; for a slow sender without a connection to the database."""
        if not self._slow:
            self._wake_for(min(len(into), AT_ONCE_BYTES))
            try:
                return self._connection.recv_into(into)
            except TimeoutError:
                self._slow = True
                self._wake_for(1)
                self._connection.settimeout(SILENT_SECONDS)
        close_old_connections()
        return self._connection.recv_into(into)

    def _wake_for(self, count: int) -> None:
        """Wait for so many bytes; uvicorn, on the same socket, for one."""
        if self._woken_for != count:
            self._woken_for = count
            self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, count)

    def _let_go(self) -> None:
        self._ended = True
        if self._connection.fileno() >= 0:
            self._wake_for(1)
            self._connection.close()

    def _go_on(self) -> None:
        """All of it is here: for uvicorn the message is complete, and it reads on."""
        if self._over.is_set():
            return
        self._over.set()
        if self._protocol.parser is None:  # The connection was lost.
            return
        self._protocol.parser = httptools.HttpRequestParser(self._protocol)
        self._protocol.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._cycle.more_body = False
        self._cycle.message_event.set()
        self._cycle.flow.resume_reading()

    def before_answer(self) -> None:
        """The view has ended, perhaps without reading all: uvicorn passes over the rest itself.

        Its parser is told of as many bytes as were received here.
        """
        with self._lock:
            self._let_go()
        if not self._to_come:
            self._go_on()
            return
        told, self._received = self._received, 0
        while told > 0 and self._protocol.parser is not None:
            self._protocol.parser.feed_data(_ZEROS[: min(told, len(_ZEROS))])
            self._cycle.body = bytearray()
            told -= len(_ZEROS)

    async def gone(self) -> dict[str, Any]:
        """What Django's handler hears of the client: that it went."""
        await self._over.wait()
        while (await self._cycle.receive())["type"] != "http.disconnect":
            pass
        return {"type": "http.disconnect"}

    def close(self) -> None:
        """Nobody reads any more; a thread that still does ends at its sender's next word."""
        with self._lock:
            self._ended = True
            if not self._reading:
                self._let_go()
