"""What a model tries beyond segmenting is contained, named, and leaves the worker as it was."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from backend.jobs.model_description import ModelDamaged
from fixtures.models.nnunet_training import phantom_of
from fixtures.small import small_phantom
from inference.adapters import Loading
from inference.pipeline import Segmentation, SegmentationCancelled
from inference.sandbox import host, landlock
from inference.sandbox.host import ModelMisbehaved, SandboxedAdapter, SandboxEnded
from tests.inference.foreign import TORCHSCRIPT, doing, with_pickle
from tests.stack import until


@pytest.fixture
def opened() -> Iterator[list[SandboxedAdapter]]:
    held: list[SandboxedAdapter] = []
    yield held
    for adapter in held:
        adapter.close()


def adapter_of(folder: Path, *, trusted: bool = True) -> SandboxedAdapter:
    return SandboxedAdapter(folder, Loading(threads=1, trusted=trusted, device="cpu"))


def run(adapter: SandboxedAdapter, stop: threading.Event | None = None) -> Segmentation:
    made = phantom_of(900)
    return adapter.segment(
        made.image,
        made.spacing_mm,
        progress=lambda *_: None,
        cancelled=(stop or threading.Event()).is_set,
    )


def test_a_trusted_model_that_writes_connects_and_starts_programs_is_contained_and_named(
    tmp_path: Path, opened: list[SandboxedAdapter]
) -> None:
    """Each act is swallowed by the model, which then answers well: it is named all the same."""
    outside = tmp_path / "outside"
    secret = tmp_path / "secret"
    secret.write_text("postgres://owner:password@host/db")
    os.environ["CONCORD_WORKER_TOKEN"] = "the worker's own"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        acts = [
            f"open({str(outside)!r}, 'w').write('x')",
            f"__import__('socket').create_connection(('127.0.0.1', {port}), 1)",
            f"__import__('subprocess').run(['/usr/bin/touch', {str(outside)!r}])",
            f"__import__('os').chmod({str(secret)!r}, 0)",
        ]
        code = "; ".join(
            f"exec({f'try: {act}{chr(10)}except BaseException: pass'!r})" for act in acts
        )
        opened.append(adapter_of(doing(tmp_path, code)))

        with pytest.raises(ModelMisbehaved) as named:
            run(opened[0])

        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()
    del os.environ["CONCORD_WORKER_TOKEN"]
    said = str(named.value)
    assert f"open {outside} for writing" in said
    assert "open a socket" in said
    assert "start the program /usr/bin/touch" in said
    assert f"change {secret}" in said
    assert "Retire this model" in said
    assert not outside.exists()
    assert secret.stat().st_mode & 0o400
    assert opened[0].pid is None


@pytest.mark.parametrize(
    "act",
    [
        "open({secret!r}).read()",
        "open('/proc/' + str(__import__('os').getppid()) + '/environ').read()",
        "__import__('os').kill(__import__('os').getppid(), 15)",
        "__import__('ctypes').CDLL(None).fork() >= 0 or [][0]",
        "__import__('os').environ['CONCORD_WORKER_TOKEN']",
    ],
    ids=["reads a file", "reads the worker's environment", "ends the worker", "forks", "a token"],
)
def test_what_only_the_kernel_sees_fails_too(
    act: str, tmp_path: Path, opened: list[SandboxedAdapter], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The act must raise: were it to succeed, the network would be built and the run succeed."""
    secret = tmp_path / "secret"
    secret.write_text("password")
    monkeypatch.setenv("CONCORD_WORKER_TOKEN", "the worker's own")
    code = f"ok = False\n    try:\n        {act.format(secret=str(secret))}\n        ok = True\n"
    code += "    except Exception: pass\n    if ok: __import__('os')._exit(7)"
    opened.append(adapter_of(doing(tmp_path, code)))

    assert run(opened[0]).nodes


def test_a_checkpoint_that_would_run_a_program_is_refused_and_the_function_named(
    tmp_path: Path, opened: list[SandboxedAdapter]
) -> None:
    touched = tmp_path / "touched"
    opened.append(adapter_of(with_pickle(tmp_path, f"touch {touched}"), trusted=False))

    with pytest.raises(ModelDamaged, match=r"would run code \((posix|os)\.system\)"):
        run(opened[0])

    assert not touched.exists()


