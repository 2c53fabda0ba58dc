"""A second look at each candidate: is it, as a whole, like a node?

The network judges voxel by voxel; this judges the finished candidate by what a reader looks at: how
sure the network is, how compact it is, what surrounds it, where in the neck it lies, and whether
the other side looks the same. A logistic regression over named features and their squares, fitted
on phantoms, kept as plain numbers in ``model.json``. Everything is measured on the network's 1 mm
grid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import edt
import numpy as np
from numpy.typing import NDArray

from inference.body import Body
from inference.candidates import grown

FEATURES = {
    "mean_logit": "mean logit of its voxels",
    "highest_logit": "highest logit of its voxels",
    "sure_share": "share of its voxels with a probability above 0.9",
    "probability_around": "mean probability of the 2 mm around it",
    "probability_beyond": "mean probability from 2 to 5 mm around it",
    "fat_around": "share of fat in the 2 mm around it",
    "bright_around": "share of vessel or bone in the 2 mm around it",
    "soft_around": "share of soft tissue in the 2 mm around it",
    "air_around": "share of air in the 2 mm around it",
    "alike_around": "share within 25 HU of its own mean in the 2 mm around it",
    "fat_beyond": "share of fat from 2 to 5 mm around it",
    "bright_beyond": "share of vessel or bone from 2 to 5 mm around it",
    "alike_beyond": "share within 25 HU of its own mean from 2 to 5 mm around it",
    "log_volume": "log of its volume",
    "log_inscribed": "log of the diameter of the largest ball inside it",
    "log_sprawl": "log of its volume relative to that ball",
    "log_elongation": "log of its longest to its middle extent",
    "log_flatness": "log of its middle to its shortest extent",
    "mean_hu": "mean HU",
    "spread_hu": "standard deviation of its HU",
    "depth_mm": "how deep its centre lies under the skin in its slice",
    "lateral": "its distance from the midline, as a share of half the body's width",
    "backward": "how far back it lies, as a share of the body's thickness",
    "log_body_width": "log of half the body's width in its slice",
    "log_body_thickness": "log of the body's thickness in its slice",
    "mirror_hu": "mean HU of its mirror image on the other side, less its own",
    "mirror_probability": "mean probability of its mirror image",
}
"""What can be measured of a candidate; a fitted second look names those it uses."""

SHELL_VOXELS, BEYOND_VOXELS = 2, 5
FAT_HU, BRIGHT_HU, AIR_HU = -20, 150, -300
SOFT_HU = (20, 110)
ALIKE_HU = 25
SURE = 0.9

Triple = Sequence[float]


class BodyFrame:
    """Where a voxel of the working grid lies in the body, slice by slice."""

    def __init__(self, body: Body, spacing_mm: Triple, working_mm: Triple) -> None:
        """Take the body found on the native grid; the working grid begins at its box."""
        self.body = body
        self.scale = [float(w / s) for w, s in zip(working_mm, spacing_mm, strict=True)]
        self.start = [int(part.start) for part in body.box]
        self.coarse_mm = [n * s for n, s in zip(body.step, spacing_mm, strict=True)]
        inside = body.depth_mm > 0
        self.columns = [_span(plane.any(axis=0)) for plane in inside]
        self.rows = [_span(plane.any(axis=1)) for plane in inside]

    def _coarse(self, index: float, axis: int) -> float:
        native: float = self.start[axis] + (index + 0.5) * self.scale[axis]
        return native / self.body.step[axis]

    def middle_column(self, z: float) -> float:
        """Return the working column of the body's midline in a slice."""
        low, high = self.columns[self._slice(z)]
        native = (low + high) / 2 * self.body.step[2]
        return (native - self.start[2]) / self.scale[2] - 0.5

    def _slice(self, z: float) -> int:
        return min(len(self.rows) - 1, max(0, int(self._coarse(z, 0))))

    def place(self, centre: Triple) -> dict[str, float]:
        """Return the features of a position: depth, lateral, backward and the body's size."""
        z = self._slice(centre[0])
        y, x = self._coarse(centre[1], 1), self._coarse(centre[2], 2)
        (front, back), (right, left) = self.rows[z], self.columns[z]
        half_width = max((left - right) / 2, 1e-3)
        thickness = max(back - front, 1e-3)
        shape = self.body.depth_mm.shape
        row, column = min(shape[1] - 1, max(0, int(y))), min(shape[2] - 1, max(0, int(x)))
        return {
            "depth_mm": float(self.body.depth_mm[z, row, column]),
            "lateral": abs(x - (left + right) / 2) / half_width,
            "backward": (y - front) / thickness,
            "log_body_width": float(np.log(half_width * self.coarse_mm[2])),
            "log_body_thickness": float(np.log(thickness * self.coarse_mm[1])),
        }


