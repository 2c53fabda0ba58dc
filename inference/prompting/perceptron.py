"""A small perceptron over the features of a voxel: node or not. numpy alone, no network.

It answers clicks where the click network cannot be loaded.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.prompting.features import NAMES, Scene, features
from inference.prompting.seen import Field, Seen

WEIGHTS = Path(__file__).parent / "weights" / "perceptron.json"
LOWEST_LOGIT = -8.0


class PerceptronDamaged(ValueError):
    """The click's weights are not what this code reads. Install the application again."""

    def __init__(self) -> None:
        super().__init__(" ".join((self.__doc__ or "").split()))


@dataclass(frozen=True)
class Perceptron:
    """Layers `(weights, bias)`; ReLU between them; features normalised by centre and scale."""

    centre: NDArray[np.float32]
    scale: NDArray[np.float32]
    layers: tuple[tuple[NDArray[np.float32], NDArray[np.float32]], ...]
    threshold: float
    sha256: str
    facts: dict[str, Any]

    name = "click perceptron"
    version = "2"
    keeps = False
    looks_wide = False

    def logits(self, seen: Seen) -> Field:
        """The logit of "this node" for every voxel of the cube; `LOWEST_LOGIT` in air and bone."""
        scene = Scene.of(seen.hu, seen.blocked, seen.step_mm)
        cells = np.argwhere(scene.candidate)
        found = np.full(seen.hu.shape, LOWEST_LOGIT, np.float32)
        if len(cells):
            values = features(scene, cells, seen.within, seen.beside)
            found[tuple(cells.T)] = self.of_features(values)
        return found

    def of_features(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """The logit for features `(voxels, names)`, above 0 where it is node."""
        values = (features - self.centre) / self.scale
        for number, (weights, bias) in enumerate(self.layers):
            values = values @ weights + bias
            if number < len(self.layers) - 1:
                np.maximum(values, 0, out=values)
        found: NDArray[np.float32] = values[:, 0] - np.float32(self.threshold)
        return found


def read_perceptron(path: Path = WEIGHTS) -> Perceptron:
    """Read weights from their file; raises `PerceptronDamaged`."""
    try:
        text = path.read_bytes()
        content = json.loads(text)
        if tuple(content["features"]) != NAMES:
            raise PerceptronDamaged
        return Perceptron(
            centre=np.array(content["centre"], np.float32),
            scale=np.array(content["scale"], np.float32),
            layers=tuple(
                (np.array(layer["weights"], np.float32), np.array(layer["bias"], np.float32))
                for layer in content["layers"]
            ),
            threshold=float(content["threshold"]),
            sha256=hashlib.sha256(text).hexdigest(),
            facts=dict(content["facts"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PerceptronDamaged from error
