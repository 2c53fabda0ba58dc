"""DICOM Segmentation: one coded, tracked segment per node (METHODS.md §6.1, §6.2).

The store of record is the mask (`backend.imaging.masks`); a SEG is an export. It is written from
the label map and the source images, then read back and compared voxel for voxel by whoever wrote
it. Metastatic status is not encoded here: a label change must not rewrite geometry.
"""

from __future__ import annotations

import copy
import io
import uuid
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import highdicom
import numpy as np
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentDescription
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pixel_array
from pydicom.sr.coding import Code
from pydicom.uid import UID, ExplicitVRLittleEndian

from backend.imaging.dicom import ROUNDING_MM, SHEAR_MM, UNEVEN_SHARE
from backend.imaging.grid import LENGTH_TOLERANCE_MM, ORTHOGONALITY_TOLERANCE, Grid
from backend.imaging.masks import Labels

Origin: TypeAlias = Literal["AUTOMATIC", "SEMIAUTOMATIC", "MANUAL"]
SegType: TypeAlias = Literal["BINARY", "LABELMAP"]
Laterality: TypeAlias = Literal["R", "L"]

ANATOMICAL_STRUCTURE = Code("91723000", "SCT", "Anatomical Structure")
LYMPH_NODE = Code("59441001", "SCT", "Lymph node")
CERVICAL_LYMPH_NODE = Code("81105003", "SCT", "Cervical lymph node")
ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")
LATERALITY: dict[Laterality, Code] = {
    "R": Code("24028007", "SCT", "Right"),
    "L": Code("7771000", "SCT", "Left"),
}
LEVEL_SITES: dict[str, Code] = {
    "IA": Code("46055009", "SCT", "Submental lymph node"),
    "IB": Code("59503006", "SCT", "Submandibular lymph node"),
    "II": Code("245321008", "SCT", "Upper jugular lymph node"),
    "III": Code("245322001", "SCT", "Middle jugular lymph node"),
    "IV": Code("245323006", "SCT", "Lower jugular lymph node"),
    "V": Code("245324000", "SCT", "Posterior triangle cervical lymph node"),
    "VI": Code("5727003", "SCT", "Anterior cervical lymph node"),
    "VII": Code("127925003", "SCT", "Superior mediastinal lymph node"),
    "retropharyngeal": Code("25683005", "SCT", "Retropharyngeal lymph node"),
    "parotid": Code("10209003", "SCT", "Parotid lymph node"),
    "supraclavicular": Code("76838003", "SCT", "Supraclavicular lymph node"),
    "occipital": Code("3916005", "SCT", "Occipital lymph node"),
}
"""Nearest CID 7600 site of a neck level (sub-levels A and B of II and V share their level's)."""

SEG_CLASSES = frozenset({"1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"})
# What images that were de-identified say of it, what is made of them says too (PS3.15 E.1).
_OF_DEIDENTIFICATION = (
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    "LongitudinalTemporalInformationModified",
)
MANUFACTURER = "Concord"
RESEARCH_USE = "Concord, research use only"


class CannotExport(ValueError):
    """The mask cannot be written as a segmentation. Correct what is named and export again."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"{detail} Correct this and export again.")


class UnreadableSegmentation(ValueError):
    """The segmentation cannot be used on this series. Export it again on the series' own images."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"{detail} Export it again on the images of this series.")


@dataclass(frozen=True)
class Algorithm:
    """The model that drew, or first drew, a node."""

    name: str
    version: str


@dataclass(frozen=True)
class NodeSegment:
    """One node as a segment.

    Attributes:
        label: its number in the label map.
        node: its UUID; the Tracking UID is ``2.25.`` and the UUID as a whole number.
        name: segment label and tracking identifier, at most 64 characters.
        origin: AUTOMATIC (model alone), SEMIAUTOMATIC (model, corrected by a reader) or MANUAL.
        algorithm: required unless MANUAL.
        level: a key of `LEVEL_SITES`, or None for a cervical node without level.
        laterality: patient's side, or None.
    """

    label: int
    node: str
    name: str
    origin: Origin
    algorithm: Algorithm | None = None
    level: str | None = None
    laterality: Laterality | None = None


