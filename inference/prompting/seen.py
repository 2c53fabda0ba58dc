"""What is judged: a cube of images with the clicks on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
Index = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Seen:
    """A cube, and what was said of it.

    Attributes:
        step_mm: side of a voxel.
        hu: density.
        opinion: logit of the protocol's model, where it has one.
        within: clicks in the node, as (fractional) voxel numbers of the cube.
        beside: likewise, those that are not the node.
        before: what was proposed last, or is the node now.
        blocked: other nodes', or outside the images.
        wide: logit of the same judge in a larger, coarser cube, where it was asked before.
    """

    step_mm: float
    hu: Field
    opinion: Field | None
    within: Sequence[Index]
    beside: Sequence[Index]
    before: Bools | None
    blocked: Bools
    wide: Field | None = None


class Judge(Protocol):
    """Who tells what of a cube is the node at the clicks."""

    @property
    def name(self) -> str:
        """What the algorithm is called."""

    @property
    def version(self) -> str:
        """Of the algorithm."""

    @property
    def sha256(self) -> str:
        """Of its weights."""

    @property
    def keeps(self) -> bool:
        """Whether it knows what to leave of its last proposal; a reader's own is kept anyway."""

    @property
    def looks_wide(self) -> bool:
        """Whether it wants to see the larger cube before the small one."""

    def logits(self, seen: Seen) -> Field:
        """The logit of "this node" for every voxel of the cube."""
