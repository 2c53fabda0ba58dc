"""What this worker takes of its machine now: processors, memory, GPU. Told with every heartbeat.

The processes in which it runs models that are not our own count as the worker does.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path

from inference.meters import processor_seconds, resident_bytes

_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


class Gauge:
    """What this system tells, by the names of `protocol.GAUGE`; shares are since the last read."""

    def __init__(self) -> None:
        self._processors = len(os.sched_getaffinity(0))
        self._limit = _memory_limit_bytes()
        self._at, self._spent = time.monotonic(), processor_seconds()

    def read(self) -> dict[str, float]:
        """What is known now; nothing of a GPU while no model loaded torch."""
        now, spent = time.monotonic(), processor_seconds()
        passed = max(now - self._at, 1e-3)
        share = (spent - self._spent) / passed / self._processors
        self._at, self._spent = now, spent
        found: dict[str, float] = {"cpu": round(min(max(share, 0.0), 1.0), 3)}
        memory = resident_bytes()
        if memory is not None:
            found["memory_bytes"] = memory
        if self._limit is not None:
            found["memory_limit_bytes"] = self._limit
        return found | _gpu()


def _memory_limit_bytes() -> int | None:
    """The container's limit, else the machine's memory."""
    with contextlib.suppress(OSError, ValueError):
        return int(_CGROUP_LIMIT.read_text())
    with contextlib.suppress(OSError, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None


def _gpu() -> dict[str, float]:
    """Memory of the current GPU, and how busy it is where the driver's library tells."""
    torch = sys.modules.get("torch")
    found: dict[str, float] = {}
    # Whatever a driver raises, a heartbeat must not fail.
    with contextlib.suppress(Exception):
        if torch is None or not torch.cuda.is_initialized():
            return {}
        free, whole = torch.cuda.mem_get_info()
        found = {"gpu_memory_bytes": whole - free, "gpu_memory_limit_bytes": whole}
        found["gpu"] = torch.cuda.utilization() / 100
    return found