def tracking_uid(node: str) -> str:
    """The node's Tracking UID: ``2.25.`` and its UUID as a whole number (PS3.5 B.2)."""
    return f"2.25.{uuid.UUID(node).int}"


def node_of_tracking_uid(uid: str) -> str | None:
    """The node UUID of a Tracking UID, or None when it is not one of ours."""
    root, _, number = uid.rpartition(".")
    if root != "2.25" or not number.isdigit() or int(number) >= 1 << 128:
        return None
    return str(uuid.UUID(int=int(number)))


def write_seg(
    labels: Labels,
    grid: Grid,
    sources: Sequence[Dataset],
    segments: Sequence[NodeSegment],
    *,
    software_version: str,
    series_number: int = 900,
    series_uid: str | None = None,
    sop_uid: str | None = None,
    creator: str | None = None,
    kind: SegType = "BINARY",
) -> bytes:
    """The Part 10 bytes of a segmentation with one segment per node.

    Args:
        labels: effective label map ``(slices, rows, columns)`` uint16.
        grid: its grid.
        sources: the images of the series in any order, headers suffice.
        segments: one for every label present, none for a label that is absent.
        software_version: of the product.
        series_number, series_uid, sop_uid: of the new object; UIDs are made if not given.
        creator: Content Creator's Name (a person), or None.
        kind: BINARY for third parties (default) or LABELMAP.

    Raises:
        CannotExport: when labels, segments and sources do not fit together.
    """
    _require_fit(labels, grid, segments)
    images = _in_grid_order(grid, sources)
    numbers = np.zeros(int(np.iinfo(np.uint16).max) + 1, np.uint16)
    for number, segment in enumerate(segments, start=1):
        numbers[segment.label] = number
    occupied = [index for index, plane in enumerate(labels) if plane.any()]
    pixels = numbers[labels[occupied]]
    if len(segments) <= np.iinfo(np.uint8).max:
        pixels = pixels.astype(np.uint8)
    with warnings.catch_warnings():
        # A pseudonym is a name of one part, and is to stay as the images have it.
        warnings.filterwarnings("ignore", message=".*contains only a single component")
        segmentation = Segmentation(
            source_images=[images[index] for index in occupied],
            pixel_array=pixels,
            segmentation_type=kind,
            segment_descriptions=[
                _description(number, segment) for number, segment in enumerate(segments, start=1)
            ],
            series_instance_uid=series_uid or highdicom.UID(),
            series_number=series_number,
            sop_instance_uid=sop_uid or highdicom.UID(),
            instance_number=1,
            manufacturer=MANUFACTURER,
            manufacturer_model_name=MANUFACTURER,
            software_versions=software_version,
            device_serial_number=software_version,
            content_description=RESEARCH_USE,
            content_creator_name=creator,
            series_description=RESEARCH_USE,
            transfer_syntax_uid=ExplicitVRLittleEndian,
        )
    for keyword in _OF_DEIDENTIFICATION:
        if keyword in images[0]:
            segmentation[keyword] = copy.deepcopy(images[0][keyword])
    stream = io.BytesIO()
    segmentation.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _require_fit(labels: Labels, grid: Grid, segments: Sequence[NodeSegment]) -> None:
    if labels.shape != grid.shape:
        raise CannotExport(f"The mask has shape {labels.shape}, its grid {grid.shape}.")
    present = set(np.unique(labels).tolist()) - {0}
    described = [segment.label for segment in segments]
    if not present:
        raise CannotExport("The mask holds no node.")
    if sorted(present) != sorted(described):
        raise CannotExport(
            f"The mask holds labels {sorted(present)}, the segments describe {sorted(described)}."
        )
    for segment in segments:
        if segment.origin != "MANUAL" and segment.algorithm is None:
            raise CannotExport(f"{segment.name} is {segment.origin} but names no algorithm.")
        if segment.level is not None and segment.level not in LEVEL_SITES:
            raise CannotExport(f"{segment.name} has the unknown level {segment.level!r}.")


