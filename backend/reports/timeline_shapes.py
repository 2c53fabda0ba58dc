"""Shapes of a node's life read from stored masks: how they differ, and on which slice to look."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from backend.archive.models import Instance
from backend.archive.volume import hounsfield
from backend.errors import Missing
from backend.imaging.grid import Grid
from backend.imaging.masks import Manifest
from backend.imaging.nodes import NodeMeasures, measure_node
from backend.reading import maskstore
from backend.reading.models import Case, Mask
from backend.reports.timeline_crops import Box, View, crop
from backend.reports.timeline_steps import Shape

# Everything here follows from hashes, so what is kept is never stale.
_KEPT_DIFFERENCES, _KEPT_PICTURES, _KEPT_MANIFESTS = 2048, 256, 512

Voxels = NDArray[np.bool_]


@dataclass(frozen=True)
class Difference:
    """Two shapes beside each other: what each measures, what lies between, where to look."""

    before: NodeMeasures | None
    after: NodeMeasures | None
    added: int
    removed: int
    dice: float | None
    slice_index: int

    @property
    def changed(self) -> bool:
        """Whether a voxel differs."""
        return bool(self.added or self.removed)


def manifest_of(case: Case, mask: str) -> Manifest | None:
    """The manifest of a mask of this case."""
    return _manifest(case.pk, mask)


@lru_cache(maxsize=_KEPT_MANIFESTS)
def _manifest(case: UUID, mask: str) -> Manifest | None:
    found = Mask.objects.filter(case=case, hash=mask).first()
    return found.manifest if found else None


def difference(case: Case, before: Shape | None, after: Shape | None, box: Box) -> Difference:
    """How two shapes differ inside a box ``(z0, y0, x0, z1, y1, x1)`` that holds both."""
    return _difference(case.pk, before, after, box)


@lru_cache(maxsize=_KEPT_DIFFERENCES)
def _difference(case: UUID, before: Shape | None, after: Shape | None, box: Box) -> Difference:
    found = Case.objects.get(pk=case)
    grid: Grid = found.grid
    a, b = _voxels(found, before, box), _voxels(found, after, box)
    measured = [_measure(one, grid, box) for one in (a, b)]
    both = int(np.count_nonzero(a & b))
    sizes = int(np.count_nonzero(a)), int(np.count_nonzero(b))
    return Difference(
        before=measured[0],
        after=measured[1],
        added=sizes[1] - both,
        removed=sizes[0] - both,
        dice=2 * both / sum(sizes) if all(sizes) else None,
        slice_index=_where(a, b, measured, box[0]),
    )


def _where(a: Voxels, b: Voxels, measured: Sequence[NodeMeasures | None], first: int) -> int:
    """The slice with the largest change; where nothing changed, the one that gave the axes.

    A shape alone changes nothing. `first` is the index of the first slice of the arrays.
    """
    alone = [found for found in measured if found is not None]
    changed = np.count_nonzero(a ^ b, axis=(1, 2))
    if alone and (len(alone) == 1 or not changed.any()):
        return alone[-1].slice_index
    return int(changed.argmax()) + first


def _measure(voxels: Voxels, grid: Grid, box: Box) -> NodeMeasures | None:
    return measure_node(voxels, grid, offset=(box[0], box[1], box[2])) if voxels.any() else None


def _voxels(case: Case, shape: Shape | None, box: Box) -> Voxels:
    z0, y0, x0, z1, y1, x1 = box
    voxels = np.zeros((z1 - z0, y1 - y0, x1 - x0), np.bool_)
    for index in range(z0, z1):
        plane = plane_of(case, shape, index)
        if plane is not None:
            voxels[index - z0] = plane[y0:y1, x0:x1]
    return voxels


def plane_of(case: Case, shape: Shape | None, index: int) -> Voxels | None:
    """A shape on one slice ``(rows, columns)``; None where there is no shape."""
    if shape is None:
        return None
    planes = []
    for mask, nodes in shape.parts:
        manifest = manifest_of(case, mask)
        if manifest is None:
            raise Missing("mask")
        labels = [manifest.numbers[node] for node in nodes if node in manifest.numbers]
        planes.append(np.isin(maskstore.plane_of(manifest, case.grid.shape, index), labels))
    together = np.logical_and if shape.shared else np.logical_or
    found: Voxels = together.reduce(planes)
    return found


def nodes_in(case: Case, mask: str, box: Sequence[int]) -> tuple[str, ...]:
    """UUIDs of a mask's nodes that reach into a box, by their number in it."""
    manifest = manifest_of(case, mask)
    if manifest is None:
        return ()
    z0, y0, x0, z1, y1, x1 = box
    found: set[int] = set()
    for index in range(z0, z1):
        plane = maskstore.plane_of(manifest, case.grid.shape, index)
        found.update(int(label) for label in np.unique(plane[y0:y1, x0:x1]) if label)
    return tuple(manifest.labels[label] for label in sorted(found))


def box_of(case: Case, boxes: Iterable[Sequence[int]], shapes: Iterable[Shape | None]) -> Box:
    """A box that holds all boxes, and every shape of a mask that holds nothing else.

    Shapes drawn anew while settling are in no node's box; their masks have few slices.
    """
    found = [tuple(box) for box in boxes]
    alone = {
        mask
        for shape in shapes
        if shape is not None
        for mask in shape.masks
        if Mask.objects.filter(case=case, hash=mask, kind="redrawn").exists()
    }
    for mask in sorted(alone):
        manifest = manifest_of(case, mask)
        if manifest is None:
            continue
        for index in manifest.slices:
            rows, columns = np.nonzero(maskstore.plane_of(manifest, case.grid.shape, index))
            ends = rows.min(), columns.min(), rows.max() + 1, columns.max() + 1
            found.append((index, *map(int, ends[:2]), index + 1, *map(int, ends[2:])))
    if not found:
        return (0, 0, 0, *case.grid.shape)
    low = [min(box[axis] for box in found) for axis in range(3)]
    high = [max(box[axis] for box in found) for axis in range(3, 6)]
    return (low[0], low[1], low[2], high[0], high[1], high[2])


def picture(case: Case, before: Shape | None, after: Shape | None, index: int, view: View) -> bytes:
    """SVG of one slice with both shapes; raises `Missing` for a slice or mask it has not."""
    if not 0 <= index < case.grid.shape[0]:
        raise Missing("slice")
    return _picture(case.pk, before, after, index, view)


@lru_cache(maxsize=_KEPT_PICTURES)
def _picture(
    case: UUID, before: Shape | None, after: Shape | None, index: int, view: View
) -> bytes:
    found = Case.objects.get(pk=case)
    image = Instance.objects.get(series_id=found.series_id, sop_uid=found.grid.sop_uids[index])
    return crop(
        hounsfield(image),
        found.grid,
        view,
        before=plane_of(found, before, index),
        after=plane_of(found, after, index),
    )
