"""`manage.py demo`: starts everything, revives the dead, keeps all data, stops what it started."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from backend.database import free_port
from fixtures.phantom_dicom import write_series
from fixtures.small import small_phantom
from tests.postgres import ROOT
from tests.stack import until


class Demo:
    """One run of the demo on a state folder and an embedded Postgres of its own."""

    def __init__(self, state: Path, *arguments: str, port: int | None = None) -> None:
        self.port = port or free_port()
        self.output = state / "demo-output"
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("CONCORD_", "DATABASE_"))
        }
        environment |= {"CONCORD_STATE": str(state), "CONCORD_PORT": str(self.port)}
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "demo", *arguments],
                cwd=ROOT,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def said(self) -> str:
        return self.output.read_text()

    def wait_ready(self) -> None:
        ready = f"CONCORD READY http://127.0.0.1:{self.port}/"

        def is_ready() -> bool:
            assert self.process.poll() is None, self.said()
            return ready in self.said()

        until(is_ready, ready, 120, self.said)

    def children(self) -> dict[str, int]:
        """Process ids of what runs on this demo's state, by role."""
        found: dict[str, int] = {}
        for folder in Path("/proc").iterdir():
            try:
                command = (folder / "cmdline").read_bytes().decode().replace("\0", " ")
                parent = (folder / "stat").read_text().rsplit(")", 1)[1].split()[1]
            except (OSError, IndexError):
                continue
            if parent == str(self.process.pid):
                for role, mark in (("web", "uvicorn"), ("work", "manage.py work")):
                    if mark in command:
                        found[role] = int(folder.name)
                if "-m inference" in command:
                    found["inference"] = int(folder.name)
        return found

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(40)


@pytest.fixture
def state() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="concord-demo-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_the_demo_starts_revives_its_worker_stops_cleanly_and_starts_again_with_its_data(
    state: Path, tmp_path: Path
) -> None:
    series = write_series(small_phantom(), tmp_path / "dicom", patient_id="SMALL-1")
    first = Demo(state, str(series))
    try:
        first.wait_ready()
        users = state / "demo-users.json"
        assert stat.S_IMODE(users.stat().st_mode) == 0o600
        roles = "coordinator abstractor reader1 reader2 adjudicator scientist auditor admin"
        assert set(json.loads(users.read_text())) == set(roles.split())
        before = first.children()
        assert set(before) == {"web", "work", "inference"}
        os.kill(before["inference"], signal.SIGKILL)
        until(
            lambda: first.children().get("inference", before["inference"]) != before["inference"],
            "the worker to be started again",
            20,
            first.said,
        )
    finally:
        first.stop()
    assert first.process.returncode == 0, first.said()
    assert first.children() == {}
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{first.port}/healthz")
    assert not (state / "postgres" / "data" / "postmaster.pid").exists()

    passwords = users.read_text()
    second = Demo(state, str(series))
    try:
        second.wait_ready()
        assert users.read_text() == passwords
        assert "already" in second.said()
    finally:
        second.stop()


def test_a_port_that_is_taken_is_named_and_nothing_is_started(state: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        demo = Demo(state, port=other.getsockname()[1])
        assert demo.process.wait(30) == 1
    assert f"Port {demo.port} is taken by another program." in demo.said()
    assert not (state / "postgres").exists()


def test_a_path_that_is_not_there_is_named(state: Path) -> None:
    demo = Demo(state, "/no/such/folder")
    assert demo.process.wait(30) == 1
    assert "There is no /no/such/folder. Give DICOM=path" in demo.said()
