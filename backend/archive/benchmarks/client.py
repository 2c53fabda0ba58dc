"""One HTTP client for both servers: plain sockets that stay open, no library in between.

It shares the machine with the server it measures: what it has to do is done before the clock runs
(the bodies of requests), or not at all.
"""

from __future__ import annotations

import socket
import statistics
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

OCTETS = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
DICOM_JSON = "application/dicom+json"


TO_THE_END = -1


class Refused(RuntimeError):
    """A server did not answer with success."""


class Connection:
    """One open connection to a server on 127.0.0.1; it costs its machine as little as can be."""

    def __init__(self, port: int, root: str, headers: dict[str, str]) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._root = root
        lines = {"Host": f"127.0.0.1:{port}", **headers}
        self._lines = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self._held = bytearray(2 << 20)

    def get(self, path: str, accept: str) -> bytes:
        """The body of an answer; raises `Refused`."""
        return bytes(self._get(path, accept))

    def pull(self, path: str, accept: str) -> int:
        """The length of an answer that is received and thrown away; raises `Refused`."""
        return len(self._get(path, accept))

    def drain(self, path: str, accept: str) -> int:
        """The length of a long answer that is read in pieces and thrown away."""
        self._send("GET", path, f"Accept: {accept}\r\n")
        status, size, total = self._head(path)
        if status != 200:
            raise Refused(f"{path}: {status}")
        if size is None:
            return sum(len(piece) for piece in self._chunks(total))
        room = memoryview(self._held)
        while total < size:
            total += self._received(room)
        while size == TO_THE_END and (count := self._socket.recv_into(room)):
            total += count
        return total

    def store(self, body: Body) -> None:
        """STOW what `body_of` prepared, in one request; raises `Refused`."""
        self._send(
            "POST",
            "/studies",
            f"Accept: {DICOM_JSON}\r\nContent-Type: {body.kind}\r\n"
            f"Content-Length: {len(body.data)}\r\n",
        )
        self._socket.sendall(body.data)
        answer = bytes(self._answer("/studies"))
        if b"00081198" in answer and b'"00081199"' not in answer:
            raise Refused(f"nothing was stored: {answer[:300]!r}")

    def _get(self, path: str, accept: str) -> memoryview | bytes:
        self._send("GET", path, f"Accept: {accept}\r\n")
        return self._answer(path)

    def _send(self, method: str, path: str, lines: str) -> None:
        head = f"{method} {self._root}{path} HTTP/1.1\r\n{self._lines}{lines}\r\n"
        self._socket.sendall(head.encode())

    def _received(self, room: memoryview) -> int:
        count = self._socket.recv_into(room)
        if not count:
            raise Refused("the server closed the connection")
        return count

    def _head(self, path: str) -> tuple[int, int | None, int]:
        """Status, length (None: in chunks), and how many bytes of the body came too.

        They lie at the beginning of `_held`. The length may be `TO_THE_END` of the connection.
        """
        room, here = memoryview(self._held), 0
        while (end := self._held.find(b"\r\n\r\n", 0, here)) < 0:
            here += self._received(room[here:])
        first, *lines = bytes(room[:end]).decode("latin-1").split("\r\n")
        told = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
        came = here - end - 4
        room[:came] = room[end + 4 : here]
        size: int | None = int(told.get("content-length", TO_THE_END))
        if told.get("transfer-encoding", "").lower() == "chunked":
            size = None
        return int(first.split()[1]), size, came

    def _answer(self, path: str) -> memoryview | bytes:
        """The body of an answer; valid until the next."""
        status, size, came = self._head(path)
        if size == TO_THE_END:
            raise Refused(f"{path}: an answer of no length")
        body: memoryview | bytes
        if size is None:
            body = b"".join(self._chunks(came))
        else:
            if size > len(self._held):
                self._held += bytes(size - len(self._held))
            room = memoryview(self._held)
            while came < size:
                came += self._received(room[came:size])
            body = room[:size]
        if status not in (200, 202):
            raise Refused(f"{path}: {status} {bytes(body[:300])!r}")
        return body

    def _chunks(self, came: int) -> Iterator[bytes]:
        """The pieces of a chunked body, of which the first bytes came already."""
        held = bytearray(memoryview(self._held)[:came])
        room = memoryview(self._held)

        def until(count: int) -> None:
            while len(held) < count:
                held.extend(room[: self._received(room)])

        while True:
            while (end := held.find(b"\r\n")) < 0:
                until(len(held) + 1)
            size = int(held[:end].split(b";")[0], 16)
            until(end + 2 + size + 2)
            yield bytes(held[end + 2 : end + 2 + size])
            del held[: end + 2 + size + 2]
            if not size:
                return


@dataclass(frozen=True)
class Body:
    """A STOW request's body, and its Content-Type."""

    data: bytes
    kind: str


def body_of(paths: Sequence[Path]) -> Body:
    """A multipart message of some files, made before anything is timed."""
    boundary = uuid.uuid4().hex
    parts = [
        b"--%s\r\nContent-Type: application/dicom\r\n\r\n%s\r\n"
        % (boundary.encode(), path.read_bytes())
        for path in paths
    ]
    data = b"".join([*parts, f"--{boundary}--\r\n".encode()])
    return Body(data, f'multipart/related; type="application/dicom"; boundary={boundary}')


def at_once(
    connections: Sequence[Connection], work: Sequence[Callable[[Connection], object]]
) -> float:
    """Seconds until all pieces of work are done, shared out over the connections."""
    waiting = list(reversed(work))
    failures: list[Exception] = []
    lock = threading.Lock()

    def run(connection: Connection) -> None:
        while True:
            with lock:
                if not waiting or failures:
                    return
                piece = waiting.pop()
            try:
                piece(connection)
            except Exception as error:  # noqa: BLE001  told to the caller below
                failures.append(error)

    threads = [threading.Thread(target=run, args=(c,)) for c in connections]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    if failures:
        raise failures[0]
    return seconds


def timed(action: Callable[[], object], runs: int) -> list[float]:
    """Seconds of each of `runs` calls."""
    found = []
    for _ in range(runs):
        began = time.perf_counter()
        action()
        found.append(time.perf_counter() - began)
    return found


def median(values: Sequence[float]) -> float:
    """The median."""
    return statistics.median(values)


def p95(values: Sequence[float]) -> float:
    """The 95th percentile."""
    return statistics.quantiles(values, n=20, method="inclusive")[-1]
