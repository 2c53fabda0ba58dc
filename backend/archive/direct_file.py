"""Bytes of a file sent by the kernel, on the connection that uvicorn keeps.

Read into memory and handed to the event loop, a frame of 512 kB is copied twice and written in
pieces; `sendfile` lends its pages to the socket. What uvicorn's objects are asked for here is
little: whether nothing else waits to be written, and that it ends the answer as it always does.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from backend.archive.direct_body import cycle_of

# So much may wait in the kernel on a connection: a frame, so that one call sends it.
SEND_BUFFER_BYTES = 1 << 20
_LOOKED_AT = 8


async def send_file(
    send: Any,
    headers: Sequence[tuple[bytes, bytes]],
    file: int,
    start: int,
    size: int,
    *,
    before: bytes,
    after: bytes,
) -> bool:
    """Answer 200 with some bytes of an open file between two others.

    False, with nothing sent, where the server is another, something waits to be written, or the
    file would have to be read from the disk: that is not for the event loop to wait for.
    """
    cycle = cycle_of(send)
    if cycle is None or cycle.response_started or cycle.disconnected or cycle.flow.write_paused:
        return False
    transport = cycle.transport
    if transport.is_closing() or transport.get_write_buffer_size():
        return False
    if not _in_memory(file, start, size):
        return False
    length = len(before) + size + len(after)
    told = [*cycle.default_headers, *headers, (b"content-length", b"%d" % length)]
    if not cycle.keep_alive:
        told.append((b"connection", b"close"))
    lines = b"".join(b"%b: %b\r\n" % header for header in told)
    head = b"%b%b\r\n%b" % (STATUS_LINE[200], lines, before)
    rest = _sent(transport.get_extra_info("socket").fileno(), head, file, start, size, after)
    # From here on it is an answer of which so much is still to be written.
    cycle.response_started, cycle.waiting_for_100_continue = True, False
    cycle.chunked_encoding, cycle.expected_content_length = False, len(rest)
    await send({"type": "http.response.body", "body": rest})
    return True


def _sent(connection: int, head: bytes, file: int, start: int, size: int, after: bytes) -> bytes:
    """Send as much as the connection takes now; what is left."""
    here = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, connection)
    try:
        if here.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) < SEND_BUFFER_BYTES:
            here.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        here.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        gone = done = 0
        try:
            gone = here.send(head)
            while gone == len(head) and done < size:
                count = os.sendfile(connection, file, start + done, size - done)
                if not count:
                    break
                done += count
            if done == size and here.send(after) == len(after):
                return b""
        except OSError:  # It takes no more now, or has broken: the transport knows what to do.
            pass
        finally:
            here.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
        return head[gone:] + os.pread(file, size - done, start + done) + after
    finally:
        here.detach()


def _in_memory(file: int, start: int, size: int) -> bool:
    """Whether the kernel holds these bytes, as far as a look at some of its pages tells."""
    one = bytearray(1)
    step = max(1, size // _LOOKED_AT)
    try:
        places = [*range(start, start + size, step), start + size - 1]
        return all(os.preadv(file, [one], place, os.RWF_NOWAIT) == 1 for place in places)
    except OSError:
        return False
