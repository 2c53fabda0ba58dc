"""Which series are volumes, which are refused and how, and what their pixels are worth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from backend.imaging import codecs
from backend.imaging.dicom import (
    SeriesRefused,
    SliceFacts,
    UnreadablePixels,
    decode_frame,
    facts_of,
    judge,
    rescale,
    to_hu,
)
from backend.imaging.grid import Grid, Vector


def stack(
    count: int = 6, gap_mm: float = 2.5, column: Vector = (0.0, 1.0, 0.0), step: Vector = (0, 0, 1)
) -> list[SliceFacts]:
    """Headers of a straight axial series, one per slice."""
    return [
        SliceFacts(
            sop_uid=f"1.2.{index}",
            frame_of_reference_uid="1.2.99",
            position_mm=(
                step[0] * gap_mm * index,
                step[1] * gap_mm * index,
                step[2] * gap_mm * index,
            ),
            orientation=(1.0, 0.0, 0.0, *column),
            rows=8,
            columns=9,
            pixel_spacing_mm=(0.7, 0.6),
            instance_number=index + 1,
        )
        for index in range(count)
    ]


def refused(slices: list[SliceFacts]) -> list[str]:
    with pytest.raises(SeriesRefused) as caught:
        judge(slices)
    for refusal in caught.value.refusals:
        assert refusal.message.endswith(".")
        assert refusal.cure.endswith(".")
        assert refusal.cure in str(caught.value)
    return [refusal.code for refusal in caught.value.refusals]


def test_a_straight_series_becomes_a_grid_in_whatever_order_it_comes() -> None:
    slices = stack()
    slices = [slices[i] for i in (3, 0, 5, 1, 4, 2)]
    grid = judge(slices)
    assert grid.shape == (6, 8, 9)
    assert grid.spacing_mm == pytest.approx((2.5, 0.7, 0.6))
    assert grid.sop_uids == tuple(f"1.2.{index}" for index in range(6))
    assert grid.frame_of_reference_uid == "1.2.99"
    assert grid.origin_mm == (0.0, 0.0, 0.0)


def test_slices_ascend_along_the_normal_even_when_they_were_taken_downwards() -> None:
    grid = judge(stack(step=(0, 0, -1)))
    assert grid.sop_uids[0] == "1.2.5"
    assert grid.origin_mm == (0.0, 0.0, -12.5)
    assert grid.to_patient(5, 0, 0) == pytest.approx((0, 0, 0))


def test_positions_rounded_to_a_tenth_of_a_millimetre_are_even_enough() -> None:
    slices = [
        replace(s, position_mm=(0.0, 0.0, round(0.625 * i, 1))) for i, s in enumerate(stack(40))
    ]
    assert judge(slices).spacing_mm[0] == pytest.approx(0.625, abs=0.002)


def test_a_localizer_in_the_series_is_mixed_orientation_and_is_named() -> None:
    slices = stack()
    slices[2] = replace(slices[2], orientation=(0.0, 1.0, 0.0, 0.0, 0.0, -1.0))
    with pytest.raises(SeriesRefused, match=r"instance 3 \(1\.2\.2\)") as caught:
        judge(slices)
    assert caught.value.refusals[0].code == "MIXED_ORIENTATION"
    assert caught.value.refusals[0].sop_uids == ("1.2.2",)


def test_two_slices_in_one_place_are_refused() -> None:
    slices = stack()
    slices[3] = replace(slices[3], position_mm=slices[2].position_mm)
    assert refused(slices) == ["DUPLICATE_POSITION"]


def test_one_instance_sent_twice_is_refused() -> None:
    slices = stack()
    assert refused([*slices, slices[0]]) == ["DUPLICATE_INSTANCE"]


@pytest.mark.parametrize("lost", [1, 3, 4])
def test_a_lost_slice_is_refused_between_its_neighbours(lost: int) -> None:
    slices = stack()
    with pytest.raises(SeriesRefused, match="1 slice is missing") as caught:
        judge(slices[:lost] + slices[lost + 1 :])
    (refusal,) = caught.value.refusals
    assert refusal.code == "MISSING_SLICES"
    assert refusal.sop_uids == (f"1.2.{lost - 1}", f"1.2.{lost + 1}")


def test_uneven_spacing_is_refused() -> None:
    slices = stack()
    slices[2] = replace(slices[2], position_mm=(0.0, 0.0, 5.9))
    assert refused(slices) == ["UNEVEN_SPACING"]


def test_slices_that_shift_sideways_are_a_tilted_gantry() -> None:
    slices = stack(column=(0.0, 0.970295726276, -0.2419218955997))
    with pytest.raises(SeriesRefused, match=r"shear of 14\.0°") as caught:
        judge(slices)
    assert caught.value.refusals[0].code == "GANTRY_TILT"


def test_a_tilted_stack_that_follows_its_normal_is_accepted() -> None:
    column = (0.0, 0.970295726276, -0.2419218955997)
    grid = judge(stack(column=column, step=(0, 0.2419218955997, 0.970295726276)))
    assert grid.spacing_mm[0] == pytest.approx(2.5)
    assert grid.plane == "axial"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"position_mm": None}, "MISSING_TAG"),
        ({"orientation": None}, "MISSING_TAG"),
        ({"pixel_spacing_mm": None}, "MISSING_TAG"),
        ({"rows": None}, "MISSING_TAG"),
        ({"frames": 20}, "MULTI_FRAME"),
        ({"columns": 10}, "MIXED_MATRIX"),
        ({"pixel_spacing_mm": (0.7, 0.7)}, "MIXED_PIXEL_SPACING"),
        ({"frame_of_reference_uid": "1.2.98"}, "MIXED_FRAME_OF_REFERENCE"),
        ({"orientation": (1.0, 0.0, 0.0, 0.0, 0.5, 0.0)}, "BAD_ORIENTATION"),
    ],
)
def test_one_odd_slice_is_refused_by_name(change: dict[str, object], code: str) -> None:
    slices = stack()
    slices[4] = replace(slices[4], **change)  # type: ignore[arg-type]
    with pytest.raises(SeriesRefused, match=r"instance 5 \(1\.2\.4\)") as caught:
        judge(slices)
    assert [r.code for r in caught.value.refusals] == [code]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_slices_are_no_volume(count: int) -> None:
    assert refused(stack(count)) == ["TOO_FEW_SLICES"]


@pytest.mark.parametrize(
    "frames", [[""] * 6, [f"1.9.{index}" for index in range(6)]], ids=["absent", "all different"]
)
def test_an_unusable_frame_of_reference_is_taken_as_unknown(frames: list[str]) -> None:
    slices = [
        replace(s, frame_of_reference_uid=uid) for s, uid in zip(stack(), frames, strict=True)
    ]
    assert judge(slices).frame_of_reference_uid == ""


def image(stored: np.ndarray, **tags: object) -> Dataset:
    """A small uncompressed image with these stored values."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPInstanceUID = "1.2.3"
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.PixelRepresentation = int(stored.dtype.kind == "i")
    dataset.PixelData = stored.tobytes()
    for name, value in tags.items():
        setattr(dataset, name, value)
    return dataset


