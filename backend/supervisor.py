"""Keeps Concord's processes running on one machine: web, work, and inference workers.

Knows no Django: it runs before the database exists, and starts everything as child processes.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from backend.database import port_is_free

BASE = Path(__file__).resolve().parent.parent
RESTART_SECONDS = 1.0
STOP_SECONDS = 10.0


class ProcessFailed(RuntimeError):
    """A step of the start did not succeed; its own words stand above."""


def _die_with_parent() -> None:
    """In the child: be ended when the supervisor is, however it ends (Linux)."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


@dataclass
class Child:
    """A process that is started again when it dies."""

    name: str
    command: list[str]
    environment: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    restarts: int = 0
    started: float = field(default=0.0)

    def start(self) -> None:
        """Start it; its output is appended to its log."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=BASE,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        self.started = time.monotonic()

    @property
    def alive(self) -> bool:
        """Whether it runs now."""
        return self.process is not None and self.process.poll() is None

    def stop(self) -> None:
        """Ask it to end, then make it."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Supervisor:
    """Starts children, restarts the dead, and stops all of them in reverse order."""

    def __init__(self, environment: dict[str, str], logs: Path, say: Callable[[str], None]) -> None:
        self.environment = environment
        self.logs = logs
        self.say = say
        self.children: list[Child] = []
        self._stopping = threading.Event()

    def add(self, name: str, *command: str, **environment: str) -> Child:
        """Start a child of that name and keep it running."""
        child = Child(
            name, list(command), {**self.environment, **environment}, self.logs / f"{name}.log"
        )
        child.start()
        self.children.append(child)
        return child

    def run_once(self, *arguments: str, quiet: bool = False) -> str:
        """Run `manage.py` to its end and return its output; raises `ProcessFailed`."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=BASE,
            env=self.environment,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if quiet else None,
            text=True,
        )
        if done.returncode:
            words = (done.stdout or "") + (done.stderr or "")
            raise ProcessFailed(f"`manage.py {' '.join(arguments)}` failed.\n{words.strip()}")
        return done.stdout

    def wait_ready(self, url: str, seconds: float = 60.0) -> None:
        """Wait until `url` answers 200; raises `ProcessFailed` with the end of the web log."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self._stopping.is_set():
            try:
                with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own URL
                    if answer.status == 200 and all(child.alive for child in self.children[:1]):
                        return
            except (urllib.error.URLError, OSError):
                pass
            self.revive()
            self._stopping.wait(0.1)
        words = "".join(
            f"\n--- {c.name}.log\n{c.log.read_text(errors='replace')[-1500:]}"
            for c in self.children
            if c.log.exists()
        )
        raise ProcessFailed(f"{url} does not answer.{words}")

    def revive(self) -> None:
        """Start again what died."""
        for child in self.children:
            if child.alive or time.monotonic() - child.started < RESTART_SECONDS:
                continue
            child.restarts += 1
            self.say(f"{child.name} ended; started again (its words: {child.log})")
            child.start()

    def watch(self) -> None:
        """Keep everything running until `request_stop`."""
        while not self._stopping.wait(0.3):
            self.revive()

    def request_stop(self) -> None:
        """End `watch`; safe in a signal handler."""
        self._stopping.set()

    @property
    def stopping(self) -> bool:
        """Whether the end was asked for."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Stop all children, the last started first."""
        self._stopping.set()
        for child in reversed(self.children):
            child.stop()


def process_environment(state: Path, port: int) -> dict[str, str]:
    """What every child of a Concord on this machine needs to know."""
    return {
        **os.environ,
        "CONCORD_STATE": str(state),
        "CONCORD_PORT": str(port),
        "CONCORD_WEB_URL": f"http://127.0.0.1:{port}",
        "PYTHONUNBUFFERED": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
    }


def web_command(port: int) -> list[str]:
    """The web process: uvicorn on 127.0.0.1."""
    return [
        *(sys.executable, "-m", "uvicorn", "backend.asgi:application"),
        *("--host", "127.0.0.1", "--port", str(port), "--lifespan", "off"),
        *("--log-level", "warning", "--no-server-header", "--no-access-log"),
        *("--timeout-graceful-shutdown", "3"),
    ]


def require_free(port: int) -> None:
    """Raise `ProcessFailed` where another program listens on 127.0.0.1:port."""
    if not port_is_free(port):
        raise ProcessFailed(
            f"Port {port} is taken by another program. Stop it, or set CONCORD_PORT."
        )


def start_processes(supervisor: Supervisor, port: int, queue_url: str, worker_token: str) -> None:
    """One web process, one work process, one inference worker; raises `ProcessFailed`."""
    require_free(port)
    supervisor.add("web", *web_command(port))
    supervisor.add("work", sys.executable, "manage.py", "work")
    supervisor.add(
        "inference",
        sys.executable,
        "-m",
        "inference",
        CONCORD_QUEUE_URL=queue_url,
        CONCORD_WORKER_TOKEN=worker_token,
        CONCORD_LOG="INFO",
    )
