"""Where the head is in a CT that goes up into it: no lymph node lies in the skull or high above it.

A candidate in the brain or in an eye is no node, whatever the network says. What bone encloses in a
slice and is soft tissue throughout is brain: rings of ribs and of the mandible enclose fat and air.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cc3d
import edt
import numpy as np
from numpy.typing import NDArray

BONE_HU = 200
BRAIN_HU = (-10, 110)
PURE_SHARE = 0.8
"""So much of it at least lies within these densities, contrast and noise considered."""
HOLE_MM = 9.0
"""Holes of the bone up to this width (foramina, sutures, thin bone) do not open it."""
LEAST_CM2, LEAST_MM, GAP_MM = 15.0, 12.0, 40.0
"""Area in a slice, without a rim of half a hole, and height from which on it is brain; slices whose
bone is open may lie between."""
BONE_MM = 9.0
"""What lies nearer to the brain than this is the bone around it."""
ABOVE_MM = 25.0
"""Nodes of the face, the ear and the nape reach little above the brain's lowest slice."""


def head_of(coarse_hu: NDArray[np.integer[Any]], mm: Sequence[float]) -> NDArray[np.bool_] | None:
    """Return where no node can lie because it is head, None where the scan shows no brain.

    The volume (slices, rows, columns), caudal to cranial, is one of a few mm a voxel.
    """
    brain = np.zeros(coarse_hu.shape, np.bool_)
    for plane, into in zip(coarse_hu, brain, strict=True):
        into[:] = _enclosed(plane, mm[1:])
    there = np.flatnonzero(brain.any(axis=(1, 2)))
    groups = np.split(there, np.flatnonzero(np.diff(there) * mm[0] > GAP_MM) + 1)
    found = max(groups, key=len)
    if len(found) * mm[0] < LEAST_MM:
        return None
    head = np.zeros(brain.shape, np.bool_)
    for z in range(int(found[0]), len(head)):
        nearest = found[np.abs(found - z).argmin()]
        outside = np.ascontiguousarray(~brain[nearest])
        head[z] = edt.edt(outside, anisotropy=tuple(mm[1:])) < HOLE_MM / 2 + BONE_MM
    head[int(found[0] + np.ceil(ABOVE_MM / mm[0])) :] = True
    return head


def _enclosed(plane: NDArray[np.integer[Any]], mm: Sequence[float]) -> NDArray[np.bool_]:
    """Return the largest piece of a slice that bone encloses, if it is brain, less its rim."""
    nothing = np.zeros(plane.shape, np.bool_)
    bone = plane > BONE_HU
    if not bone.any():
        return nothing
    far = edt.edt(np.ascontiguousarray(~bone), anisotropy=tuple(mm)) > HOLE_MM / 2
    pieces = cc3d.connected_components(
        np.pad(far, 1, constant_values=True).view(np.uint8), connectivity=4
    )
    sizes = np.bincount(pieces.ravel())
    sizes[[0, pieces[0, 0]]] = 0
    largest = int(sizes.argmax())
    if sizes[largest] * mm[0] * mm[1] < 100 * LEAST_CM2:
        return nothing
    piece: NDArray[np.bool_] = (pieces == largest)[1:-1, 1:-1]
    hu = plane[piece]
    pure = ((hu > BRAIN_HU[0]) & (hu < BRAIN_HU[1])).mean() >= PURE_SHARE
    return piece if pure else nothing
