"""The grid of a series: where each voxel lies in the patient, and which image it belongs to."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Vector: TypeAlias = tuple[float, float, float]
Shape: TypeAlias = tuple[int, int, int]
Plane: TypeAlias = Literal["axial", "coronal", "sagittal", "oblique"]

LENGTH_TOLERANCE_MM = 1e-3
DIRECTION_TOLERANCE = 1e-4
ORTHOGONALITY_TOLERANCE = 1e-3
PLANE_COSINE = 0.9
"""A plane is called axial, coronal or sagittal within arccos(0.9) = 26° of it: a neck CT whose
gantry follows the jaw is still axial."""


class InvalidGrid(ValueError):
    """The grid contradicts itself. Build it from the images again with `dicom.judge`."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"{detail} Build the grid from the images again with dicom.judge.")


class GridMismatch(ValueError):
    """Two masks do not lie on one grid. Resample one onto the other's series before comparing."""

    def __init__(self, detail: str) -> None:
        super().__init__(
            f"The two masks do not lie on one grid: {detail} "
            "Resample one of them onto the other's series, then import it again."
        )


@dataclass(frozen=True)
class Grid:
    """The voxel grid of one series, built from its headers.

    Attributes:
        shape: number of ``(slices, rows, columns)``.
        spacing_mm: distance between neighbouring voxel centres ``(sz, sy, sx)``. ``sz`` is the
            distance between slice positions along the normal, never Slice Thickness.
        origin_mm: LPS position of the centre of voxel ``(0, 0, 0)``.
        row_direction: unit vector along a row (the column index grows), the first three values
            of Image Orientation (Patient).
        column_direction: unit vector along a column (the row index grows), the last three.
        sop_uids: SOP Instance UID of each slice, ascending along the normal.
        frame_of_reference_uid: Frame of Reference UID, or "" where the images carry none (or a
            different one in every slice, as some de-identification leaves it).

    Raises:
        InvalidGrid: when counts, signs or directions contradict one another.
    """

    shape: Shape
    spacing_mm: Vector
    origin_mm: Vector
    row_direction: Vector
    column_direction: Vector
    sop_uids: tuple[str, ...]
    frame_of_reference_uid: str

    def __post_init__(self) -> None:
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise InvalidGrid(f"The shape {self.shape} is not three positive numbers.")
        if len(self.spacing_mm) != 3 or not all(
            math.isfinite(s) and s > 0 for s in self.spacing_mm
        ):
            raise InvalidGrid(f"The spacing {self.spacing_mm} is not three positive lengths.")
        if len(self.origin_mm) != 3 or not all(map(math.isfinite, self.origin_mm)):
            raise InvalidGrid(f"The origin {self.origin_mm} is not a position.")
        fault = orthonormality_fault(self.row_direction, self.column_direction)
        if fault:
            raise InvalidGrid(fault)
        if len(self.sop_uids) != self.shape[0]:
            raise InvalidGrid(f"{self.shape[0]} slices have {len(self.sop_uids)} SOP UIDs.")
        if len(set(self.sop_uids)) != len(self.sop_uids):
            raise InvalidGrid("Two slices carry the same SOP Instance UID.")

    @classmethod
    def axial(
        cls, shape: Shape, spacing_mm: Vector = (1.0, 1.0, 1.0), origin_mm: Vector = (0.0, 0.0, 0.0)
    ) -> Grid:
        """An axial grid with invented UIDs, for phantoms and tests."""
        root = "2.25.1"
        return cls(
            shape=shape,
            spacing_mm=spacing_mm,
            origin_mm=origin_mm,
            row_direction=(1.0, 0.0, 0.0),
            column_direction=(0.0, 1.0, 0.0),
            sop_uids=tuple(f"{root}.{index + 1}" for index in range(shape[0])),
            frame_of_reference_uid=f"{root}.0",
        )

    @cached_property
    def normal(self) -> Vector:
        """Unit vector from one slice to the next: row direction × column direction."""
        normal = np.cross(self.row_direction, self.column_direction)
        normal = normal / np.linalg.norm(normal)
        return (float(normal[0]), float(normal[1]), float(normal[2]))

    @property
    def voxel_mm3(self) -> float:
        """Volume of one voxel in mm³."""
        return math.prod(self.spacing_mm)

    @cached_property
    def geometry_hash(self) -> str:
        """SHA-256 (hex) of which images, in which order, in which frame of reference.

        The bytes hashed are ASCII: the Frame of Reference UID ("" if unknown), then for each slice
        in ascending order one line feed (0x0A) and its SOP Instance UID; no line feed at the end.
        """
        text = "\n".join((self.frame_of_reference_uid, *self.sop_uids))
        return hashlib.sha256(text.encode("ascii")).hexdigest()

    @cached_property
    def plane(self) -> Plane:
        """The anatomical plane of the slices; `oblique` when more than 26° from all three."""
        names: tuple[Plane, Plane, Plane] = ("sagittal", "coronal", "axial")
        cosines = [abs(component) for component in self.normal]
        best = int(np.argmax(cosines))
        return names[best] if cosines[best] >= PLANE_COSINE else "oblique"

    def to_patient(self, z: float, y: float, x: float) -> Vector:
        """LPS position in mm of the (fractional) voxel index ``(slice, row, column)``."""
        steps = (z * self.spacing_mm[0], y * self.spacing_mm[1], x * self.spacing_mm[2])
        axes = (self.normal, self.column_direction, self.row_direction)
        position = [
            self.origin_mm[i] + sum(step * axis[i] for step, axis in zip(steps, axes, strict=True))
            for i in range(3)
        ]
        return (position[0], position[1], position[2])

    def to_index(self, position_mm: Sequence[float]) -> Vector:
        """(Fractional) voxel index ``(slice, row, column)`` of an LPS position in mm."""
        offset = [position_mm[i] - self.origin_mm[i] for i in range(3)]
        axes = (self.normal, self.column_direction, self.row_direction)
        index = [
            sum(offset[i] * axis[i] for i in range(3)) / spacing
            for axis, spacing in zip(axes, self.spacing_mm, strict=True)
        ]
        return (index[0], index[1], index[2])

    def affine_ras(self) -> NDArray[np.float64]:
        """4×4 matrix from the index ``(column, row, slice, 1)`` to RAS mm: a NIfTI sform."""
        affine = np.eye(4)
        affine[:3, 0] = np.multiply(self.row_direction, self.spacing_mm[2])
        affine[:3, 1] = np.multiply(self.column_direction, self.spacing_mm[1])
        affine[:3, 2] = np.multiply(self.normal, self.spacing_mm[0])
        affine[:3, 3] = self.origin_mm
        affine[:2] *= -1
        return affine

    def to_json(self) -> dict[str, Any]:
        """The grid as JSON values; `from_json` reads it back unchanged."""
        return {
            "shape": list(self.shape),
            "spacing_mm": list(self.spacing_mm),
            "origin_mm": list(self.origin_mm),
            "row_direction": list(self.row_direction),
            "column_direction": list(self.column_direction),
            "normal": list(self.normal),
            "plane": self.plane,
            "sop_uids": list(self.sop_uids),
            "frame_of_reference_uid": self.frame_of_reference_uid,
            "geometry_hash": self.geometry_hash,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Grid:
        """Read what `to_json` wrote.

        Raises:
            InvalidGrid: when a value is missing, or the stored geometry hash is not the grid's.
        """
        try:
            slices, rows, columns = (int(n) for n in data["shape"])
            grid = cls(
                shape=(slices, rows, columns),
                spacing_mm=vector(data["spacing_mm"]),
                origin_mm=vector(data["origin_mm"]),
                row_direction=vector(data["row_direction"]),
                column_direction=vector(data["column_direction"]),
                sop_uids=tuple(str(uid) for uid in data["sop_uids"]),
                frame_of_reference_uid=str(data["frame_of_reference_uid"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, InvalidGrid):
                raise
            raise InvalidGrid(f"The stored grid cannot be read ({error!r}).") from error
        stored = data.get("geometry_hash", grid.geometry_hash)
        if stored != grid.geometry_hash:
            raise InvalidGrid(
                f"The stored geometry hash {stored} is not that of its images, "
                f"{grid.geometry_hash}."
            )
        return grid


def vector(values: Iterable[Any]) -> Vector:
    """Three numbers as a tuple of floats."""
    first, second, third = (float(value) for value in values)
    return (first, second, third)


def orthonormality_fault(row: Sequence[float], column: Sequence[float]) -> str:
    """What is wrong with two direction cosines, or "" when they are unit and perpendicular."""
    for name, direction in (("row", row), ("column", column)):
        length = math.hypot(*direction)
        if not abs(length - 1) <= ORTHOGONALITY_TOLERANCE:
            return f"The {name} direction {tuple(direction)} has length {length:.4f}, not 1."
    dot = sum(r * c for r, c in zip(row, column, strict=True))
    if not abs(dot) <= ORTHOGONALITY_TOLERANCE:
        return f"The row and column directions are not perpendicular (cosine {dot:.4f})."
    return ""


def require_same_grid(a: Grid, b: Grid) -> None:
    """Let pass only two grids that put every voxel in the same place.

    Shape must be equal; spacing and origin may differ by 1e-3 mm, directions by 1e-4
    (METHODS.md §0). SOP UIDs may differ: an imported mask can name other images.

    Raises:
        GridMismatch: naming the first quantity that differs.
    """
    if a.shape != b.shape:
        raise GridMismatch(f"the shapes are {a.shape} and {b.shape} (slices, rows, columns).")
    checks = (
        ("spacing", a.spacing_mm, b.spacing_mm, LENGTH_TOLERANCE_MM, " mm"),
        ("origin", a.origin_mm, b.origin_mm, LENGTH_TOLERANCE_MM, " mm"),
        ("row direction", a.row_direction, b.row_direction, DIRECTION_TOLERANCE, ""),
        ("column direction", a.column_direction, b.column_direction, DIRECTION_TOLERANCE, ""),
    )
    for name, ours, theirs, tolerance, unit in checks:
        difference = max(abs(p - q) for p, q in zip(ours, theirs, strict=True))
        if difference > tolerance:
            raise GridMismatch(
                f"the {name} differs by {difference:.6g}{unit} "
                f"({ours} and {theirs}; allowed is {tolerance}{unit})."
            )
