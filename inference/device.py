"""Where a torch network runs: which device, in which precision, and what follows where memory ends.

GPU at once → GPU in smaller and smaller windows → processor in windows. Only running out of memory
leads on; every other error is an error. Each step taken is kept for the provenance.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

logger = logging.getLogger(__name__)

TILES = (160, 128, 96, 64)
NVIDIA = Path("/dev/nvidiactl")
T = TypeVar("T")


class NoSuchDevice(ValueError):
    """The device that was asked for is not there. Use `--device cpu`, or install its driver."""

    def __init__(self, device: str) -> None:
        super().__init__(
            f"There is no device {device} here that torch can use. "
            "Use `--device cpu`, or install the GPU's driver and a torch built for it."
        )


@dataclass(frozen=True)
class Step:
    """One way to run: device, precision, sides of a window (None: all at once)."""

    device: str
    precision: str
    window: tuple[int, int, int] | None

    def to_json(self) -> dict[str, Any]:
        """For the provenance."""
        window = list(self.window) if self.window else None
        return {"device": self.device.upper(), "precision": self.precision, "window": window}


def probe(wanted: str = "auto") -> str:
    """The device to use: "cuda" or "cpu"; raises `NoSuchDevice` where a GPU was demanded in vain.

    Does not import torch where the system has no GPU at all.
    """
    if wanted == "cpu" or (wanted == "auto" and not NVIDIA.exists()):
        return "cpu"
    try:
        import torch

        there = bool(torch.cuda.is_available())
    except ImportError:
        there = False
    if there:
        return "cuda"
    if wanted == "auto":
        return "cpu"
    raise NoSuchDevice(wanted)


def precision_of(device: str) -> str:
    """What a network computes in there: bf16 or fp16 on a GPU, float32 on a processor."""
    if device != "cuda":
        return "f32"
    import torch

    return "bf16" if torch.cuda.is_bf16_supported() else "fp16"


def steps_for(
    device: str,
    shape: Sequence[int],
    patch: tuple[int, int, int] | None,
    multiple: int,
    tiles: Sequence[int] = TILES,
) -> list[Step]:
    """The steps from the first choice down, for an image of that shape on the network's grid."""
    first = Step(device, precision_of(device), patch)
    steps = [first]
    sides = patch or (int(shape[0]), int(shape[1]), int(shape[2]))
    for place in [device] if device == "cpu" else [device, "cpu"]:
        for tile in tiles:
            window = _within(tile, sides, multiple)
            step = Step(place, precision_of(place), window)
            smaller = window != sides or (place != device and tile == tiles[-1])
            if smaller and step not in steps:
                steps.append(step)
    return steps


def _within(tile: int, sides: Sequence[int], multiple: int) -> tuple[int, int, int]:
    """A window of at most `tile` along each side, in whole multiples."""
    z, y, x = (
        side if side <= tile else max(multiple, tile // multiple * multiple) for side in sides
    )
    return (z, y, x)


@dataclass
class Ladder:
    """Tries step after step until one has memory enough; keeps what it went through."""

    steps: Sequence[Step]
    fallen: list[dict[str, Any]] = field(default_factory=list)

    def climb_down(self, attempt: Callable[[Step], T]) -> tuple[T, Step]:
        """The first result there is memory for; raises what is not a lack of memory, as it is."""
        for number, step in enumerate(self.steps):
            try:
                return attempt(step), step
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error) or number == len(self.steps) - 1:
                    raise
                said = str(error).strip().splitlines() or [type(error).__name__]
                said.sort(key=lambda line: "memory" not in line)  # TorchScript says it last.
            logger.warning("out of memory on %s; trying the next step", step)
            self.fallen.append({**step.to_json(), "why": said[0][:200]})
            _free(step.device)
        raise AssertionError("a ladder has at least one step")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ended, of a GPU or of the processor, and nothing else."""
    if isinstance(error, MemoryError):
        return True
    name = type(error).__name__
    text = str(error)
    return name == "OutOfMemoryError" or (
        isinstance(error, RuntimeError)
        and ("can't allocate memory" in text or "not enough memory: you tried" in text)
    )


def _free(device: str) -> None:
    """Give back what the failed step had taken."""
    import gc

    gc.collect()
    if device == "cuda":
        import torch

        torch.cuda.empty_cache()
