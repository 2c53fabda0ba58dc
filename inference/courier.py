"""What travels over HTTP: the series in, mask and result out, all with the lease's token."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import httpx
import zstandard

from backend.jobs.protocol import MASK_MEDIA_TYPE, STALE_ATTEMPT, VOLUME_MEDIA_TYPE

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 30.0
ZSTD_LEVEL = 3
T = TypeVar("T")


class StaleAttempt(RuntimeError):
    """The attempt has ended; another one does the run. Drop the result."""


class CannotTravel(RuntimeError):
    """The web process did not take or give something; the sentence says what."""


class Courier:
    """HTTP for one lease."""

    def __init__(self, client: httpx.AsyncClient, lease: dict[str, Any]) -> None:
        self._client = client
        self._headers = {"Authorization": f"Bearer {lease['token']}"}
        self._series = f"/dicom-web/studies/{lease['study']}/series/{lease['series']}"
        self._attempt = f"/api/runs/{lease['run']}/attempts/{lease['attempt']}"

    async def fetch(self, progress: Callable[[float], None]) -> bytearray:
        """The series as `application/x-concord-volume`."""

        async def once() -> bytearray:
            body = bytearray()
            headers = {**self._headers, "Accept": VOLUME_MEDIA_TYPE}
            async with self._client.stream("GET", self._series, headers=headers) as answer:
                if answer.status_code != 200:
                    await answer.aread()
                    _judge(answer, "the images")
                whole = int(answer.headers.get("X-Length", answer.headers.get("Content-Length", 0)))
                async for chunk in answer.aiter_bytes(1 << 20):
                    body += chunk
                    progress(len(body) / whole if whole else 0.5)
            return body

        return await self._patiently(once)

    async def put_mask(self, packed: bytes) -> str:
        """Put the packed mask; returns the hash under which it is kept."""
        body = zstandard.ZstdCompressor(ZSTD_LEVEL).compress(packed)
        headers = {"Content-Type": MASK_MEDIA_TYPE, "Content-Encoding": "zstd"}
        answer = await self._put("mask", body, headers)
        return str(answer.json()["sha256"])

    async def put_result(self, result: dict[str, Any]) -> None:
        """Put measures and provenance."""
        await self._put("result", json.dumps(result).encode(), {"Content-Type": "application/json"})

    async def reference(self, case: str, part: str = "") -> bytes | None:
        """The agreed mask of a case that a training may see (`part`: "" or "/ignored"), packed.

        None where there is none, as far as this lease may know.
        """

        async def once() -> bytes | None:
            address = f"{self._attempt}/references/{case}{part}"
            answer = await self._client.get(address, headers=self._headers)
            if answer.status_code == 404:
                return None
            _judge(answer, "a reference mask")
            return answer.content

        return await self._patiently(once)

    async def put_weights(self, weights: bytes) -> str:
        """Put, and thereby seal, what was trained; returns the SHA-256 it is kept under."""
        answer = await self._put("weights", weights, {"Content-Type": "application/octet-stream"})
        return str(answer.json()["sha256"])

    async def _put(self, what: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
        async def once() -> httpx.Response:
            answer = await self._client.put(
                f"{self._attempt}/{what}", content=body, headers={**self._headers, **headers}
            )
            _judge(answer, f"the {what}")
            return answer

        return await self._patiently(once)

    async def _patiently(self, once: Callable[[], Awaitable[T]]) -> T:
        """Try again while the web process is away, for half a minute."""
        deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        wait = 0.2
        while True:
            try:
                return await once()
            except httpx.HTTPError as error:
                if asyncio.get_running_loop().time() > deadline:
                    raise CannotTravel(
                        f"The web process did not answer for {PATIENCE_SECONDS:.0f} s ({error!r})."
                    ) from error
                logger.warning("the web process does not answer (%r); trying again", error)
            await asyncio.sleep(wait)
            wait = min(2 * wait, 2.0)


def _judge(answer: httpx.Response, what: str) -> None:
    """Raise what a status means: stale, refused for good, or (5xx) worth another try."""
    if answer.is_success:
        return
    if answer.status_code >= 500:
        answer.raise_for_status()
    try:
        body = answer.json()
    except ValueError:
        body = {}
    if body.get("error") == STALE_ATTEMPT:
        raise StaleAttempt(str(body.get("message")))
    raise CannotTravel(
        f"The web process refused {what} ({answer.status_code}): "
        f"{body.get('message', answer.text[:200])}"
    )
