"""The two servers that are compared, each with a folder and a port of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from backend.archive.benchmarks.client import Connection
from backend.database import EmbeddedPostgres, free_port, port_is_free
from backend.supervisor import Supervisor, process_environment, web_command

ORTHANC_PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"

# What each has on the disk when it acknowledges, for the report.
FLUSHES = {
    "Orthanc": (
        "Each file's data (SyncStorageArea, fdatasync); not the entries of its folders, nor its "
        "index: SQLite with a write-ahead log and synchronous = NORMAL flushes at checkpoints, so "
        "that after a power cut the last instances it acknowledged may be unknown to it."
    ),
    "Concord": (
        "Each file and the entries of its folders (fsync), then the rows and the log's event "
        "(Postgres, synchronous_commit): what was acknowledged is there after a power cut."
    ),
}

APPLICATION = "backend.asgi:application"
SENDER = "coordinator"


class NoOrthanc(RuntimeError):
    """Orthanc and its DICOMweb plugin are not installed. Run `make system`."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class Server:
    """A running DICOMweb service: how to reach it, and the process that answers."""

    def __init__(
        self, name: str, port: int, root: str, headers: dict[str, str], process: int
    ) -> None:
        self.name, self.port, self.root = name, port, root
        self.headers, self.process = headers, process

    def connections(self, count: int) -> list[Connection]:
        """Open connections."""
        return [Connection(self.port, self.root, self.headers) for _ in range(count)]

    def processes(self) -> list[int]:
        """The processes without which it could not answer."""
        return [self.process]


class Concord(Server):
    """Concord's web process on an embedded database."""

    environment: dict[str, str]
    supervisor: Supervisor
    database: int

    def processes(self) -> list[int]:
        """The web process, and Postgres with all its backends."""
        return [self.process, self.database]

    def run(self, module: str, *arguments: str) -> str:
        """Run a module on the same installation; what it says."""
        return _output([sys.executable, "-m", module, *arguments], self.environment)

    def manage(self, *arguments: str) -> str:
        """Run `manage.py` on the same installation; what it says."""
        return _output([sys.executable, "manage.py", *arguments], self.environment)

    @property
    def state(self) -> Path:
        """Where it keeps what it keeps on disk."""
        return Path(self.environment["CONCORD_STATE"])

    def store_as_is(self) -> None:
        """De-identify nothing of what comes in from now on."""
        reason = "The peer of this measurement does not de-identify."
        for door, name in (("stow", SENDER), ("receive", "benchmark")):
            self.manage("sources", "--as-is", door, name, "--reason", reason)

    @contextmanager
    def profiled(self) -> Iterator[tuple[Server, Path]]:
        """A second web process with a sampler in it; its samples are there when it has ended."""
        port, samples = free_port(), self.state / "samples"
        command = [
            "backend.archive.benchmarks.profiled:application" if part == APPLICATION else part
            for part in web_command(port)
        ]
        child = self.supervisor.add(
            "profiled", *command, CONCORD_PORT=str(port), CONCORD_BENCHMARK_SAMPLES=str(samples)
        )
        self.supervisor.wait_ready(f"http://127.0.0.1:{port}/readyz")
        if child.process is None:
            raise RuntimeError("The web process did not start.")
        server = Concord("Concord", port, self.root, self.headers, child.process.pid)
        server.database = self.database
        try:
            yield server, samples
        finally:
            child.stop()
            self.supervisor.children.remove(child)


def _output(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[1:])} failed.\n{done.stdout}{done.stderr}")
    return done.stdout


@contextmanager
def concord(folder: Path) -> Iterator[Concord]:
    """A whole installation: database and web process; no work process, no inference worker."""
    state, port = folder / "concord", free_port()
    environment = {
        name: value
        for name, value in process_environment(state, port).items()
        if name not in ("DATABASE_URL", "DATABASE_OWNER_URL", "CONCORD_QUEUE_URL")
    }
    supervisor = Supervisor(environment, state / "logs", lambda text: None)
    database = EmbeddedPostgres(state / "postgres")
    database.start()
    try:
        supervisor.run_once("setup", "--demo", quiet=True)
        web = supervisor.add("web", *web_command(port))
        supervisor.wait_ready(f"http://127.0.0.1:{port}/readyz")
        token = supervisor.run_once("create_token", SENDER).strip()
        if web.process is None:
            raise RuntimeError("The web process did not start.")
        headers = {"Authorization": f"Bearer {token}"}
        server = Concord("Concord", port, "/dicom-web", headers, web.process.pid)
        server.environment, server.supervisor = environment, supervisor
        lines = (database.data / "postmaster.pid").read_text().splitlines()
        server.database = int(lines[0])
        yield server
    finally:
        supervisor.stop()
        database.stop()


def orthanc_configuration(folder: Path, port: int) -> dict[str, Any]:
    """Orthanc at its best: nothing compressed or hashed, whole series and metadata in its cache.

    A file's bytes are on the disk before it answers (`SyncStorageArea`, its default); `FLUSHES`
    says what is not.
    """
    return {
        "Name": "benchmark",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "Plugins": [ORTHANC_PLUGIN],
        "HttpPort": port,
        "HttpServerEnabled": True,
        "DicomServerEnabled": False,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "HttpCompressionEnabled": False,
        "StorageCompression": False,
        "KeepAlive": True,
        "TcpNoDelay": True,
        "HttpThreadsCount": 50,
        "MaximumStorageCacheSize": 1024,
        "StoreMD5ForAttachments": False,
        "SyncStorageArea": True,
        "OverwriteInstances": False,
        "StorageAccessOnFind": "Never",
        "DicomWeb": {
            "Enable": True,
            "Root": "/dicom-web/",
            "EnableMetadataCache": True,
            "SeriesMetadata": "Full",
            "StudiesMetadata": "Full",
        },
    }


@contextmanager
def orthanc(folder: Path) -> Iterator[Server]:
    """Debian's Orthanc with its DICOMweb plugin; raises `NoOrthanc`."""
    program = shutil.which("Orthanc")
    if program is None or not Path(ORTHANC_PLUGIN).exists():
        raise NoOrthanc
    place, port = folder / "orthanc", free_port()
    (place / "storage").mkdir(parents=True)
    settings = place / "orthanc.json"
    settings.write_text(json.dumps(orthanc_configuration(place, port), indent=1))
    with (place / "log").open("wb") as log:
        process = subprocess.Popen([program, str(settings)], stdout=log, stderr=log)
    try:
        _wait(f"http://127.0.0.1:{port}/dicom-web/studies", process)
        yield Server("Orthanc", port, "/dicom-web", {}, process.pid)
    finally:
        process.terminate()
        process.wait()


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - our own address
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)  # noqa: TID251 - waits for another program
    raise RuntimeError(f"{url} does not answer.")


@contextmanager
def bare(module: str) -> Iterator[Server]:
    """A program of ours that speaks HTTP and does no work: what is left is the client's cost."""
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", module, str(port)])
    try:
        wait_for_port(port)
        yield Server(module.rpartition(".")[2], port, "", {}, process.pid)
    finally:
        process.terminate()
        process.wait()


def version_of(program: str) -> str:
    """The first line a program says of itself."""
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).splitlines()[0] if (done.stdout or done.stderr) else ""


def wait_for_port(port: int) -> None:
    """Wait until something listens on 127.0.0.1:port."""
    deadline = time.monotonic() + 30
    while port_is_free(port) and time.monotonic() < deadline:
        time.sleep(0.02)  # noqa: TID251 - waits for another program
