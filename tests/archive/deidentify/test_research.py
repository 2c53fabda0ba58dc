"""What research needs survives: SUV, age, the days between studies, geometry and voxels."""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from backend.archive import services
from backend.archive.deidentify.links import links
from backend.archive.facts import age_years
from backend.archive.models import Instance, Receipt, Series
from backend.store import store
from tests.archive.made import ct_series, encoded, written

pytestmark = pytest.mark.django_db
Receive = Callable[..., Receipt]


def stored(series: Series) -> list[Dataset]:
    rows = Instance.objects.filter(series=series).order_by("number")
    return [pydicom.dcmread(io.BytesIO(store().read(row.blob))) for row in rows]


def suv_factor(dataset: Dataset) -> float:
    """SUVbw per stored value, by QIBA's vendor-neutral way for decay corrected to the start."""
    assert dataset.Units == "BQML"
    assert dataset.DecayCorrection == "START"
    (given,) = dataset.RadiopharmaceuticalInformationSequence

    def moment(day: str, time: str) -> dt.datetime:
        return dt.datetime.strptime(f"{day}{time:.6}", "%Y%m%d%H%M%S").replace(tzinfo=dt.UTC)

    start = moment(dataset.SeriesDate, dataset.SeriesTime)
    injected = moment(dataset.SeriesDate, given.RadiopharmaceuticalStartTime)
    waited = (start - injected).total_seconds()
    assert waited > 0
    dose = float(given.RadionuclideTotalDose) * 2 ** (-waited / float(given.RadionuclideHalfLife))
    return float(dataset.RescaleSlope) * float(dataset.PatientWeight) * 1000 / dose


@pytest.fixture
def pet(test_data: Path, tmp_path: Path) -> list[Dataset]:
    """Nine slices of the real PET."""
    with zipfile.ZipFile(test_data / "neck_node_pet_seg" / "qin_headneck_01_0024_pt.zip") as files:
        names = sorted(files.namelist())[100:109]
        return [pydicom.dcmread(io.BytesIO(files.read(name))) for name in names]


def test_the_suv_of_a_real_pet_is_what_it_was(
    pet: list[Dataset], tmp_path: Path, receive: Receive
) -> None:
    receipt = receive(written(tmp_path / "pet", pet))
    assert (receipt.stored, receipt.kept_aside) == (len(pet), 0)
    after = stored(Series.objects.get())
    before = sorted(pet, key=lambda d: int(d.InstanceNumber))
    assert [suv_factor(d) for d in after] == [suv_factor(d) for d in before]
    for old, new in zip(before, after, strict=True):
        assert np.array_equal(old.pixel_array, new.pixel_array)
        assert new.PatientAge == old.PatientAge == "043Y"
        assert new.PatientSex == old.PatientSex
        assert new.CorrectedImage == old.CorrectedImage
        assert new.AcquisitionTime == old.AcquisitionTime
        assert new.PatientName != old.PatientName
        assert "SpecialNeeds" not in new
        assert not any(element.tag.is_private for element in new)
        assert new.SeriesDescription == "PET WB 0"
    assert Series.objects.get().patient_age_years == 43


def test_the_days_between_a_pet_and_a_ct_of_one_patient_stay(
    pet: list[Dataset], tmp_path: Path, receive: Receive
) -> None:
    there = dt.datetime.strptime(pet[0].StudyDate, "%Y%m%d").replace(tzinfo=dt.UTC).date()
    for days in (-92, 0, 91, 93):
        ct = ct_series(3, PatientID=pet[0].PatientID)
        for ds in ct:
            ds.StudyDate = ds.SeriesDate = f"{there + dt.timedelta(days):%Y%m%d}"
        receive(written(tmp_path / f"ct {days}", ct))
    receive(written(tmp_path / "pet", pet[:3]))
    dates = {s.study.date for s in Series.objects.filter(modality="CT").select_related("study")}
    (pt,) = Series.objects.filter(modality="PT").select_related("study")
    assert pt.study.date is not None
    assert {(date - pt.study.date).days for date in dates if date} == {-92, 0, 91, 93}
    shift = (pt.study.date - there).days
    assert -365 <= shift <= -1
    assert services.shift_days(pt.study.uid) == shift
    assert {s.study.patient_id for s in Series.objects.select_related("study")} == {
        pt.study.patient_id
    }


def test_two_patients_are_moved_by_different_days(tmp_path: Path, receive: Receive) -> None:
    for number in range(6):
        receive(written(tmp_path / str(number), ct_series(1, PatientID=f"P{number}")))
    dates = set(Series.objects.values_list("study__date", flat=True))
    assert len(dates) > 2


