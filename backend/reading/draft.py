"""A mask being edited in memory: the head of a reading with the slices changed so far.

Knows manifests and voxels, and nothing of people or decisions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.imaging.grid import Grid
from backend.imaging.masks import Labels, Manifest, Patch, apply_patch
from backend.imaging.nodes import NodeMeasures, measure_node
from backend.reading.maskstore import plane_of

# Half-open, ``[z0, y0, x0, z1, y1, x1]``.
BoxList = Sequence[int]


@dataclass(frozen=True)
class Touch:
    """What one patch did to one node.

    Attributes:
        added, removed: voxels it gained and lost.
        box: bounding box of all of these, ``[z0, y0, x0, z1, y1, x1]``, half-open.
    """

    added: int
    removed: int
    box: BoxList


class Draft:
    """The mask after the changes applied so far; `manifest.hash` is the head.

    Every step makes a new manifest with the last one as its parent, as the browser does.
    """

    def __init__(self, manifest: Manifest, grid: Grid) -> None:
        self.manifest, self.grid = manifest, grid
        self._planes: dict[int, Labels] = {}

    def plane(self, index: int) -> Labels:
        """One slice of the mask as it is now ``(rows, columns)``."""
        if index in self._planes:
            return self._planes[index]
        return plane_of(self.manifest, self.grid.shape, index)

    def next_version(self) -> None:
        """A version with the same voxels, for a change that is none of voxels."""
        now = self.manifest
        self.manifest = Manifest(now.geometry_hash, now.slices, now.labels, (now.hash,))

    def apply(self, patch: Patch) -> tuple[dict[int, Labels], dict[str, Touch]]:
        """Apply a patch; returns the slices it changed and what it did, by node UUID."""
        after, changed = apply_patch(self.manifest, self.plane, patch)
        touched = _touches({i: (self.plane(i), plane) for i, plane in changed.items()})
        self._planes.update(changed)
        self.manifest = after
        return changed, {after.labels[number]: touch for number, touch in touched.items()}

    def measure(self, node: str, boxes: Iterable[BoxList]) -> NodeMeasures | None:
        """Measure a node again from the crop that holds `boxes`; None when no voxel is left."""
        number = self.manifest.numbers[node]
        box = _union(boxes)
        if box is None:
            return None
        z0, y0, x0, z1, y1, x1 = box
        crop = np.stack([self.plane(z)[y0:y1, x0:x1] == number for z in range(z0, z1)])
        if not crop.any():
            return None
        return measure_node(crop, self.grid, offset=(z0, y0, x0))

    def differs(self, node: str, other: Manifest, boxes: Iterable[BoxList]) -> bool:
        """Whether a node's voxels are not those it has in `other`, looking inside `boxes`.

        Both manifests number the node alike; slices with one hash are not read.
        """
        number = self.manifest.numbers[node]
        box = _union(boxes)
        if box is None:
            return False
        z0, y0, x0, z1, y1, x1 = box
        for z in range(z0, z1):
            if self.manifest.slices.get(z) == other.slices.get(z):
                continue
            here = self.plane(z)[y0:y1, x0:x1] == number
            there = plane_of(other, self.grid.shape, z)[y0:y1, x0:x1] == number
            if not np.array_equal(here, there):
                return True
        return False


def _union(boxes: Iterable[BoxList]) -> list[int] | None:
    known = [list(box) for box in boxes]
    if not known:
        return None
    table = np.array(known)
    return [int(n) for n in (*table[:, :3].min(axis=0), *table[:, 3:].max(axis=0))]


def _touches(planes: Mapping[int, tuple[Labels, Labels]]) -> dict[int, Touch]:
    """Per label number, from (old, new) of every changed slice."""
    added: dict[int, int] = {}
    removed: dict[int, int] = {}
    boxes: dict[int, list[list[int]]] = {}
    for index, (old, new) in planes.items():
        rows, columns = np.nonzero(old != new)
        before, after = old[rows, columns], new[rows, columns]
        for counts, values in ((removed, before), (added, after)):
            for number in np.unique(values):
                if number:
                    at = values == number
                    counts[int(number)] = counts.get(int(number), 0) + int(at.sum())
                    box = _box(index, rows[at], columns[at])
                    boxes.setdefault(int(number), []).append(box)
    return {
        number: Touch(added.get(number, 0), removed.get(number, 0), _union(found) or [])
        for number, found in boxes.items()
    }


def _box(index: int, rows: NDArray[Any], columns: NDArray[Any]) -> list[int]:
    return [
        index,
        int(rows.min()),
        int(columns.min()),
        index + 1,
        int(rows.max()) + 1,
        int(columns.max()) + 1,
    ]


def dice(before: int, touch: Touch) -> float | None:
    """Dice of a node with itself before a patch; None when it had no voxel before and has none."""
    after = before + touch.added - touch.removed
    if before + after == 0:
        return None
    return round(2 * (before - touch.removed) / (before + after), 6)
