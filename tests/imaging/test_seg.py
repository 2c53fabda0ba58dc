"""DICOM SEG and NIfTI: what is written reads back voxel for voxel, with its identities."""

from __future__ import annotations

import gzip
import io
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import numpy as np
import pydicom
import pytest
import SimpleITK
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from backend.imaging.dicom import facts_of, judge
from backend.imaging.grid import Grid, GridMismatch
from backend.imaging.nifti import UnreadableNifti, read_nifti, write_nifti
from backend.imaging.nodes import measure_all
from backend.imaging.seg import (
    Algorithm,
    CannotExport,
    NodeSegment,
    UnreadableSegmentation,
    node_of_tracking_uid,
    read_seg,
    read_seg_labels,
    tracking_uid,
    write_seg,
)
from tests.imaging.conftest import boxes, ellipsoid

LABELS = {2: str(UUID(int=2**100 + 7)), 5: str(UUID(int=5)), 9: str(UUID(int=2**127))}
MODEL = Algorithm("demonstration model", "1.0")
SEGMENTS = [
    NodeSegment(2, LABELS[2], "Node 2", "AUTOMATIC", MODEL, "II", "L"),
    NodeSegment(5, LABELS[5], "Node 5", "SEMIAUTOMATIC", MODEL, None, None),
    NodeSegment(9, LABELS[9], "Node 9", "MANUAL", None, "VI", "R"),
]


def series(grid: Grid) -> list[Dataset]:
    """Headers of a CT series on the grid."""
    images = []
    for index, uid in enumerate(grid.sop_uids):
        image = Dataset()
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, uid
        image.StudyInstanceUID, image.SeriesInstanceUID = "2.25.11", "2.25.12"
        image.FrameOfReferenceUID = grid.frame_of_reference_uid or f"2.25.13.{index}"
        image.PatientID, image.PatientName = "P1", "Phantom^One"
        image.PatientBirthDate, image.PatientSex = "", ""
        image.StudyID, image.StudyDate, image.StudyTime = "1", "20260101", "120000"
        image.AccessionNumber, image.ReferringPhysicianName = "", ""
        image.Modality, image.SeriesNumber, image.InstanceNumber = "CT", 1, index + 1
        image.Rows, image.Columns = grid.shape[1:]
        image.PixelSpacing = list(grid.spacing_mm[1:])
        image.SliceThickness = grid.spacing_mm[0]
        image.ImagePositionPatient = list(grid.to_patient(index, 0, 0))
        image.ImageOrientationPatient = [*grid.row_direction, *grid.column_direction]
        images.append(image)
    return images


@pytest.fixture(scope="module")
def grid() -> Grid:
    return Grid.axial((8, 30, 40), (2.5, 0.7, 0.6), (-20.0, -30.0, 100.0))


@pytest.fixture(scope="module")
def labels() -> NDArray[np.uint16]:
    found = boxes((8, 30, 40), ((1, 4), (3, 9), (3, 9)), ((2, 3), (3, 9), (9, 15)))
    found = np.array([0, 2, 5], np.uint16)[found]
    found[ellipsoid((8, 30, 40), (6, 20, 30), (5, 4, 4), (2.5, 0.7, 0.6))] = 9
    return found


@pytest.fixture(scope="module")
def written(grid: Grid, labels: NDArray[np.uint16]) -> bytes:
    return write_seg(labels, grid, series(grid)[::-1], SEGMENTS, software_version="0.1")


def test_a_segmentation_reads_back_voxel_for_voxel_under_the_masks_own_numbers(
    written: bytes, grid: Grid, labels: NDArray[np.uint16]
) -> None:
    assert np.array_equal(read_seg_labels(written, grid, LABELS), labels)


def test_a_label_map_segmentation_reads_back_too(grid: Grid, labels: NDArray[np.uint16]) -> None:
    data = write_seg(labels, grid, series(grid), SEGMENTS, software_version="0.1", kind="LABELMAP")
    assert np.array_equal(read_seg_labels(data, grid, LABELS), labels)
    assert [segment.number for segment in read_seg(data, grid)[1]] == [1, 2, 3]


