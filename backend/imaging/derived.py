"""Headers of images made from other images: single frames, images of a new series, sheared slices.

Everything in them follows from the source and the kind of making, UIDs included: making the same
again gives the same bytes. Private elements stay with the source.
"""

from __future__ import annotations

import copy
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.sr.codedict import codes
from pydicom.uid import UID, ExplicitVRLittleEndian
from pydicom.valuerep import DSfloat

from backend.imaging.frames import CLASSIC_CLASSES
from backend.imaging.grid import Grid

_NAMESPACE = uuid.UUID("3b1f0f3e-6a0a-5a0e-9a8e-6f0d0c2b7e55")
IMPLEMENTATION_UID = UID("2.25.227871893071263415923012530716358812401")
LONGEST_DESCRIPTION = 64

# What belongs to a multi-frame object as a whole, or to its encoding, or to no copy of it.
_LEFT = frozenset(
    {
        "SharedFunctionalGroupsSequence",
        "PerFrameFunctionalGroupsSequence",
        "NumberOfFrames",
        "DimensionOrganizationSequence",
        "DimensionIndexSequence",
        "DimensionOrganizationType",
        "FrameIncrementPointer",
        "AcquisitionContextSequence",
        "IconImageSequence",
        "ConcatenationUID",
        "InConcatenationNumber",
        "InConcatenationTotalNumber",
        "ConcatenationFrameOffsetNumber",
        "SOPInstanceUIDOfConcatenationSource",
        "PixelData",
        "FloatPixelData",
        "DoubleFloatPixelData",
        "ExtendedOffsetTable",
        "ExtendedOffsetTableLengths",
        "DataSetTrailingPadding",
        "DigitalSignaturesSequence",
        "MACParametersSequence",
        "InstanceNumber",
    }
)
# Elements of functional groups that single-frame images know by another name.
_RENAMED = {
    "FrameType": "ImageType",
    "EffectiveEchoTime": "EchoTime",
    "FrameAcquisitionNumber": "AcquisitionNumber",
    "FrameAcquisitionDateTime": "AcquisitionDateTime",
    "FrameComments": "ImageComments",
}
# Elements that say how a frame lies in its object.
_OF_THE_OBJECT = frozenset(
    {
        "StackID",
        "InStackPositionNumber",
        "DimensionIndexValues",
        "TemporalPositionIndex",
        "FrameLabel",
        "FrameAcquisitionDuration",
        "FrameReferenceDateTime",
        "FrameLaterality",
    }
)
# Functional groups that are sequences in single-frame images too.
_KEPT_WHOLE = frozenset(
    {"ReferencedImageSequence", "DerivationImageSequence", "RealWorldValueMappingSequence"}
)
# Empty where the source says nothing (type 2 of the CT, MR and PET image modules).
_EMPTY_ALLOWED = {
    "CT": ("KVP", "AcquisitionNumber"),
    "MR": ("ScanOptions", "MRAcquisitionType", "EchoTime", "EchoTrainLength", "RepetitionTime"),
    "PT": ("CorrectedImage", "DecayFactor", "CollimatorType"),
}
_FOR_ALL = (
    "AccessionNumber",
    "ReferringPhysicianName",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "SeriesNumber",
    "PositionReferenceIndicator",
    "Manufacturer",
)
_ECHO_PULSE = {"SPIN": ["SE"], "GRADIENT": ["GR"], "BOTH": ["SE", "GR"]}


@dataclass(frozen=True)
class Making:
    """What is made of a series.

    Attributes:
        kind: the word that stands in the UIDs.
        note: what is added to the series' description.
        told: one sentence for the Derivation Description.
    """

    kind: str
    note: str
    told: str


def derived_uid(*parts: object) -> UID:
    """The UID under 2.25 that belongs to these parts, always the same one."""
    return UID(f"2.25.{uuid.uuid5(_NAMESPACE, '/'.join(map(str, parts))).int}")


def copied(source: Dataset) -> Dataset:
    """A single-frame image without its pixels and private elements."""
    kept = _kept(source)
    _complete(kept, str(source.get("Modality", "")))
    return kept


def _kept(source: Dataset) -> Dataset:
    kept = Dataset()
    for tag in sorted(source.keys()):
        if tag.is_private or tag.group <= 2 or keyword_for_tag(tag) in _LEFT:
            continue
        try:
            kept.add(copy.deepcopy(source[tag]))
        except Exception:  # noqa: BLE001, S112  pydicom raises many kinds on a malformed value
            continue
    return kept


def flattened(header: Dataset, index: int) -> Dataset:
    """What a multi-frame image says of one frame, as a single-frame image would say it."""
    kept = _kept(header)
    modality = str(header.get("Modality", ""))
    kept.SOPClassUID = CLASSIC_CLASSES.get(str(header.SOPClassUID), header.SOPClassUID)
    shared = list(header.get("SharedFunctionalGroupsSequence") or [])
    own = list(header.get("PerFrameFunctionalGroupsSequence") or [])
    for groups in [*shared[:1], *own[index : index + 1]]:
        for element in groups:
            _flatten(kept, element)
    _complete(kept, modality)
    return kept


