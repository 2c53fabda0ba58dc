"""Where a scan goes up into the head, no node lies in the skull or high above it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from numpy.typing import NDArray

from inference.body import find_body
from inference.reality import read_scan
from inference.skull import head_of

MM = (3.0, 3.0, 3.0)


def neck_and_head(inside_hu: int = 35, *, head_slices: int = 20) -> NDArray[np.int16]:
    """A neck of soft tissue with a vertebra, and above it a skull 45 mm wide within, full."""
    rows, columns = np.ogrid[:64, :64]
    radius = np.hypot(rows - 32, columns - 32)
    image = np.full((40, 64, 64), -1000, np.int16)
    image[:, radius < 26] = 50
    image[:, radius < 4] = 600
    head = image[40 - head_slices :]
    head[:, radius < 18] = 800
    head[:, radius < 15] = inside_hu
    return image


def test_the_skull_and_what_lies_high_above_its_base_is_head() -> None:
    head = head_of(neck_and_head(), MM)
    assert head is not None
    assert not head[:20].any()
    assert head[20:, 32, 32].all()
    assert head[20, 32, 32 + 16]
    assert not head[20:28, 32, 32 + 24].any(), "beside the skull nodes lie up to the ear"
    assert head[29:].all()


@pytest.mark.parametrize("inside_hu", [-90, -800, 300], ids=["fat", "air", "bone"])
def test_a_ring_of_bone_around_anything_else_is_no_skull(inside_hu: int) -> None:
    assert head_of(neck_and_head(inside_hu), MM) is None


def test_one_slice_is_no_skull_and_a_neck_alone_has_none() -> None:
    assert head_of(neck_and_head(head_slices=2), MM) is None
    assert head_of(neck_and_head(head_slices=0), MM) is None


def test_an_open_slice_between_is_head_as_its_neighbours_are() -> None:
    image = neck_and_head()
    image[30, 32:] = np.minimum(image[30, 32:], 60)
    head = head_of(image, MM)
    assert head is not None
    assert head[30, 32, 32]


def test_in_real_scans_it_is_found_where_it_is_and_nowhere_else(test_data: Path) -> None:
    """The first's neck ends below slice 44, its eyes lie at 66 to 78; the second is a chest."""
    image, spacing_mm = read_scan(test_data / "headneck_ct" / "cerr_head_neck_ex1.zip")
    body = find_body(image, spacing_mm)
    neck = np.argwhere(np.ones((40, 8, 8), bool)) * (1, 60, 60)
    assert body.share_in_head(neck) == 0
    assert body.share_in_head(np.array([[72, 170, 279], [72, 293, 256]])) == 1
    chest, chest_mm = read_scan(test_data / "thoracic_inlet_ct" / "lidc_idri_0314_top96.zip")
    assert find_body(chest, chest_mm).head is None


@pytest.mark.parametrize("name", ["pt_109", "pt_120", "pt_128"])
def test_in_coarse_head_and_neck_scans_it_begins_in_the_upper_part(
    name: str, test_data: Path
) -> None:
    scan = sitk.ReadImage(str(test_data / "headneck_ct_coarse" / f"{name}_ct.nrrd"))
    image = sitk.GetArrayFromImage(scan).astype(np.int16)
    x, y, z = scan.GetSpacing()
    body = find_body(image, (z, y, x))
    assert body.head is not None
    first = int(np.flatnonzero(body.head.any(axis=(1, 2)))[0]) * body.step[0]
    assert 60 < first < 90
