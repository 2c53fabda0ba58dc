"""Bodies and files that pass uvicorn by: whatever a client does, the connection stays in step."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import uvicorn

from backend.archive import direct_body, direct_file
from backend.archive.direct_body import DirectBody
from backend.database import free_port
from tests.stack import until


class Site:
    """uvicorn with an application that answers how many bytes it read, and their sum."""

    def __init__(self, http: str, loop: str) -> None:
        self.port = free_port()
        self.read: Callable[[DirectBody], bytes] = lambda body: body.read()
        self.direct: list[bool] = []
        self.file = tempfile.TemporaryFile()  # noqa: SIM115  closed with the site
        self.file.write(noise(2, 3 << 20))
        self.file.flush()
        config = uvicorn.Config(
            self.app,
            port=self.port,
            http=http,
            loop=loop,
            interface="asgi3",
            log_level="warning",
            lifespan="off",
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()
        until(lambda: self.server.started, "the server to start")

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join()
        self.file.close()

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] == "GET":
            await self._send_part(scope, send)
            return
        body = direct_body.direct_body(receive, dict(scope["headers"]))
        self.direct.append(body is not None)
        if body is not None:
            found = await asyncio.to_thread(self.read, body)
            body.before_answer()
        else:
            found, more = b"", True
            while more:
                message = await receive()
                found, more = found + message["body"], message["more_body"]
        answer = told(found)
        headers = [(b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})
        if body is not None:
            body.close()

    async def _send_part(self, scope: Any, send: Any) -> None:
        start, size = map(int, scope["path"].strip("/").split("-"))
        headers = [(b"x-part", b"yes")]
        direct = await direct_file.send_file(
            send, headers, self.file.fileno(), start, size, before=b"<<", after=b">>"
        )
        self.direct.append(direct)
        if not direct:
            await send({"type": "http.response.start", "status": 404, "headers": headers})
            await send({"type": "http.response.body", "body": b""})


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    one = Site("httptools", request.param)
    yield one
    one.close()


@pytest.fixture(autouse=True)
def _as_at_first(site: Site) -> None:
    site.read = lambda body: body.read()
    site.direct.clear()


def noise(seed: int, size: int) -> bytes:
    return bytes(np.random.default_rng(seed).bytes(size))


class Client:
    def __init__(self, site: Site) -> None:
        self.socket = socket.create_connection(("127.0.0.1", site.port), timeout=20)
        self.answers = self.socket.makefile("rb")

    def head(self, length: int, *more: str) -> None:
        lines = ["POST / HTTP/1.1", "Host: x", f"Content-Length: {length}", *more, "", ""]
        self.socket.sendall("\r\n".join(lines).encode())

    def post(self, body: bytes) -> None:
        self.head(len(body))
        self.socket.sendall(body)

    def answer(self) -> bytes:
        assert self.answers.readline().startswith(b"HTTP/1.1 200"), "no answer"
        length = 0
        while (line := self.answers.readline()) != b"\r\n":
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        return self.answers.read(length)


def told(body: bytes) -> bytes:
    return b"%d %d" % (len(body), sum(body))


@pytest.mark.parametrize("size", [0, 1, 1000, 70_000, 3 << 20])
def test_a_body_is_read_whole_and_the_connection_goes_on(site: Site, size: int) -> None:
    client = Client(site)
    for turn in range(3):
        body = noise(turn, size)
        client.post(body)
        assert client.answer() == told(body)
    assert site.direct == [True] * 3


def test_a_body_that_comes_in_drops_is_read_whole(site: Site) -> None:
    client, body = Client(site), b"abcdefgh" * 20
    client.head(len(body))
    for place in range(0, len(body), 16):
        client.socket.sendall(body[place : place + 16])
        if place == 64:  # Long enough that the reader takes the sender for a slow one.
            until(lambda: not client_waits(site), "the reader to wait")
    assert client.answer() == told(body)


def client_waits(site: Site) -> bool:
    return not site.direct


def test_requests_sent_at_once_are_answered_in_turn(site: Site) -> None:
    client = Client(site)
    bodies = [noise(n, 400_000) for n in range(3)]
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 400000\r\n\r\n"
    sender = threading.Thread(
        target=client.socket.sendall, args=(b"".join(head + body for body in bodies),)
    )
    sender.start()
    assert [client.answer() for _ in bodies] == [told(body) for body in bodies]
    sender.join()


@pytest.mark.parametrize("read", [0, 10, 200_000, 1_500_000])
def test_what_was_not_read_is_passed_over(site: Site, read: int) -> None:
    site.read = lambda body: body.read(read)
    client, body = Client(site), noise(3, 2 << 20)
    for _ in range(2):
        client.post(body)
        assert client.answer() == told(body[:read])
    site.read = lambda body: body.read()
    client.post(b"all of it")
    assert client.answer() == told(b"all of it")


def test_a_sender_may_wait_to_be_asked_for_the_body(site: Site) -> None:
    client = Client(site)
    client.head(5, "Expect: 100-continue")
    assert client.answers.readline().startswith(b"HTTP/1.1 100")
    client.answers.readline()
    client.socket.sendall(b"hello")
    assert client.answer() == told(b"hello")


def test_a_sender_that_goes_leaves_what_came(site: Site) -> None:
    found: list[bytes] = []

    def read(body: DirectBody) -> bytes:
        found.append(body.read())
        return found[0]

    site.read = read
    client = Client(site)
    client.head(1_000_000)
    client.socket.sendall(b"x" * 300_000)
    client.socket.shutdown(socket.SHUT_WR)
    until(lambda: bool(found), "the reader to end")
    assert found == [b"x" * 300_000]


def test_a_silent_sender_is_given_up(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direct_body, "SILENT_SECONDS", 0.2)
    client = Client(site)
    client.head(10)
    client.socket.sendall(b"abc")
    assert client.answer() == told(b"abc")


def test_a_body_of_no_length_is_left_to_uvicorn(site: Site) -> None:
    client = Client(site)
    client.socket.sendall(
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    )
    assert client.answer() == told(b"abc")
    assert site.direct == [False]


def test_parts_of_a_file_are_sent_between_two_others(site: Site) -> None:
    client = Client(site)
    whole = os.pread(site.file.fileno(), 3 << 20, 0)
    for start, size in ((0, 10), (5, 500_000), (100, 2_900_000), (0, 1)):
        client.socket.sendall(b"GET /%d-%d HTTP/1.1\r\nHost: x\r\n\r\n" % (start, size))
        assert client.answer() == b"<<" + whole[start : start + size] + b">>"
    assert site.direct == [True] * 4


def test_a_slow_receiver_gets_all_of_it_while_others_are_answered(site: Site) -> None:
    slow = Client(site)
    slow.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32_768)
    slow.socket.sendall(b"GET /0-2000000 HTTP/1.1\r\nHost: x\r\n\r\n")
    until(lambda: bool(site.direct), "its answer to begin")
    quick = Client(site)
    quick.post(b"quick")
    assert quick.answer() == told(b"quick")
    whole = os.pread(site.file.fileno(), 2_000_000, 0)
    assert slow.answer() == b"<<" + whole + b">>"


def test_what_a_file_does_not_have_is_not_sent(site: Site) -> None:
    client = Client(site)
    client.socket.sendall(b"GET /3000000-500000 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert client.answers.readline().startswith(b"HTTP/1.1 404")
    assert site.direct == [False]