def test_every_node_is_one_coded_and_tracked_segment(written: bytes, grid: Grid) -> None:
    dataset = pydicom.dcmread(io.BytesIO(written))
    assert dataset.SegmentationType == "BINARY"
    assert dataset.StudyInstanceUID == "2.25.11"
    assert "research use only" in dataset.SeriesDescription
    first, second, third = dataset.SegmentSequence
    assert first.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "91723000"
    assert first.SegmentedPropertyTypeCodeSequence[0].CodeValue == "59441001"
    assert first.AnatomicRegionSequence[0].CodeValue == "245321008"
    side = first.AnatomicRegionSequence[0].AnatomicRegionModifierSequence[0]
    assert side.CodeValue == "7771000"
    assert first.TrackingUID == f"2.25.{2**100 + 7}"
    assert first.TrackingID == "Node 2"
    algorithm = first.SegmentationAlgorithmIdentificationSequence[0]
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("demonstration model", "1.0")
    assert second.AnatomicRegionSequence[0].CodeValue == "81105003"
    assert [s.SegmentAlgorithmType for s in (first, second, third)] == [
        "AUTOMATIC",
        "SEMIAUTOMATIC",
        "MANUAL",
    ]
    assert "SegmentationAlgorithmIdentificationSequence" not in third
    assert [s.node for s in read_seg(written, grid)[1]] == list(LABELS.values())


@pytest.mark.parametrize("number", [0, 1, 2**64, 2**128 - 1])
def test_a_tracking_uid_leads_back_to_its_node(number: int) -> None:
    node = str(UUID(int=number))
    assert tracking_uid(node) == f"2.25.{number}"
    assert node_of_tracking_uid(tracking_uid(node)) == node


@pytest.mark.parametrize("uid", ["1.2.3", "2.25", "2.25.x", f"2.25.{2**128}"])
def test_a_strangers_tracking_uid_is_no_node(uid: str) -> None:
    assert node_of_tracking_uid(uid) is None


def test_sources_without_a_common_frame_of_reference_are_given_one(
    grid: Grid, labels: NDArray[np.uint16]
) -> None:
    unknown = replace(grid, frame_of_reference_uid="")
    data = write_seg(labels, unknown, series(unknown), SEGMENTS, software_version="0.1")
    assert np.array_equal(read_seg_labels(data, unknown, LABELS), labels)
    frame = pydicom.dcmread(io.BytesIO(data)).FrameOfReferenceUID
    assert frame == f"2.25.{int(unknown.geometry_hash[:32], 16)}"


def test_what_does_not_fit_together_is_not_exported(grid: Grid, labels: NDArray[np.uint16]) -> None:
    def write(
        mask: NDArray[np.uint16], segments: list[NodeSegment], images: list[Dataset]
    ) -> bytes:
        return write_seg(mask, grid, images, segments, software_version="0.1")

    images = series(grid)
    with pytest.raises(CannotExport, match=r"describe \[2, 5\]"):
        write(labels, SEGMENTS[:2], images)
    with pytest.raises(CannotExport, match="no node"):
        write(np.zeros_like(labels), [], images)
    with pytest.raises(CannotExport, match="images of the series are absent"):
        write(labels, SEGMENTS, images[1:])
    with pytest.raises(CannotExport, match="shape"):
        write(labels[1:], SEGMENTS, images)
    with pytest.raises(CannotExport, match="names no algorithm"):
        write(labels, [replace(SEGMENTS[0], algorithm=None), *SEGMENTS[1:]], images)
    with pytest.raises(CannotExport, match="unknown level"):
        write(labels, [replace(SEGMENTS[0], level="IX"), *SEGMENTS[1:]], images)


def test_a_segmentation_of_other_images_is_refused_whole(written: bytes, grid: Grid) -> None:
    other = replace(grid, sop_uids=(*grid.sop_uids[:-1], "1.2.3"))
    with pytest.raises(UnreadableSegmentation, match=r"drawn on 2\.25\.1\.8, of another series"):
        read_seg_labels(written, other, LABELS)
    moved = replace(grid, origin_mm=(-20.0, -30.0, 101.0))
    with pytest.raises(UnreadableSegmentation, match="no slice of the series"):
        read_seg_labels(written, moved, LABELS)
    with pytest.raises(UnreadableSegmentation, match="no node of this mask"):
        read_seg_labels(written, grid, {2: LABELS[2]})
    with pytest.raises(UnreadableSegmentation, match="cannot be read"):
        read_seg_labels(b"not dicom", grid)


def test_a_segmentation_whose_segments_overlap_is_refused(written: bytes, grid: Grid) -> None:
    dataset = pydicom.dcmread(io.BytesIO(written))
    frames = dataset.PerFrameFunctionalGroupsSequence
    frames[0] = frames[1]  # both frames of node 2, now in one place
    stream = io.BytesIO()
    dataset.save_as(stream)
    with pytest.raises(UnreadableSegmentation, match="overlap"):
        read_seg(stream.getvalue(), grid)


def test_a_real_series_takes_a_segmentation(
    read_zip: Callable[[str], list[Dataset]],
) -> None:
    images = read_zip("thoracic_inlet_ct/lidc_idri_0314_top96.zip")
    grid = judge(map(facts_of, images))
    labels = np.zeros(grid.shape, np.uint16)
    labels[40:48, 200:220, 300:330] = 3
    labels[90:, 0:5, 507:] = 4
    segments = [
        NodeSegment(label, str(UUID(int=label)), f"Node {label}", "MANUAL") for label in (3, 4)
    ]
    data = write_seg(labels, grid, images, segments, software_version="0.1")
    nodes = {segment.label: segment.node for segment in segments}
    assert np.array_equal(read_seg_labels(data, grid, nodes), labels)


