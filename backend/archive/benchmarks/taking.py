"""`python -m backend.archive.benchmarks.taking FOLDER [SAMPLES]`: receive it, print the seconds."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import django


def take(folder: Path, samples: Path | None) -> None:
    """Receive the folder as `manage.py receive` does, and say how long that took."""
    from backend.archive.benchmarks.profiled import Sampler
    from backend.archive.services import receive

    sampler = Sampler() if samples is not None else None
    began, used = time.monotonic(), time.process_time()
    receipt = receive([folder], source="benchmark", actor=None)
    ended = time.monotonic()
    if sampler is not None and samples is not None:
        sampler.write(samples)
    spent = {
        "stored": receipt.stored,
        "began": began,
        "ended": ended,
        "cpu": time.process_time() - used,
    }
    sys.stdout.write(json.dumps(spent))


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.settings")
    django.setup()
    take(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
