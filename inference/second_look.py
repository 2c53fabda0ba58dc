"""A second look at each candidate: is it, as a whole, like a node?

The network judges voxel by voxel; this judges the finished candidate by what a reader looks at: how
sure the network is, how compact it is, and whether fat surrounds it. A logistic regression over a
few named features, fitted on phantoms, kept as plain numbers in ``model.json``.
Everything is measured on the network's 1 mm grid.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import edt
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

FEATURES = (
    "mean_logit",
    "highest_logit",
    "fat_around",
    "bright_around",
    "log_volume",
    "log_inscribed",
    "log_sprawl",
    "mean_hu",
    "spread_hu",
)
"""Mean and highest logit of the candidate's voxels; share of fat and of bright voxels (vessel,
bone) in the 2 mm around it; log of volume, of the largest inscribed ball's diameter and of the
volume relative to that ball; mean and standard deviation of its HU."""

SHELL_VOXELS = 2
FAT_HU, BRIGHT_HU = -20, 150


def candidate_features(
    labels: NDArray[np.integer[Any]],
    label: int,
    box: tuple[slice, slice, slice],
    probability: NDArray[np.float32],
    image_hu: NDArray[Any],
) -> NDArray[np.float64]:
    """Return the features of one candidate, in the order of ``FEATURES``.

    ``labels``, ``probability`` and ``image_hu`` are whole volumes on the 1 mm grid; ``box`` is the
    candidate's bounding box.
    """
    margin = SHELL_VOXELS + 1
    grown = tuple(slice(max(0, part.start - margin), part.stop + margin) for part in box)
    mask = labels[grown] == label
    shell = ndi.binary_dilation(mask, iterations=SHELL_VOXELS) & ~mask
    hu, around = image_hu[grown][mask], image_hu[grown][shell]
    score = np.clip(probability[grown][mask].astype(np.float64), 1e-4, 1 - 1e-4)
    logit = np.log(score / (1 - score))
    volume = float(mask.sum())
    inscribed = 2 * float(edt.edt(np.pad(mask, 1)).max())
    return np.array(
        [
            logit.mean(),
            logit.max(),
            (around < FAT_HU).mean(),
            (around > BRIGHT_HU).mean(),
            np.log(volume),
            np.log(inscribed),
            np.log(volume / inscribed**3),
            hu.mean(),
            hu.std(),
        ]
    )


@dataclass(frozen=True)
class SecondLook:
    """A fitted logistic regression: candidates whose score is below ``threshold`` are dropped."""

    centre: NDArray[np.float64]
    scale: NDArray[np.float64]
    weights: NDArray[np.float64]
    bias: float
    threshold: float

    def score(self, features: NDArray[np.float64]) -> float:
        """Return the probability, 0 to 1, that a candidate with these features is a node."""
        linear = float(((features - self.centre) / self.scale) @ self.weights + self.bias)
        return float(1 / (1 + np.exp(-np.clip(linear, -30, 30))))

    def to_json(self) -> dict[str, Any]:
        """Return what ``from_json`` reads."""
        return {
            "features": list(FEATURES),
            "centre": [round(float(v), 6) for v in self.centre],
            "scale": [round(float(v), 6) for v in self.scale],
            "weights": [round(float(v), 6) for v in self.weights],
            "bias": round(self.bias, 6),
            "threshold": self.threshold,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> SecondLook:
        """Read a fitted second look; its features must be the ones this code measures."""
        if tuple(content["features"]) != FEATURES:
            raise ValueError(
                f"The model's second look uses {content['features']}, this code measures "
                f"{list(FEATURES)}. Install the model that belongs to this version."
            )
        return cls(
            centre=np.array(content["centre"], np.float64),
            scale=np.array(content["scale"], np.float64),
            weights=np.array(content["weights"], np.float64),
            bias=float(content["bias"]),
            threshold=float(content["threshold"]),
        )


def fit(
    features: NDArray[np.float64],
    is_node: NDArray[np.bool_],
    *,
    ridge: float = 1.0,
    threshold: float = 0.5,
) -> SecondLook:
    """Return the logistic regression of ``is_node`` (n,) on ``features`` (n, len(FEATURES)).

    Features are standardised; ``ridge`` is the penalty on the squared weights. Newton's method.
    """
    centre, scale = features.mean(axis=0), features.std(axis=0) + 1e-9
    x = np.column_stack([(features - centre) / scale, np.ones(len(features))])
    penalty = ridge * np.eye(x.shape[1])
    penalty[-1, -1] = 1e-6
    beta = np.zeros(x.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(x @ beta, -30, 30)))
        gradient = x.T @ (p - is_node) + penalty @ beta
        curvature = (x * (p * (1 - p))[:, None]).T @ x + penalty
        step = np.linalg.solve(curvature, gradient)
        beta -= step
        if np.abs(step).max() < 1e-9:
            break
    return SecondLook(centre, scale, beta[:-1], float(beta[-1]), threshold)
