"""Multi-frame DICOM made for tests out of single slices, and slices of a tilted gantry."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import generate_uid

from tests.archive.made import ct_series

ENHANCED = {
    "CT": "1.2.840.10008.5.1.4.1.1.2.1",
    "MR": "1.2.840.10008.5.1.4.1.1.4.1",
    "PT": "1.2.840.10008.5.1.4.1.1.130",
}
FRAME_TYPES = {
    "CT": "CTImageFrameTypeSequence",
    "MR": "MRImageFrameTypeSequence",
    "PT": "PETFrameTypeSequence",
}


def item(**values: Any) -> Items:
    """A sequence of one item."""
    one = Dataset()
    for keyword, value in values.items():
        setattr(one, keyword, value)
    return Items([one])


def enhanced(slices: Sequence[Dataset], **changes: Any) -> Dataset:
    """The slices as one enhanced image, in the given order, geometry in functional groups."""
    first = slices[0]
    whole = copy.deepcopy(first)
    whole.SOPClassUID = ENHANCED[first.Modality]
    whole.SOPInstanceUID = f"{first.SeriesInstanceUID}.900"
    whole.NumberOfFrames = len(slices)
    whole.PixelData = b"".join(s.PixelData for s in slices)
    whole["PixelData"].VR = "OW"
    for keyword in (
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "PixelSpacing",
        "SliceThickness",
        "RescaleSlope",
        "RescaleIntercept",
    ):
        delattr(whole, keyword)
    shared = Dataset()
    shared.PixelMeasuresSequence = item(
        PixelSpacing=first.PixelSpacing, SliceThickness=first.SliceThickness
    )
    shared.PlaneOrientationSequence = item(ImageOrientationPatient=first.ImageOrientationPatient)
    setattr(shared, FRAME_TYPES[first.Modality], item(FrameType=list(first.ImageType)))
    whole.SharedFunctionalGroupsSequence = Items([shared])
    whole.PerFrameFunctionalGroupsSequence = Items(
        [_frame(s, place) for place, s in enumerate(slices)]
    )
    for keyword, value in changes.items():
        setattr(whole, keyword, value)
    return whole


def _frame(slice_: Dataset, place: int) -> Dataset:
    own = Dataset()
    own.FrameContentSequence = item(
        StackID="1", InStackPositionNumber=place + 1, DimensionIndexValues=[1, place + 1]
    )
    own.PlanePositionSequence = item(ImagePositionPatient=slice_.ImagePositionPatient)
    own.PixelValueTransformationSequence = item(
        RescaleSlope=slice_.RescaleSlope, RescaleIntercept=slice_.RescaleIntercept, RescaleType="HU"
    )
    return own


def tilted_series(count: int = 6, degrees: float = 15.0, **changes: Any) -> list[Dataset]:
    """Slices askew to the couch, which moves along z; 2.5 mm of couch between them."""
    angle = math.radians(degrees)
    cosines = [1, 0, 0, 0, round(math.cos(angle), 6), round(-math.sin(angle), 6)]
    return ct_series(count, ImageOrientationPatient=cosines, GantryDetectorTilt=degrees, **changes)


def localizer(of: Dataset, *, index: int = 800, **changes: Any) -> Dataset:
    """A sagittal localizer in the series of a slice."""
    scout = copy.deepcopy(of)
    scout.SOPInstanceUID = f"{of.SeriesInstanceUID}.{index}"
    scout.InstanceNumber = index
    scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    scout.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    for keyword, value in changes.items():
        setattr(scout, keyword, value)
    return scout


def another_series(slices: Sequence[Dataset], number: int, **changes: Any) -> list[Dataset]:
    """The same slices as another series of the same study."""
    uid = generate_uid()[:56]
    found = []
    for place, one in enumerate(slices):
        moved = copy.deepcopy(one)
        moved.SeriesInstanceUID, moved.SeriesNumber = uid, number
        moved.SOPInstanceUID = f"{uid}.{place + 1}"
        for keyword, value in changes.items():
            setattr(moved, keyword, value)
        found.append(moved)
    return found