def _in_grid_order(grid: Grid, sources: Sequence[Dataset]) -> list[Dataset]:
    """Headers of the images in the grid's order, without pixels, in one frame of reference."""
    by_uid = {str(source.SOPInstanceUID): source for source in sources}
    absent = [uid for uid in grid.sop_uids if uid not in by_uid]
    if absent:
        raise CannotExport(f"{len(absent)} images of the series are absent, first {absent[0]}.")
    frame = grid.frame_of_reference_uid or (
        f"2.25.{int(grid.geometry_hash[:32], 16)}"  # none of the source's own can be trusted
    )
    images = []
    for uid in grid.sop_uids:
        image = copy.copy(by_uid[uid])
        if "PixelData" in image:
            del image.PixelData
        image.FrameOfReferenceUID = UID(frame)
        images.append(image)
    return images


def _description(number: int, segment: NodeSegment) -> Any:
    site = CERVICAL_LYMPH_NODE if segment.level is None else LEVEL_SITES[segment.level]
    identification = None
    if segment.origin != "MANUAL" and segment.algorithm is not None:
        identification = highdicom.AlgorithmIdentificationSequence(
            name=segment.algorithm.name,
            family=ARTIFICIAL_INTELLIGENCE,
            version=segment.algorithm.version,
        )
    description = SegmentDescription(
        segment_number=number,
        segment_label=segment.name,
        segmented_property_category=ANATOMICAL_STRUCTURE,
        segmented_property_type=LYMPH_NODE,
        algorithm_type=SegmentAlgorithmTypeValues(segment.origin),
        algorithm_identification=identification,
        tracking_uid=tracking_uid(segment.node),
        tracking_id=segment.name,
        anatomic_regions=[site],
    )
    if segment.laterality is not None:
        side = LATERALITY[segment.laterality]
        description.AnatomicRegionSequence[0].AnatomicRegionModifierSequence = [
            highdicom.sr.CodedConcept(side.value, side.scheme_designator, side.meaning)
        ]
    return description


@dataclass(frozen=True)
class ReadSegment:
    """A segment as found in a file; `node` is None when its tracking UID is not one of ours."""

    number: int
    name: str
    tracking_uid: str | None
    node: str | None
    origin: str


def read_seg(data: bytes, grid: Grid) -> tuple[Labels, tuple[ReadSegment, ...]]:
    """The label map ``(slices, rows, columns)`` by segment number, and the segments.

    Reads BINARY and LABELMAP segmentations, whoever wrote them. Every frame is put where its own
    position says and must fall on a slice of the grid; no frame is dropped silently.

    Raises:
        UnreadableSegmentation: when it cannot be read, lies on other images or off the grid, or
            its segments overlap.
    """
    try:
        dataset = dcmread(io.BytesIO(data))
        kind = str(dataset.SegmentationType) if dataset.SOPClassUID in SEG_CLASSES else "none"
        if kind in ("BINARY", "LABELMAP"):
            segments = tuple(_segment(item) for item in dataset.SegmentSequence)
            labels = _place_frames(dataset, grid, labelled=kind == "LABELMAP")
            return labels, tuple(segment for segment in segments if segment.number > 0)
    except UnreadableSegmentation:
        raise
    except Exception as error:
        raise UnreadableSegmentation(f"The segmentation cannot be read ({error}).") from error
    raise UnreadableSegmentation(f"The file is no segmentation by voxels (type {kind}).")


