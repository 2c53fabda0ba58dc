"""`/ws/worker`: where workers claim runs and say how they go.

A worker sends objects `{"type", "n", …}`; an answer carries `re` = n. Types:

- `hello {session, number, facts}` → `welcome`; first, and after every reconnect
- `claim {run, job}` → `lease {run, attempt, token, …}` or `refused {code, message}`
- `progress {run, attempt, stage, fraction}` → nothing, or `cancel` once the attempt has ended
- `metrics {run, attempt, metrics}` → `ack` or `refused`
- `mask_ready {run, attempt, sha256, slices, metrics, timings}` → `ack` or `refused`
- `answer {run, attempt, result, timings}` (of a prompt) → `ack` or `refused`
- `point {run, attempt, point}` (of a training's curves) → `ack` or `refused`
- `trained {run, attempt, result, timings}` → `ack` or `refused`
- `failed {run, attempt, message, final}` → `ack` or `refused`
- `handed_back {run, attempt}` → `ack` or `refused`
- `heartbeat {run?, attempt?, gauge?}` → `beat`, or `cancel` once the attempt has ended
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.db import Error as DatabaseError
from django.db import connection
from django.urls import path

from backend.accounts.models import WorkerToken
from backend.accounts.services import worker_of
from backend.audit.news import wake
from backend.errors import ConcordError
from backend.jobs import services, sessions, training
from backend.jobs.figures import figures_of, seconds_of, share_of
from backend.jobs.models import Run, RunAttempt, WorkerSession

logger = logging.getLogger(__name__)

NOT_SIGNED_IN = 4401
PROGRESS_SECONDS = 0.2
GAUGE_SECONDS = 1.5
Answer = dict[str, Any] | None
T = TypeVar("T")
P = ParamSpec("P")


class WorkerConsumer(AsyncJsonWebsocketConsumer):
    """One worker's socket. Its database work has a thread and a connection of its own."""

    async def connect(self) -> None:
        """Accept who has a worker token; others are closed with 4401."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="worker-socket")
        self._session: WorkerSession | None = None
        self._token: WorkerToken | None = None
        self._told: tuple[str, float] = ("", 0.0)
        self._gauged = 0.0
        await self.accept()
        token = self._bearer()
        self._token = await self._call(worker_of, token) if token else None
        if self._token is None:
            await self.close(NOT_SIGNED_IN)

    async def disconnect(self, code: int) -> None:
        """Note that the socket is gone: one of the two signs that the worker is."""
        if self._session is not None:
            with contextlib.suppress(DatabaseError):
                await self._call(sessions.part, self._session)
        await self._call(_hang_up)
        self._thread.shutdown(wait=False)

    async def receive_json(self, content: Any, **kwargs: Any) -> None:
        """Do what one message asks; answer under its number."""
        if self._token is None or not isinstance(content, dict):
            return
        try:
            answer = await self._answer(content)
        except ConcordError as error:
            answer = {"type": "refused", "code": error.code, "message": str(error)}
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            # What a value of another type than is spoken here leads to.
            message = f"The message cannot be understood ({error!r}). Update the worker."
            answer = {"type": "refused", "code": "BAD_MESSAGE", "message": message}
        except DatabaseError:
            logger.exception("a worker's message could not be taken")
            message = "The database does not answer. Say it again in a moment."
            answer = {"type": "refused", "code": "TRY_AGAIN", "message": message}
        if answer is not None:
            names = {key: content[key] for key in ("run", "attempt") if key in content}
            await self.send_json({**names, **answer, "re": content.get("n")})

    async def _answer(self, message: dict[str, Any]) -> Answer:
        kind = message.get("type")
        if kind == "hello":
            return await self._call(self._hello, message)
        if kind == "progress":
            return await self._progress(message)
        verbs: dict[Any, Callable[[dict[str, Any]], Answer]] = {
            "claim": self._claim,
            "metrics": self._metrics,
            "mask_ready": self._mask_ready,
            "answer": self._answered,
            "point": self._point,
            "trained": self._trained,
            "failed": self._failed,
            "handed_back": self._handed_back,
            "heartbeat": self._heartbeat,
        }
        return await self._call(verbs[kind], message)

    async def _progress(self, message: dict[str, Any]) -> Answer:
        """Pass on at most five a second, but the start of every stage."""
        stage, now = str(message["stage"]), time.monotonic()
        if stage == self._told[0] and now - self._told[1] < PROGRESS_SECONDS:
            return None
        fraction = share_of(message.get("fraction", 0.0))
        self._told = (stage, now)
        try:
            await self._call(self._note_progress, message, stage, fraction)
        except ConcordError:
            return {"type": "cancel"}
        return None

    def _note_progress(self, message: dict[str, Any], stage: str, fraction: float) -> None:
        run, attempt = self._own(message)
        services.progress(run=run, attempt=attempt, stage=stage, fraction=fraction)

    def _hello(self, message: dict[str, Any]) -> Answer:
        self._session = sessions.greet(
            token=_sure(self._token),
            session=uuid.UUID(message["session"]),
            number=int(message["number"]),
            facts=message.get("facts"),
        )
        return {"type": "welcome", "name": self._session.name}

    def _claim(self, message: dict[str, Any]) -> Answer:
        job = message.get("job")
        lease = services.claim(
            run=uuid.UUID(message["run"]),
            session=_sure(self._session),
            job=int(job) if job is not None else None,
        )
        return lease_message(lease)

    def _metrics(self, message: dict[str, Any]) -> Answer:
        run, attempt = self._own(message)
        services.metrics(run=run, attempt=attempt, values=figures_of(message["metrics"]))
        return {"type": "ack"}

    def _mask_ready(self, message: dict[str, Any]) -> Answer:
        run, attempt = self._own(message)
        found = services.mask_ready(
            run=run,
            attempt=attempt,
            sha256=str(message["sha256"]),
            values=figures_of(message.get("metrics") or {}),
            timings=_timings(message),
        )
        return {"type": "ack", "state": found.state}

    def _answered(self, message: dict[str, Any]) -> Answer:
        run, attempt = self._own(message)
        found = services.answered(
            run=run,
            attempt=attempt,
            result=dict(message["result"]),
            timings=_timings(message),
        )
        return {"type": "ack", "state": found.state}

    def _point(self, message: dict[str, Any]) -> Answer:
        run, attempt = self._own(message)
        training.point(run=run, attempt=attempt, value=dict(message["point"]))
        return {"type": "ack"}

    def _trained(self, message: dict[str, Any]) -> Answer:
        run, attempt = self._own(message)
        found = training.trained(
            run=run,
            attempt=attempt,
            result=dict(message["result"]),
            timings=_timings(message),
        )
        return {"type": "ack", "state": found.state}

    def _failed(self, message: dict[str, Any]) -> Answer:
        run, attempt = self._own(message)
        found = services.fail(
            run=run,
            attempt=attempt,
            message=str(message["message"])[:2000],
            final=bool(message.get("final")),
        )
        return {"type": "ack", "state": found.state}

    def _handed_back(self, message: dict[str, Any]) -> Answer:
        run, attempt = self._own(message)
        return {"type": "ack", "state": services.hand_back(run=run, attempt=attempt).state}

    def _heartbeat(self, message: dict[str, Any]) -> Answer:
        gauge = sessions.gauge_of(message.get("gauge"))
        sessions.hear(_sure(self._session), gauge)
        if message.get("run"):
            run, attempt = _named(message)
            self._tell_gauge(run, attempt, gauge)
            if not Run.objects.filter(
                pk=run, attempt=attempt, attempts__number=attempt, attempts__ended=None
            ).exists():
                return {"type": "cancel"}
        return {"type": "beat"}

    def _tell_gauge(self, run: uuid.UUID, attempt: int, gauge: dict[str, float]) -> None:
        """Have who watches a run of this worker look at its gauge (kept with its session)."""
        now = time.monotonic()
        if not gauge or now - self._gauged < GAUGE_SECONDS:
            return
        mine = RunAttempt.objects.filter(run=run, number=attempt, ended=None)
        if mine.filter(session=_sure(self._session)).exists():
            self._gauged = now
            wake(f"run:{run}")

    def _own(self, message: dict[str, Any]) -> tuple[uuid.UUID, int]:
        """Run and attempt of a message, if this worker process leased it: it speaks of no other."""
        run, attempt = _named(message)
        theirs = RunAttempt.objects.filter(run=run, number=attempt)
        if not theirs.filter(session=_sure(self._session)).exists():
            raise services.stale(attempt)
        return run, attempt

    def _bearer(self) -> str | None:
        for name, value in self.scope.get("headers", []):
            if name == b"authorization":
                scheme, _, token = value.decode("latin-1").partition(" ")
                return token.strip() if scheme.lower() == "bearer" else None
        return None

    async def _call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `function` in this socket's thread, with a connection that lasts as the socket."""

        def guarded() -> T:
            try:
                return function(*args, **kwargs)
            except DatabaseError:
                connection.close()
                raise

        return await asyncio.get_running_loop().run_in_executor(self._thread, guarded)


