"""A whole small Concord for tests of workers: real web, work and inference processes."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg.rows import dict_row

from backend.database import free_port
from backend.supervisor import Child, process_environment
from tests import postgres
from tests.jobs.threshold import write_model
from tests.stack import until

SETTINGS = "tests.jobs.site_settings"
SIGN_IN = """
from django.contrib.auth import SESSION_KEY, BACKEND_SESSION_KEY, HASH_SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from backend.accounts.models import User
admin, _ = User.objects.get_or_create(username="watching", is_superuser=True)
session = SessionStore()
session[SESSION_KEY] = str(admin.pk)
session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
session[HASH_SESSION_KEY] = admin.get_session_auth_hash()
session.create()
print(session.session_key)
"""


class Site:
    """Web and work processes of the jobs room alone, on a database of their own."""

    def __init__(self) -> None:
        self.name = f"site_{uuid.uuid4().hex[:12]}"
        self.state = Path(tempfile.mkdtemp(prefix="concord-site-"))
        self.urls = postgres.copy_database(self.name)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.models = self.state / "models"
        self.model = write_model(self.models)
        self.environment = {
            **process_environment(self.state, self.port),
            **postgres.environment(self.urls, self.state),
            "DJANGO_SETTINGS_MODULE": SETTINGS,
            "CONCORD_MODELS": str(self.models),
        }
        self.web = self.child(
            "web",
            "-m",
            "uvicorn",
            "tests.jobs.site_asgi:application",
            "--port",
            str(self.port),
            "--lifespan",
            "off",
            "--log-level",
            "warning",
        )
        self.work = self.child("work", "manage.py", "work")
        self.workers: list[Child] = []

    def start(self) -> Site:
        """Start web and work; workers are started by the tests."""
        self.start_web()
        self.work.start()
        self.token = self._said("token", "create_worker_token", "site")
        return self

    def session(self) -> str:
        """The key of a session of someone who may look at every run."""
        return self._said("session", "shell", "-c", SIGN_IN)

    def _said(self, name: str, *arguments: str) -> str:
        """The last line of what a command of this site says."""
        asked = self.child(name, "manage.py", *arguments)
        asked.start()
        assert asked.process is not None
        assert asked.process.wait(60) == 0, asked.log.read_text()
        return asked.log.read_text().strip().splitlines()[-1]

    def start_web(self) -> None:
        """Start the web process and wait until it answers."""
        self.web.start()
        until(self._answers, "the web process", 60, self.words)

    def child(self, name: str, *arguments: str, **environment: str) -> Child:
        """A Python process of this site."""
        log = self.state / "logs" / f"{name}.log"
        return Child(name, [sys.executable, *arguments], {**self.environment, **environment}, log)

    def worker(self, name: str, *arguments: str, **environment: str) -> Child:
        """Start an inference worker that runs the threshold model."""
        worker = self.child(
            name,
            *("-m", "tests.jobs.threshold", "--name", name, *arguments),
            CONCORD_WORKER_TOKEN=environment.pop("token", self.token),
            CONCORD_LOG="INFO",
            **environment,
        )
        worker.start()
        self.workers.append(worker)
        return worker

    def clear(self) -> None:
        """End the workers a test left running, and cancel the runs it left undone."""
        self.stop_workers()
        undone = "select id from jobs_run where state in ('queued', 'leased', 'running')"
        for row in self.rows(undone):
            httpx.post(f"{self.url}/test/runs/{row['id']}/cancel", timeout=30)

    def stop_workers(self) -> None:
        """End the workers a test left running."""
        for worker in self.workers:
            if worker.alive and worker.process is not None:
                os.kill(worker.process.pid, signal.SIGCONT)
            self.kill(worker)
        self.workers.clear()

    @staticmethod
    def kill(child: Child) -> None:
        """SIGKILL, as a power cut would."""
        if child.process is not None and child.process.poll() is None:
            os.kill(child.process.pid, signal.SIGKILL)
            child.process.wait()

    def enqueue(self, **asked: Any) -> str:
        """Queue a run; returns its id."""
        body = {"model": str(self.model), **asked}
        answer = httpx.post(f"{self.url}/test/runs", json=body, timeout=30)
        answer.raise_for_status()
        return str(answer.json()["run"])

    def run(self, run: str) -> dict[str, Any]:
        """The run's row."""
        return self.rows("select * from jobs_run where id = %s", run)[0]

    def attempts(self, run: str) -> list[dict[str, Any]]:
        """Its attempts, in order."""
        return self.rows("select * from jobs_runattempt where run_id = %s order by number", run)

    def rows(self, query: str, *parameters: Any) -> list[dict[str, Any]]:
        """Ask the database as its owner."""
        with psycopg.connect(self.urls.owner, autocommit=True, row_factory=dict_row) as connection:
            cursor = connection.execute(query, parameters)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def until(self, condition: Any, what: str, seconds: float = 60) -> Any:
        """Wait for a condition; a failure shows every process's words."""
        return until(condition, what, seconds, self.words)

    def until_state(self, run: str, state: str, seconds: float = 60) -> dict[str, Any]:
        """Wait until the run is in that state; returns its row."""

        def there() -> dict[str, Any] | None:
            row = self.run(run)
            return row if row["state"] == state else None

        found: dict[str, Any] = self.until(there, f"{run} to be {state}", seconds)
        return found

    def words(self) -> str:
        """The end of every process's log."""
        logs = sorted((self.state / "logs").glob("*.log"))
        return "".join(f"\n--- {f.name}\n{f.read_text(errors='replace')[-2500:]}" for f in logs)

    def _answers(self) -> bool:
        assert self.web.alive, self.words()
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def close(self) -> None:
        """Stop everything and leave nothing behind."""
        self.stop_workers()
        for child in (self.work, self.web):
            child.stop()
        server = postgres.named(postgres.SERVER, "postgres").owner
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f'drop database if exists "{self.name}" with (force)')
        shutil.rmtree(self.state, ignore_errors=True)
