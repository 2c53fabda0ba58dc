"""`python -m inference.sandbox`: the confined process; started by `sandbox.host`, by nobody else.

First it confines itself, then it imports the runtime, then it opens the model, and stays for run
after run. Volume and label map lie in memory that both processes see.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import mmap
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from inference.sandbox.channel import Channel, Closed
from inference.sandbox.confinement import Limits, confine
from inference.sandbox.witness import Witness


def main() -> int:
    """Confine, load, serve until the worker is gone; returns the exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("asked", type=json.loads)
    asked: dict[str, Any] = parser.parse_args().asked
    channel = Channel(socket.socket(fileno=asked["channel"]))
    model, scratch, code = (Path(asked[name]) for name in ("model", "scratch", "code"))
    try:
        limits = Limits(**asked["limits"])
        holds = confine(
            model, scratch, code, limits, device=asked["device"], trusted=asked["trusted"]
        )
    except Exception as refused:  # noqa: BLE001 - whatever it was, nothing may run unconfined
        channel.send({"type": "refused", "message": str(refused)})
        return 1
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # Not to outlive the worker.
    witness = Witness(scratch)
    try:
        network = _load(model, asked, witness)
    except Exception as error:  # noqa: BLE001 - a model may raise anything
        channel.send({"type": "failed", **_told(error), "tried": witness.seen})
        return 1
    channel.send(
        {
            "type": "ready",
            "facts": {**network.provenance(), "sandbox": holds},
            "tried": witness.seen,
        }
    )
    while True:
        try:
            received = channel.receive()
        except Closed:
            return 0
        if received is None:
            continue
        message, descriptors = received
        try:
            answer = _segment(network, message, descriptors, channel)
        except Closed:
            return 0
        except Exception as error:  # noqa: BLE001 - a model may raise anything
            answer = {"type": "failed", **_told(error)}
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        channel.send({**answer, "tried": witness.seen})


def _load(model: Path, asked: dict[str, Any], witness: Witness) -> Any:
    from inference.adapters import Loading
    from inference.runtimes.loading import import_runtime, load_network

    with contextlib.suppress(ModuleNotFoundError):  # `load_network` says which, and the cure.
        import_runtime(asked["kind"])
    witness.arm()
    loading = Loading(asked["threads"], asked["trusted"], asked["device"])
    return load_network(model, loading)


def _segment(
    network: Any, message: dict[str, Any], descriptors: list[int], channel: Channel
) -> dict[str, Any]:
    """One run: HU in the first memory, labels into the second."""
    import numpy as np

    from inference.engine import segment
    from inference.meters import Stopwatch, peak_memory_bytes

    Stopwatch()  # The peak counts from here.
    shape = tuple(message["shape"])
    size = 2 * int(np.prod(shape))
    with mmap.mmap(descriptors[0], size, prot=mmap.PROT_READ) as given:
        volume = np.frombuffer(given, np.int16).reshape(shape)
        found = segment(
            volume.copy(),
            tuple(message["spacing_mm"]),
            network,
            progress=lambda stage, share: channel.send(
                {"type": "progress", "stage": stage, "share": share}
            ),
            cancelled=lambda: False,  # The worker ends the process instead.
        )
        del volume
    with mmap.mmap(descriptors[1], size) as taken:
        labels = np.frombuffer(taken, np.uint16).reshape(shape)
        labels[...] = found.labels
        del labels
    return {
        "type": "done",
        "nodes": [vars(node) for node in found.nodes],
        "timings_s": found.timings_s,
        "provenance": {**found.provenance, "peak_memory_bytes": peak_memory_bytes()},
    }


def _told(error: BaseException) -> dict[str, Any]:
    """What went wrong, in words and by kind."""
    from backend.jobs.model_description import ModelDamaged
    from inference.device import is_out_of_memory

    kind = "error"
    if is_out_of_memory(error):
        kind = "memory"
    elif isinstance(error, ModelDamaged):
        kind = "model"
    elif isinstance(error, ValueError):
        kind = "value"
    said = str(error).strip() or type(error).__name__
    return {"kind": kind, "message": said[:1000]}


if __name__ == "__main__":
    sys.exit(main())
