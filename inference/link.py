"""The socket to the web process: asks and is answered, and comes back by itself when it breaks."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
from collections.abc import Callable
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, WebSocketException

from backend.jobs.protocol import HEARTBEAT_SECONDS, messages

logger = logging.getLogger(__name__)

NOT_SIGNED_IN = 4401
LONGEST_WAIT_SECONDS = 5.0
Message = dict[str, Any]


class TokenRefused(RuntimeError):
    """The web process does not know this worker's token. Make one with
    `manage.py create_worker_token NAME` and set CONCORD_WORKER_TOKEN."""

    def __init__(self) -> None:
        super().__init__(" ".join((self.__doc__ or "").split()))


class Refused(RuntimeError):
    """The web process said no; `code` says why."""

    def __init__(self, answer: Message) -> None:
        super().__init__(str(answer.get("message", "refused")))
        self.code = str(answer.get("code", ""))


class Link:
    """One worker's socket. `hello` is sent first on every connection."""

    def __init__(self, web_url: str, token: str, hello: Message) -> None:
        self._url = web_url.replace("http", "ws", 1).rstrip("/") + "/ws/worker"
        self._token, self._hello = token, hello
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Message]] = {}
        self._socket: ClientConnection | None = None
        self._up = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()
        self.on_cancel: Callable[[str, int], None] = lambda run, attempt: None
        self.on_up: Callable[[], None] = lambda: None
        self.gauge: Callable[[], dict[str, float]] = dict
        self.leases: set[tuple[str, int]] = set()

    async def keep(self) -> None:
        """Keep the socket for as long as this is awaited; raises `TokenRefused`."""
        wait = 0.2
        while True:
            try:
                async with connect(
                    self._url,
                    additional_headers={"Authorization": f"Bearer {self._token}"},
                    open_timeout=10,
                    ping_interval=10,
                    ping_timeout=20,
                    proxy=None,
                ) as socket:
                    await self._talk(socket)
                    wait = 0.2
            except ConnectionClosed as closed:
                if closed.rcvd is not None and closed.rcvd.code == NOT_SIGNED_IN:
                    raise TokenRefused from None
                logger.warning("the socket to the web process closed; connecting again")
            except (OSError, TimeoutError, InvalidHandshake, WebSocketException) as error:
                logger.warning("the web process does not answer (%s); trying again", error)
            finally:
                self._down()
            await asyncio.sleep(wait)
            wait = min(wait * 2, LONGEST_WAIT_SECONDS)

    async def ask(self, message: Message, *, patience: float = 3600.0) -> Message:
        """Send and await the answer, again after every break; raises `Refused`, `TimeoutError`."""
        async with asyncio.timeout(patience):
            while True:
                await self._up.wait()
                try:
                    answer = await self._exchange(message)
                except (ConnectionClosed, ConnectionResetError):
                    await asyncio.sleep(0.1)
                    continue
                if answer.get("type") != "refused":
                    return answer
                if answer.get("code") != "TRY_AGAIN":
                    raise Refused(answer)
                await asyncio.sleep(1.0)

    def tell(self, message: Message) -> None:
        """Send without waiting; lost while the socket is down."""
        if self._socket is not None and self._up.is_set():
            task = asyncio.create_task(self._send(self._socket, message))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    def say_hello_again(self, facts: Message) -> None:
        """Tell now, and on every connection from now on, what has become of this worker."""
        self._hello = {**self._hello, "facts": facts}
        self.tell(self._hello)

    async def _send(self, socket: ClientConnection, message: Message) -> None:
        with contextlib.suppress(ConnectionClosed):
            await socket.send(json.dumps({**message, "n": next(self._numbers)}))

    async def _exchange(self, message: Message) -> Message:
        socket = self._socket
        if socket is None:
            raise ConnectionResetError
        number = next(self._numbers)
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            await socket.send(json.dumps({**message, "n": number}))
            return await future
        finally:
            self._waiting.pop(number, None)

    async def _talk(self, socket: ClientConnection) -> None:
        self._socket = socket
        reader = asyncio.create_task(self._read(socket))
        try:
            welcome = asyncio.create_task(self._exchange(self._hello))
            await asyncio.wait({reader, welcome}, return_when=asyncio.FIRST_COMPLETED)
            if not welcome.done():
                welcome.cancel()
                await reader
            answer = await welcome
            if answer.get("type") != "welcome":
                logger.error("the web process refused this worker: %s", answer.get("message"))
                return
            self._up.set()
            logger.info("connected to the web process")
            self.on_up()
            beat = asyncio.create_task(self._beat(socket))
            try:
                await reader
            finally:
                beat.cancel()
        finally:
            reader.cancel()

    async def _read(self, socket: ClientConnection) -> None:
        async for text in socket:
            for message in messages(text if isinstance(text, str) else text.decode()):
                if message["type"] == "cancel":
                    self.on_cancel(str(message.get("run")), int(message.get("attempt", 0)))
                future = self._waiting.get(message.get("re", 0))
                if future is not None and not future.done():
                    future.set_result(message)
        raise ConnectionResetError("the web process said goodbye")

    async def _beat(self, socket: ClientConnection) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            beat: Message = {"type": "heartbeat", "gauge": self.gauge()}
            for run, attempt in sorted(self.leases):
                await self._send(socket, {**beat, "run": run, "attempt": attempt})
            if not self.leases:
                await self._send(socket, beat)

    def _down(self) -> None:
        self._up.clear()
        self._socket = None
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(ConnectionResetError())
