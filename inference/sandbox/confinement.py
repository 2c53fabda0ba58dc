"""What a process does to itself before it reads anything of a model, in this order.

A network namespace of its own (empty: not even loopback is up), no capabilities, limits on memory,
processor time, files and their size, Landlock for what may be opened, seccomp for what may be asked
of the kernel. A model that no administrator trusts runs behind both of the last two or not at all:
without Landlock it could read what the worker's user can, and say it in its answer; without seccomp
it could do what Landlock does not know of. One that is trusted runs behind the one there is (behind
seccomp alone it may write nothing to the disk), and the provenance tells.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from inference.sandbox import landlock, seccomp

CLONE_NEWUSER, CLONE_NEWNET, CLONE_NEWIPC = 0x10000000, 0x40000000, 0x08000000
CAPABILITY_VERSION_3 = 0x20080522
SYSTEM = ("/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime", "/opt")
ABOUT_THE_MACHINE = (
    *("/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/filesystems"),
    *("/proc/sys/vm/overcommit_memory", "/proc/version", "/sys/devices/system"),
    *("/sys/fs/cgroup", "/sys/kernel/mm"),
)
DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")
GPU_DEVICES = ("/dev", "/proc", "/sys")
LOWEST_TO_BE_KILLED = "1000"

_libc = ctypes.CDLL(None, use_errno=True)


class NotConfined(RuntimeError):
    """This system cannot confine the model as far as it would have to be."""


@dataclass(frozen=True)
class Limits:
    """Of one sandbox process, over its whole life.

    Attributes:
        memory_bytes: private memory; reaching it is an error within the model, not a kill.
        cpu_seconds: of all threads together.
        file_bytes: largest file in its scratch folder.
        open_files: at once.
        seconds: of one run, by the clock; the worker ends the process then.
    """

    memory_bytes: int = 8 << 30
    cpu_seconds: int = 4 * 3600
    file_bytes: int = 1 << 30
    open_files: int = 256
    seconds: float = 1800.0


def confine(
    model: Path, scratch: Path, code: Path, limits: Limits, *, device: str, trusted: bool
) -> list[str]:
    """Confine this process for good; returns what holds, in words. Raises `NotConfined`."""
    holds = [_without_network(), _without_capabilities()]
    _limit(limits)
    readable = [*_readable(model, code, device)]
    writable = [scratch, Path("/dev/null")]
    if device == "cuda":
        writable += Path("/dev").glob("nvidia*")
    lacking = {}
    try:
        _no_new_privileges()
        holds.append(landlock.restrict(readable, writable))
    except OSError as refused:
        lacking["Landlock"] = str(refused)
    try:
        holds.append(seccomp.restrict(changes_allowed="Landlock" not in lacking))
    except OSError as refused:
        lacking["seccomp"] = str(refused)
    if len(lacking) == 2 or (lacking and not trusted):
        raise NotConfined(_why_not(lacking, trusted=trusted))
    holds += [f"no {name} ({why})" for name, why in lacking.items()]
    holds.append(f"memory {limits.memory_bytes >> 20} MiB, {limits.cpu_seconds} processor seconds")
    return [words for words in holds if words]


def _why_not(lacking: dict[str, str], *, trusted: bool) -> str:
    """Why a model may not run on this system, and what can be done."""
    walls = " and ".join(f"{name} ({why})" for name, why in lacking.items())
    cure = "Run the worker on Linux 5.13 or newer, with Landlock and seccomp"
    if len(lacking) == 1 and not trusted:
        cure += ", or have an administrator mark the model as trusted, with a reason"
    return f"This system lacks {walls}, so that a model's code could not be confined. {cure}."


def _without_network() -> str:
    """A network namespace with nothing in it; by a user namespace where that needs one."""
    flags = CLONE_NEWNET | CLONE_NEWIPC
    if _libc.unshare(flags) == 0 or _libc.unshare(flags | CLONE_NEWUSER) == 0:
        return "network namespace"
    return f"no network namespace ({os.strerror(ctypes.get_errno())}): sockets refused by seccomp"


def _without_capabilities() -> str:
    """Root's powers are given up; an ordinary user has none."""
    header = struct.pack("Ii", CAPABILITY_VERSION_3, 0)
    if _libc.capset(header, bytes(24)) != 0:
        return f"capabilities kept ({os.strerror(ctypes.get_errno())})"
    return "no capabilities"


def _no_new_privileges() -> None:
    if _libc.prctl(seccomp.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "no_new_privs")


def _limit(limits: Limits) -> None:
    for kind, value in (
        (resource.RLIMIT_DATA, limits.memory_bytes),
        (resource.RLIMIT_CPU, limits.cpu_seconds),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_NOFILE, limits.open_files),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        resource.setrlimit(kind, (value, value))
    # Where the whole machine runs out of memory, this process goes first, not the worker.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(LOWEST_TO_BE_KILLED)


def _readable(model: Path, code: Path, device: str) -> Iterator[Path]:
    """Model, our own code, Python and its packages, and what a runtime asks of the machine."""
    yield from (model.resolve(), code)
    yield from (link.resolve() for link in code.iterdir())
    yield from (Path(prefix).resolve() for prefix in (sys.prefix, sys.base_prefix))
    yield from (Path(place).resolve() for place in sys.path if place and Path(place) != code)
    yield from map(Path, (*SYSTEM, *ABOUT_THE_MACHINE, *DEVICES))
    if device == "cuda":
        yield from map(Path, GPU_DEVICES)
