"""SUVbw: the factor by the definition, and a refusal wherever the headers do not say enough."""

from __future__ import annotations

import copy
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

from backend.imaging.suv import NoSuv, suvbw_per_unit


def header(**own: object) -> Dataset:
    """A PET header: 370 MBq of F-18, one hour before the scan, 70 kg."""
    given = Dataset()
    given.RadionuclideTotalDose = 370e6
    given.RadionuclideHalfLife = 6586.2
    given.RadiopharmaceuticalStartTime = "090000.00"
    found = Dataset()
    found.Units = "BQML"
    found.CorrectedImage = ["DECY", "ATTN", "SCAT"]
    found.DecayCorrection = "START"
    found.PatientWeight = 70
    found.SeriesDate = found.AcquisitionDate = "20260304"
    found.SeriesTime = found.AcquisitionTime = "100000"
    found.RadiopharmaceuticalInformationSequence = [given]
    for keyword, value in own.items():
        setattr(found, keyword, value)
    return found


DECAYED = 70_000 / (370e6 * 2 ** (-3600 / 6586.2))


def test_the_factor_is_weight_over_the_dose_left_when_the_scan_began() -> None:
    assert suvbw_per_unit([header()]) == pytest.approx(DECAYED)


def test_a_dose_that_decay_was_corrected_to_is_not_decayed_again() -> None:
    assert suvbw_per_unit([header(DecayCorrection="ADMIN")]) == pytest.approx(70_000 / 370e6)


def test_values_that_are_suv_already_stay() -> None:
    assert suvbw_per_unit([header(Units="GML")]) == 1.0


def test_the_earliest_image_counts_where_the_series_was_written_later() -> None:
    slices = [header(SeriesTime="113000", AcquisitionTime=at) for at in ("101500", "100000")]
    assert suvbw_per_unit(slices) == pytest.approx(DECAYED)


def test_an_injection_before_midnight_was_the_day_before() -> None:
    late = header(SeriesTime="002000", AcquisitionTime="002000")
    late.RadiopharmaceuticalInformationSequence[0].RadiopharmaceuticalStartTime = "232000"
    assert suvbw_per_unit([late]) == pytest.approx(DECAYED)


def _without_dose(found: Dataset) -> None:
    del found.RadiopharmaceuticalInformationSequence[0].RadionuclideTotalDose


def _injected_later(found: Dataset) -> None:
    given = found.RadiopharmaceuticalInformationSequence[0]
    given.RadiopharmaceuticalStartDateTime = "20260304110000"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda d: setattr(d, "Units", "CNTS"), "CNTS"),
        (lambda d: setattr(d, "Units", "GML") or setattr(d, "SUVType", "LBM"), "LBM"),
        (lambda d: setattr(d, "PatientWeight", 0), "weight"),
        (lambda d: setattr(d, "CorrectedImage", ["DECY"]), "attenuation"),
        (lambda d: setattr(d, "DecayCorrection", "NONE"), "decay"),
        (lambda d: delattr(d, "RadiopharmaceuticalInformationSequence"), "injected"),
        (_without_dose, "dose"),
        (_injected_later, "contradict"),
    ],
)
def test_nothing_is_guessed(spoil: Callable[[Dataset], object], words: str) -> None:
    found = copy.deepcopy(header())
    spoil(found)
    with pytest.raises(NoSuv, match=words):
        suvbw_per_unit([found])


def test_a_real_pet_has_the_suv_that_its_numbers_make(test_data: Path) -> None:
    with zipfile.ZipFile(test_data / "neck_node_pet_seg" / "qin_headneck_01_0024_pt.zip") as files:
        name = sorted(files.namelist())[100]
        found = pydicom.dcmread(io.BytesIO(files.read(name)), stop_before_pixels=True)
    (given,) = found.RadiopharmaceuticalInformationSequence

    def seconds(time: str) -> float:
        return int(time[:2]) * 3600 + int(time[2:4]) * 60 + int(time[4:6])

    waited = seconds(found.SeriesTime) - seconds(given.RadiopharmaceuticalStartTime)
    left = float(given.RadionuclideTotalDose) * 0.5 ** (waited / float(given.RadionuclideHalfLife))
    expected = float(found.PatientWeight) * 1000 / left
    assert suvbw_per_unit([found]) == pytest.approx(expected, rel=1e-9)