def test_an_experts_real_segmentation_of_a_neck_node_is_read_and_measured(
    read_zip: Callable[[str], list[Dataset]], data_folder: Path
) -> None:
    grid = judge(map(facts_of, read_zip("neck_node_pet_seg/qin_headneck_01_0024_pt.zip")))
    file = data_folder / "neck_node_pet_seg" / "tumor_User1_Manual_Trial1.dcm"
    labels, segments = read_seg(file.read_bytes(), grid)
    assert [(segment.number, segment.node) for segment in segments] == [(1, None), (2, None)]
    nodes = measure_all(labels, grid)
    assert sorted(nodes) == [1, 2]
    assert 5 < nodes[2].sad_mm <= nodes[2].lad_mm < 60


def test_real_segmentations_of_other_series_are_refused_and_never_crash(data_folder: Path) -> None:
    files = sorted((data_folder / "odd_dicom" / "h_seg_rt_sr").iterdir())
    assert len(files) > 20
    for file in files:
        with pytest.raises(UnreadableSegmentation, match="Export it again"):
            read_seg(file.read_bytes(), Grid.axial((3, 16, 16)))


OBLIQUE = Grid(
    shape=(4, 5, 6),
    spacing_mm=(2.5, 0.7, 0.6),
    origin_mm=(-10.0, 20.0, 30.0),
    row_direction=(0.8, 0.6, 0.0),
    column_direction=(-0.6, 0.8, 0.0),
    sop_uids=("1.1", "1.2", "1.3", "1.4"),
    frame_of_reference_uid="1.0",
)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16])
def test_a_nifti_reads_back_unchanged(dtype: type[np.generic]) -> None:
    volume = np.arange(120).reshape(OBLIQUE.shape).astype(dtype)
    data = write_nifti(volume, OBLIQUE)
    read = read_nifti(data, OBLIQUE)
    assert read.dtype == dtype
    assert np.array_equal(read, volume)
    assert write_nifti(volume, OBLIQUE) == data


def test_another_reader_puts_the_voxels_in_the_same_place(tmp_path: Path) -> None:
    volume = np.arange(120).reshape(OBLIQUE.shape).astype(np.uint16)
    file = tmp_path / "mask.nii.gz"
    file.write_bytes(write_nifti(volume, OBLIQUE))
    image = SimpleITK.ReadImage(str(file))
    assert np.array_equal(SimpleITK.GetArrayFromImage(image), volume)
    for z, y, x in ((0, 0, 0), (3, 4, 5), (1, 2, 3)):
        there = image.TransformIndexToPhysicalPoint((x, y, z))
        assert there == pytest.approx(OBLIQUE.to_patient(z, y, x), abs=1e-4)


def test_a_nifti_of_another_grid_is_refused() -> None:
    data = write_nifti(np.zeros(OBLIQUE.shape, np.uint16), OBLIQUE)
    with pytest.raises(GridMismatch, match="sform"):
        read_nifti(data, replace(OBLIQUE, origin_mm=(-10.0, 20.0, 30.5)))
    with pytest.raises(GridMismatch, match="sform"):
        read_nifti(data, replace(OBLIQUE, spacing_mm=(2.6, 0.7, 0.6)))
    with pytest.raises(GridMismatch, match="shape"):
        read_nifti(data, replace(OBLIQUE, shape=(4, 6, 5)))
    with pytest.raises(GridMismatch, match="shape"):
        write_nifti(np.zeros((4, 6, 5), np.uint16), OBLIQUE)


def test_a_file_that_is_no_nifti_of_ours_is_refused() -> None:
    raw = bytearray(gzip.decompress(write_nifti(np.zeros(OBLIQUE.shape, np.uint16), OBLIQUE)))
    for damaged, message in (
        (b"plain text", "not gzip"),
        (gzip.compress(bytes(raw[:100])), "no little-endian"),
        (gzip.compress(bytes(raw[:-2])), "ends after"),
    ):
        with pytest.raises(UnreadableNifti, match=message):
            read_nifti(damaged, OBLIQUE)
    struct.pack_into("<h", raw, 70, 16)
    with pytest.raises(UnreadableNifti, match="whole numbers"):
        read_nifti(gzip.compress(bytes(raw)), OBLIQUE)
    with pytest.raises(UnreadableNifti, match="float64"):
        write_nifti(np.zeros(OBLIQUE.shape), OBLIQUE)