def lease_message(lease: services.Lease) -> dict[str, Any]:
    """What a worker needs to do a run."""
    run = lease.run
    return {
        "type": "lease",
        "run": str(run.id),
        "attempt": lease.attempt,
        "token": lease.token,
        "kind": run.kind,
        "study": run.study_uid,
        "series": run.series_uid,
        "parameters": run.parameters,
        "model": {
            "id": str(run.model_id),
            "name": run.model.name,
            "version": run.model.version,
            "kind": run.model.kind,
            "sha256": run.model.sha256,
            "description": run.model.description,
            "folder": run.model.folder,
            "trusted": run.model.trusted,
        },
    }


def _hang_up() -> None:
    """Close this thread's connection (`connection.close` alone would be the caller's)."""
    connection.close()


def _timings(message: dict[str, Any]) -> dict[str, float]:
    return seconds_of(message.get("timings") or {})


def _sure(value: T | None) -> T:
    """What a connected worker has; a message before `hello` is one that cannot be understood."""
    if value is None:
        raise ValueError("hello comes first")
    return value


def _named(message: dict[str, Any]) -> tuple[uuid.UUID, int]:
    return uuid.UUID(message["run"]), int(message["attempt"])


websocket_urlpatterns = [path("ws/worker", WorkerConsumer.as_asgi())]
