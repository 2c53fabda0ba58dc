"""Multi-frame, tilted and mixed series: read as a derived classic series, the source kept as is."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from highdicom.legacy import (
    LegacyConvertedEnhancedCTImage,
    LegacyConvertedEnhancedMRImage,
    LegacyConvertedEnhancedPETImage,
)
from procrastinate.contrib.django.models import ProcrastinateJob
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless, generate_uid

from backend.archive import registry, services
from backend.archive.judging import DERIVE_TASK
from backend.archive.models import Instance, Receipt, Series
from backend.audit.models import Event
from backend.imaging.dicom import to_hu
from backend.store import store
from tests.archive.made import ct_series, encoded, values, written
from tests.archive.made_frames import enhanced, item, localizer, tilted_series

pytestmark = pytest.mark.django_db
Receive = Callable[..., Receipt]


def source_of(dataset: Dataset) -> Series:
    return Series.objects.get(uid=dataset.SeriesInstanceUID)


def derived_of(dataset: Dataset) -> Series:
    """The series made of what was received, after the work process had its turn."""
    source = source_of(dataset)
    assert source.volume_state == "pending"
    made = services.derive(series_id=source.pk)
    assert made is not None
    return made


def files_of(series: Series) -> list[Dataset]:
    instances = series.instances.order_by("number")
    return [pydicom.dcmread(io.BytesIO(store().read(i.blob))) for i in instances]


def test_an_enhanced_ct_is_read_as_single_frames_with_the_same_pixels(
    tmp_path: Path, receive: Receive, ready: list[Series]
) -> None:
    slices = ct_series(6)
    whole = enhanced([slices[i] for i in (3, 0, 5, 1, 4, 2)])
    receive(written(tmp_path / "x", [whole]))
    assert ready == []
    assert source_of(whole).volume_reason.endswith("The work process is writing them.")
    series = derived_of(whole)
    assert [s.pk for s in ready] == [series.pk]
    source = source_of(whole)
    assert (source.volume_state, source.volume_code) == ("set_aside", "READ_AS_SINGLE_FRAMES")
    assert source.volume_reason.startswith("This series holds 6 frames in 1 multi-frame object;")
    assert (series.volume_state, series.derived_from, series.derivation) == (
        "volume",
        source,
        "frames",
    )
    grid, volume = services.load_volume(series)
    assert grid.shape == (6, 12, 16)
    assert grid.spacing_mm == pytest.approx((2.5, 0.8, 0.8))
    assert (volume == np.stack([values(i) - 1024 for i in range(6)])).all()
    assert (series.contrast, series.body_part, series.slice_thickness_mm) == (True, "NECK", 2.5)
    images = files_of(series)
    assert [d.SOPInstanceUID for d in images] == list(grid.sop_uids)
    frames = [d.SourceImageSequence[0].ReferencedFrameNumber for d in images]
    assert frames == [2, 4, 6, 1, 5, 3]
    for image, slice_ in zip(images, slices, strict=True):
        assert image.PixelData == slice_.PixelData
        assert image.SOPClassUID == slice_.SOPClassUID
        assert image.SourceImageSequence[0].ReferencedSOPInstanceUID == whole.SOPInstanceUID
        assert (image.FrameOfReferenceUID, image.StudyInstanceUID, image.PatientID) == (
            slice_.FrameOfReferenceUID,
            slice_.StudyInstanceUID,
            slice_.PatientID,
        )
        assert list(image.ImageType) == ["ORIGINAL", "PRIMARY", "AXIAL"]
        assert "PerFrameFunctionalGroupsSequence" not in image
    assert store().read(source.instances.get().blob) == encoded(whole)


def test_a_frame_has_its_own_rescale_and_an_encoded_one_is_decoded_once(
    tmp_path: Path, receive: Receive
) -> None:
    slices = ct_series(4)
    for place, one in enumerate(slices):
        one.RescaleIntercept = -1000 - place
    whole = enhanced(slices)
    frames = pydicom.dcmread(io.BytesIO(encoded(whole)))
    frames.compress(RLELossless, generate_instance_uid=False)
    receive(written(tmp_path / "x", [frames]))
    _, volume = services.load_volume(derived_of(whole))
    assert (volume == np.stack([values(i) - 1000 - i for i in range(4)])).all()
    assert (volume[2] == to_hu(frames, 2)).all()


def mr_of(slices: list[Dataset]) -> list[Dataset]:
    for one in slices:
        one.SOPClassUID, one.Modality = "1.2.840.10008.5.1.4.1.1.4", "MR"
        one.ScanningSequence, one.SequenceVariant, one.ScanOptions = "SE", "SK", ""
        one.MRAcquisitionType, one.EchoTime, one.RepetitionTime = "2D", 90, 4000
        one.EchoTrainLength, one.MagneticFieldStrength = 16, 3
    return slices


def pet_of(slices: list[Dataset]) -> list[Dataset]:
    for place, one in enumerate(slices):
        one.SOPClassUID, one.Modality = "1.2.840.10008.5.1.4.1.1.128", "PT"
        one.RescaleSlope, one.RescaleIntercept = 0.5 + place, 0
        one.Units, one.DecayCorrection, one.SeriesType = "BQML", "START", ["STATIC", "IMAGE"]
        one.FrameReferenceTime, one.ActualFrameDuration = 1000, 180000
        one.RadiopharmaceuticalInformationSequence = item(
            RadionuclideTotalDose=370e6, RadionuclideHalfLife=6586.2
        )
    return slices


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("kind", "prepared"),
    [
        (LegacyConvertedEnhancedCTImage, list),
        (LegacyConvertedEnhancedMRImage, mr_of),
        (LegacyConvertedEnhancedPETImage, pet_of),
    ],
)
def test_legacy_converted_images_become_what_they_were_converted_from(
    tmp_path: Path,
    receive: Receive,
    kind: Any,
    prepared: Callable[[list[Dataset]], list[Dataset]],
) -> None:
    slices = prepared(ct_series(5, AcquisitionNumber=1, KVP=120, PositionReferenceIndicator=""))
    whole = kind(slices, generate_uid(), 7, generate_uid(), 1)
    receive(written(tmp_path / "x", [whole]))
    series = derived_of(whole)
    assert (series.volume_state, series.modality) == ("volume", slices[0].Modality)
    _, volume = services.load_volume(series)
    assert (volume == np.stack([to_hu(one) for one in slices])).all()
    images = files_of(series)
    for image, one in zip(images, slices, strict=True):
        assert image.SOPClassUID == one.SOPClassUID
        assert image.PixelData == one.PixelData
        if kind is LegacyConvertedEnhancedPETImage:
            assert (image.Units, image.DecayCorrection) == ("BQML", "START")
            dose = image.RadiopharmaceuticalInformationSequence[0].RadionuclideTotalDose
            assert dose == 370e6


def test_several_stacks_are_quarantined_by_what_tells_them_apart(
    tmp_path: Path, receive: Receive
) -> None:
    slices = mr_of(ct_series(4))
    whole = enhanced([*slices, *slices])
    for place, own in enumerate(whole.PerFrameFunctionalGroupsSequence):
        own.MREchoSequence = item(EffectiveEchoTime=[10.0, 80.0][place // 4])
    receive(written(tmp_path / "x", [whole]))
    series = source_of(whole)
    assert (series.volume_state, series.volume_code) == ("quarantined", "SEVERAL_STACKS")
    assert "The 8 frames form 2 stacks, told apart by Echo Time." in series.volume_reason
    assert Series.objects.count() == 1


def test_frames_that_are_not_described_are_quarantined(tmp_path: Path, receive: Receive) -> None:
    whole = enhanced(ct_series(4))
    del whole.PerFrameFunctionalGroupsSequence[3]
    receive(written(tmp_path / "x", [whole]))
    assert source_of(whole).volume_code == "FRAMES_NOT_DESCRIBED"


REAL = {
    "001.dcm": "READ_AS_SINGLE_FRAMES",
    "23x38x3_mf.dcm": "READ_AS_SINGLE_FRAMES",
    "6_1.dcm": "SEVERAL_STACKS",  # With 6_2 and 6_4: three time points.
    "IM_0027_fMAP.dcm": "SEVERAL_STACKS",
    "eCT_Supplemental.dcm": "DUPLICATE_POSITION",  # With CT0012…: the same two frames again.
}


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_real_multi_frame_files_end_as_judged_by_hand(
    test_data: Path, receive: Receive
) -> None:
    folder = test_data / "odd_dicom" / "d_enhanced_multiframe"
    receive(folder)
    for name, code in REAL.items():
        dataset = pydicom.dcmread(folder / name)
        source = source_of(dataset)
        made = services.derive(series_id=source.pk)
        source.refresh_from_db()
        assert source.volume_code == code, (name, source.volume_reason)
        assert (made is not None) == (code == "READ_AS_SINGLE_FRAMES"), name
        if made is None:
            assert source.volume_state == "quarantined"
            continue
        grid, volume = services.load_volume(made)
        assert grid.shape == (dataset.NumberOfFrames, dataset.Rows, dataset.Columns)
        for image, plane in zip(files_of(made), volume, strict=True):
            frame = image.SourceImageSequence[0].ReferencedFrameNumber - 1
            assert (plane == to_hu(dataset, frame)).all()


def test_deriving_again_changes_nothing_and_more_frames_make_another_series(
    tmp_path: Path, receive: Receive
) -> None:
    slices = ct_series(7)
    first = enhanced(slices[:4])
    receive(written(tmp_path / "a", [first]))
    made = derived_of(first)
    source = source_of(first)
    assert services.derive(series_id=source.pk) is None
    before = dict(made.instances.values_list("sop_uid", "blob"))
    Series.objects.filter(pk=source.pk).update(volume_state="pending")
    again = services.derive(series_id=source.pk)
    assert again == made
    assert dict(made.instances.values_list("sop_uid", "blob")) == before

    more = enhanced(slices[4:], SOPInstanceUID=f"{first.SeriesInstanceUID}.901")
    receive(written(tmp_path / "b", [more]))
    other = derived_of(first)
    assert other != made
    assert other.grid["shape"][0] == 7
    made.refresh_from_db()
    assert (made.volume_state, made.volume_code) == ("set_aside", "SUPERSEDED")


def test_once_a_case_reads_the_derived_series_nothing_more_comes_into_the_source(
    tmp_path: Path, receive: Receive
) -> None:
    slices = ct_series(7)
    first = enhanced(slices[:4])
    receive(written(tmp_path / "a", [first]))
    made = derived_of(first)
    services.bind(series=made)
    more = enhanced(slices[4:], SOPInstanceUID=f"{first.SeriesInstanceUID}.901")
    late = receive(written(tmp_path / "b", [more]))
    assert [kept.code for kept in late.kept.all()] == ["LATE_IMAGE"]
    made.refresh_from_db()
    assert made.grid["shape"][0] == 4


def test_a_localizer_in_the_series_is_set_aside_and_the_stack_read_alone(
    tmp_path: Path, receive: Receive
) -> None:
    slices = ct_series(5)
    receive(written(tmp_path / "x", [localizer(slices[0]), *slices]))
    series = derived_of(slices[0])
    source = source_of(slices[0])
    assert (source.volume_state, source.volume_code) == ("set_aside", "READ_WITHOUT_OTHERS")
    assert "1 object beside the stack of 5 slices" in source.volume_reason
    _, volume = services.load_volume(series)
    assert (volume == np.stack([values(i) - 1024 for i in range(5)])).all()
    assert [d.PixelData for d in files_of(series)] == [s.PixelData for s in slices]
    assert source.instances.count() == 6


def test_a_localizer_that_could_be_a_slice_quarantines(tmp_path: Path, receive: Receive) -> None:
    slices = ct_series(5)
    slices[2].ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    slices[2].ImagePositionPatient = [-8.0, -6.0, 400.0]
    del slices[4]
    receive(written(tmp_path / "x", slices))
    assert source_of(slices[0]).volume_code == "MISSING_SLICES"
    whole = ct_series(6)
    scout = localizer(whole[0], ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    receive(written(tmp_path / "y", [scout, *whole]))
    series = source_of(whole[0])
    assert (series.volume_state, series.volume_code) == ("quarantined", "LOCALIZER_IN_STACK")
    assert "instance 800" in series.volume_reason


def test_a_tilted_stack_is_refused_unless_somebody_reads_it_resampled(
    tmp_path: Path, receive: Receive
) -> None:
    slices = tilted_series()
    receive(written(tmp_path / "x", slices))
    series = source_of(slices[0])
    assert (series.volume_state, series.volume_code) == ("quarantined", "GANTRY_TILT")
    assert "(header: gantry tilt 15°)" in series.volume_reason
    registry.resample_rules.append(lambda series: series.modality == "CT")
    assert services.judge_again() == 1
    services.judge_series(series.pk)
    made = derived_of(slices[0])
    series.refresh_from_db()
    assert (series.volume_state, series.volume_code) == ("set_aside", "READ_RESAMPLED")
    assert "a shear of 15.0°" in series.volume_reason
    grid, volume = services.load_volume(made)
    assert grid.shape[0] == 6
    assert grid.shape[1] > 12
    assert grid.frame_of_reference_uid == slices[0].FrameOfReferenceUID
    images = files_of(made)
    for place, image in enumerate(images):
        assert list(image.ImageType) == ["DERIVED", "SECONDARY", "AXIAL", "RESAMPLED"]
        named = image.SourceImageSequence[0]
        assert named.ReferencedSOPInstanceUID == slices[place].SOPInstanceUID
        assert (image.RescaleIntercept, image.PixelRepresentation) == (0, 1)
        assert "Gantry tilt taken out" in image.DerivationDescription
    # Slices are shifted, nothing else: each keeps its greatest value.
    assert volume.max(axis=(1, 2)).tolist() == [int(values(i).max()) - 1024 for i in range(6)]
    assert Event.objects.filter(action="series.judged", subject_id=str(made.pk)).count() == 1


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_real_tilted_gantry_is_sheared_back(
    test_data: Path, tmp_path: Path, receive: Receive
) -> None:
    registry.resample_rules.append(lambda series: True)
    folder = tmp_path / "tilt"
    folder.mkdir()
    files = sorted((test_data / "odd_dicom" / "e_geometry").glob("gantrytilting_001_*.dcm"))
    for file in files:
        shutil.copy(file, folder)
    receive(folder)
    first = pydicom.dcmread(files[0])
    made = derived_of(first)
    grid, volume = services.load_volume(made)
    assert (made.volume_state, grid.shape[0]) == ("volume", len(files))
    assert grid.shape[1] > first.Rows
    # What the source says lies where, lies there in the grid (to the rounding of its header).
    for file in files:
        source = pydicom.dcmread(file)
        z, y, x = grid.to_index(source.ImagePositionPatient)
        assert z == pytest.approx(round(z), abs=0.05)
        corner = volume[round(z), round(y) : round(y) + 512, round(x) : round(x) + 512]
        assert corner.shape == (512, 512)
        if abs(y - round(y)) < 1e-3:
            assert (corner == to_hu(source)).all()


def test_an_mr_stack_that_is_sheared_is_never_resampled(tmp_path: Path, receive: Receive) -> None:
    registry.resample_rules.append(lambda series: True)
    slices = mr_of(tilted_series())
    receive(written(tmp_path / "x", slices))
    assert source_of(slices[0]).volume_code == "GANTRY_TILT"


def test_what_cannot_be_rewritten_is_quarantined_and_says_so(
    tmp_path: Path, receive: Receive, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = enhanced(ct_series(4))
    receive(written(tmp_path / "x", [whole]))

    def broken(*args: Any) -> bytes:
        raise ValueError("the stream ends early")

    monkeypatch.setattr("backend.archive.deriving.raw_frame", broken)
    assert services.derive(series_id=source_of(whole).pk) is None
    series = source_of(whole)
    assert (series.volume_state, series.volume_code) == ("quarantined", "CANNOT_BE_REWRITTEN")
    assert "the stream ends early" in series.volume_reason
    assert Instance.objects.count() == 1


def test_rewriting_is_the_work_processes_and_asked_for_once(
    tmp_path: Path, receive: Receive
) -> None:
    whole = enhanced(ct_series(4))
    receive(written(tmp_path / "x", [whole]))
    series = source_of(whole)
    assert services.judge_series(series.pk) is None
    assert services.judge_quiet_series() == []
    waiting = ProcrastinateJob.objects.filter(task_name=DERIVE_TASK, status="todo")
    assert [job.args for job in waiting] == [{"series": str(series.pk)}]


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_is_written_is_clean_dicom(tmp_path: Path, receive: Receive, dciodvfy: str) -> None:
    registry.resample_rules.append(lambda series: True)
    plain = {"AcquisitionNumber": 1, "KVP": 120, "PatientPosition": "HFS"}
    single = ct_series(4, **plain)
    tilted = tilted_series(4, **plain)
    mr = mr_of(ct_series(4, PatientPosition="HFS"))
    for name, datasets in (("ct", [enhanced(single)]), ("mr", [enhanced(mr)]), ("tilt", tilted)):
        receive(written(tmp_path / name, datasets))
        for image in files_of(derived_of(datasets[0]))[:2]:
            file = tmp_path / "made.dcm"
            file.write_bytes(encoded(image))
            told = subprocess.run(
                [dciodvfy, str(file)], capture_output=True, text=True, check=False
            )
            errors = [line for line in told.stderr.splitlines() if line.startswith("Error")]
            assert errors == [], (name, told.stderr)
