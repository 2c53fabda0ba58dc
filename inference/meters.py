"""What a run costs: seconds of each stage, processor seconds, peak memory."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path


class Stopwatch:
    """Wall seconds of stages that follow one another; a stage may come back."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._stage = ""
        self._since = self._began = time.monotonic()
        self._processor = time.process_time()
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
        """Processor seconds of this process since then, all threads."""
        return round(time.process_time() - self._processor, 3)


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