def test_stored_values_become_hounsfield_units() -> None:
    stored = np.array([[0, 24, 1064], [4095, 65535, 1024]], np.uint16)
    hu = to_hu(image(stored, RescaleSlope="1", RescaleIntercept="-1024"))
    assert hu.dtype == np.int16
    assert hu.tolist() == [[-1024, -1000, 40], [3071, 32767, 0]]


def test_a_fractional_slope_is_rounded_and_clipped() -> None:
    stored = np.array([[1, 2, 30000, -30000]], np.int16)
    assert rescale(stored, 1.6, -0.25).tolist() == [[1, 3, 32767, -32768]]


def test_signed_stored_values_keep_their_sign_and_unsigned_ones_widen() -> None:
    assert decode_frame(image(np.array([[-5]], np.int16))).dtype == np.int16
    wide = decode_frame(image(np.array([[65535]], np.uint16)))
    assert wide.dtype == np.int32
    assert wide[0, 0] == 65535


def test_a_colour_or_pixel_less_image_is_refused() -> None:
    stored = np.zeros((2, 2), np.uint16)
    with pytest.raises(UnreadablePixels, match="colour"):
        to_hu(image(stored, PhotometricInterpretation="PALETTE COLOR"))
    empty = image(stored)
    del empty.PixelData
    with pytest.raises(UnreadablePixels, match="no pixels"):
        to_hu(empty)


