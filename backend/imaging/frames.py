"""The frames of multi-frame images as slices: where each lies, and which stacks they form."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydicom.dataset import Dataset

from backend.imaging.dicom import Refusal, SeriesRefused, SliceFacts, facts_of, judge
from backend.imaging.grid import Grid

CLASSIC_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.2.1": "1.2.840.10008.5.1.4.1.1.2",  # Enhanced CT
    "1.2.840.10008.5.1.4.1.1.2.2": "1.2.840.10008.5.1.4.1.1.2",  # Legacy converted enhanced CT
    "1.2.840.10008.5.1.4.1.1.4.1": "1.2.840.10008.5.1.4.1.1.4",  # Enhanced MR
    "1.2.840.10008.5.1.4.1.1.4.4": "1.2.840.10008.5.1.4.1.1.4",  # Legacy converted enhanced MR
    "1.2.840.10008.5.1.4.1.1.130": "1.2.840.10008.5.1.4.1.1.128",  # Enhanced PET
    "1.2.840.10008.5.1.4.1.1.128.1": "1.2.840.10008.5.1.4.1.1.128",  # Legacy converted PET
}
"""SOP classes whose geometry lies in functional groups, and the class of one such frame alone."""

STACK = "Stack ID"
# What tells stacks apart: name, functional group, element.
_DIMENSIONS = (
    (STACK, "FrameContentSequence", "StackID"),
    ("Temporal Position", "FrameContentSequence", "TemporalPositionIndex"),
    ("Echo Time", "MREchoSequence", "EffectiveEchoTime"),
    ("Diffusion b-value", "MRDiffusionSequence", "DiffusionBValue"),
    ("Trigger Delay", "CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime"),
    ("Cardiac Phase", "CardiacSynchronizationSequence", "NominalPercentageOfCardiacPhase"),
    ("Tube Voltage", "CTXRayDetailsSequence", "KVP"),
    ("Frame Type", "CTImageFrameTypeSequence", "FrameType"),
    ("Frame Type", "MRImageFrameTypeSequence", "FrameType"),
    ("Frame Type", "PETFrameTypeSequence", "FrameType"),
    ("Complex Image Component", "MRImageFrameTypeSequence", "ComplexImageComponent"),
)
# Index pointers that order the slices of one stack, or that the list above reads by value.
_NAMED_POINTERS = frozenset(
    {
        0x00200032,  # Image Position (Patient)
        0x00201041,  # Slice Location
        0x00209056,  # Stack ID
        0x00209057,  # In-Stack Position Number
        0x00209128,  # Temporal Position Index
        0x00189082,  # Effective Echo Time
        0x00189087,  # Diffusion b-value
    }
)


@dataclass(frozen=True)
class FrameFacts(SliceFacts):
    """What the geometry needs from one frame; `sop_uid` is `<SOP Instance UID>#<frame>`."""

    frame: int = 1

    @property
    def name(self) -> str:
        """How a message names the frame."""
        return f"frame {self.frame} of {self.sop_uid.partition('#')[0]}"


@dataclass(frozen=True)
class Frame:
    """One frame of an image, or a whole single-frame image.

    `index` counts from 0 within the image; `dimensions` are the values of what may tell stacks
    apart, by name.
    """

    sop_uid: str
    index: int
    facts: SliceFacts
    dimensions: dict[str, str] = field(default_factory=dict)


def holds_frames(sop_class_uid: str) -> bool:
    """Whether images of this class describe their geometry frame by frame."""
    return sop_class_uid in CLASSIC_CLASSES


def frames_of(header: Dataset) -> list[Frame]:
    """The frames of an enhanced or legacy-converted image (its header is enough), in their order.

    Raises:
        SeriesRefused: when it does not describe each of its frames.
    """
    whole = facts_of(header)
    each = list(header.get("PerFrameFunctionalGroupsSequence") or [])
    if len(each) != whole.frames:
        raise SeriesRefused(
            [
                Refusal(
                    "FRAMES_NOT_DESCRIBED",
                    f"{whole.sop_uid} describes {len(each)} of its {whole.frames} frames.",
                    "Have the scanner send the original, or single-frame images.",
                    (whole.sop_uid,),
                )
            ]
        )
    shared = next(iter(header.get("SharedFunctionalGroupsSequence") or []), Dataset())
    pointers = _pointers(header)
    return [
        Frame(
            sop_uid=whole.sop_uid,
            index=index,
            facts=_facts(whole, own, shared, index),
            dimensions=_dimensions(own, shared, pointers),
        )
        for index, own in enumerate(each)
    ]


def judge_frames(frames: Sequence[Frame]) -> Grid:
    """The grid of the one stack that the frames form, in whatever order they come.

    Its `sop_uids` are the frames' `facts.sop_uid`.

    Raises:
        SeriesRefused: what `dicom.judge` refuses; SEVERAL_STACKS, naming what tells them apart,
            where the frames lie in more than one stack.
    """
    apart = _varying(frames)
    if STACK in apart:
        raise SeriesRefused([_several(frames, apart)])
    try:
        return judge(frame.facts for frame in frames)
    except SeriesRefused as refused:
        code = refused.refusals[0].code
        if apart and code in ("DUPLICATE_POSITION", "MIXED_ORIENTATION"):
            raise SeriesRefused([_several(frames, apart), *refused.refusals]) from None
        raise


def group_item(own: Dataset, shared: Dataset, name: str) -> Dataset:
    """The one item of a functional group: the frame's own, else what all share, else nothing."""
    for groups in (own, shared):
        items = groups.get(name)
        if items:
            found: Dataset = items[0]
            return found
    return Dataset()