def test_a_cancelled_run_ends_the_process_and_the_next_one_starts_another(
    tmp_path: Path, opened: list[SandboxedAdapter]
) -> None:
    folder = doing(tmp_path, "__import__('threading').Event().wait(60)")
    opened.append(adapter_of(folder))
    stop = threading.Event()
    ended: list[BaseException] = []

    def perform() -> None:
        try:
            run(opened[0], stop)
        except SegmentationCancelled as cancelled:
            ended.append(cancelled)

    thread = threading.Thread(target=perform)
    thread.start()
    until(lambda: opened[0].pid, "the process", 30)
    pid = opened[0].pid
    stop.set()
    thread.join(30)

    assert ended
    with pytest.raises(ProcessLookupError):
        os.kill(pid or 0, 0)


def test_a_process_that_was_killed_is_reported_and_replaced(
    opened: list[SandboxedAdapter],
) -> None:
    opened.append(adapter_of(TORCHSCRIPT, trusted=False))
    run(opened[0])
    pid = opened[0].pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    threading.Timer(0.5, os.kill, (pid, signal.SIGKILL)).start()

    with pytest.raises(SandboxEnded, match="killed by the system, most often for want of memory"):
        run(opened[0])

    assert run(opened[0]).nodes
    assert opened[0].pid != pid


def test_where_memory_ends_the_image_is_seen_in_windows_and_the_provenance_tells(
    opened: list[SandboxedAdapter],
) -> None:
    """A real limit: the whole image does not fit, windows of it do."""
    opened.append(adapter_of(TORCHSCRIPT, trusted=False))
    made = small_phantom(7, (100, 260, 260), (2.0, 1.0, 1.0))
    opened[0].limits = replace(opened[0].limits, memory_bytes=640 << 20)

    found = opened[0].segment(
        made.image, made.spacing_mm, progress=lambda *_: None, cancelled=lambda: False
    )

    assert found.nodes
    assert found.provenance["fallbacks"][0]["window"] is None
    assert "memory" in found.provenance["fallbacks"][0]["why"]
    assert found.provenance["window"] is not None


def test_a_model_that_needs_more_memory_than_there_is_fails_with_a_sentence(
    tmp_path: Path, opened: list[SandboxedAdapter]
) -> None:
    opened.append(adapter_of(doing(tmp_path, "pass")))
    opened[0].limits = replace(opened[0].limits, memory_bytes=4 << 20)

    with pytest.raises((MemoryError, SandboxEnded, ModelDamaged, RuntimeError)):
        run(opened[0])


def lacking(monkeypatch: pytest.MonkeyPatch, walls: str) -> None:
    """From now on models are run on a kernel without these."""
    lacks = str(Path(__file__).with_name("without.py"))
    monkeypatch.setattr(host, "PYTHON", [sys.executable, lacks, walls, "inference.sandbox"])


@pytest.mark.parametrize("wall", ["landlock", "seccomp"])
def test_where_a_wall_is_missing_a_model_nobody_trusts_does_not_run_and_it_is_said_why(
    wall: str, opened: list[SandboxedAdapter], monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking(monkeypatch, wall)
    opened.append(adapter_of(TORCHSCRIPT, trusted=False))

    with pytest.raises(ModelDamaged, match=rf"(?i)lacks {wall} .* mark the model as trusted"):
        run(opened[0])


@pytest.mark.parametrize(
    ("wall", "holds"), [("landlock", "seccomp, no writing at all"), ("seccomp", "landlock ")]
)
def test_where_a_wall_is_missing_a_trusted_model_is_held_by_the_other_and_the_provenance_tells(
    wall: str,
    holds: str,
    tmp_path: Path,
    opened: list[SandboxedAdapter],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lacking(monkeypatch, wall)
    outside = tmp_path / "outside"
    # Not Python's own `open`, which the witness would hear.
    opened_file = f"__import__('ctypes').CDLL(None).open({str(outside).encode()!r}, 0o101, 0o600)"
    opened.append(adapter_of(doing(tmp_path, f"{opened_file} >= 0 and __import__('os')._exit(7)")))

    assert run(opened[0]).nodes

    assert not outside.exists()
    said = "; ".join(opened[0].facts()["sandbox"])
    assert holds in said
    assert f"no {wall} (" in said.lower()


def test_where_both_walls_are_missing_nothing_runs(
    opened: list[SandboxedAdapter], monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking(monkeypatch, "landlock+seccomp")
    opened.append(adapter_of(TORCHSCRIPT, trusted=True))

    with pytest.raises(ModelDamaged, match=r"lacks Landlock .* and seccomp"):
        run(opened[0])


def test_this_kernel_has_what_the_walls_are_made_of() -> None:
    assert landlock.version() >= 1