@pytest.mark.parametrize(
    ("given", "years"),
    [
        ({"PatientAge": "017Y"}, 17),
        ({"PatientAge": "018Y"}, 18),
        ({"PatientAge": None, "PatientBirthDate": "20060519"}, 18),
        ({"PatientAge": None, "PatientBirthDate": "20060520"}, 17),
        ({"PatientAge": None, "PatientBirthDate": "20230919"}, 0),
        ({"PatientAge": "", "PatientBirthDate": "19600520"}, 63),
        ({"PatientAge": "214M"}, 17),
        ({"PatientAge": None, "PatientBirthDate": ""}, None),
    ],
)
def test_the_age_is_what_it_was(
    tmp_path: Path, receive: Receive, given: dict[str, str | None], years: int | None
) -> None:
    (ds,) = ct_series(1)
    for keyword, value in given.items():
        if value is not None:
            setattr(ds, keyword, value)
    assert age_years(ds) == years
    receive(written(tmp_path / "x", [ds]))
    assert Series.objects.get().patient_age_years == years
    assert Series.objects.get().study.patient_birth_date is None


def test_who_is_over_89_is_90(tmp_path: Path, receive: Receive) -> None:
    receive(written(tmp_path / "x", ct_series(1, PatientBirthDate="19200101")))
    (ds,) = stored(Series.objects.get())
    assert ds.PatientAge == "090Y"


def test_a_real_head_and_neck_ct_becomes_the_same_volume(
    test_data: Path, tmp_path: Path, receive: Receive
) -> None:
    path = test_data / "headneck_ct" / "cerr_head_neck_ex1.zip"
    kept, as_is = receive(path), receive(path, as_is=True)
    assert kept.stored == as_is.stored == 90
    named, nameless = (
        Series.objects.filter(instances__receipt=r).distinct().get() for r in (as_is, kept)
    )
    assert (named.volume_state, nameless.volume_state) == ("volume", "volume")
    old, new = (services.grid_of(series) for series in (named, nameless))
    assert (old.shape, old.spacing_mm, old.origin_mm) == (new.shape, new.spacing_mm, new.origin_mm)
    assert set(old.sop_uids).isdisjoint(new.sop_uids)
    assert np.array_equal(services.load_volume(named)[1], services.load_volume(nameless)[1])
    for ds in stored(nameless)[:1]:
        assert ds.RecognizableVisualFeatures == "YES"
        assert (ds.PatientIdentityRemoved, ds.LongitudinalTemporalInformationModified) == (
            "YES",
            "MODIFIED",
        )
        codes = [item.CodeValue for item in ds.DeidentificationMethodCodeSequence]
        assert codes == ["113100", "113105", "113107", "113108", "113111"]
        assert ds.Manufacturer == "Picker International PQ2000"


def test_a_segmentation_still_names_its_images(
    test_data: Path, pet: list[Dataset], tmp_path: Path, receive: Receive
) -> None:
    seg = pydicom.dcmread(test_data / "neck_node_pet_seg" / "tumor_User1_Manual_Trial1.dcm")
    receive(written(tmp_path / "seg", [seg]), written(tmp_path / "pet", pet))
    (new,) = stored(Series.objects.get(modality="SEG"))
    mapped = links().keys.uid

    def named(ds: Dataset) -> list[str]:
        found: list[str] = []
        ds.walk(lambda _, e: found.append(e.value) if e.tag == 0x00081155 else None)
        return found

    images = {d.SOPInstanceUID for d in stored(Series.objects.get(modality="PT"))}
    assert images == {mapped(d.SOPInstanceUID) for d in pet}
    assert named(new) == [mapped(uid) for uid in named(seg)]
    assert len(named(new)) > 10
    assert new.StudyInstanceUID == Series.objects.get(modality="PT").study.uid
    assert new.PixelData == seg.PixelData
    assert [s.SegmentNumber for s in new.SegmentSequence] == [
        s.SegmentNumber for s in seg.SegmentSequence
    ]
    for old_segment, segment in zip(seg.SegmentSequence, new.SegmentSequence, strict=True):
        (was,), (now,) = (s.SegmentedPropertyTypeCodeSequence for s in (old_segment, segment))
        assert (now.CodeValue, now.CodingSchemeDesignator) == (
            was.CodeValue,
            was.CodingSchemeDesignator,
        )


def test_an_object_made_elsewhere_of_images_from_here_finds_them_again(
    tmp_path: Path, receive: Receive
) -> None:
    receive(written(tmp_path / "ct", ct_series(3)))
    ours = stored(Series.objects.get())
    back = ct_series(1)[0]
    back.Modality, back.SOPClassUID = "MR", "1.2.840.10008.5.1.4.1.1.4"
    for keyword in ("StudyInstanceUID", "PatientID", "PatientName", "FrameOfReferenceUID"):
        setattr(back, keyword, getattr(ours[0], keyword))
    back.StudyDate, back.OperatorsName = ours[0].StudyDate, "Planted^Operator"
    receive(written(tmp_path / "back", [back]))
    made = Series.objects.get(modality="MR")
    assert made.study.uid == ours[0].StudyInstanceUID
    (new,) = stored(made)
    assert new.SOPInstanceUID == back.SOPInstanceUID
    assert (new.StudyDate, new.FrameOfReferenceUID) == (
        ours[0].StudyDate,
        ours[0].FrameOfReferenceUID,
    )
    assert b"Planted" not in encoded(new)
