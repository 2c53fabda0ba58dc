"""The body of a STOW request is read while it arrives."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from backend.archive import arriving
from backend.archive.arriving import Body
from tests.archive.made import ct_series, encoded
from tests.archive.test_live import web_of
from tests.stack import Stack, until


class Sender:
    """An ASGI server's `receive`: gives what the test sends, when it sends it."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.asked = 0

    async def receive(self) -> dict[str, Any]:
        self.asked += 1
        return await self.messages.get()

    def send(self, *chunks: bytes, more: bool = True) -> None:
        for chunk in chunks:
            self.messages.put_nowait({"type": "http.request", "body": chunk, "more_body": True})
        if not more:
            self.messages.put_nowait({"type": "http.request", "body": b"", "more_body": False})

    def go(self) -> None:
        self.messages.put_nowait({"type": "http.disconnect"})


def test_what_came_is_read_in_the_sizes_asked_for() -> None:
    async def main() -> None:
        sender = Sender()
        body = Body(sender.receive)
        filling = asyncio.create_task(body.fill())
        sender.send(b"abc", b"defg", b"hi", more=False)
        assert await asyncio.to_thread(body.read, 5) == b"abcde"
        assert await asyncio.to_thread(body.read, 1) == b"f"
        assert await asyncio.to_thread(body.read) == b"ghi"
        assert await asyncio.to_thread(body.read, 5) == b""
        sender.go()
        assert (await body.gone())["type"] == "http.disconnect"
        await filling

    asyncio.run(main())


def test_a_reader_waits_for_what_is_still_under_way() -> None:
    async def main() -> None:
        sender = Sender()
        body = Body(sender.receive)
        filling = asyncio.create_task(body.fill())
        reading = asyncio.create_task(asyncio.to_thread(body.read, 6))
        sender.send(b"abc")
        done, _ = await asyncio.wait([reading], timeout=0.1)
        assert not done
        sender.send(b"defg")
        assert await reading == b"abcdef"
        filling.cancel()

    asyncio.run(main())


def test_no_more_is_held_than_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arriving, "HELD_BYTES", 10)

    async def main() -> None:
        sender = Sender()
        body = Body(sender.receive)
        filling = asyncio.create_task(body.fill())
        sender.send(*[b"1234"] * 10, more=False)
        for _ in range(20):
            await asyncio.sleep(0)
        assert sender.asked == 3
        assert await asyncio.to_thread(body.read, 100) == b"1234" * 10
        filling.cancel()

    asyncio.run(main())


@pytest.mark.parametrize("broken", ["gone", "closed", "silent"])
def test_what_breaks_off_ends(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arriving, "SILENT_SECONDS", 0.05 if broken == "silent" else 60)

    async def main() -> bytes:
        sender = Sender()
        body = Body(sender.receive)
        filling = asyncio.create_task(body.fill())
        reading = asyncio.create_task(asyncio.to_thread(body.read, 100))
        sender.send(b"abc")
        await asyncio.sleep(0.01)
        if broken == "gone":
            sender.go()
        elif broken == "closed":
            body.close()
        found = await reading
        assert await asyncio.to_thread(body.read, 100) == b""
        filling.cancel()
        return found

    assert asyncio.run(main()) == (b"" if broken == "closed" else b"abc")


@pytest.fixture(scope="module")
def alone() -> Iterator[Stack]:
    """Web and work, without an inference worker."""
    stack = Stack()
    try:
        stack.start(worker=False)
        stack.as_is("stow", "coordinator")
        yield stack
    finally:
        stack.close()


def opened(stack: Stack, length: int, **headers: str) -> http.client.HTTPConnection:
    """A STOW request whose body has not been sent yet."""
    connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=60)
    connection.putrequest("POST", "/dicom-web/studies")
    kind = 'multipart/related; type="application/dicom"; boundary=b'
    for name, value in {"Content-Type": kind, "Content-Length": str(length), **headers}.items():
        connection.putheader(name, value)
    connection.endheaders()
    return connection


def test_nobody_is_listened_to_who_may_not_send(alone: Stack) -> None:
    for headers, status in (
        ({}, 401),
        ({"Authorization": f"Bearer {alone.token('reader1')}"}, 403),
        ({"Authorization": f"Bearer {alone.token('coordinator')}"}, 413),
    ):
        connection = opened(alone, 1 << 60, **headers)
        assert connection.getresponse().status == status  # Not a byte of the body was sent.
        connection.close()


def test_what_does_not_say_how_long_it_is_ends_at_the_limit_too() -> None:
    slices = ct_series(40, Rows=256, Columns=256, PixelData=bytes(256 * 256 * 2))
    stack = Stack(CONCORD_MAX_UPLOAD_BYTES=str(2 << 20))
    try:
        stack.start(worker=False)
        stack.as_is("stow", "coordinator")
        token = stack.token("coordinator")
        parts = [b"--b\r\n\r\n%s\r\n" % encoded(one) for one in slices]
        kinds = {
            'multipart/related; type="application/dicom"; boundary=b': b"".join(parts),
            "application/dicom": encoded(slices[0]) * 40,
        }
        for kind, body in kinds.items():
            connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=60)
            pieces = (body[at : at + 100_000] for at in range(0, len(body), 100_000))
            headers = {"Content-Type": kind, "Authorization": f"Bearer {token}"}
            with contextlib.suppress(OSError):  # It is not listened to to the end.
                connection.request(
                    "POST", "/dicom-web/studies", pieces, headers, encode_chunked=True
                )
            answer = connection.getresponse()
            assert answer.status == 413
            assert json.loads(answer.read())["error"] == "TOO_LARGE"
            connection.close()
        count = "select count(*) from archive_instance"
        # What came whole before the limit stays, as after any break.
        assert 10 <= stack.query(count)[0][0] <= 16
        ended = "select count(*) from archive_receipt where closed_at is null"
        assert stack.query(ended) == [(0,)]
    finally:
        stack.close()


def test_what_came_before_a_break_is_stored_and_nothing_by_halves(alone: Stack) -> None:
    slices = ct_series(3)
    parts = [
        b"--b\r\nContent-Type: application/dicom\r\n\r\n%s\r\n" % encoded(one) for one in slices
    ]
    token = alone.token("coordinator")
    connection = opened(alone, len(b"".join(parts)) + 5, Authorization=f"Bearer {token}")
    connection.send(b"".join(parts)[:-100])
    connection.sock.shutdown(socket.SHUT_WR)
    connection.close()
    web = web_of(alone, "coordinator")
    study = slices[0].StudyInstanceUID
    until(lambda: _receipts(alone, "closed_at is not null") == 1, "its end", 30, alone.words)
    web.store_instances(slices)
    assert len(web.search_for_instances(study)) == 3


def _receipts(stack: Stack, which: str) -> int:
    found = stack.query(f"select count(*) from archive_receipt where {which}")  # noqa: S608
    return int(found[0][0])
