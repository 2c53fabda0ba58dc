"""The worker's side of the sandbox: an adapter whose model runs in a confined process.

The process is started at the first run, stays warm for the next, and is ended at once when a run
is cancelled. Whatever it does, the worker goes on: it reads from it only messages and a label map
of a size it knows.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.imaging.grid import Vector
from backend.jobs.manifest import read_manifest
from backend.jobs.model_description import ModelDamaged
from backend.jobs.protocol import STAGES
from inference.adapters import Cancelled, Loading, Progress
from inference.device import probe
from inference.judging import NodeProbability
from inference.pipeline import Segmentation, SegmentationCancelled
from inference.sandbox.channel import Channel, Closed
from inference.sandbox.confinement import Limits

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("inference", "backend")
LOOK_SECONDS = 0.05
LOADING_SECONDS = 300.0
PASSED_ON = ("CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH", "LANG")
PYTHON = [sys.executable, "-u", "-m", "inference.sandbox"]


class ModelMisbehaved(ModelDamaged):
    """The model tried what a model has no business with. It is not run again."""


class SandboxEnded(RuntimeError):
    """The model's process ended before it was done."""


class SandboxedAdapter:
    """A model of any kind but our own, behind the wall."""

    def __init__(self, folder: Path, loading: Loading) -> None:
        """Check what can be checked without running anything; raises `ModelDamaged`."""
        content = json.loads((folder / "model.json").read_text())
        self.kind = read_manifest(content).kind
        self.name = f"{content['name']} {content['version']}"
        self._folder, self._loading = folder.resolve(), loading
        self.limits = Limits(
            memory_bytes=int(os.environ.get("CONCORD_SANDBOX_BYTES") or Limits.memory_bytes)
        )
        self._facts: dict[str, Any] = {"device": "CPU", "precision": "f32", "threads": None}
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._scratch: Path | None = None

    def facts(self) -> dict[str, Any]:
        """What the process said of itself: device, precision, threads, runtime, and its walls."""
        return self._facts

    @property
    def pid(self) -> int | None:
        """The warm process, where there is one."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def segment(
        self,
        volume_hu: NDArray[np.int16],
        spacing_mm: Vector,
        *,
        progress: Progress,
        cancelled: Cancelled,
    ) -> Segmentation:
        """As `Adapter`; raises `ModelMisbehaved`, `SandboxEnded`, `MemoryError`, `ModelDamaged`."""
        try:
            if self.pid is None:
                self._start(cancelled)
            return self._ask(volume_hu, spacing_mm, progress, cancelled)
        except BaseException:
            self.close()
            raise

    @property
    def _line(self) -> Channel:
        if self._channel is None:
            raise SandboxEnded(f"The process of {self.name} is not there")
        return self._channel

    def close(self) -> None:
        """End the process and remove what it wrote."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()
        if self._channel is not None:
            self._channel.end.close()
            self._channel = None
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch = None

    def _start(self, cancelled: Cancelled) -> None:
        self.close()
        self._scratch = Path(tempfile.mkdtemp(prefix="concord-model-"))
        work, code = self._scratch / "work", self._scratch / "code"
        work.mkdir()
        code.mkdir()
        for package in PACKAGES:
            (code / package).symlink_to(ROOT / package)
        ours, theirs = socket.socketpair()
        asked = {
            "channel": theirs.fileno(),
            "model": str(self._folder),
            "kind": self.kind,
            "scratch": str(work),
            "code": str(code),
            "limits": asdict(self.limits),
            "threads": self._loading.threads,
            "trusted": self._loading.trusted,
            "device": probe(self._loading.device),
        }
        self._channel = Channel(ours)
        with theirs:
            self._process = subprocess.Popen(
                [*PYTHON, json.dumps(asked)],
                cwd=code,
                env=_environment(work, code, self._loading.threads),
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        message = self._await(("ready",), cancelled, time.monotonic() + LOADING_SECONDS)
        self._facts = _plain_facts(message.get("facts"))

    def _ask(
        self,
        volume_hu: NDArray[np.int16],
        spacing_mm: Vector,
        progress: Progress,
        cancelled: Cancelled,
    ) -> Segmentation:
        shape, size = volume_hu.shape, volume_hu.size * 2
        with _shared("volume", size) as given, _shared("labels", size) as taken:
            with mmap.mmap(given, size) as memory:
                np.frombuffer(memory, np.int16)[...] = volume_hu.ravel()
            message = {"shape": list(shape), "spacing_mm": [float(s) for s in spacing_mm]}
            with contextlib.suppress(Closed):  # Awaiting the answer says why it is gone.
                self._line.send(message, (given, taken))
            deadline = time.monotonic() + self.limits.seconds
            while True:
                answer = self._await(("progress", "done"), cancelled, deadline)
                if answer["type"] == "done":
                    break
                if answer.get("stage") in STAGES and isinstance(answer.get("share"), int | float):
                    progress(answer["stage"], min(max(float(answer["share"]), 0.0), 1.0))
            with mmap.mmap(taken, size, prot=mmap.PROT_READ) as memory:
                labels = np.frombuffer(memory, np.uint16).reshape(shape).copy()
        return Segmentation(
            labels=labels,
            nodes=_nodes(answer.get("nodes"), int(labels.max(initial=0))),
            timings_s={str(k): float(v) for k, v in dict(answer.get("timings_s") or {}).items()},
            provenance=dict(answer.get("provenance") or {}),
        )

    def _await(
        self, wanted: tuple[str, ...], cancelled: Cancelled, deadline: float
    ) -> dict[str, Any]:
        """The next message of those kinds; raises what any other end of it means."""
        while True:
            if cancelled():
                raise SegmentationCancelled
            if time.monotonic() > deadline:
                raise SandboxEnded(
                    f"{self.name} took longer than {self.limits.seconds:.0f} s and was ended"
                )
            try:
                received = self._line.receive(LOOK_SECONDS)
            except Closed:
                raise self._why_it_ended() from None
            if received is None:
                continue
            message, descriptors = received
            for descriptor in descriptors:
                os.close(descriptor)
            if tried := message.get("tried"):
                raise self._misbehaved([str(words)[:300] for words in tried], message)
            if message.get("type") in wanted:
                return message
            raise self._failed(message)

    def _misbehaved(self, tried: list[str], message: dict[str, Any]) -> ModelMisbehaved:
        how = (
            "" if message.get("type") != "failed" else f" It then failed: {message.get('message')}"
        )
        return ModelMisbehaved(
            f"{self.name} tried to {'; to '.join(tried)}. The sandbox refused: it has no network, "
            f"may write nowhere else, and its answer was thrown away.{how} "
            "Retire this model, and ask where it came from."
        )

    def _failed(self, message: dict[str, Any]) -> Exception:
        said = str(message.get("message", "it said nothing"))[:1000]
        kind = message.get("kind")
        if kind == "memory":
            return MemoryError(
                f"{self.name} needs more than the {self.limits.memory_bytes >> 20} MiB it may use, "
                "in the smallest windows too. Give it more (CONCORD_SANDBOX_BYTES)"
            )
        if kind == "model" or message.get("type") == "refused":
            return ModelDamaged(said)
        return ValueError(said) if kind == "value" else RuntimeError(said)

    def _why_it_ended(self) -> SandboxEnded:
        status = self._process.wait() if self._process else 0
        if status == -signal.SIGKILL:
            why = "was killed by the system, most often for want of memory"
        elif status == -signal.SIGXCPU:
            why = f"used up its {self.limits.cpu_seconds} processor seconds"
        elif status == -signal.SIGSYS:
            why = "was ended by the kernel for a call that is not allowed"
        elif status < 0:
            why = f"ended by signal {-status}"
        else:
            why = f"ended by itself with status {status}"
        return SandboxEnded(f"The process of {self.name} {why}")


@contextlib.contextmanager
def _shared(name: str, size: int) -> Any:
    """Memory both processes see, of a size that neither can change."""
    import fcntl

    descriptor = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(descriptor, max(size, 1))
        fcntl.fcntl(
            descriptor,
            fcntl.F_ADD_SEALS,
            fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL,
        )
        yield descriptor
    finally:
        os.close(descriptor)


def _environment(work: Path, code: Path, threads: int | None) -> dict[str, str]:
    """Nothing of the worker's own: no address, no token, no home."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(work),
        "TMPDIR": str(work),
        "MPLCONFIGDIR": str(work),  # MONAI's matplotlib makes a folder where it finds none.
        "USER": "model",
        "PYTHONPATH": str(code),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    if threads:
        environment["OMP_NUM_THREADS"] = str(threads)
    return environment | {name: os.environ[name] for name in PASSED_ON if name in os.environ}


def _plain_facts(said: Any) -> dict[str, Any]:
    facts = dict(said) if isinstance(said, dict) else {}
    return {"device": "CPU", "precision": "f32", "threads": None, **facts}


def _nodes(said: Any, highest: int) -> list[NodeProbability]:
    """The nodes of an answer that name labels of the map; raises `ValueError` for nonsense."""
    nodes = []
    for node in said if isinstance(said, list) else []:
        found = NodeProbability(
            int(node["label"]),
            *(float(node[key]) for key in ("mean", "highest", "short_axis_mm", "mean_hu")),
        )
        if (
            1 <= found.label <= highest
            and np.isfinite([found.mean, found.highest, found.short_axis_mm, found.mean_hu]).all()
        ):
            nodes.append(found)
    return nodes
