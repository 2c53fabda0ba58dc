"""A series for a browser that cuts it itself: every value as the files have it, PET in SUVbw."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from backend.archive.models import Receipt, Series
from backend.archive.services import display_parts, measure_of
from tests.archive.made import ct_series, written

pytestmark = pytest.mark.django_db
Receive = Callable[..., Receipt]


def shown(series: Series) -> tuple[dict[str, Any], np.ndarray[Any, np.dtype[np.float64]]]:
    """Header and values (slices, rows, columns) as the browser makes them of the answer."""
    length, parts = display_parts(series, measure_of(series))
    body = b"".join(parts)
    assert len(body) == length
    (size,) = struct.unpack("<I", body[:4])
    header = json.loads(body[4 : 4 + size])
    stored = np.frombuffer(body[4 + size :], "<i2").reshape(header["grid"]["shape"])
    scale = np.array(header["rescale"])[:, :, None, None]
    return header, stored * scale[:, 0] + scale[:, 1]


def by_place(datasets: list[Dataset]) -> list[Dataset]:
    return sorted(datasets, key=lambda ds: float(ds.ImagePositionPatient[2]))


def test_a_ct_is_shown_in_hu_whether_its_values_are_signed_or_not(
    tmp_path: Path, receive: Receive
) -> None:
    for signed in (0, 1):
        slices = ct_series(4, PixelRepresentation=signed)
        for ds in slices:
            if not signed:
                high = np.frombuffer(ds.PixelData, "<u2") + 40_000
                ds.PixelData = high.astype("<u2").tobytes()
        receive(written(tmp_path / str(signed), slices))
        series = Series.objects.exclude(bound=True).order_by("-received_at").first()
        assert series is not None
        header, values = shown(series)
        assert header["facts"]["unit"] == "HU"
        for ds, plane in zip(by_place(slices), values, strict=True):
            raw = np.frombuffer(ds.PixelData, "<i2" if signed else "<u2").reshape(plane.shape)
            assert np.array_equal(plane, raw.astype(float) - 1024)


@pytest.fixture
def pet(test_data: Path) -> list[Dataset]:
    """Nine slices of the real PET, one above the other."""
    with zipfile.ZipFile(test_data / "neck_node_pet_seg" / "qin_headneck_01_0024_pt.zip") as files:
        names = [name for name in files.namelist() if name.endswith(".dcm")]
        return by_place([pydicom.dcmread(io.BytesIO(files.read(n))) for n in names])[200:209]


def test_a_real_pet_is_shown_in_suv(pet: list[Dataset], tmp_path: Path, receive: Receive) -> None:
    receive(written(tmp_path / "pet", pet))
    header, values = shown(Series.objects.get())
    assert header["facts"] == {"modality": "PT", "unit": "SUVbw", "words": ""}
    (given,) = pet[0].RadiopharmaceuticalInformationSequence

    def seconds(time: str) -> float:
        return int(time[:2]) * 3600 + int(time[2:4]) * 60 + int(time[4:6])

    waited = seconds(pet[0].SeriesTime) - seconds(given.RadiopharmaceuticalStartTime)
    left = float(given.RadionuclideTotalDose) * 0.5 ** (waited / float(given.RadionuclideHalfLife))
    for ds, plane in zip(by_place(pet), values, strict=True):
        activity = ds.pixel_array * float(ds.RescaleSlope) + float(ds.RescaleIntercept)
        expected = activity * float(ds.PatientWeight) * 1000 / left
        assert np.allclose(plane, expected, rtol=1e-6)


def test_a_pet_that_does_not_say_enough_is_shown_without_suv_and_says_why(
    pet: list[Dataset], tmp_path: Path, receive: Receive
) -> None:
    for ds in pet:
        del ds.PatientWeight
    receive(written(tmp_path / "pet", pet))
    header, _ = shown(Series.objects.get())
    assert header["facts"]["unit"] == ""
    assert header["facts"]["words"] == "No SUV. It does not say the patient's weight."
