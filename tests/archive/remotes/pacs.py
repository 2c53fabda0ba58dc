"""A PACS to speak to: Debian's Orthanc, and the network in front of it, which may fail."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from pydicom.dataset import Dataset

from backend.archive.benchmarks.servers import orthanc_configuration
from backend.database import free_port
from tests.archive.made import encoded
from tests.stack import until


class Pacs:
    """A running Orthanc."""

    def __init__(self, port: int, auth: tuple[str, str] | None, dicom_port: int) -> None:
        self.port, self.auth, self.dicom_port = port, auth, dicom_port
        self.rest = httpx.Client(base_url=f"http://127.0.0.1:{port}", auth=auth, timeout=60)

    @property
    def url(self) -> str:
        """The address of its DICOMweb service."""
        return f"http://127.0.0.1:{self.port}/dicom-web"

    def store(self, datasets: Iterable[Dataset]) -> None:
        """Put objects in."""
        for dataset in datasets:
            self.rest.post("/instances", content=encoded(dataset)).raise_for_status()

    def files(self) -> dict[str, bytes]:
        """SOP Instance UID → the bytes it keeps."""
        found = {}
        for name in self.rest.get("/instances").json():
            tags = self.rest.get(f"/instances/{name}/simplified-tags").json()
            found[tags["SOPInstanceUID"]] = self.rest.get(f"/instances/{name}/file").content
        return found

    def clear(self) -> None:
        """Forget everything."""
        for name in self.rest.get("/patients").json():
            self.rest.delete(f"/patients/{name}").raise_for_status()


@contextmanager
def orthanc(folder: Path, auth: tuple[str, str] | None = None, **changes: Any) -> Iterator[Pacs]:
    """Debian's Orthanc with its DICOMweb plugin, on ports of its own."""
    place, port, dicom_port = folder / "orthanc", free_port(), free_port()
    (place / "storage").mkdir(parents=True)
    settings: dict[str, Any] = {
        **orthanc_configuration(place, port),
        "HttpThreadsCount": 6,
        "DicomPort": dicom_port,
        "AuthenticationEnabled": auth is not None,
        "RegisteredUsers": dict([auth]) if auth else {},
        **changes,
    }
    path = place / "orthanc.json"
    path.write_text(json.dumps(settings))
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(["/usr/sbin/Orthanc", str(path)], stdout=log, stderr=log)
    pacs = Pacs(port, auth, dicom_port)

    def answers() -> bool:
        with suppress(httpx.HTTPError):
            return pacs.rest.get("/system").status_code == 200
        return False

    try:
        until(answers, "Orthanc", 30)
        yield pacs
    finally:
        pacs.rest.close()
        process.terminate()
        process.wait()


@dataclass
class Asked:
    """One request that came over the network."""

    method: str
    target: str
    headers: dict[str, str]
    length: int = 0

    @property
    def path(self) -> str:
        """Without the query."""
        return self.target.partition("?")[0]


Way = Callable[[Asked, asyncio.StreamReader, asyncio.StreamWriter], Any]


@dataclass
class Network:
    """Something that listens on 127.0.0.1 and answers each request by `way`."""

    way: Way
    asked: list[Asked] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        """The address of the DICOMweb service behind it."""
        return f"http://127.0.0.1:{self.port}/dicom-web"

    def fetched(self) -> list[str]:
        """The last parts of the addresses of images fetched one by one."""
        return [a.path.rsplit("/", 1)[1] for a in self.asked if "/instances/" in a.path]

    @contextmanager
    def listening(self, tls: ssl.SSLContext | None = None) -> Iterator[Network]:
        """In a thread of its own."""
        loop = asyncio.new_event_loop()
        server = loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls))
        self.port = server.sockets[0].getsockname()[1]
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        try:
            yield self
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            server.close()
            loop.run_until_complete(_ended())
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request a connection."""
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            try:
                head = await reader.readuntil(b"\r\n\r\n")
                first, *lines = head.decode("latin-1").split("\r\n")
                method, target, _ = first.split(" ", 2)
                pairs = (line.partition(":") for line in lines if ":" in line)
                headers = {k.strip().lower(): v.strip() for k, _, v in pairs}
                asked = Asked(method, target, headers, int(headers.get("content-length", "0")))
                self.asked.append(asked)
                await self.way(asked, reader, writer)
            finally:
                writer.close()


async def _ended() -> None:
    """Whatever is still being answered is let go of."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


def saying(*pieces: bytes, then: bytes | None = None, every: float = 0.0) -> Way:
    """Answer every request with these bytes; with `then`, again and again until nobody listens."""

    async def say(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if asked.length:
            await reader.readexactly(asked.length)
        for piece in pieces:
            writer.write(piece)
        await writer.drain()
        while then is not None:
            writer.write(then)
            await writer.drain()
            await asyncio.sleep(every)

    return say


def head(status: str = "200 OK", kind: str = "application/dicom+json", **more: str) -> bytes:
    """The head of an answer that ends with its connection."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in more.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


@dataclass
class Wire:
    """A way to a real PACS that may break and be slow.

    `cut(asked)` says after how many bytes of an answer's whole the line breaks (None: not), or with
    `silent` stays open and says no more; `size` and `every` make it slow: so many bytes at a time,
    with so many seconds between.
    """

    pacs_port: int
    cut: Callable[[Asked], int | None] = lambda asked: None
    size: int = 1 << 16
    every: float = 0.0
    silent: bool = False

    async def __call__(
        self, asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        there, on = await asyncio.open_connection("127.0.0.1", self.pacs_port)
        try:
            lines = [f"{asked.method} {asked.target} HTTP/1.1"]
            lines += [f"{k}: {v}" for k, v in asked.headers.items() if k != "connection"]
            on.write(("\r\n".join([*lines, "connection: close"]) + "\r\n\r\n").encode("latin-1"))
            if asked.length:
                on.write(await reader.readexactly(asked.length))
            left = self.cut(asked)
            async for piece in _pieces(there, self.size):
                if left is not None:
                    piece = piece[:left]
                    left -= len(piece)
                writer.write(piece)
                await writer.drain()
                if left == 0:
                    if self.silent:
                        await asyncio.Event().wait()
                    writer.transport.abort()
                    return
                if self.every:
                    await asyncio.sleep(self.every)
        finally:
            on.close()


async def _pieces(reader: asyncio.StreamReader, size: int) -> AsyncIterator[bytes]:
    while piece := await reader.read(size):
        yield piece
