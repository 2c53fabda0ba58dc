"""The prompt lane: answers clicks in a thread of its own, whatever run is being done.

It has its own network, compiled for the cube of a click and kept warm, and reads volumes from the
worker's cache; the first click on a series that is not there fetches it once.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
from numpy.typing import NDArray

from backend.jobs.model_description import ModelDamaged, read_model_folder
from backend.jobs.protocol import VolumeDamaged, parse_volume
from backend.version import VERSION
from inference.adapters import WARM_MODELS, FovealAdapter, Models
from inference.courier import CannotTravel, Courier, StaleAttempt
from inference.link import Link, Refused
from inference.volume_cache import VolumeCache

if TYPE_CHECKING:
    from inference.prompting.looks import Remembering

logger = logging.getLogger(__name__)

PROMPT = "prompt"
"""The name under which a developer's pause holds up prompts."""


class PromptLane:
    """One thread that answers prompts."""

    def __init__(self, models: Models, cache: VolumeCache, pauses: Mapping[str, float]) -> None:
        self._models, self._cache, self._pauses = models, cache, pauses
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="prompt")
        self._looks: OrderedDict[tuple[str, bytes], NDArray[np.float32]] = OrderedDict()
        self._about = ""
        self._earlier: dict[Any, Any] = {}

    def warm(self) -> None:
        """Import and compile what the first click needs, without being waited for."""
        self._thread.submit(_guarded, self._warm)

    def close(self) -> None:
        """Take no more prompts."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def perform(
        self, lease: dict[str, Any], link: Link, client: httpx.AsyncClient, stop: threading.Event
    ) -> None:
        """Answer one prompt and say how it ended. Raises `CancelledError` alone."""
        named = {"run": lease["run"], "attempt": lease["attempt"]}
        try:
            result, timings = await self._answer(lease, link, client, stop)
            if not stop.is_set():
                answer = {"type": "answer", **named, "result": result, "timings": timings}
                await link.ask(answer)
                logger.info("prompt %s: answered, %s", lease["run"], timings)
        except (StaleAttempt, Refused) as why:
            logger.info("prompt %s: stopped (%s)", lease["run"], why)
        except (CannotTravel, VolumeDamaged) as why:
            await _failed(link, named, str(why), final=False)
        except ModelDamaged as damaged:
            await _failed(link, named, str(damaged), final=True)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # Whatever a model raises must not end the worker.
            logger.exception("prompt %s failed", lease["run"])
            said = str(error).strip().rstrip(".") or type(error).__name__
            await _failed(link, named, f"Nothing could be proposed: {said}.", final=True)

    async def _answer(
        self, lease: dict[str, Any], link: Link, client: httpx.AsyncClient, stop: threading.Event
    ) -> tuple[dict[str, Any], dict[str, float]]:
        loop = asyncio.get_running_loop()
        key = (lease["series"], lease["parameters"]["geometry_hash"])
        began = time.perf_counter()
        found = self._cache.find(*key)
        timings: dict[str, float] = {}
        if found is None:
            body = await Courier(client, lease).fetch(lambda share: None)
            found = await loop.run_in_executor(self._thread, parse_volume, memoryview(body))
            header, volume = found
            await loop.run_in_executor(self._thread, self._cache.keep, *key, header, volume)
            timings["fetch"] = round(time.perf_counter() - began, 4)
        if seconds := self._pauses.get(PROMPT):
            await loop.run_in_executor(None, stop.wait, seconds)
        result, spent = await loop.run_in_executor(self._thread, self._propose, lease, *found)
        return result, {**timings, **spent}

    def _propose(
        self, lease: dict[str, Any], header: dict[str, Any], volume: NDArray[np.int16]
    ) -> tuple[dict[str, Any], dict[str, float]]:
        """The answer on the series' own grid; in the thread."""
        from backend.imaging.grid import Grid
        from inference.prompting.answering import answer

        grid = Grid.from_json(header["grid"])
        network = self._network(lease["model"], lease["series"])
        began = time.perf_counter()
        earlier = self._earlier_of(lease)
        result, timings = answer(volume, grid, lease["parameters"], network, earlier)
        result["provenance"] |= {
            "model": {k: v for k, v in lease["model"].items() if k != "folder"},
            "input": {
                "geometry_hash": grid.geometry_hash,
                "sop_uids_sha256": hashlib.sha256("\n".join(grid.sop_uids).encode()).hexdigest(),
            },
            "code": VERSION,
        }
        return result, {**timings, "propose_all": round(time.perf_counter() - began, 4)}

    def _earlier_of(self, lease: dict[str, Any]) -> dict[Any, Any]:
        """What was proposed lately for the same images with the same nodes around."""
        asked = lease["parameters"]
        about = [asked.get("node"), asked.get("around"), asked.get("box"), lease["model"]]
        name = f"{lease['series']} {json.dumps(about, sort_keys=True)}"
        if name != self._about:
            self._about, self._earlier = name, {}
        return self._earlier

    def _network(self, model: Mapping[str, str], series: str) -> Remembering | None:
        """The model's network, where it is one that knows nodes; None: without one."""
        from inference.prompting.looks import Remembering

        if model["kind"] != "foveal":
            return None
        adapter = self._models.get(model)
        if not isinstance(adapter, FovealAdapter):
            return None
        return Remembering(adapter.net, f"{model['sha256']} {series}", self._looks)

    def _warm(self) -> None:
        from backend.imaging.grid import Grid
        from inference.prompting.answering import answer
        from inference.prompting.proposal import NETWORK_CELLS

        grid = Grid.axial((32, 48, 48), (1.0, 1.0, 1.0))
        volume = np.full(grid.shape, 40, np.int16)
        asked = {"clicks": [{"at": [16, 24, 24], "within": True}], "box": None}
        answer(volume, grid, asked, None)
        for folder in sorted(self._models.root.iterdir())[:WARM_MODELS]:
            found = read_model_folder(folder)
            if found.kind != "foveal":
                continue
            adapter = self._models.get(found.named)
            if isinstance(adapter, FovealAdapter):
                adapter.net.compile_for((NETWORK_CELLS, NETWORK_CELLS, NETWORK_CELLS))


async def _failed(link: Link, named: dict[str, Any], message: str, *, final: bool) -> None:
    logger.error("prompt %s: %s", named["run"], message)
    with contextlib.suppress(Refused):
        await link.ask({"type": "failed", **named, "message": message, "final": final})


def _guarded(warm: Any) -> None:
    try:
        warm()
    except Exception:  # A cold start is slower, no more.
        logger.exception("the prompt lane could not be warmed")