def test_registering_the_decoders_twice_changes_nothing() -> None:
    codecs.register()
    codecs.register()


@pytest.mark.parametrize(
    ("prefix", "codes"),
    [
        ("gantrytilting_001", ["GANTRY_TILT"]),
        ("notavolume_001", ["DUPLICATE_POSITION"]),
        ("slicecount_001", ["TOO_FEW_SLICES"]),
        ("sliceincrement_001", ["MISSING_SLICES"]),
        ("sliceincrement_002", ["GANTRY_TILT"]),
        ("sliceorientation_001", ["MIXED_ORIENTATION", "MIXED_PIXEL_SPACING"]),
    ],
)
def test_real_series_with_bad_geometry_are_refused_by_name(
    data_folder: Path, prefix: str, codes: list[str]
) -> None:
    files = sorted((data_folder / "odd_dicom" / "e_geometry").glob(f"{prefix}_*.dcm"))
    assert files
    assert refused([facts_of(pydicom.dcmread(f, stop_before_pixels=True)) for f in files]) == codes


def test_real_multi_frame_images_are_refused(data_folder: Path) -> None:
    files = sorted((data_folder / "odd_dicom" / "d_enhanced_multiframe").glob("*.dcm"))
    assert len(files) == 8
    for file in files:
        facts = facts_of(pydicom.dcmread(file, stop_before_pixels=True))
        assert refused([facts]) == ["MULTI_FRAME"]


@pytest.mark.parametrize(
    ("name", "shape", "spacing_mm"),
    [
        ("headneck_ct/cerr_head_neck_ex1.zip", (90, 511, 511), (3.0, 1.0, 1.0)),
        ("thoracic_inlet_ct/lidc_idri_0314_top96.zip", (96, 512, 512), (1.0, 0.78125, 0.78125)),
    ],
)
def test_real_series_become_axial_grids(
    read_zip: Callable[[str], list[Dataset]], name: str, shape: tuple[int, ...], spacing_mm: Vector
) -> None:
    datasets = read_zip(name)
    grid: Grid = judge(map(facts_of, datasets))
    assert grid.shape == shape
    assert grid.spacing_mm == pytest.approx(spacing_mm)
    assert grid.plane == "axial"
    hu = to_hu(datasets[len(datasets) // 2])
    assert hu.shape == shape[1:]
    assert hu.dtype == np.int16
    assert -1100 < np.percentile(hu, 1) < -900  # air
    assert hu.max() > 300  # bone


def test_one_slice_decodes_to_the_same_values_in_every_lossless_syntax(data_folder: Path) -> None:
    folder = data_folder / "odd_dicom" / "a_neck_slice_all_syntaxes"
    reference = to_hu(pydicom.dcmread(next(folder.glob("*_1.2.840.10008.1.2.1.dcm"))))
    lossless = ("1.2", "1.2.2", "1.2.1.99", "1.2.4.80", "1.2.4.70", "1.2.4.201")
    for suffix in lossless:
        (file,) = folder.glob(f"*_1.2.840.10008.{suffix}.dcm")
        assert np.array_equal(to_hu(pydicom.dcmread(file)), reference), file.name
    body = reference > -500
    for suffix, allowed_hu in (("1.2.4.91", 5), ("1.2.4.51", 100), ("1.2.4.55", 100)):
        (file,) = folder.glob(f"*_1.2.840.10008.{suffix}.dcm")
        error = np.abs(to_hu(pydicom.dcmread(file)).astype(int) - reference)[body]
        assert np.median(error) <= allowed_hu, file.name


@pytest.mark.filterwarnings("ignore")
def test_broken_and_coloured_real_files_are_read_or_refused_but_never_crash(
    data_folder: Path,
) -> None:
    files = [
        file
        for name in ("f_missing_or_broken", "i_not_ct_mr")
        for file in sorted((data_folder / "odd_dicom" / name).glob("*.dcm"))
    ]
    assert files
    refusals = 0
    for file in files:
        dataset = pydicom.dcmread(file, force=True)
        facts_of(dataset)
        try:
            assert to_hu(dataset).dtype == np.int16
        except UnreadablePixels:
            refusals += 1
    assert refusals > len(files) / 2
