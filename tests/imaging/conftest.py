"""Shared by the imaging tests: the folder of real images, and phantoms with known answers."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from backend.imaging.grid import Grid

REPOSITORY = Path(__file__).resolve().parents[2]
Box = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real images; without it the test skips, or fails where data is required."""
    named = os.environ.get("CONCORD_TEST_DATA", "../shared/data")
    folder = (REPOSITORY / named).resolve()
    if not folder.is_dir():
        message = f"No test images at {folder}: set CONCORD_TEST_DATA to their folder."
        if os.environ.get("CONCORD_REQUIRE_DATA") == "1":
            pytest.fail(message)
        pytest.skip(message)  # noqa: TID251
    return folder


@pytest.fixture(scope="session")
def read_zip(data_folder: Path) -> Callable[[str], list[Dataset]]:
    """Read every image of a zip in the data folder."""

    def read(name: str) -> list[Dataset]:
        with zipfile.ZipFile(data_folder / name) as archive:
            return [
                pydicom.dcmread(io.BytesIO(archive.read(entry)))
                for entry in archive.namelist()
                if not entry.endswith("/")
            ]

    return read


def boxes(shape: tuple[int, int, int], *parts: Box) -> NDArray[np.uint16]:
    """A label map with half-open boxes ``((z0, z1), (y0, y1), (x0, x1))`` numbered from 1."""
    labels = np.zeros(shape, np.uint16)
    for number, ((z0, z1), (y0, y1), (x0, x1)) in enumerate(parts, start=1):
        labels[z0:z1, y0:y1, x0:x1] = number
    return labels


def ellipsoid(
    shape: tuple[int, int, int],
    centre: tuple[float, float, float],
    semi_axes_mm: tuple[float, float, float],
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> NDArray[np.bool_]:
    """Voxels whose centre lies in an ellipsoid; centre in voxels, semi-axes in mm, (z, y, x)."""
    inside = np.zeros(shape, np.float64)
    for axis in range(3):
        steps = (np.arange(shape[axis]) - centre[axis]) * spacing_mm[axis] / semi_axes_mm[axis]
        inside += np.expand_dims(steps**2, tuple(a for a in range(3) if a != axis))
    result: NDArray[np.bool_] = inside <= 1
    return result


@pytest.fixture
def grid_of() -> Callable[..., Grid]:
    """Make an axial grid for an array's shape and a spacing."""
    return Grid.axial
