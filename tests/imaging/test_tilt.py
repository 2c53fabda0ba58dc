"""A tilted stack sheared straight: every voxel where it was in the patient, spheres unharmed."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from backend.imaging.dicom import SeriesRefused, SliceFacts, judge
from backend.imaging.grid import vector
from backend.imaging.tilt import OUTSIDE_HU, sheared, straighten

ROWS, COLUMNS = 96, 80
PIXEL_MM, STEP_MM = 1.0, 1.5
# Centre (LPS mm) and radius of each sphere, at 100 HU in water.
SPHERES = (((38.0, 40.0, 24.0), 10.0), ((20.0, 62.0, 36.0), 6.0), ((60.0, 30.0, 30.0), 4.0))


def tilted(count: int = 40, degrees: float = 15.0) -> list[SliceFacts]:
    """Slices of a gantry tilted about the x axis, along a couch that moves along z."""
    angle = math.radians(degrees)
    column = (0.0, math.cos(angle), -math.sin(angle))
    return [
        SliceFacts(
            sop_uid=f"1.2.{index}",
            frame_of_reference_uid="1.2.99",
            position_mm=(0.0, 0.0, index * STEP_MM),
            orientation=(1.0, 0.0, 0.0, *column),
            rows=ROWS,
            columns=COLUMNS,
            pixel_spacing_mm=(PIXEL_MM, PIXEL_MM),
            instance_number=index + 1,
            gantry_tilt=degrees,
        )
        for index in range(count)
    ]


def imaged(facts: SliceFacts) -> NDArray[np.int16]:
    """What the slice shows of the spheres: the share of each pixel inside, from 5 × 5 points."""
    cosines = np.array(facts.orientation)
    row, column = cosines[:3], cosines[3:]
    within = (np.arange(5) - 2) / 5
    down = (np.arange(ROWS)[:, None] + within).ravel() * PIXEL_MM
    across = (np.arange(COLUMNS)[:, None] + within).ravel() * PIXEL_MM
    points = (
        np.array(facts.position_mm) + down[:, None, None] * column + across[None, :, None] * row
    )
    inside = np.zeros(points.shape[:2])
    for centre, radius in SPHERES:
        inside += ((points - np.array(centre)) ** 2).sum(axis=2) <= radius**2
    share = inside.reshape(ROWS, 5, COLUMNS, 5).mean(axis=(1, 3))
    return np.rint(100 * share).astype(np.int16)


@pytest.mark.parametrize("degrees", [15.0, -12.0, 25.0])
def test_spheres_keep_their_place_and_volume(degrees: float) -> None:
    # The couch begins early enough that every sphere is imaged whole, whichever way the tilt.
    slices = [
        replace(s, position_mm=(0.0, 0.0, (s.position_mm or (0, 0, 0))[2] - 30.0))
        for s in tilted(72, degrees)
    ]
    straight = straighten(slices[::-1])
    assert straight.angle_deg == pytest.approx(abs(degrees), abs=0.01)
    grid = straight.grid
    by_uid = {s.sop_uid: s for s in slices}
    volume = np.stack(
        [
            sheared(imaged(by_uid[uid]), tuple(shift), grid.shape[1:])
            for uid, shift in zip(grid.sop_uids, straight.shifts.tolist(), strict=True)
        ]
    )
    assert volume.shape == grid.shape
    known = volume > OUTSIDE_HU
    assert known.sum() >= ROWS * COLUMNS * len(slices)
    indices = np.indices(grid.shape)
    axes = np.array([grid.normal, grid.column_direction, grid.row_direction])
    places = np.tensordot(axes.T * grid.spacing_mm, indices, 1).transpose(1, 2, 3, 0)
    places += np.array(grid.origin_mm)
    shown = np.where(known, volume, 0) / 100
    for centre, radius in SPHERES:
        near = ((places - np.array(centre)) ** 2).sum(axis=3) <= (radius + 4) ** 2
        weight = shown * near
        middle = (places * weight[..., None]).sum(axis=(0, 1, 2)) / weight.sum()
        assert middle == pytest.approx(centre, abs=0.1)
        sphere_mm3 = 4 / 3 * math.pi * radius**3
        assert weight.sum() * grid.voxel_mm3 == pytest.approx(sphere_mm3, rel=0.03)


def test_the_straightened_slices_are_one_volume_along_their_normal() -> None:
    straight = straighten(tilted())
    grid = straight.grid
    assert grid.spacing_mm[0] == pytest.approx(STEP_MM * math.cos(math.radians(15)))
    first, last = grid.to_patient(0, 0, 0), grid.to_patient(grid.shape[0] - 1, 0, 0)
    along = np.subtract(last, first)
    assert np.cross(along, grid.normal) == pytest.approx((0, 0, 0), abs=1e-9)
    # The last slice's first pixel is where its header said, shifted on the grid.
    shift = straight.shifts[-1]
    assert grid.to_patient(grid.shape[0] - 1, *shift) == pytest.approx(
        (0.0, 0.0, 39 * STEP_MM), abs=1e-6
    )
    assert straight.shifts.min() == 0
    assert straight.shifts[:, 1].max() == 0


def test_a_whole_shift_changes_no_value_and_the_rest_is_outside() -> None:
    plane = np.arange(12, dtype=np.int16).reshape(3, 4)
    moved = sheared(plane, (2.0, 1.0), (6, 5))
    assert (moved[2:5, 1:5] == plane).all()
    assert np.count_nonzero(moved == OUTSIDE_HU) == moved.size - plane.size


def test_half_a_pixel_mixes_neighbours_evenly() -> None:
    plane = np.array([[10], [20], [40]], np.int16)
    moved = sheared(plane, (0.5, 0.0), (4, 1))
    assert moved.ravel().tolist() == [10, 15, 30, 40]


def test_a_stack_that_drifts_unevenly_is_refused() -> None:
    slices = tilted()
    x, y, z = slices[20].position_mm or (0, 0, 0)
    slices[20] = replace(slices[20], position_mm=(x + 0.5, y, z))
    with pytest.raises(SeriesRefused) as caught:
        straighten(slices)
    assert [r.code for r in caught.value.refusals] == ["GANTRY_TILT"]
    assert "no gantry tilt explains it" in caught.value.refusals[0].message


def test_a_tilted_stack_with_a_gap_stays_refused() -> None:
    slices = tilted()
    del slices[17]
    with pytest.raises(SeriesRefused) as caught:
        straighten(slices)
    assert [r.code for r in caught.value.refusals] == ["MISSING_SLICES"]


def test_rounded_positions_are_straightened_along_the_line_they_round() -> None:
    slices = tilted(degrees=10.0)
    rounded = [
        replace(s, position_mm=vector(round(v, 1) for v in s.position_mm or ())) for s in slices
    ]
    assert straighten(rounded).angle_deg == pytest.approx(10.0, abs=0.05)


def test_a_stated_tilt_that_no_direction_shows_is_refused() -> None:
    straight = [
        replace(s, orientation=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0)) for s in tilted(degrees=15.0)
    ]
    with pytest.raises(SeriesRefused) as caught:
        judge(straight)
    assert [r.code for r in caught.value.refusals] == ["TILT_CONTRADICTED"]
    assert "gantry tilt of 15°" in caught.value.refusals[0].message
    derived = [replace(s, image_type=("DERIVED", "SECONDARY", "AXIAL")) for s in straight]
    assert judge(derived).shape == (40, ROWS, COLUMNS)
    assert judge(replace(s, gantry_tilt=0.2) for s in straight).shape[0] == 40
