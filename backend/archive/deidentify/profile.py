"""What becomes of each attribute: the table of PS3.15 Annex E, and the options we take.

The table is dicom-anonymizer's, of the standard's edition 2026c. Its actions are applied here and
not by that library: it looks only at the top level of an object, at listed attributes, and makes
its rules anew for every file.
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache

from dicomanonymizer.dicomfields_selector import dicom_anonymization_database_selector
from pydicom.datadict import dictionary_has_tag, dictionary_VR, tag_for_keyword

EDITION = "2026c"
MOMENTS = frozenset({"DA", "DT", "TM"})


class Action(Enum):
    """What is done with an element."""

    DROP = "drop"
    EMPTY = "empty"
    DUMMY = "dummy"
    BY_TYPE = "by type"  # Sequences are entered; values pass the rule of their VR.
    PSEUDONYM = "pseudonym"
    DEVICE = "device"
    KERNEL = "kernel"


_COLUMNS = {
    "D_TAGS": Action.DUMMY,
    "Z_D_TAGS": Action.DUMMY,
    "X_D_TAGS": Action.DUMMY,
    "X_Z_D_TAGS": Action.DUMMY,
    "Z_TAGS": Action.EMPTY,
    "X_Z_TAGS": Action.EMPTY,
    "U_TAGS": Action.BY_TYPE,
    "X_Z_U_STAR_TAGS": Action.BY_TYPE,
    "X_TAGS": Action.DROP,
}
# The options of methods: each attribute that the table would lose and research needs.
RETAINED = {
    # 113108 Retain Patient Characteristics
    "PatientSex": Action.BY_TYPE,
    "PatientAge": Action.BY_TYPE,
    "PatientSize": Action.BY_TYPE,
    "PatientWeight": Action.BY_TYPE,
    # 113105 Clean Descriptors: words of the committed list stay.
    "StudyDescription": Action.BY_TYPE,
    "SeriesDescription": Action.BY_TYPE,
    "ProtocolName": Action.BY_TYPE,
    "AcquisitionProtocolDescription": Action.BY_TYPE,
    "AcquisitionDeviceProcessingDescription": Action.BY_TYPE,
    "ContrastBolusAgent": Action.BY_TYPE,
    "RequestedProcedureDescription": Action.BY_TYPE,
    "PerformedProcedureStepDescription": Action.BY_TYPE,
    "DerivationDescription": Action.BY_TYPE,
    "StructureSetLabel": Action.BY_TYPE,
    "StructureSetName": Action.BY_TYPE,
    "ROIName": Action.BY_TYPE,
    "ROIObservationLabel": Action.BY_TYPE,
    "RTPlanLabel": Action.BY_TYPE,
    # 113104 Clean Structured Content, and graphics: what they hold passes the same rules.
    "ContentSequence": Action.BY_TYPE,
    "GraphicAnnotationSequence": Action.BY_TYPE,
    # 113107 Modified Dates: what the table removes and quantities need.
    "RadiopharmaceuticalStartTime": Action.BY_TYPE,
    "RadiopharmaceuticalStopTime": Action.BY_TYPE,
    "RadiopharmaceuticalStartDateTime": Action.BY_TYPE,
    "RadiopharmaceuticalStopDateTime": Action.BY_TYPE,
    "ContrastBolusStartTime": Action.BY_TYPE,
    "ContrastBolusStopTime": Action.BY_TYPE,
    # 113109 Retain Device Identity: maker and model. Serial numbers and stations go.
    "Manufacturer": Action.DEVICE,
    "ManufacturerModelName": Action.DEVICE,
    "SoftwareVersions": Action.DEVICE,
    "ConvolutionKernel": Action.KERNEL,
    # Who it is.
    "PatientID": Action.PSEUDONYM,
    "PatientName": Action.PSEUDONYM,
    "PatientBirthDate": Action.EMPTY,
    "PatientSexNeutered": Action.DROP,
    # Days that anyone can look up would give away by how much a patient's were moved.
    "ContextGroupVersion": Action.DROP,
    "ContextGroupLocalVersion": Action.DROP,
    "EffectiveDateTime": Action.DROP,
    "InformationIssueDateTime": Action.DROP,
    "HangingProtocolCreationDateTime": Action.DROP,
    "SourceStrengthReferenceDate": Action.EMPTY,
    "SourceStrengthReferenceTime": Action.EMPTY,
    "CalibrationDateTime": Action.EMPTY,
    "DateOfLastDetectorCalibration": Action.DROP,
    "TimeOfLastDetectorCalibration": Action.DROP,
    # All text is ASCII afterwards.
    "SpecificCharacterSet": Action.DROP,
    # Ours are written instead (`provenance`).
    "PatientIdentityRemoved": Action.DROP,
    "DeidentificationMethod": Action.DROP,
    "DeidentificationMethodCodeSequence": Action.DROP,
    "DeidentificationActionSequence": Action.DROP,
    "LongitudinalTemporalInformationModified": Action.DROP,
    "RecognizableVisualFeatures": Action.DROP,
}
# Bulk that is pixels, or needed to show them; no other OB, OW, OF … stays.
PIXELS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
OFFSETS = frozenset({0x7FE00001, 0x7FE00002})
# Tables of numbers → the descriptors that say how long they are.
TABLES = {
    0x00281201: 0x00281101,
    0x00281202: 0x00281102,
    0x00281203: 0x00281103,
    0x00283006: 0x00283002,
}
BULK = PIXELS | OFFSETS | TABLES.keys()
# Where the standard wants a value and cleaning may leave none.
NEVER_EMPTY = frozenset(
    tag_for_keyword(keyword)
    for keyword in (
        "SegmentLabel", "StructureSetLabel", "RTPlanLabel", "CodeMeaning", "ManufacturerModelName",
        "SoftwareVersions", "UserContentLabel", "EntityLabel",
    )
)  # fmt: skip


@lru_cache
def table() -> dict[int, Action]:
    """The profile's own table by tag; the groups of curves and overlays go whole (`action_of`)."""
    columns = dicom_anonymization_database_selector(f"dicomfields_{EDITION}")
    return {
        tag[0] << 16 | tag[1]: action
        for column, action in _COLUMNS.items()
        for tag in columns[column]
        if len(tag) == 2
    }


@lru_cache(maxsize=8192)
def action_of(tag: int) -> Action:
    """What becomes of a standard element; private ones are not asked for here."""
    group, element = tag >> 16, tag & 0xFFFF
    if element == 0 or group < 8 or group >> 8 in (0x50, 0x60) or not dictionary_has_tag(tag):
        return Action.DROP
    if (retained := _retained().get(tag)) is not None:
        return retained
    found = table().get(tag, Action.BY_TYPE)
    if found is not Action.DROP and dictionary_VR(tag) in MOMENTS:
        return Action.BY_TYPE  # 113107: dates move, times stay.
    return found


@lru_cache
def _retained() -> dict[int, Action]:
    found = {tag_for_keyword(keyword): action for keyword, action in RETAINED.items()}
    return {tag: action for tag, action in found.items() if tag is not None}
