"""Regions of a grid: some voxels in a box as tight as it can be; where they meet, and together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from backend.imaging.grid import Grid, Shape
from backend.imaging.masks import Labels
from backend.imaging.overlap import Mask

Box: TypeAlias = tuple[slice, slice, slice]
Index: TypeAlias = tuple[int, int, int]


@dataclass(frozen=True)
class Region:
    """At least one voxel of a grid: a mask ``(slices, rows, columns)`` inside a half-open box."""

    box: Box
    mask: Mask = field(repr=False)

    @classmethod
    def of(cls, mask: Mask, offset: Sequence[int] = (0, 0, 0)) -> Region | None:
        """The voxels of a crop that begins at `offset`; None where it holds none."""
        parts = []
        for axis in range(3):
            others = tuple(other for other in range(3) if other != axis)
            held = np.flatnonzero(mask.any(axis=others))
            if not held.size:
                return None
            parts.append(slice(int(held[0]), int(held[-1]) + 1))
        tight = (parts[0], parts[1], parts[2])
        moved = [slice(p.start + o, p.stop + o) for p, o in zip(tight, offset, strict=True)]
        return cls((moved[0], moved[1], moved[2]), np.array(mask[tight], np.bool_))

    @property
    def corner(self) -> Index:
        """Index of the box's first voxel."""
        return (self.box[0].start, self.box[1].start, self.box[2].start)

    @property
    def voxels(self) -> int:
        """How many voxels it holds."""
        return int(np.count_nonzero(self.mask))

    def inside(self, box: Box) -> Mask:
        """Where it is within another box."""
        crop = np.zeros([part.stop - part.start for part in box], np.bool_)
        both = meeting(self.box, box)
        if both is not None:
            crop[within(both, box)] = self.mask[within(both, self.box)]
        return crop

    def shared(self, other: Region) -> int:
        """How many voxels it shares with another."""
        return 0 if (both := self.common(other)) is None else both.voxels

    def common(self, other: Region) -> Region | None:
        """The voxels it shares with another; None where there are none."""
        both = meeting(self.box, other.box)
        if both is None:
            return None
        here, there = self.mask[within(both, self.box)], other.mask[within(both, other.box)]
        return Region.of(here & there, [part.start for part in both])

    def place(self, grid: Grid) -> tuple[float, ...]:
        """A key to sort by: from the skull base down, then along y and x, the larger first."""
        z, y, x = np.argwhere(self.mask).mean(axis=0) + self.corner
        right, back, up = grid.to_patient(float(z), float(y), float(x))
        return (-round(up, 6), round(back, 6), round(right, 6), -float(self.voxels))


def meeting(a: Box, b: Box) -> Box | None:
    """The box that two boxes share; None where they do not meet."""
    parts = [slice(max(p.start, q.start), min(p.stop, q.stop)) for p, q in zip(a, b, strict=True)]
    if any(part.start >= part.stop for part in parts):
        return None
    return (parts[0], parts[1], parts[2])


def within(part: Box, box: Box) -> Box:
    """A part of a box, counted from the box's first voxel."""
    moved = [slice(p.start - b.start, p.stop - b.start) for p, b in zip(part, box, strict=True)]
    return (moved[0], moved[1], moved[2])


def union_of(regions: Sequence[Region]) -> Region | None:
    """All voxels of some regions; None for no region."""
    if not regions:
        return None
    parts = [
        slice(min(r.box[axis].start for r in regions), max(r.box[axis].stop for r in regions))
        for axis in range(3)
    ]
    box: Box = (parts[0], parts[1], parts[2])
    return Region(box, np.logical_or.reduce([region.inside(box) for region in regions]))


def planes_of(regions: Mapping[int, Region], shape: Shape) -> dict[int, Labels]:
    """The slices ``(rows, columns)`` that hold any of these regions, each under its label."""
    found: dict[int, Labels] = {}
    for label, region in regions.items():
        for offset, plane in enumerate(region.mask):
            if plane.any():
                index = region.box[0].start + offset
                target = found.setdefault(index, np.zeros(shape[1:], np.uint16))
                target[region.box[1], region.box[2]][plane] = label
    return dict(sorted(found.items()))