def _place_frames(dataset: Dataset, grid: Grid, *, labelled: bool) -> Labels:
    if (dataset.Rows, dataset.Columns) != grid.shape[1:]:
        raise UnreadableSegmentation(
            f"Its frames have {dataset.Rows} × {dataset.Columns} voxels, the series "
            f"{grid.shape[1]} × {grid.shape[2]}."
        )
    shared = dataset.SharedFunctionalGroupsSequence[0]
    frames = np.reshape(pixel_array(dataset), (-1, *grid.shape[1:]))
    labels = np.zeros(grid.shape, np.uint16)
    for frame, group in zip(frames, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        plane = labels[_slice_of_frame(group, shared, grid)]
        inside = frame != 0
        if plane[inside].any():
            raise UnreadableSegmentation("Its segments overlap.")
        if labelled:
            plane[inside] = frame[inside]
        else:
            identification = _item(group, shared, "SegmentIdentificationSequence")
            plane[inside] = int(identification.ReferencedSegmentNumber)
    return labels


def _item(group: Dataset, shared: Dataset, keyword: str) -> Dataset:
    """A functional group's item, of the frame or shared by all."""
    found: Dataset = (group if keyword in group else shared)[keyword].value[0]
    return found


def _slice_of_frame(group: Dataset, shared: Dataset, grid: Grid) -> int:
    """The slice a frame lies on, checked for images, position, orientation and spacing."""
    named = {
        str(source.ReferencedSOPInstanceUID)
        for derivation in group.get("DerivationImageSequence") or []
        for source in derivation.get("SourceImageSequence") or []
    }
    foreign = sorted(named - set(grid.sop_uids))
    if foreign:
        raise UnreadableSegmentation(f"A frame was drawn on {foreign[0]}, of another series.")
    position = _item(group, shared, "PlanePositionSequence").ImagePositionPatient
    z, y, x = grid.to_index([float(value) for value in position])
    index = round(z)
    aside_mm = max(abs(y) * grid.spacing_mm[1], abs(x) * grid.spacing_mm[2])
    along_mm = abs(z - index) * grid.spacing_mm[0]
    allowed_mm = max(ROUNDING_MM, UNEVEN_SHARE * grid.spacing_mm[0])
    directions = _item(group, shared, "PlaneOrientationSequence").ImageOrientationPatient
    expected = (*grid.row_direction, *grid.column_direction)
    turned = max(abs(float(p) - q) for p, q in zip(directions, expected, strict=True))
    spacing = _item(group, shared, "PixelMeasuresSequence").PixelSpacing
    stretched = max(abs(float(p) - q) for p, q in zip(spacing, grid.spacing_mm[1:], strict=True))
    if (
        not 0 <= index < grid.shape[0]
        or along_mm > allowed_mm
        or aside_mm > SHEAR_MM
        or turned > ORTHOGONALITY_TOLERANCE
        or stretched > LENGTH_TOLERANCE_MM
    ):
        raise UnreadableSegmentation(
            f"A frame at {[float(value) for value in position]} lies on no slice of the series."
        )
    return index


def _segment(item: Dataset) -> ReadSegment:
    uid = item.get("TrackingUID")
    return ReadSegment(
        number=int(item.SegmentNumber),
        name=str(item.SegmentLabel),
        tracking_uid=None if uid is None else str(uid),
        node=None if uid is None else node_of_tracking_uid(str(uid)),
        origin=str(item.get("SegmentAlgorithmType", "")),
    )


def read_seg_labels(data: bytes, grid: Grid, labels: Mapping[int, str] | None = None) -> Labels:
    """The label map ``(slices, rows, columns)`` of a segmentation, for comparison with a mask's.

    Args:
        data: Part 10 bytes.
        grid: the grid it must lie on.
        labels: label number → node UUID of the mask; segments get their node's number. Without
            it, labels are segment numbers.

    Raises:
        UnreadableSegmentation: see `read_seg`; also when a segment's node is not in `labels`.
    """
    found, segments = read_seg(data, grid)
    if labels is None:
        return found
    by_node = {node: number for number, node in labels.items()}
    numbers = np.zeros(int(np.iinfo(np.uint16).max) + 1, np.uint16)
    for segment in segments:
        if segment.node not in by_node:
            raise UnreadableSegmentation(f"Segment {segment.name!r} is no node of this mask.")
        numbers[segment.number] = by_node[segment.node]
    return numbers[found]
