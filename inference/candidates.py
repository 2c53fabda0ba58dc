"""From a probability volume to node candidates: threshold, components, size and tissue gates."""

from __future__ import annotations

from typing import Any

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi


def components(mask: NDArray[np.bool_]) -> NDArray[np.uint32]:
    """Return the 26-connected components of a mask, numbered from 1."""
    labels: NDArray[np.uint32] = cc3d.connected_components(
        mask, connectivity=26, out_dtype="uint32"
    )
    return labels


def inscribed_diameter_mm(mask: NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> float:
    """Return the diameter of the largest ball inside the mask: a quick stand-in for a short axis."""
    distance = ndi.distance_transform_edt(np.pad(mask, 1), sampling=spacing_mm)
    return 2 * float(distance.max())


def keep_labels(labels: NDArray[Any], kept: list[int]) -> NDArray[np.uint16]:
    """Return the map with only these labels, renumbered 1, 2, ... in the given order."""
    table = np.zeros(int(labels.max()) + 1, np.uint16)
    table[kept] = np.arange(1, len(kept) + 1)
    return table[labels]
