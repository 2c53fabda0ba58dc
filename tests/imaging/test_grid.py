"""The grid: positions, hashes, and the refusal to compare across grids."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from backend.imaging.grid import Grid, GridMismatch, InvalidGrid, require_same_grid

OBLIQUE = Grid(
    shape=(3, 4, 5),
    spacing_mm=(2.5, 0.7, 0.6),
    origin_mm=(-10.0, 20.0, 30.0),
    row_direction=(0.8, 0.6, 0.0),
    column_direction=(-0.6, 0.8, 0.0),
    sop_uids=("1.2.1", "1.2.2", "1.2.3"),
    frame_of_reference_uid="1.2.0",
)


def test_the_geometry_hash_is_the_frame_uid_and_the_ordered_sop_uids_joined_by_line_feeds() -> None:
    expected = hashlib.sha256(b"1.2.0\n1.2.1\n1.2.2\n1.2.3").hexdigest()
    assert OBLIQUE.geometry_hash == expected


def test_the_geometry_hash_depends_on_the_order_of_the_slices() -> None:
    turned = replace(OBLIQUE, sop_uids=OBLIQUE.sop_uids[::-1])
    assert turned.geometry_hash != OBLIQUE.geometry_hash


def test_a_voxel_lies_where_the_header_says() -> None:
    assert OBLIQUE.to_patient(0, 0, 0) == (-10.0, 20.0, 30.0)
    assert OBLIQUE.to_patient(2, 0, 0) == pytest.approx((-10.0, 20.0, 35.0))
    assert OBLIQUE.to_patient(0, 0, 1) == pytest.approx((-10 + 0.48, 20 + 0.36, 30.0))
    assert OBLIQUE.to_patient(0, 1, 0) == pytest.approx((-10 - 0.42, 20 + 0.56, 30.0))


def test_to_index_undoes_to_patient() -> None:
    assert OBLIQUE.to_index(OBLIQUE.to_patient(1.25, 2.5, -3)) == pytest.approx((1.25, 2.5, -3))


def test_the_nifti_affine_is_the_patient_position_with_x_and_y_turned() -> None:
    z, y, x = 2, 3, 4
    ras = OBLIQUE.affine_ras() @ np.array([x, y, z, 1])
    left, posterior, superior = OBLIQUE.to_patient(z, y, x)
    assert ras[:3] == pytest.approx((-left, -posterior, superior))


@pytest.mark.parametrize(
    ("row", "column", "plane"),
    [
        ((1, 0, 0), (0, 1, 0), "axial"),
        ((1, 0, 0), (0, 0.9703, -0.2419), "axial"),
        ((1, 0, 0), (0, 0, -1), "coronal"),
        ((0, 1, 0), (0, 0, -1), "sagittal"),
        ((1, 0, 0), (0, 0.7071, -0.7071), "oblique"),
    ],
)
def test_the_plane_is_named_from_the_normal(
    row: tuple[float, float, float], column: tuple[float, float, float], plane: str
) -> None:
    assert replace(OBLIQUE, row_direction=row, column_direction=column).plane == plane


def test_a_grid_survives_json() -> None:
    assert Grid.from_json(json.loads(json.dumps(OBLIQUE.to_json()))) == OBLIQUE


def test_a_stored_grid_with_another_hash_is_refused() -> None:
    data = OBLIQUE.to_json() | {"geometry_hash": "0" * 64}
    with pytest.raises(InvalidGrid, match="not that of its images"):
        Grid.from_json(data)


@pytest.mark.parametrize(
    "change",
    [
        {"shape": (3, 0, 5)},
        {"spacing_mm": (2.5, -0.7, 0.6)},
        {"origin_mm": (float("nan"), 0.0, 0.0)},
        {"row_direction": (0.9, 0.6, 0.0)},
        {"column_direction": (0.8, 0.6, 0.0)},
        {"sop_uids": ("1.2.1", "1.2.2")},
        {"sop_uids": ("1.2.1", "1.2.1", "1.2.3")},
    ],
)
def test_a_grid_that_contradicts_itself_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(InvalidGrid, match=r"dicom\.judge"):
        replace(OBLIQUE, **change)  # type: ignore[arg-type]


def test_two_grids_within_tolerance_are_one() -> None:
    require_same_grid(OBLIQUE, replace(OBLIQUE, origin_mm=(-10.0009, 20.0, 30.0)))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"shape": (3, 4, 6)}, "shapes"),
        ({"spacing_mm": (2.502, 0.7, 0.6)}, "spacing"),
        ({"origin_mm": (-10.0, 20.0, 30.0011)}, "origin"),
        ({"row_direction": (0.8003, 0.5996, 0.0)}, "row direction"),
    ],
)
def test_two_grids_that_differ_are_refused_by_the_quantity_that_differs(
    change: dict[str, object], named: str
) -> None:
    with pytest.raises(GridMismatch, match=named):
        require_same_grid(OBLIQUE, replace(OBLIQUE, **change))  # type: ignore[arg-type]
