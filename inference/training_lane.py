"""The training lane: one training at a time, in a process of its own, beside runs and prompts.

It fetches the cases of the release by the lease's token, starts `inference.training.from_release`
at the lowest priority, passes on what that tells, puts the weights, and only then can fetch the
people held out and measure on them. Its folder stays until the training has succeeded, so that an
attempt after a kill goes on from the checkpoint of the one before.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import importlib.util
import json
import logging
import os
import shutil
import sys
import threading
import time
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any

import httpx

from inference.courier import CannotTravel, Courier, StaleAttempt
from inference.link import Link, Refused

logger = logging.getLogger(__name__)

KEPT_FOLDERS = 3
"""Of trainings that did not end here: so many may still go on from their checkpoint."""

LONGEST_LINE = 1 << 20
LOOK_SECONDS = 0.3
"""How soon a process that is to be stopped is."""

LOCKED = "locked_test"


def can_train() -> bool:
    """Whether torch is installed here; the worker itself never imports it."""
    return importlib.util.find_spec("torch") is not None


class _Stopped(Exception):
    """Cancelled, or taken away."""


class TrainingLane:
    """Does trainings in folders below `folder`; parents' weights lie below `models`."""

    def __init__(self, folder: Path, models: Path) -> None:
        self._folder, self._models = folder, models

    async def perform(
        self, lease: dict[str, Any], link: Link, client: httpx.AsyncClient, stop: threading.Event
    ) -> None:
        """Do one training and say how it ended. Raises `CancelledError` alone."""
        named = {"run": lease["run"], "attempt": lease["attempt"]}
        try:
            await _Training(lease, link, client, stop, self._room(lease), self._models).perform()
        except (_Stopped, StaleAttempt) as why:
            logger.info("training %s: stopped (%s)", lease["run"], why)
        except Refused as refused:
            logger.warning("training %s: %s", lease["run"], refused)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # Whatever a training raises must not end the worker.
            final = isinstance(error, ValueError)  # The same cases would raise it again.
            if not isinstance(error, CannotTravel | ValueError):
                logger.exception("training %s failed", lease["run"])
            message = str(error).strip() or type(error).__name__
            with contextlib.suppress(Refused):
                await link.ask({"type": "failed", **named, "message": message, "final": final})

    def _room(self, lease: dict[str, Any]) -> Path:
        """The run's own folder; the oldest of others go."""
        mine = self._folder / str(lease["run"])
        mine.mkdir(parents=True, exist_ok=True, mode=0o700)
        others = [path for path in self._folder.iterdir() if path != mine and path.is_dir()]
        others.sort(key=lambda path: -path.stat().st_mtime)
        for old in others[KEPT_FOLDERS - 1 :]:
            shutil.rmtree(old, ignore_errors=True)
        return mine


