"""One run, from its lease to `mask_ready`.

The blocking part runs in a thread so that the socket lives on. Between stages and windows it asks
whether it should stop.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import logging
import platform
import threading
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
from numpy.typing import NDArray

from backend.jobs.model_description import ModelDamaged
from backend.jobs.protocol import VolumeDamaged, parse_volume
from backend.version import VERSION
from inference.courier import CannotTravel, Courier, StaleAttempt
from inference.link import Link, Refused
from inference.meters import Stopwatch, peak_memory_bytes
from inference.own_code import code_sha256
from inference.volume_cache import VolumeCache

if TYPE_CHECKING:
    from inference.adapters import Models

logger = logging.getLogger(__name__)

PACKAGES = ("numpy", "scipy", "openvino", "torch", "monai")
PROGRESS_SECONDS = 0.15
# Of the files as they are while this process begins: what lies there later is not what runs here.
CODE_SHA256 = code_sha256()


class Stopped(Exception):
    """The run was cancelled or taken away; nothing more is to be done for it."""


@dataclass(frozen=True)
class Outcome:
    """What the thread hands back."""

    packed: bytes
    result: dict[str, Any]
    metrics: dict[str, Any]


@dataclass
class Execution:
    """One attempt at one run.

    Attributes:
        lease: the answer to the claim.
        cache: where the series is kept for the clicks that follow; after the run, not in it.
        pauses: seconds to wait before a stage; a developer's tool, to look at a run midway.
    """

    lease: dict[str, Any]
    link: Link
    client: httpx.AsyncClient
    models: Models
    thread: ThreadPoolExecutor
    worker: str
    cache: VolumeCache | None = None
    pauses: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.stop = threading.Event()
        self.watch = Stopwatch()
        self._loop = asyncio.get_running_loop()
        self._named = {"run": self.lease["run"], "attempt": self.lease["attempt"]}
        self._last_told = 0.0
        self._seen: tuple[dict[str, Any], NDArray[np.int16]] | None = None

    @property
    def named(self) -> tuple[str, int]:
        """Run and attempt."""
        return str(self.lease["run"]), int(self.lease["attempt"])

    async def perform(self) -> None:
        """Do it, and say how it ended. Raises `CancelledError` alone."""
        try:
            await self._perform()
        except (Stopped, StaleAttempt) as why:
            logger.info("run %s: stopped (%s)", self.lease["run"], why)
        except Refused as refused:
            logger.warning("run %s: %s", self.lease["run"], refused)
        except ModelDamaged as damaged:
            await self._failed(str(damaged), final=True)
        except (CannotTravel, VolumeDamaged) as why:
            await self._failed(str(why))
        except MemoryError as short:
            said = str(short).rstrip(".") or "The worker ran out of memory. Give it more"
            await self._failed(f"{said}, or fewer threads.")
        except asyncio.CancelledError:
            raise
        except Exception as error:  # Whatever a model raises must not end the worker.
            if self.stop.is_set():
                logger.info("run %s: stopped", self.lease["run"])
                return
            logger.exception("run %s failed", self.lease["run"])
            said = str(error).strip().rstrip(".") or type(error).__name__
            final = isinstance(error, ValueError)  # The same images would raise it again.
            await self._failed(f"The model could not segment this series: {said}.", final=final)

    async def _perform(self) -> None:
        courier = Courier(self.client, self.lease)
        await self._begin("fetch")
        body = await courier.fetch(self._fetched)
        outcome = await self._loop.run_in_executor(self.thread, self._compute, body)
        await self._begin("upload")
        mask = await courier.put_mask(outcome.packed)
        outcome.result["mask"] = mask
        outcome.result["provenance"] |= self._costs()
        await courier.put_result(outcome.result)
        await self._begin("announce")
        await self.link.ask({"type": "metrics", **self._named, "metrics": outcome.metrics})
        self.watch.begin("announce")  # Ends what was measured of it so far: the figures' way.
        timings = {stage: self.watch.seconds.get(stage, 0.0) for stage in ("upload", "announce")}
        announce = {"type": "mask_ready", **self._named, "sha256": mask, "timings": timings}
        await self.link.ask({**announce, "metrics": outcome.metrics})
        logger.info("run %s: done in %.2f s", self.lease["run"], self.watch.wall_seconds())
        if self.cache is not None and self._seen is not None:
            key = (self.lease["series"], self.lease["parameters"]["geometry_hash"])
            await self._loop.run_in_executor(None, self.cache.keep, *key, *self._seen)

    def _compute(self, body: bytearray) -> Outcome:
        """Decode, segment, measure and pack; in the thread."""
        from backend.imaging.grid import Grid
        from backend.imaging.masks import PackedMask, pack_mask
        from backend.imaging.nodes import measure_all
        from inference.orientation import Orientation

        self._stage("decode")
        header, volume = self._seen = parse_volume(memoryview(body))
        grid = Grid.from_json(header["grid"])
        turning = Orientation.of(grid)
        self._stage("preprocess")
        adapter = self.models.get(self.lease["model"])
        found = adapter.segment(
            turning.turn(volume),
            turning.spacing(grid.spacing_mm),
            progress=self._progress,
            cancelled=self.stop.is_set,
        )
        self._stage("measure")
        labels = turning.turn_back(found.labels)
        measures = measure_all(labels, grid, image_hu=volume, go_on=self._go_on)
        nodes = {number: str(uuid.uuid4()) for number in measures}
        packed = pack_mask(PackedMask.of_volume(labels, grid.geometry_hash, nodes))
        scores = {node.label: node for node in found.nodes}
        listed = [
            {
                "label": number,
                "uuid": nodes[number],
                "score": round(scores[number].mean, 4) if number in scores else None,
                "score_highest": round(scores[number].highest, 4) if number in scores else None,
                "measures": measured.to_json(),
            }
            for number, measured in measures.items()
        ]
        provenance = {
            **adapter.facts(),
            "segmentation": found.provenance,
            "orientation": {"axes": turning.axes, "flipped": turning.flipped},
            **self._identity(grid),
        }
        metrics = {
            "nodes": len(listed),
            "volume_ml": round(sum(m.volume_mm3 for m in measures.values()) / 1000, 3),
            "largest_sad_mm": round(max((m.sad_mm for m in measures.values()), default=0.0), 2),
        }
        return Outcome(packed, {"nodes": listed, "provenance": provenance}, metrics)

    def _identity(self, grid: Any) -> dict[str, Any]:
        """Which model made this of which images, with which software."""
        uids = "\n".join(grid.sop_uids).encode("ascii")
        return {
            "model": {k: v for k, v in self.lease["model"].items() if k != "folder"},
            "input": {
                "series": self.lease["series"],
                "sop_uids_sha256": hashlib.sha256(uids).hexdigest(),
                "geometry_hash": grid.geometry_hash,
                "shape": list(grid.shape),
                "spacing_mm": list(grid.spacing_mm),
            },
            "worker": self.worker,
            "attempt": self.lease["attempt"],
            "software": {
                "concord": VERSION,
                "code_sha256": CODE_SHA256,
                "python": platform.python_version(),
                **_packages(),
            },
        }

    def _costs(self) -> dict[str, Any]:
        return {
            "timings": {k: v for k, v in self.watch.seconds.items() if k != "upload"},
            "wall_seconds": self.watch.wall_seconds(),
            "cpu_seconds": self.watch.processor_seconds(),
            "peak_memory_bytes": peak_memory_bytes(),
        }

    def tell_stage(self) -> None:
        """Say again which stage this is."""
        if self.watch.stage:
            self._tell(self.watch.stage, 0.0)

    def _fetched(self, share: float) -> None:
        self._go_on()
        self._tell("fetch", share)

    def _progress(self, stage: str, fraction: float) -> None:
        """What an adapter calls."""
        if stage != self.watch.stage:
            self._stage(stage)
        else:
            self._loop.call_soon_threadsafe(self._tell, stage, fraction)

    def _go_on(self) -> None:
        """Raises `Stopped` where nobody wants the result any more."""
        if self.stop.is_set():
            raise Stopped("cancelled")

    def _stage(self, stage: str) -> None:
        """Begin a stage from within the thread; raises `Stopped`."""
        self._go_on()
        self._log(stage)
        self._loop.call_soon_threadsafe(self._tell, stage, 0.0)
        if seconds := self.pauses.get(stage):
            self.stop.wait(seconds)

    async def _begin(self, stage: str) -> None:
        """Begin a stage from outside the thread; raises `Stopped`."""
        self._go_on()
        self._log(stage)
        self._tell(stage, 0.0)
        await self._pause(stage)

    async def _pause(self, stage: str) -> None:
        if stage in self.pauses and stage in {"fetch", "upload", "announce"}:
            await self._loop.run_in_executor(None, self.stop.wait, self.pauses[stage])

    def _log(self, stage: str) -> None:
        ended = self.watch.stage
        seconds = self.watch.begin(stage)
        if ended:
            logger.info("run %s: %s %.2f s", self.lease["run"], ended, seconds)

    def _tell(self, stage: str, fraction: float) -> None:
        now = self._loop.time()
        if fraction and now - self._last_told < PROGRESS_SECONDS:
            return
        self._last_told = now
        self.link.tell({"type": "progress", **self._named, "stage": stage, "fraction": fraction})

    async def _failed(self, message: str, *, final: bool = False) -> None:
        logger.error("run %s: %s", self.lease["run"], message)
        try:
            await self.link.ask(
                {"type": "failed", **self._named, "message": message, "final": final}
            )
        except Refused as refused:
            logger.info("run %s: %s", self.lease["run"], refused)


@functools.cache
def _packages() -> dict[str, str]:
    """Versions of what a result may depend on; looked up on the disk, so once."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
