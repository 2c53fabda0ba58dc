"""Watches runs over a line that breaks: comes back, says where it stood, keeps what it heard."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

AGAIN_SECONDS = 0.3


class Watcher:
    """One socket to the page of each run, as a browser keeps it."""

    def __init__(self, url: str, session: str, runs: Sequence[str]) -> None:
        self.heard: dict[str, list[dict[str, Any]]] = {run: [] for run in runs}
        self.came_back = 0
        self._url, self._cookie = url.replace("http", "ws", 1), f"concord_session={session}"
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def changes(self, run: str) -> list[tuple[int, str]]:
        """What it heard of a run's state, in the order it came: (seq, state)."""
        return [
            (one["seq"], one["payload"]["state"])
            for one in list(self.heard[run])
            if one["type"] == "run.changed"
        ]

    def close(self) -> None:
        """Watch no longer."""
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(10)

    def _run(self) -> None:
        self._loop.run_until_complete(self._all())
        self._loop.close()

    async def _all(self) -> None:
        watching = [asyncio.create_task(self._watch(run)) for run in self.heard]
        await self._ended.wait()
        for one in watching:
            one.cancel()
        await asyncio.gather(*watching, return_exceptions=True)

    async def _watch(self, run: str) -> None:
        heard = self.heard[run]
        while True:
            stood = quote(json.dumps({f"run:{run}": heard[-1]["seq"] if heard else 0}))
            with contextlib.suppress(OSError, TimeoutError, WebSocketException):
                async with connect(
                    f"{self._url}/ws/runs/{run}?since={stood}",
                    additional_headers={"Cookie": self._cookie},
                    proxy=None,
                    open_timeout=None,  # As a browser: who gives up early only asks once more.
                ) as line:
                    async for text in line:
                        message = json.loads(text)
                        if "seq" in message:
                            heard.append(message)
            self.came_back += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), AGAIN_SECONDS)