def _span(there: NDArray[np.bool_]) -> tuple[float, float]:
    """Return where a line of voxels begins and ends; all of it where nothing is there."""
    found = np.flatnonzero(there)
    return (float(found[0]), float(found[-1] + 1)) if len(found) else (0.0, float(len(there)))


def candidate_features(
    labels: NDArray[np.integer[Any]],
    label: int,
    box: tuple[slice, slice, slice],
    probability: NDArray[np.float32],
    image_hu: NDArray[Any],
    frame: BodyFrame,
) -> dict[str, float]:
    """Return every one of ``FEATURES`` of one candidate.

    ``labels``, ``probability`` and ``image_hu`` are whole volumes on the 1 mm grid; ``box`` is the
    candidate's bounding box.
    """
    margin = BEYOND_VOXELS + 1
    wide = tuple(slice(max(0, part.start - margin), part.stop + margin) for part in box)
    mask = labels[wide] == label
    near = grown(mask, SHELL_VOXELS)
    far = grown(near, BEYOND_VOXELS - SHELL_VOXELS)
    shell, beyond = near & ~mask, far & ~near
    # Places instead of masks: each is looked for once and used for both volumes.
    inside, nearby, outer = (np.flatnonzero(part) for part in (mask, shell, beyond))
    image, chance = image_hu[wide].ravel(), probability[wide].ravel()
    hu, around, further = image[inside], image[nearby], image[outer]
    score = np.clip(chance[inside].astype(np.float64), 1e-4, 1 - 1e-4)
    logit = np.log(score / (1 - score))
    volume = float(len(inside))
    inscribed = 2 * float(edt.edt(np.pad(labels[box] == label, 1)).max())
    voxels = np.column_stack(np.unravel_index(inside, mask.shape))
    voxels += [part.start for part in wide]
    mean = float(hu.mean())
    shortest, middle, longest = np.sqrt(_variances(voxels))
    mirror_hu, mirror_probability = _mirrored(voxels, probability, image_hu, frame)
    soft = (around > SOFT_HU[0]) & (around < SOFT_HU[1])
    return {
        "mean_logit": float(logit.mean()),
        "highest_logit": float(logit.max()),
        "sure_share": float((score > SURE).mean()),
        "probability_around": _mean(chance[nearby]),
        "probability_beyond": _mean(chance[outer]),
        "fat_around": _mean(around < FAT_HU),
        "bright_around": _mean(around > BRIGHT_HU),
        "soft_around": _mean(soft),
        "air_around": _mean(around < AIR_HU),
        "alike_around": _mean(np.abs(around - mean) < ALIKE_HU),
        "fat_beyond": _mean(further < FAT_HU),
        "bright_beyond": _mean(further > BRIGHT_HU),
        "alike_beyond": _mean(np.abs(further - mean) < ALIKE_HU),
        "log_volume": float(np.log(volume)),
        "log_inscribed": float(np.log(inscribed)),
        "log_sprawl": float(np.log(volume / inscribed**3)),
        "log_elongation": float(np.log(longest / middle)),
        "log_flatness": float(np.log(middle / shortest)),
        "mean_hu": mean,
        "spread_hu": float(hu.std()),
        **frame.place(voxels.mean(axis=0)),
        "mirror_hu": mirror_hu - mean,
        "mirror_probability": mirror_probability,
    }


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if values.size else 0.0


