"""A server that receives bodies and throws them away: what is left is a client's cost and HTTP's.

A thread a connection, one buffer, no parsing but of the length: nothing that stores can do less.
"""

from __future__ import annotations

import re
import socket
import sys
import threading

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
_BUFFER_BYTES = 1 << 20
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def throw_away(port: int) -> None:
    """Serve on 127.0.0.1 until stopped."""
    with socket.create_server(("127.0.0.1", port)) as listening:
        while True:
            connection, _ = listening.accept()
            threading.Thread(target=_serve, args=(connection,), daemon=True).start()


def _serve(connection: socket.socket) -> None:
    room = bytearray(_BUFFER_BYTES)
    with connection:
        while True:
            head = b""
            while b"\r\n\r\n" not in head:
                piece = connection.recv(1 << 16)
                if not piece:
                    return
                head += piece
            end = head.index(b"\r\n\r\n") + 4
            told = _LENGTH.search(head, 0, end)
            left = (int(told[1]) if told else 0) - (len(head) - end)
            while left > 0:
                count = connection.recv_into(room, min(left, _BUFFER_BYTES))
                if not count:
                    return
                left -= count
            connection.sendall(ANSWER)


if __name__ == "__main__":
    throw_away(int(sys.argv[1]))