def _facts(whole: SliceFacts, own: Dataset, shared: Dataset, index: int) -> FrameFacts:
    flat = Dataset()
    for group in ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence"):
        item = group_item(own, shared, group)
        for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
            if keyword in item:
                flat.add(item[keyword])
    found = facts_of(flat)
    values = {name: getattr(whole, name) for name in SliceFacts.__dataclass_fields__}
    facts = FrameFacts(**values, frame=index + 1)
    return replace(
        facts,
        sop_uid=f"{whole.sop_uid}#{index + 1}",
        position_mm=found.position_mm,
        orientation=found.orientation,
        pixel_spacing_mm=found.pixel_spacing_mm,
        instance_number=index + 1,
        frames=1,
    )


def _pointers(header: Dataset) -> list[tuple[int, str]]:
    """Place and name of the index dimensions that no list of ours knows."""
    found = []
    for place, item in enumerate(header.get("DimensionIndexSequence") or []):
        pointer = item.get("DimensionIndexPointer")
        if pointer is None or int(pointer) in _NAMED_POINTERS:
            continue
        label = str(item.get("DimensionDescriptionLabel") or "")
        found.append((place, label or f"Dimension {place + 1}"))
    return found


def _dimensions(
    own: Dataset, shared: Dataset, pointers: Iterable[tuple[int, str]]
) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, group, keyword in _DIMENSIONS:
        value = group_item(own, shared, group).get(keyword)
        if value is not None:
            found[name] = _shown(value)
    values = group_item(own, shared, "FrameContentSequence").get("DimensionIndexValues")
    indices = list(values) if isinstance(values, (list, tuple)) or _is_multi(values) else [values]
    for place, name in pointers:
        if place < len(indices) and indices[place] is not None:
            found[name] = str(indices[place])
    return found


def _is_multi(value: Any) -> bool:
    return type(value).__name__ == "MultiValue"


def _shown(value: Any) -> str:
    if isinstance(value, (list, tuple)) or _is_multi(value):
        return "/".join(str(part) for part in value)
    return str(value)


def _varying(frames: Sequence[Frame]) -> list[str]:
    """The dimensions in which the frames differ, by name."""
    names = dict.fromkeys(name for frame in frames for name in frame.dimensions)
    return [n for n in names if len({frame.dimensions.get(n) for frame in frames}) > 1]


def _several(frames: Sequence[Frame], apart: Sequence[str]) -> Refusal:
    stacks = {tuple(frame.dimensions.get(name) for name in apart) for frame in frames}
    names = ", ".join(apart[:-1]) + (" and " if len(apart) > 1 else "") + apart[-1]
    return Refusal(
        "SEVERAL_STACKS",
        f"The {len(frames)} frames form {len(stacks)} stacks, told apart by {names}.",
        "Have the scanner send each stack as its own series.",
        tuple(dict.fromkeys(frame.sop_uid for frame in frames)),
    )
