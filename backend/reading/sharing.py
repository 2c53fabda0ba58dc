"""Who gets a voxel that more than one shape claims. Pure.

The rule has the name `DEEPER`: the voxel goes to the shape it lies deeper in, and where it lies
equally deep to the one that comes first. A shape that lost all its voxels that way takes them back
from every shape that keeps one without them, the smallest such shape first; what still has none is
covered: all its voxels lie on shapes that are wholly inside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from backend.imaging.fusion import Distances, signed_distance_mm
from backend.imaging.grid import Vector
from backend.imaging.regions import Index, Region

DEEPER = "deeper_else_first"
# Depths that differ by less are equal.
DIGITS_MM = 6

Claimants: TypeAlias = Mapping[Index, Sequence[int]]


@dataclass(frozen=True)
class Shares:
    """What every shape keeps, in the given order; None for one that is covered.

    Attributes:
        contested: how many voxels more than one shape claimed.
    """

    kept: tuple[Region | None, ...]
    contested: int


def share_out(regions: Sequence[Region], spacing_mm: Vector) -> Shares:
    """Give every voxel to one shape; earlier shapes come first."""
    claimants = _claimants(regions)
    concerned = {place for places in claimants.values() for place in places}
    depths: dict[int, Distances] = {
        place: np.round(signed_distance_mm(regions[place].mask, spacing_mm), DIGITS_MM)
        for place in concerned
    }

    def depth(place: int, voxel: Index) -> float:
        return float(depths[place][_index(regions[place], voxel)])

    holder = {
        voxel: min(places, key=lambda place: (depth(place, voxel), place))
        for voxel, places in claimants.items()
    }
    _take_back(regions, claimants, holder)
    kept: list[Region | None] = list(regions)
    for place in concerned:
        mask = regions[place].mask.copy()
        for voxel, places in claimants.items():
            if place in places and holder[voxel] != place:
                mask[_index(regions[place], voxel)] = False
        kept[place] = Region.of(mask, regions[place].corner)
    return Shares(tuple(kept), len(claimants))


def _claimants(regions: Sequence[Region]) -> dict[Index, list[int]]:
    """Every voxel that more than one region holds → the places of these, ascending."""
    found: dict[Index, set[int]] = {}
    for later, region in enumerate(regions):
        for earlier in range(later):
            both = region.common(regions[earlier])
            if both is None:
                continue
            for z, y, x in (np.argwhere(both.mask) + both.corner).tolist():
                found.setdefault((z, y, x), set()).update((earlier, later))
    return {voxel: sorted(found[voxel]) for voxel in sorted(found)}


def _take_back(regions: Sequence[Region], claimants: Claimants, holder: dict[Index, int]) -> None:
    """Give voxels back to shapes that lost all, emptying no other."""
    left = [region.voxels for region in regions]
    for voxel, places in claimants.items():
        for place in places:
            left[place] -= place != holder[voxel]
    lost = [place for place, count in enumerate(left) if not count]
    for place in sorted(lost, key=lambda place: (regions[place].voxels, place)):
        held: dict[int, list[Index]] = {}
        for voxel, places in claimants.items():
            if place in places:
                held.setdefault(holder[voxel], []).append(voxel)
        for other, voxels in held.items():
            if left[other] > len(voxels):
                holder.update(dict.fromkeys(voxels, place))
                left[other] -= len(voxels)
                left[place] += len(voxels)


def _index(region: Region, voxel: Index) -> Index:
    z, y, x = region.corner
    return (voxel[0] - z, voxel[1] - y, voxel[2] - x)
