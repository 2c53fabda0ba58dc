"""What web and worker say to each other. Pure: shared by both, knows neither Django nor torch.

The queue carries a run's UUID and nothing else. The worker says `claim` on its socket, is answered
with a lease, fetches the series over HTTP, puts mask and result over HTTP, and announces
`mask_ready`. Web alone writes a run's state, by the table below.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

TASK_NAME = "inference.run"
QUEUE = "inference"
PROMPT_QUEUE = "prompt"
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

# Session-level advisory locks of Postgres by which the sweep sees who lives. The first key is one
# of these; the second is the worker's own number, or the queue's job number (both below 2^31).
WORKER_LOCK = 0x434E5257
JOB_LOCK = 0x434E4A42
LOCK_NUMBER_MASK = 0x7FFFFFFF

HEARTBEAT_SECONDS = 1.0


class RunKind(StrEnum):
    """What a run is for."""

    PRESEGMENT = "presegment"
    PROMPT = "prompt"

    @property
    def queue(self) -> str:
        """The queue its jobs wait in: a prompt never waits behind a pre-segmentation."""
        return PROMPT_QUEUE if self is RunKind.PROMPT else QUEUE

    @property
    def attempts(self) -> int:
        """How often it is tried."""
        return MAX_PROMPT_ATTEMPTS if self is RunKind.PROMPT else MAX_ATTEMPTS


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


def next_state(state: RunState, action: RunAction) -> RunState:
    """Where `action` leads from `state`; raises `RunStepRefused`, naming what is possible."""
    try:
        return TRANSITIONS[state, action]
    except KeyError:
        possible = ", ".join(a for (s, a) in TRANSITIONS if s == state) or "nothing"
        raise RunStepRefused(
            f"Cannot {action} a run that is {state}. Possible now: {possible}."
        ) from None


def overall_progress(stage: str, fraction: float) -> float:
    """How much of a whole run is done, 0…1, `fraction` of the way through `stage`."""
    done = 0.0
    for name, share in STAGE_SHARE.items():
        if name == stage:
            return min(1.0, done + share * min(max(fraction, 0.0), 1.0))
        done += share
    return 0.0


class ModelDamaged(ValueError):
    """The model's files are not what its model.json names. Install its folder again."""


@dataclass(frozen=True)
class ModelFolder:
    """A model as a folder: `model.json` and the files it names with their SHA-256.

    Attributes:
        folder: name of the folder below `CONCORD_MODELS`.
        sha256: of the weights; of the list of files where there are no single weights.
        manifest: everything model.json says.
    """

    folder: str
    name: str
    version: str
    kind: str
    sha256: str
    notice: str
    manifest: dict[str, Any]


def read_model_folder(path: Path) -> ModelFolder:
    """Read a model folder and verify every file it names; raises `ModelDamaged`."""
    try:
        manifest = json.loads((path / "model.json").read_text())
        files: dict[str, str] = dict(manifest["files"])
        name, version, kind = (str(manifest[key]) for key in ("name", "version", "kind"))
    except FileNotFoundError:
        raise ModelDamaged(
            f"There is no model in the folder {path.name}: model.json is missing. Install the "
            "model's folder there, then retry."
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelDamaged(
            f"model.json of {path.name} cannot be read ({error!r}). Install its folder again."
        ) from None
    for file, expected in files.items():
        _verify_file(path, file, expected)
    listed = json.dumps(files, sort_keys=True, separators=(",", ":")).encode()
    weights = files.get(manifest.get("weights", "weights.safetensors"))
    return ModelFolder(
        folder=path.name,
        name=name,
        version=version,
        kind=kind,
        sha256=weights or hashlib.sha256(listed).hexdigest(),
        notice=str(manifest.get("notice") or manifest.get("intended_use") or ""),
        manifest=manifest,
    )


def _verify_file(folder: Path, name: str, expected: str) -> None:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ModelDamaged(f"model.json of {folder.name} names {name}, outside its folder.")
    if not path.is_file():
        raise ModelDamaged(
            f"{name} of the model {folder.name} is missing. Install its folder again."
        )
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != expected:
        raise ModelDamaged(
            f"{name} of the model {folder.name} is not the file that model.json names. "
            "Install its folder again."
        )


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
