"""Cases of a release as training sees them: on the network's grid, in its orientation.

A fetched case is three files in one folder: ``CASE.volume`` (`application/x-concord-volume`),
``CASE.mask`` (the agreed mask, packed) and, where readers left something undecided,
``CASE.ignored``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from backend.imaging.grid import Grid, Vector
from backend.imaging.masks import unpack_mask
from backend.jobs.protocol import parse_volume
from inference.body import NoBody, find_body
from inference.candidates import short_axis_mm
from inference.orientation import Orientation
from inference.resampling import resample, resampled_shape

GRID_MM: Vector = (1.0, 1.0, 1.0)
AIR_HU = -1000
MOST_NODES = 255


@dataclass(frozen=True)
class Fetched:
    """A case on its own grid, turned the networks' way.

    ``image`` is int16 HU, ``labels`` uint16 (1, 2, … without gaps), ``ignored`` bool, all (slices,
    rows, columns); ``nodes`` describes the labels as `inference.scoring` takes them.
    """

    image: NDArray[np.int16]
    labels: NDArray[np.uint16]
    ignored: NDArray[np.bool_] | None
    spacing_mm: Vector
    nodes: list[dict[str, Any]]


def read_fetched(raw: Path, case: str) -> Fetched:
    """Read a fetched case; raises `ValueError` where mask and images do not lie on one grid."""
    header, volume = parse_volume((raw / f"{case}.volume").read_bytes())
    grid = Grid.from_json(header["grid"])
    turning = Orientation.of(grid)
    labels = turning.turn(_mask(raw / f"{case}.mask", grid))
    _, flat = np.unique(labels, return_inverse=True)
    numbered = flat.reshape(labels.shape).astype(np.uint16)
    if labels.size and labels.min() > 0:
        numbered += 1
    path = raw / f"{case}.ignored"
    ignored = turning.turn(_mask(path, grid)) > 0 if path.exists() else None
    spacing = turning.spacing(grid.spacing_mm)
    return Fetched(turning.turn(volume), numbered, ignored, spacing, nodes_of(numbered, spacing))


def nodes_of(labels: NDArray[np.integer[Any]], spacing_mm: Vector) -> list[dict[str, Any]]:
    """Describe every label: short axis in mm, and a voxel of it near its middle.

    What a release says of a node's kind stays with it: neither metastasis nor necrosis is told.
    """
    found = []
    for label, box in enumerate(ndi.find_objects(labels.astype(np.int32)), 1):
        if box is None:
            continue
        mask = labels[box] == label
        voxels = np.argwhere(mask)
        middle = voxels[np.abs(voxels - voxels.mean(axis=0)).sum(axis=1).argmin()]
        found.append(
            {
                "label": label,
                "short_axis_mm": short_axis_mm(mask, spacing_mm[1], spacing_mm[2]),
                "metastatic": False,
                "necrotic": False,
                "centre_mm": [float(part.start + at) for part, at in zip(box, middle, strict=True)],
            }
        )
    return found


def write_for_training(
    raw: Path, case: str, folder: Path, number: int, least: Sequence[int]
) -> None:
    """Write a fetched case as `volumes.read_volume` reads it: cut to the body, 1 mm, padded.

    Args:
        raw: where the fetched files are.
        case: its id.
        folder: where volumes are written; the JSON file is written last.
        number: its number there.
        least: sides (slices, rows, columns) that the volume has at least: those of a patch.
    """
    described = folder / f"{number}.json"
    if described.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    fetched = read_fetched(raw, case)
    try:
        box = find_body(fetched.image, fetched.spacing_mm).box
    except NoBody:
        box = (slice(None), slice(None), slice(None))
    crop = fetched.image[box]
    shape = resampled_shape(crop.shape, fetched.spacing_mm, GRID_MM)
    image = np.rint(resample(crop, fetched.spacing_mm, shape, GRID_MM)).astype(np.int16)
    nearest = np.ix_(*_nearest(crop.shape, fetched.spacing_mm, shape))
    labels = fetched.labels[box][nearest]
    kept = [n for n in np.unique(labels) if n]
    if len(kept) > MOST_NODES:
        raise ValueError(f"A case has {len(kept)} nodes; training takes {MOST_NODES} at most.")
    table = np.zeros(int(labels.max()) + 1, np.uint8)
    table[kept] = np.arange(1, len(kept) + 1)
    padding = [(0, max(0, side - n)) for side, n in zip(least, shape, strict=True)]
    small = np.pad(table[labels], padding)
    np.save(folder / f"{number}.image.npy", np.pad(image, padding, constant_values=AIR_HU))
    np.save(folder / f"{number}.labels.npy", small)
    if fetched.ignored is not None:
        ignored = np.pad(fetched.ignored[box][nearest], padding)
        np.save(folder / f"{number}.ignored.npy", ignored)
    content = {"nodes": nodes_of(small, GRID_MM), "settings": {"case": case}}
    described.write_text(json.dumps(content))


def _nearest(
    shape: Sequence[int], spacing_mm: Sequence[float], target: Sequence[int]
) -> list[NDArray[np.intp]]:
    """Return, for each axis, which voxel each voxel of the 1 mm grid is nearest to."""
    return [
        np.minimum(((np.arange(m) + 0.5) / s).astype(np.intp), n - 1)
        for n, s, m in zip(shape, spacing_mm, target, strict=True)
    ]


def _mask(path: Path, grid: Grid) -> NDArray[np.uint16]:
    mask = unpack_mask(path.read_bytes())
    if mask.geometry_hash != grid.geometry_hash or mask.shape != grid.shape:
        raise ValueError(f"{path.name} does not lie on the grid of its images.")
    return mask.to_volume()
