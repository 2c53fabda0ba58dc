"""The worker: takes jobs from its queues, claims their runs on the socket, does them.

One process per device, three lanes: runs one by one, and beside them prompts, and (where torch is
installed) trainings, one by one. Its
database role sees only the queues; what it may fetch and put is opened by each run's lease. On
SIGTERM it finishes the run it does if that takes seconds, else hands it back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import platform
import signal
import threading
import uuid
from collections.abc import Collection, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
from procrastinate import App, JobContext, PsycopgConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.job_context import AbortReason

from backend.jobs.protocol import (
    PROMPT_QUEUE,
    QUEUE,
    TASK_NAME,
    TRAINING_QUEUE,
    RunKind,
    held_queue,
)
from inference.adapters import LOADERS, Loader, Models
from inference.execution import Execution
from inference.gauge import Gauge
from inference.link import Link, Refused
from inference.liveness import KEEPALIVES, Liveness
from inference.prompting.lane import PromptLane
from inference.training_lane import TrainingLane, can_train
from inference.volume_cache import DEFAULT_BYTES, VolumeCache

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0
DRAIN_SECONDS = 6.0
GOODBYE_SECONDS = 2.0
QUEUE_SECONDS = 10.0
QUEUE_ENDS_SECONDS = QUEUE_SECONDS + 2.0
LOOK_SECONDS = 2.0


@dataclass(frozen=True)
class Settings:
    """What a worker is told by its environment and command line."""

    queue_url: str
    web_url: str
    token: str
    models: Path
    name: str
    threads: int | None = None
    device: str = "auto"
    drain_seconds: float = DRAIN_SECONDS
    pauses: Mapping[str, float] = field(default_factory=dict)
    cache: Path = Path("var/worker-cache")
    cache_bytes: int = DEFAULT_BYTES


class Worker:
    """One worker process."""

    def __init__(self, settings: Settings, loaders: Mapping[str, Loader] = LOADERS) -> None:
        self.settings = settings
        self.session = uuid.uuid4()
        self.trains = can_train()
        lane: Any = {"threads": settings.threads, "device": settings.device, "loaders": loaders}
        self.models = Models(settings.models, **lane)
        self.liveness = Liveness(settings.queue_url)
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="run")
        self.link = Link(settings.web_url, settings.token, self._hello())
        self.link.on_cancel = self._cancelled
        self.link.on_up = self._tell_again
        self.link.gauge = Gauge().read
        self.cache = VolumeCache(settings.cache, settings.cache_bytes)
        # A lane of its own needs a network of its own: one is compiled for one shape at a time.
        self.prompts = PromptLane(Models(settings.models, **lane), self.cache, settings.pauses)
        self.training = TrainingLane(settings.cache.parent / "training", settings.models)
        self._running: Execution | None = None
        self._told: frozenset[str] | None = None
        self._asked: dict[tuple[str, int], threading.Event] = {}
        self._stop = asyncio.Event()

    def _hello(self) -> dict[str, Any]:
        return {
            "type": "hello",
            "session": str(self.session),
            "number": self.liveness.number,
            "facts": self._facts(self.models.held()),
        }

    def _facts(self, held: Collection[str]) -> dict[str, Any]:
        """What this worker is, and which models it holds."""
        return {
            "name": self.settings.name,
            "host": platform.node(),
            "pid": os.getpid(),
            "processors": os.cpu_count(),
            # Where it is to find out by itself it does so with its first model.
            "device": {"cpu": "on the CPU", "cuda": "on the GPU"}.get(self.settings.device, ""),
            "version": platform.python_version(),
            "kinds": sorted(self.models.loaders),
            "models": sorted(held),
            "trains": self.trains,
        }

    async def run(self) -> None:
        """Work until SIGTERM or SIGINT; raises `TokenRefused`."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        timeout = httpx.Timeout(30.0, connect=5.0)
        async with httpx.AsyncClient(
            base_url=self.settings.web_url, timeout=timeout, trust_env=False
        ) as self._client:
            link = asyncio.create_task(self.link.keep(), name="link")
            keep = asyncio.create_task(self.liveness.keep(), name="liveness")
            queue = asyncio.create_task(self._take_jobs(), name="queue")
            self.prompts.warm()
            try:
                await asyncio.wait({link, queue}, return_when=asyncio.FIRST_COMPLETED)
                self._stop.set()
                if link.done():
                    # A pool that is cancelled while it opens never ends: the queue ends by itself.
                    await asyncio.wait({queue}, timeout=QUEUE_ENDS_SECONDS)
                    await link  # Raises why: there is no work without the socket.
                await queue
            finally:
                for task in (queue, link, keep):
                    task.cancel()
                await asyncio.gather(queue, link, keep, return_exceptions=True)
                self.thread.shutdown(wait=False, cancel_futures=True)
                self.models.close()
                self.prompts.close()

    async def _take_jobs(self) -> None:
        """Work the queue; begin anew where the database went away."""
        while not self._stop.is_set():
            try:
                await self._work()
            except* (ConnectorException, psycopg.OperationalError) as error:
                logger.warning("the queue does not answer (%s); trying again", error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), POLL_SECONDS)

    async def _work(self) -> None:
        connector = PsycopgConnector(
            conninfo=self.settings.queue_url,
            kwargs=KEEPALIVES,
            min_size=1,
            max_size=10,
            timeout=QUEUE_SECONDS,
        )
        app = App(connector=connector)

        @app.task(name=TASK_NAME, queue=QUEUE, pass_context=True)
        async def do(context: JobContext, run: str) -> None:
            await self._do(context, run)

        async with app.open_async(), asyncio.TaskGroup() as lanes:
            for queue in (QUEUE, PROMPT_QUEUE):
                lanes.create_task(self._until_stopped(self._held_lane(app, queue)), name=queue)
            if self.trains:
                training = self._until_stopped(self._lane(app, TRAINING_QUEUE))
                lanes.create_task(training, name=TRAINING_QUEUE)

    async def _held_lane(self, app: App, queue: str) -> None:
        """Jobs of a queue for the models that lie here, whichever those are by now.

        A run that is under way goes on until it ends, whatever was installed meanwhile.
        """
        while True:
            held = await asyncio.to_thread(self.models.held)
            if held != self._told:
                self._told = held
                self.link.say_hello_again(self._facts(held))
            queues = [queue, *(held_queue(queue, model) for model in sorted(held))]
            lane = asyncio.create_task(self._lane(app, *queues))
            try:
                while held == await asyncio.to_thread(self.models.held) or self._is_busy(queue):
                    await asyncio.wait({lane}, timeout=LOOK_SECONDS)
                    if lane.done():
                        return await lane
            finally:
                lane.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await lane

    def _is_busy(self, queue: str) -> bool:
        return queue == QUEUE and self._running is not None

    async def _lane(self, app: App, *queues: str) -> None:
        """One job of these queues at a time."""
        await app.run_worker_async(
            queues=list(queues),  # As an array: a tuple would be a row to the database.
            name=f"{self.settings.name} {queues[0]}",
            concurrency=1,
            fetch_job_polling_interval=POLL_SECONDS,
            abort_job_polling_interval=POLL_SECONDS,
            shutdown_graceful_timeout=self.settings.drain_seconds,
            install_signal_handlers=False,
        )

    async def _until_stopped(self, work: Coroutine[Any, Any, None]) -> None:
        """Await `work`; on stop, cancel it, which lets it finish what it began."""
        working = asyncio.create_task(work)
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            if not working.done():
                working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working

    async def _do(self, context: JobContext, run: str) -> None:
        """One job: claim its run and do it, under the job's advisory lock."""
        job = int(context.job.id or 0)
        await self.liveness.hold(job)
        try:
            lease = await self.link.ask({"type": "claim", "run": run, "job": job})
        except Refused as refused:
            logger.info("run %s: not claimed (%s)", run, refused)
            await self.liveness.release(job)
            return
        except asyncio.CancelledError:
            await self.liveness.release(job)
            raise
        if lease["kind"] in (RunKind.PROMPT, RunKind.TRAIN):
            lane = self.prompts if lease["kind"] == RunKind.PROMPT else self.training
            await self._aside(lane, lease, job)
            return
        logger.info("run %s: attempt %s, %s", run, lease["attempt"], lease["model"]["name"])
        self._running = Execution(
            lease=lease,
            link=self.link,
            client=self._client,
            models=self.models,
            thread=self.thread,
            worker=self.settings.name,
            cache=self.cache,
            pauses=self.settings.pauses,
        )
        self.link.leases.add((run, lease["attempt"]))
        try:
            await self._running.perform()
        except asyncio.CancelledError:
            self._running.stop.set()
            if context.abort_reason() is AbortReason.SHUTDOWN:
                await self._hand_back(run, lease["attempt"])
            else:
                await self._thread_is_free()
            raise
        finally:
            self.link.leases.discard((run, lease["attempt"]))
            self._running = None
            await self.liveness.release(job)

    async def _aside(
        self, lane: PromptLane | TrainingLane, lease: dict[str, Any], job: int
    ) -> None:
        """Do what has a lane of its own, whatever the others do."""
        named = (str(lease["run"]), int(lease["attempt"]))
        stop = self._asked[named] = threading.Event()
        self.link.leases.add(named)
        try:
            await lane.perform(lease, self.link, self._client, stop)
        except asyncio.CancelledError:
            stop.set()
            await self._hand_back(*named)
            raise
        finally:
            self.link.leases.discard(named)
            self._asked.pop(named, None)
            await self.liveness.release(job)

    async def _hand_back(self, run: str, attempt: int) -> None:
        message = {"type": "handed_back", "run": run, "attempt": attempt}
        with contextlib.suppress(Refused, TimeoutError):
            await self.link.ask(message, patience=GOODBYE_SECONDS)
            logger.info("run %s: handed back", run)

    async def _thread_is_free(self) -> None:
        """Wait for the computation to notice that it should stop."""
        await asyncio.get_running_loop().run_in_executor(self.thread, threading.Event)

    def _tell_again(self) -> None:
        """The socket is back: say where the run is, in case that was lost."""
        if self._running is not None:
            self._running.tell_stage()

    def _cancelled(self, run: str, attempt: int) -> None:
        """The web process said that this attempt has ended."""
        if (run, attempt) in self._asked:
            self._asked[run, attempt].set()
        running = self._running
        if running is not None and (run, attempt) == running.named:
            running.stop.set()
