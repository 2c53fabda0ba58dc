"""A whole Concord for one test: web, work and inference processes on a database of their own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psycopg

from backend.database import free_port
from backend.supervisor import Child, process_environment, web_command
from tests import postgres

ROOT = Path(__file__).resolve().parent.parent


class Stack:
    """Concord's real processes. `close()` stops them by id and drops the database."""

    def __init__(self, **environment: str) -> None:
        self.name = f"stack_{uuid.uuid4().hex[:12]}"
        self.state = Path(tempfile.mkdtemp(prefix="concord-stack-"))
        self.urls = postgres.copy_demo(self.name, self.state)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            **process_environment(self.state, self.port),
            **postgres.environment(self.urls, self.state),
            "CONCORD_DEMO": "1",
            "CONCORD_QUIET_SECONDS": "1",
            **environment,
        }
        self.users: dict[str, str] = json.loads((self.state / "demo-users.json").read_text())
        self.web = self._child("web", *web_command(self.port))
        self.work = self._child("work", sys.executable, "manage.py", "work")
        self.workers: list[Child] = []

    def _child(self, name: str, *command: str, **environment: str) -> Child:
        log = self.state / "logs" / f"{name}.log"
        return Child(name, list(command), {**self.environment, **environment}, log)

    def start(self, *, worker: bool = True) -> Stack:
        """Start web and work, and a worker unless told not to; wait until the web answers."""
        self.start_web()
        self.work.start()
        if worker:
            self.start_worker()
        return self

    def start_web(self) -> None:
        """Start the web process and wait until it is ready."""
        self.web.start()
        until(self._ready, "the web process to answer", 60, self.words)

    def _ready(self) -> bool:
        if not self.web.alive:
            raise AssertionError(f"the web process ended\n{self.words()}")
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def start_worker(self, *arguments: str, **environment: str) -> Child:
        """Start one more inference worker."""
        worker = self._child(
            f"inference{len(self.workers)}",
            *(sys.executable, "-m", "inference", *arguments),
            CONCORD_WORKER_TOKEN=(self.state / "worker-token").read_text().strip(),
            **{"CONCORD_LOG": "INFO", **environment},
        )
        worker.start()
        self.workers.append(worker)
        return worker

    def kill(self, child: Child) -> None:
        """SIGKILL, as a power cut would."""
        assert child.process is not None
        os.kill(child.process.pid, signal.SIGKILL)
        child.process.wait()

    def as_is(self, door: str, name: str) -> None:
        """From now on take what comes from this source as it is, by its own names and UIDs."""
        self.manage("sources", "--as-is", door, name, "--reason", "tests know the UIDs")

    @contextmanager
    def elsewhere(self, state: Path) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
        """`manage` of another Concord: an empty database, and an empty store in `state`."""
        name = f"{self.name}_elsewhere"
        environment = {
            **self.environment,
            **postgres.environment(postgres.copy_database(name), state),
        }
        try:
            yield partial(self.manage, environment=environment)
        finally:
            self._drop(name)

    def manage(
        self, *arguments: str, check: bool = True, environment: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run `manage.py` to its end."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=environment or self.environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def client(self, user: str | None = None) -> httpx.Client:
        """An HTTP client, signed in as one of the demo users through the sign-in page."""
        client = httpx.Client(base_url=self.url, timeout=60, follow_redirects=False)
        client.get("/sign-in/").raise_for_status()
        if user is not None:
            answer = client.post(
                "/sign-in/",
                data={"username": user, "password": self.users[user]},
                headers={"X-CSRFToken": client.cookies["csrftoken"], "Referer": self.url},
            )
            assert answer.status_code == 302, answer.text
        client.headers["X-CSRFToken"] = client.cookies["csrftoken"]
        client.headers["Referer"] = self.url
        return client

    def token(self, user: str) -> str:
        """A bearer token that acts as `user`."""
        return self.manage("create_token", user).stdout.strip()

    def query(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Ask the database as its owner."""
        with psycopg.connect(self.urls.owner, autocommit=True) as connection:
            cursor = connection.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

    def words(self) -> str:
        """The end of every process's log, for a failed assertion."""
        logs = sorted((self.state / "logs").glob("*.log"))
        return "".join(
            f"\n--- {log.name}\n{log.read_text(errors='replace')[-2500:]}" for log in logs
        )

    def close(self) -> None:
        """Stop everything and leave nothing behind."""
        for child in [*self.workers, self.work, self.web]:
            child.stop()
        self._drop(self.name)
        shutil.rmtree(self.state, ignore_errors=True)

    @staticmethod
    def _drop(name: str) -> None:
        with psycopg.connect(
            postgres.named(postgres.SERVER, "postgres").owner, autocommit=True
        ) as connection:
            connection.execute(f'drop database if exists "{name}" with (force)')


def until(
    condition: Callable[[], Any],
    what: str,
    seconds: float = 60,
    words: Callable[[], str] = lambda: "",
) -> Any:
    """Wait for `condition` to return something true, and return it; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s in vain for {what}{words()}")
        time.sleep(0.05)  # noqa: TID251 - the one poll that every wait goes through