def _flatten(kept: Dataset, group: DataElement) -> None:
    if (
        group.tag.is_private
        or group.VR != "SQ"
        or group.keyword == "ConversionSourceAttributesSequence"
    ):
        return
    if group.keyword in _KEPT_WHOLE:
        kept.add(copy.deepcopy(group))
        return
    for element in group.value[0] if group.value else []:
        if element.tag.is_private or element.keyword in _OF_THE_OBJECT:
            continue
        moved = copy.deepcopy(element)
        if element.keyword in _RENAMED:
            setattr(kept, _RENAMED[element.keyword], moved.value)
        else:
            kept.add(moved)


def _complete(kept: Dataset, modality: str) -> None:
    """Add what a single-frame image of the modality must have and a multi-frame one need not."""
    for keyword in (*_FOR_ALL, *_EMPTY_ALLOWED.get(modality, ())):
        if keyword not in kept:
            setattr(kept, keyword, None)
    if "BodyPartExamined" not in kept and kept.get("AnatomicRegionSequence"):
        meaning = str(kept.AnatomicRegionSequence[0].get("CodeMeaning") or "")
        if meaning:
            kept.BodyPartExamined = meaning.upper()[:16].strip()
    if "AcquisitionDateTime" in kept and kept.AcquisitionDateTime and "AcquisitionDate" not in kept:
        moment = str(kept.AcquisitionDateTime)
        kept.AcquisitionDate, kept.AcquisitionTime = moment[:8], moment[8:].split("+")[0][:13]
    if modality == "MR":
        echo = str(kept.get("EchoPulseSequence") or "")
        if "ScanningSequence" not in kept:
            kept.ScanningSequence = _ECHO_PULSE.get(echo, ["RM"])
        if "SequenceVariant" not in kept:
            kept.SequenceVariant = "NONE"
    if modality == "CT":
        kind = list(kept.get("ImageType") or ["ORIGINAL", "PRIMARY"])
        if kind[2:3] not in (["AXIAL"], ["LOCALIZER"]):
            kept.ImageType = [*kind[:2], "AXIAL", *kind[2:]]
        if "RescaleIntercept" not in kept:
            kept.RescaleIntercept, kept.RescaleSlope = 0, 1


def placed(
    image: Dataset, *, grid: Grid, place: int, source: Dataset, series_uid: str, making: Making
) -> Dataset:
    """Make `image` slice `place` of a derived series on `grid`; `source` is named as its source.

    `source` gives SOPClassUID, SOPInstanceUID and, of a multi-frame image, ReferencedFrameNumber.
    """
    image.SeriesInstanceUID = series_uid
    frame = source.get("ReferencedFrameNumber", "")
    image.SOPInstanceUID = derived_uid(series_uid, source.ReferencedSOPInstanceUID, frame)
    image.InstanceNumber = place + 1
    image.Rows, image.Columns = grid.shape[1:]
    described = str(image.get("SeriesDescription") or "").strip()
    room = LONGEST_DESCRIPTION - len(making.note) - 3
    image.SeriesDescription = f"{described[:room]} ({making.note})" if described else making.note
    image.DerivationDescription = making.told
    image.SourceImageSequence = Items([source])
    image.file_meta = FileMetaDataset()
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.file_meta.ImplementationClassUID = IMPLEMENTATION_UID
    return image


def reference(sop_class_uid: str, sop_uid: str, frame: int | None = None) -> Dataset:
    """A source image as an item of Source Image Sequence; `frame` counts from 1."""
    item = Dataset()
    item.ReferencedSOPClassUID = sop_class_uid
    item.ReferencedSOPInstanceUID = sop_uid
    if frame is not None:
        item.ReferencedFrameNumber = frame
    item.PurposeOfReferenceCodeSequence = _coded(codes.DCM.SourceImageForImageProcessingOperation)
    return item


def as_sheared(image: Dataset, grid: Grid, place: int) -> Dataset:
    """The header of a resampled slice: derived, in HU, where its pixels now lie."""
    image.ImageType = ["DERIVED", "SECONDARY", "AXIAL", "RESAMPLED"]
    image.ImagePositionPatient = [decimal(v) for v in grid.to_patient(place, 0, 0)]
    image.DerivationCodeSequence = _coded(codes.DCM.SpatialResampling)
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 16, 15, 1
    image.RescaleIntercept, image.RescaleSlope, image.RescaleType = 0, 1, "HU"
    for keyword in (
        "PixelPaddingValue",
        "PixelPaddingRangeLimit",
        "SmallestImagePixelValue",
        "LargestImagePixelValue",
        "SmallestPixelValueInSeries",
        "LargestPixelValueInSeries",
        "SliceLocation",
    ):
        if keyword in image:
            delattr(image, keyword)
    return image


def with_pixels(image: Dataset, data: bytes) -> Dataset:
    """With native little-endian pixels."""
    image.PixelData = data + b"\0" * (len(data) % 2)
    image["PixelData"].VR = "OW" if image.BitsAllocated > 8 else "OB"
    return image


def decimal(value: float) -> DSfloat:
    """The value as a decimal string of at most 16 characters."""
    return DSfloat(float(value), auto_format=True)


def _coded(*meanings: object) -> Items:
    found: Iterable[Dataset] = (_code(meaning) for meaning in meanings)
    return Items(list(found))


def _code(meaning: object) -> Dataset:
    item = Dataset()
    item.CodeValue = str(getattr(meaning, "value", ""))
    item.CodingSchemeDesignator = str(getattr(meaning, "scheme_designator", ""))
    item.CodeMeaning = str(getattr(meaning, "meaning", ""))
    return item
