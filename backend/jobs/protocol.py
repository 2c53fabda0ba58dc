"""What web and worker say to each other. Pure: shared by both, knows neither Django nor torch.

The queue carries a run's UUID and nothing else. The worker says `claim` on its socket, is answered
with a lease, fetches the series over HTTP, puts mask and result over HTTP, and announces
`mask_ready`. Web alone writes a run's state, by the table below.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

TASK_NAME = "inference.run"
QUEUE = "inference"
PROMPT_QUEUE = "prompt"
TRAINING_QUEUE = "training"
WORK_QUEUE = "work"
MAX_ATTEMPTS = 3
# A proposal stands in patches as this node, whatever it becomes later.
PROPOSED_NODE = "00000000-0000-4000-8000-000000000000"
MAX_PROMPT_ATTEMPTS = 2
VOLUME_MEDIA_TYPE = "application/x-concord-volume"
MASK_MEDIA_TYPE = "application/x-concord-mask"
STALE_ATTEMPT = "STALE_ATTEMPT"

# Stages of a run, in order, as progress names them; and the share of the whole each one takes.
STAGE_SHARE = {
    "fetch": 0.15,
    "decode": 0.05,
    "preprocess": 0.15,
    "infer": 0.35,
    "postprocess": 0.15,
    "measure": 0.05,
    "upload": 0.08,
    "announce": 0.02,
}
STAGES = tuple(STAGE_SHARE)
# The same of a training run.
TRAINING_STAGE_SHARE = {
    "fetch": 0.08,
    "prepare": 0.07,
    "train": 0.75,
    "seal": 0.02,
    "evaluate": 0.08,
}

# Session-level advisory locks of Postgres by which the sweep sees who lives. The first key is one
# of these; the second is the worker's own number, or the queue's job number (both below 2^31).
WORKER_LOCK = 0x434E5257
JOB_LOCK = 0x434E4A42
LOCK_NUMBER_MASK = 0x7FFFFFFF

HEARTBEAT_SECONDS = 1.0

# What a worker says of its machine with a heartbeat; numbers, those it knows.
# Shares are 0…1: of all processors, of the GPU. Memory in bytes: this process, its limit, the GPU.
GAUGE = frozenset(
    {
        "cpu",
        "memory_bytes",
        "memory_limit_bytes",
        "gpu",
        "gpu_memory_bytes",
        "gpu_memory_limit_bytes",
    }
)


class RunKind(StrEnum):
    """What a run is for."""

    PRESEGMENT = "presegment"
    PROMPT = "prompt"
    # A model tried on a case: nothing of the case changes, and no reader hears of it.
    TRIAL = "trial"
    # A new version of a model made of a release; it opens many series and gives no mask.
    TRAIN = "train"

    @property
    def queue(self) -> str:
        """The queue its jobs wait in: nothing waits behind a training, no prompt behind a study."""
        queues = {RunKind.PROMPT: PROMPT_QUEUE, RunKind.TRAIN: TRAINING_QUEUE}
        return queues.get(self, QUEUE)

    @property
    def stage_share(self) -> dict[str, float]:
        """Its stages in order, and the share of the whole each one takes."""
        return TRAINING_STAGE_SHARE if self is RunKind.TRAIN else STAGE_SHARE

    @property
    def needs_the_model(self) -> bool:
        """Whether only a worker that holds the very model can do it."""
        return self is not RunKind.TRAIN

    @property
    def of_one_series(self) -> bool:
        """Whether it is done on the grid of one series."""
        return self is not RunKind.TRAIN

    @property
    def attempts(self) -> int:
        """How often it is tried."""
        return MAX_PROMPT_ATTEMPTS if self is RunKind.PROMPT else MAX_ATTEMPTS

    @property
    def priority(self) -> int:
        """Which of its queue goes first: a trial waits while a study does."""
        return -10 if self is RunKind.TRIAL else 0


class RunState(StrEnum):
    """Where a run stands."""

    QUEUED = "queued"
    LEASED = "leased"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    DEAD = "dead"
    CANCELLED = "cancelled"


class RunAction(StrEnum):
    """What can happen to a run."""

    CLAIM = "claim"
    PROGRESS = "progress"
    SUCCEED = "succeed"
    FAIL = "fail"
    LOSE = "lose"
    REQUEUE = "requeue"
    GIVE_UP = "give_up"
    CANCEL = "cancel"


TRANSITIONS: dict[tuple[RunState, RunAction], RunState] = {
    (RunState.QUEUED, RunAction.CLAIM): RunState.LEASED,
    (RunState.QUEUED, RunAction.CANCEL): RunState.CANCELLED,
    (RunState.QUEUED, RunAction.GIVE_UP): RunState.DEAD,
    (RunState.LEASED, RunAction.PROGRESS): RunState.RUNNING,
    (RunState.RUNNING, RunAction.PROGRESS): RunState.RUNNING,
    (RunState.LEASED, RunAction.SUCCEED): RunState.SUCCEEDED,
    (RunState.RUNNING, RunAction.SUCCEED): RunState.SUCCEEDED,
    (RunState.LEASED, RunAction.FAIL): RunState.FAILED,
    (RunState.RUNNING, RunAction.FAIL): RunState.FAILED,
    (RunState.LEASED, RunAction.LOSE): RunState.FAILED,
    (RunState.RUNNING, RunAction.LOSE): RunState.FAILED,
    (RunState.LEASED, RunAction.CANCEL): RunState.CANCELLED,
    (RunState.RUNNING, RunAction.CANCEL): RunState.CANCELLED,
    (RunState.FAILED, RunAction.REQUEUE): RunState.QUEUED,
    (RunState.FAILED, RunAction.GIVE_UP): RunState.DEAD,
    (RunState.DEAD, RunAction.REQUEUE): RunState.QUEUED,
    (RunState.CANCELLED, RunAction.REQUEUE): RunState.QUEUED,
}
LIVE = frozenset({RunState.LEASED, RunState.RUNNING})
ENDED = frozenset({RunState.SUCCEEDED, RunState.DEAD, RunState.CANCELLED})


class RunStepRefused(ValueError):
    """That is not possible in the state the run is in."""


def held_queue(queue: str, description: str) -> str:
    """Where jobs of a queue wait for a worker that holds the model with this description hash."""
    return f"{queue}:{description[:16]}"


def next_state(state: RunState, action: RunAction) -> RunState:
    """Where `action` leads from `state`; raises `RunStepRefused`, naming what is possible."""
    try:
        return TRANSITIONS[state, action]
    except KeyError:
        possible = ", ".join(a for (s, a) in TRANSITIONS if s == state) or "nothing"
        raise RunStepRefused(
            f"Cannot {action} a run that is {state}. Possible now: {possible}."
        ) from None


def overall_progress(stage: str, fraction: float, kind: RunKind = RunKind.PRESEGMENT) -> float:
    """How much of a whole run is done, 0…1, `fraction` of the way through `stage`."""
    done = 0.0
    for name, share in kind.stage_share.items():
        if name == stage:
            return min(1.0, done + share * min(max(fraction, 0.0), 1.0))
        done += share
    return 0.0


class VolumeDamaged(ValueError):
    """The volume that arrived is not whole. Fetch the series again."""


def volume_header(
    grid: dict[str, Any], rescale: Iterable[tuple[float, float]], facts: dict[str, Any]
) -> bytes:
    """The start of an `application/x-concord-volume` answer; the frames follow it.

    Args:
        grid: `imaging.grid.Grid.to_json()`; its shape is (slices, rows, columns).
        rescale: (slope, intercept) of each slice, in grid order.
        facts: what a model may want to know of the series (modality, contrast, thickness).
    """
    text = json.dumps({"grid": grid, "rescale": [list(r) for r in rescale], "facts": facts})
    return struct.pack("<I", len(text.encode())) + text.encode()


def parse_volume(body: bytes | memoryview) -> tuple[dict[str, Any], npt.NDArray[np.int16]]:
    """Header and volume in HU, int16 (slices, rows, columns); raises `VolumeDamaged`.

    Frames are stored values, little-endian int16, in grid order; the rescale is applied here.
    """
    view = memoryview(body)
    if len(view) < 4:
        raise VolumeDamaged(VolumeDamaged.__doc__)
    (length,) = struct.unpack("<I", view[:4])
    try:
        header: dict[str, Any] = json.loads(bytes(view[4 : 4 + length]))
        shape = tuple(header["grid"]["shape"])
    except (ValueError, KeyError, TypeError):
        raise VolumeDamaged(VolumeDamaged.__doc__) from None
    frames = np.frombuffer(view[4 + length :], dtype="<i2")
    if frames.size != int(np.prod(shape)):
        raise VolumeDamaged(VolumeDamaged.__doc__)
    stored = frames.reshape(shape)
    return header, _in_hounsfield(stored, header["rescale"])


def _in_hounsfield(
    stored: npt.NDArray[np.int16], rescale: list[list[float]]
) -> npt.NDArray[np.int16]:
    if all(slope == 1 and intercept == 0 for slope, intercept in rescale):
        return stored.astype(np.int16, copy=False)
    volume = np.empty(stored.shape, dtype=np.int16)
    for index, (slope, intercept) in enumerate(rescale):
        values = stored[index].astype(np.float32) * slope + intercept
        volume[index] = np.clip(np.rint(values), -32768, 32767).astype(np.int16)
    return volume


def messages(text: str) -> Iterator[dict[str, Any]]:
    """The JSON object of one socket message, or nothing if it is not one."""
    try:
        message = json.loads(text)
    except ValueError:
        return
    if isinstance(message, dict) and isinstance(message.get("type"), str):
        yield message
