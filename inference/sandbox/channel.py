"""JSON messages over a pair of sockets, with file descriptors beside them."""

from __future__ import annotations

import json
import select
import socket
import struct
import time
from typing import Any

LONGEST = 16 << 20


class Closed(EOFError):
    """The other side is gone."""


class Channel:
    """One end; not shared by threads."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end

    def send(self, message: dict[str, Any], descriptors: tuple[int, ...] = ()) -> None:
        """Send a message; raises `Closed`."""
        text = json.dumps(message).encode()
        try:
            head = struct.pack("<I", len(text))
            if descriptors:
                socket.send_fds(self.end, [head], list(descriptors))
            else:
                self.end.sendall(head)
            self.end.sendall(text)
        except OSError as gone:
            raise Closed from gone

    def receive(self, patience: float | None = None) -> tuple[dict[str, Any], list[int]] | None:
        """The next message and its descriptors; None where none began within `patience` seconds.

        Raises `Closed` at the end, and `ValueError` for what is no message.
        """
        if patience is not None and not select.select([self.end], [], [], patience)[0]:
            return None
        try:
            head, descriptors, _, _ = socket.recv_fds(self.end, 4, 4)
            head += self._exactly(4 - len(head)) if head else b""
            if not head:
                raise Closed
            (length,) = struct.unpack("<I", head)
            if length > LONGEST:
                raise ValueError("a message that long is none")
            message = json.loads(self._exactly(length))
        except OSError as gone:
            raise Closed from gone
        if not isinstance(message, dict):
            raise ValueError("a message is an object")
        return message, list(descriptors)

    def _exactly(self, length: int) -> bytes:
        """So many bytes; a sender that stops midway is given up after a while."""
        found = bytearray()
        deadline = time.monotonic() + 30.0
        while len(found) < length:
            if not select.select([self.end], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise Closed
            part = self.end.recv(min(length - len(found), 1 << 20))
            if not part:
                raise Closed
            found += part
        return bytes(found)
