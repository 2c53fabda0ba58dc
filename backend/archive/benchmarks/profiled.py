"""The web process with a sampler in it: what its threads do, 200 times a second.

Only the benchmark's last pass runs it, when the figures have been taken. Samples are written when
the process ends, each with its time on the clock all processes share.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType

EVERY_SECONDS = 0.005
# A frame's file → what is being done there; the innermost frame that is named counts.
PLACES = (
    ("/deidentify/", "de-identifying"),
    ("archive/parsing.py", "parsing"),
    ("archive/plain_header.py", "parsing"),
    ("archive/raw_elements.py", "parsing"),
    ("archive/pixels.py", "parsing"),
    ("archive/metadata.py", "parsing"),
    ("archive/facts.py", "parsing"),
    ("imaging/dicom.py", "parsing"),
    ("/pydicom/", "parsing"),
    ("backend/store.py", "hashing, writing and flushing files"),
    ("backend/store/", "hashing, writing and flushing files"),
    ("archive/streaming.py", "taking the request apart"),
    ("archive/arriving.py", "waiting for the request"),
    ("archive/direct_body.py", "receiving the request"),
    ("archive/direct_file.py", "sending what lies ready"),
    ("archive/sources.py", "reading files"),
    ("archive/fast_route.py", "sending what lies ready"),
    ("/uvicorn/", "HTTP"),
    ("/asgiref/", "Django's handler and middleware"),
    ("/psycopg", "waiting for Postgres"),
    ("django/db/", "rows (Django's ORM)"),
    ("archive/storing.py", "rows"),
    ("archive/entering.py", "rows"),
    ("backend/rows.py", "rows"),
    ("archive/taking.py", "rows"),
    ("archive/qido.py", "QIDO's answer"),
    ("archive/matching.py", "QIDO's answer"),
    ("/django/", "Django's handler and middleware"),
    ("backend/", "other"),
)
_WAITING = {
    ("threading.py", "wait"),
    ("threading.py", "join"),
    ("thread.py", "_worker"),
    ("selectors.py", "select"),
    ("queue.py", "get"),
    ("sched.py", "run"),
    ("runners.py", "run"),
    ("_base.py", "result"),
    ("server.py", "run"),
    ("server.py", "serve"),
}


def place_of(frame: FrameType | None) -> tuple[str, str] | None:
    """What a thread does and in which function; None while it waits."""
    if frame is None:
        return None
    leaf = (os.path.basename(frame.f_code.co_filename), frame.f_code.co_name)
    here: FrameType | None = frame
    if leaf in _WAITING:
        return None
    while here is not None:
        name = here.f_code.co_filename
        for part, doing in PLACES:
            if part in name:
                if doing.startswith("waiting for the"):
                    return None
                where = name.rpartition("site-packages/")[2].rpartition("/backend/")
                return doing, f"{where[2]}:{here.f_code.co_name}"
        here = here.f_back
    return "other", ":".join(leaf)


class Sampler:
    """Looks at every other thread until `stop`."""

    def __init__(self) -> None:
        self.samples: list[tuple[float, list[tuple[str, str]]]] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        me = threading.get_ident()
        while not self._stopped.wait(EVERY_SECONDS):
            frames = sys._current_frames().items()
            doing = [place_of(frame) for thread, frame in frames if thread != me]
            self.samples.append((time.monotonic(), [d for d in doing if d is not None]))

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()
        self._thread.join()

    def write(self, path: Path) -> None:
        """Keep the samples for `limits.read_samples`."""
        self.stop()
        path.write_text(json.dumps(self.samples))


def _end(number: int, frame: FrameType | None) -> None:
    sampler.write(Path(os.environ["CONCORD_BENCHMARK_SAMPLES"]))
    os._exit(0)


if "CONCORD_BENCHMARK_SAMPLES" in os.environ:
    # The whole product, of which this room knows only by name.
    application = importlib.import_module("backend.asgi").application
    sampler = Sampler()
    signal.signal(signal.SIGTERM, _end)