class _Training:
    """One attempt at one training."""

    def __init__(
        self,
        lease: dict[str, Any],
        link: Link,
        client: httpx.AsyncClient,
        stop: threading.Event,
        folder: Path,
        models: Path,
    ) -> None:
        self.lease, self.link, self.client, self.stop = lease, link, client, stop
        self.folder, self.models = folder, models
        self.named = {"run": lease["run"], "attempt": lease["attempt"]}
        self.cases: list[dict[str, Any]] = lease["parameters"]["cases"]
        self.seconds: dict[str, float] = {}
        self._now, self._since = "", time.monotonic()

    async def perform(self) -> None:
        """From the release's cases to sealed weights and their figures."""
        await self._fetch([one for one in self.cases if one["split"] != LOCKED], "fetch")
        self._write_plan()
        result: dict[str, Any] = {}
        async with contextlib.aclosing(self._process()) as telling:
            async for said in telling:
                result = await self._pass_on(said) or result
        if not result:
            raise RuntimeError("The training ended without weights.")
        self._stage("seal", 0.0)
        courier = Courier(self.client, self.lease)
        weights = await asyncio.to_thread(
            (self.folder / "model" / "weights.safetensors").read_bytes
        )
        await courier.put_weights(weights)
        held = [one for one in self.cases if one["split"] == LOCKED]
        if held:
            await self._fetch(held, "evaluate")
            async with contextlib.aclosing(self._process("--evaluate")) as telling:
                async for said in telling:
                    result["held_out"] = await self._pass_on(said) or result["held_out"]
        self._end_stage()
        ended = {"type": "trained", **self.named, "result": result, "timings": self.seconds}
        await self.link.ask(ended)
        logger.info("training %s: done, %s steps", self.lease["run"], result["steps"])
        await asyncio.to_thread(shutil.rmtree, self.folder, ignore_errors=True)

    async def _fetch(self, cases: list[dict[str, Any]], stage: str) -> None:
        """Images over DICOMweb, masks by the training's own door; not what is there already."""
        raw = self.folder / "raw"
        raw.mkdir(exist_ok=True, mode=0o700)
        for number, one in enumerate(cases):
            self._stage(stage, number / len(cases))
            case = one["case"]
            if (raw / f"{case}.volume").exists():
                continue
            at = {**self.lease, "study": one["study"], "series": one["series"]}
            courier = Courier(self.client, at)
            mask = await courier.reference(case)
            if mask is None:
                raise CannotTravel(
                    "A case of the release has no agreed mask for this training: it was withdrawn, "
                    "or is held out."
                )
            ignored = await courier.reference(case, "/ignored")
            volume = await courier.fetch(lambda share: self._may_go_on())
            (raw / f"{case}.mask").write_bytes(mask)
            if ignored is not None:
                (raw / f"{case}.ignored").write_bytes(ignored)
            partial = raw / f"{case}.partial"
            await asyncio.to_thread(partial.write_bytes, volume)
            partial.replace(raw / f"{case}.volume")

    def _write_plan(self) -> None:
        asked = self.lease["parameters"]
        parent = self.models / Path(self.lease["model"]["folder"]).name
        weights = parent / "weights.safetensors"
        there = weights.is_file() and _sha256(weights) == self.lease["model"]["sha256"]
        plan = {**asked, "parent": str(parent.resolve()) if there else None}
        (self.folder / "plan.json").write_text(json.dumps(plan))

    async def _process(self, *arguments: str) -> AsyncGenerator[dict[str, Any], None]:
        """What the training's process tells; killed when the training is stopped."""
        threads = str(self.lease["parameters"]["plan"]["threads"])
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "inference.training.from_release", str(self.folder)),
            *arguments,
            stdin=asyncio.subprocess.PIPE,  # Its end tells the process that its worker is gone.
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=LONGEST_LINE,
            env={**_clean(os.environ), "OMP_NUM_THREADS": threads, "OMP_WAIT_POLICY": "PASSIVE"},
        )
        errors = asyncio.create_task(_tail(process.stderr))
        try:
            if process.stdout is None:
                raise RuntimeError("a pipe was asked for")
            while True:
                line = asyncio.create_task(process.stdout.readline())
                while not line.done():
                    await asyncio.wait({line}, timeout=LOOK_SECONDS)
                    if self.stop.is_set():
                        line.cancel()
                        raise _Stopped("cancelled")
                if not (text := line.result()):
                    break
                with contextlib.suppress(ValueError):
                    yield json.loads(text)
            if await process.wait():
                raise RuntimeError(f"The training's process ended: {await errors}")
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            await asyncio.gather(errors, return_exceptions=True)

    async def _pass_on(self, said: dict[str, Any]) -> dict[str, Any] | None:
        if "point" in said:
            await self.link.ask({"type": "point", **self.named, "point": said["point"]})
        elif "stage" in said:
            self._stage(str(said["stage"]), float(said["fraction"]))
        return said.get("result")

    def _stage(self, stage: str, fraction: float) -> None:
        self._may_go_on()
        if stage != self._now:
            self._end_stage()
            self._now = stage
        self.link.tell({"type": "progress", **self.named, "stage": stage, "fraction": fraction})

    def _end_stage(self) -> None:
        now = time.monotonic()
        if self._now:
            spent = self.seconds.get(self._now, 0.0) + now - self._since
            self.seconds[self._now] = round(spent, 3)
        self._now, self._since = "", now

    def _may_go_on(self) -> None:
        if self.stop.is_set():
            raise _Stopped("cancelled")


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _clean(environment: Mapping[str, str]) -> dict[str, str]:
    """Without the tokens and addresses that the training's process has no use for."""
    return {k: v for k, v in environment.items() if not k.startswith("CONCORD_")}


async def _tail(stream: asyncio.StreamReader | None) -> str:
    """The last line that was written there."""
    last = b""
    while stream is not None and (line := await stream.readline()):
        last = line.strip() or last
    return last.decode(errors="replace")[:500] or "it said nothing"
