"""What a run costs: seconds of each stage, processor seconds, peak memory."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Stopwatch:
    """Wall seconds of stages that follow one another; a stage may come back."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._stage = ""
        self._since = self._began = time.monotonic()
        self._processor = processor_seconds()
        _reset_peak()

    @property
    def stage(self) -> str:
        """The stage that runs now."""
        return self._stage

    def begin(self, stage: str) -> float:
        """End the stage that runs and begin `stage`; returns the ended one's seconds so far."""
        now = time.monotonic()
        ended = 0.0
        if self._stage:
            ended = self.seconds.get(self._stage, 0.0) + now - self._since
            self.seconds[self._stage] = round(ended, 4)
        self._stage, self._since = stage, now
        return ended

    def wall_seconds(self) -> float:
        """Seconds since the run was claimed."""
        return round(time.monotonic() - self._began, 3)

    def processor_seconds(self) -> float:
        """Processor seconds since then, as `processor_seconds`."""
        return round(processor_seconds() - self._processor, 3)


def processor_seconds() -> float:
    """Of this process with all its threads, and of the processes it started, ended or not."""
    spent = os.times()
    ended = spent.children_user + spent.children_system
    living = 0.0
    for pid in _children():
        # A process whose name holds a bracket would shift what follows it: counted from the last.
        with contextlib.suppress(OSError, ValueError, IndexError):
            facts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            living += sum(map(int, facts[11:15])) / TICKS
    return time.process_time() + ended + living


def resident_bytes() -> int | None:
    """Memory of this process and of those it started; None where the system does not tell."""
    found = None
    for pid in (os.getpid(), *_children()):
        with contextlib.suppress(OSError, ValueError, IndexError):
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            found = (found or 0) + pages * PAGE_BYTES
    return found


def _children() -> Iterator[int]:
    """The living processes that this one started, such as those in which models run."""
    for told in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError, ValueError):
            yield from map(int, told.read_text().split())


def peak_memory_bytes() -> int | None:
    """Largest resident memory since the run began; None where the system does not tell."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return None


def _reset_peak() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
