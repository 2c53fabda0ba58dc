"""One HTTP client for both servers: plain connections that stay open, no library in between."""

from __future__ import annotations

import http.client
import statistics
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

OCTETS = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
DICOM_JSON = "application/dicom+json"


class Refused(RuntimeError):
    """A server did not answer with success."""


class Connection:
    """One open connection to a server on 127.0.0.1."""

    def __init__(self, port: int, root: str, headers: dict[str, str]) -> None:
        self.http = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self.root, self.headers = root, headers

    def get(self, path: str, accept: str) -> bytes:
        """The body of an answer; raises `Refused`."""
        self.http.request("GET", f"{self.root}{path}", headers={**self.headers, "Accept": accept})
        return self._body(path)

    def drain(self, path: str, accept: str) -> int:
        """The length of an answer that is read in pieces and thrown away."""
        self.http.request("GET", f"{self.root}{path}", headers={**self.headers, "Accept": accept})
        answer = self.http.getresponse()
        total = 0
        while piece := answer.read(1 << 20):
            total += len(piece)
        if answer.status != 200:
            raise Refused(f"{path}: {answer.status}")
        return total

    def store(self, paths: Sequence[Path]) -> None:
        """STOW some files in one request; raises `Refused`."""
        boundary = uuid.uuid4().hex
        parts = [
            b"--%s\r\nContent-Type: application/dicom\r\n\r\n%s\r\n"
            % (boundary.encode(), path.read_bytes())
            for path in paths
        ]
        body = b"".join([*parts, f"--{boundary}--\r\n".encode()])
        kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
        headers = {**self.headers, "Content-Type": kind, "Accept": DICOM_JSON}
        self.http.request("POST", f"{self.root}/studies", body=body, headers=headers)
        answer = self._body("/studies")
        if b"00081198" in answer and b'"00081199"' not in answer:
            raise Refused(f"nothing was stored: {answer[:300]!r}")

    def _body(self, path: str) -> bytes:
        answer = self.http.getresponse()
        body = answer.read()
        if answer.status not in (200, 202):
            raise Refused(f"{path}: {answer.status} {body[:300]!r}")
        return body


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
