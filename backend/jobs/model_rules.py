"""What a model is shown and what it answers, as a sound model.json says it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

Triple: TypeAlias = tuple[float, float, float]
Sides: TypeAlias = tuple[int, int, int]

OPPOSITE = {"S": "I", "P": "A", "L": "R"}
"""Where an axis may point to, and the other way."""


@dataclass(frozen=True)
class Normalisation:
    """How HU become the network's numbers: mapped window, mean and deviation, or each its own."""

    to: tuple[float, float] | None = None
    mean_std: tuple[float, float] | None = None
    zscore: bool = False


@dataclass(frozen=True)
class InputRule:
    """What the network is shown.

    Attributes:
        axes: where the first, second and third axis point to: S or I, P or A, L or R.
        spacing_mm: of the network's grid, along its axes; None: the series' own.
        window_hu: clipped to this; None: not clipped.
        patch: sides of a window, along its axes; None: the whole volume at once.
        multiple: every side of what it is shown is a multiple of this many voxels.
        crop: whether it is shown the body alone.
    """

    axes: str = "SPL"
    spacing_mm: Triple | None = None
    window_hu: tuple[float, float] | None = None
    normalise: Normalisation | None = None
    patch: Sides | None = None
    overlap: float = 0.5
    multiple: int = 1
    crop: bool = True


@dataclass(frozen=True)
class OutputRule:
    """What the network answers.

    Attributes:
        labels: number → name; with softmax the number is the channel, with sigmoid channel + 1.
        nodes: the labels that are lymph nodes.
        kind: "semantic" (instances are 26-connected components), or "instances" (one channel
            of whole numbers, each a node).
    """

    labels: Mapping[int, str]
    nodes: tuple[int, ...]
    activation: Literal["sigmoid", "softmax"] = "sigmoid"
    threshold: float = 0.5
    min_short_axis_mm: float = 0.0
    kind: Literal["semantic", "instances"] = "semantic"


@dataclass(frozen=True)
class Manifest:
    """A description that was found to be sound; `said` are the keys of input it gave itself."""

    kind: str
    weights: str | None
    input: InputRule
    output: OutputRule
    said: frozenset[str]