def _variances(voxels: NDArray[Any]) -> NDArray[np.float64]:
    """Return the variances of voxel positions along their principal axes, ascending."""
    spread = voxels - voxels.mean(axis=0)
    values = np.linalg.eigvalsh(spread.T @ spread / len(voxels) + np.eye(3) / 12)
    return np.asarray(values, np.float64)


def _mirrored(
    voxels: NDArray[Any],
    probability: NDArray[np.float32],
    image_hu: NDArray[Any],
    frame: BodyFrame,
) -> tuple[float, float]:
    """Return mean HU and probability of the voxels mirrored about the body's midline."""
    middle = frame.middle_column(float(voxels[:, 0].mean()))
    columns = np.rint(2 * middle - voxels[:, 2]).astype(int)
    columns = np.clip(columns, 0, image_hu.shape[2] - 1)
    there = (voxels[:, 0], voxels[:, 1], columns)
    return float(image_hu[there].mean()), float(probability[there].mean())


def vector(values: Mapping[str, float], names: Sequence[str]) -> NDArray[np.float64]:
    """Return the named features as an array (len(names),)."""
    return np.array([values[name] for name in names], np.float64)


@dataclass(frozen=True)
class SecondLook:
    """A fitted logistic regression: candidates whose score is below ``threshold`` are dropped.

    ``squares`` are the weights of the squared standardised features, beside their own ``weights``.
    """

    names: tuple[str, ...]
    centre: NDArray[np.float64]
    scale: NDArray[np.float64]
    weights: NDArray[np.float64]
    squares: NDArray[np.float64]
    bias: float
    threshold: float

    def score(self, features: Mapping[str, float]) -> float:
        """Return the probability, 0 to 1, that a candidate with these features is a node."""
        x = standardised(vector(features, self.names), self.centre, self.scale)
        linear = float(x @ self.weights + x**2 @ self.squares + self.bias)
        return float(1 / (1 + np.exp(-np.clip(linear, -30, 30))))

    def to_json(self) -> dict[str, Any]:
        """Return what ``from_json`` reads."""

        def numbers(values: NDArray[np.float64]) -> list[float]:
            return [round(float(v), 6) for v in values]

        return {
            "features": list(self.names),
            "centre": numbers(self.centre),
            "scale": numbers(self.scale),
            "weights": numbers(self.weights),
            "squares": numbers(self.squares),
            "bias": round(self.bias, 6),
            "threshold": self.threshold,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> SecondLook:
        """Read a fitted second look; its features must be ones that this code measures."""
        names = tuple(content["features"])
        unknown = [name for name in names if name not in FEATURES]
        if unknown:
            raise ValueError(
                f"The model's second look uses {unknown}, which this code does not measure: it "
                f"measures {list(FEATURES)}. Install the model that belongs to this version."
            )
        return cls(
            names=names,
            centre=np.array(content["centre"], np.float64),
            scale=np.array(content["scale"], np.float64),
            weights=np.array(content["weights"], np.float64),
            squares=np.array(content.get("squares", np.zeros(len(names))), np.float64),
            bias=float(content["bias"]),
            threshold=float(content["threshold"]),
        )


FURTHEST = 4.0
"""Standardised features end here, so that no square runs away with a strange candidate."""


def standardised(
    features: NDArray[np.float64], centre: NDArray[np.float64], scale: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return features (..., n) less their centre, in units of their scale, limited."""
    limited: NDArray[np.float64] = np.clip((features - centre) / scale, -FURTHEST, FURTHEST)
    return limited


def fit(
    features: NDArray[np.float64],
    is_node: NDArray[np.bool_],
    *,
    names: Sequence[str] = tuple(FEATURES),
    ridge: float = 1.0,
    threshold: float = 0.5,
) -> SecondLook:
    """Return the logistic regression of ``is_node`` (n,) on ``features`` (n, len(names)).

    Features are standardised; ``ridge`` is the penalty on the squared weights. Newton's method.
    """
    centre, scale = features.mean(axis=0), features.std(axis=0) + 1e-9
    near = standardised(features, centre, scale)
    x = np.column_stack([near, near**2, np.ones(len(features))])
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
    n = len(centre)
    return SecondLook(tuple(names), centre, scale, beta[:n], beta[n:-1], float(beta[-1]), threshold)
