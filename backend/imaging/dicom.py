"""From image headers to a grid, or to refusals that say what is wrong and how to cure it.

Nothing is resampled or repaired: a series whose slices do not stack straight, evenly and without
gaps is refused by name. Pixels are decoded to stored values and rescaled to HU.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pixel_array

from backend.imaging import codecs
from backend.imaging.grid import (
    DIRECTION_TOLERANCE,
    LENGTH_TOLERANCE_MM,
    Grid,
    Vector,
    orthonormality_fault,
    vector,
)

codecs.register()

Stored: TypeAlias = NDArray[Any]

MINIMUM_SLICES = 3
UNEVEN_SHARE = 0.1
ROUNDING_MM = 0.1
"""A slice may lie this share of the spacing, or this far, from its even place: the distance covers
scanners that write positions with one decimal."""
SHEAR_MM = 0.1
SHEAR_SLOPE = 0.002
"""Sideways drift per distance along the normal that counts as gantry tilt (0.11°)."""
STATED_TILT_DEG = 0.5
"""A gantry tilt that a header states, but of which the directions of its slices show nothing."""
NAMED_AT_MOST = 6


@dataclass(frozen=True)
class SliceFacts:
    """What the geometry needs from one instance's header; None where the header lacks it.

    Positions in LPS mm, `orientation` as six direction cosines (along a row, along a column),
    `pixel_spacing_mm` as ``(between rows, between columns)``, gantry tilt in degrees.
    """

    sop_uid: str
    frame_of_reference_uid: str = ""
    position_mm: Vector | None = None
    orientation: tuple[float, ...] | None = None
    rows: int | None = None
    columns: int | None = None
    pixel_spacing_mm: tuple[float, float] | None = None
    instance_number: int | None = None
    image_type: tuple[str, ...] = ()
    gantry_tilt: float | None = None
    frames: int = 1

    @property
    def name(self) -> str:
        """How a message names the slice: its instance number and UID."""
        number = "without number" if self.instance_number is None else self.instance_number
        return f"instance {number} ({self.sop_uid})"


@dataclass(frozen=True)
class Refusal:
    """One reason why a series is no volume.

    Attributes:
        code: MISSING_TAG, MULTI_FRAME, TOO_FEW_SLICES, MIXED_MATRIX, MIXED_PIXEL_SPACING,
            BAD_ORIENTATION, MIXED_ORIENTATION, MIXED_FRAME_OF_REFERENCE, DUPLICATE_INSTANCE,
            DUPLICATE_POSITION, GANTRY_TILT, TILT_CONTRADICTED, MISSING_SLICES or UNEVEN_SPACING;
            of frames (`imaging.frames`) also FRAMES_NOT_DESCRIBED or SEVERAL_STACKS; of a CT in the
            archive also BAD_RESCALE.
        message: what is wrong and where, one sentence.
        cure: what to do about it, one sentence.
        sop_uids: the instances it is about.
    """

    code: str
    message: str
    cure: str
    sop_uids: tuple[str, ...]


class SeriesRefused(ValueError):
    """The series does not form one volume. Follow the cure of each refusal, then send it again."""

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        super().__init__(" ".join(f"{r.message} {r.cure}" for r in refusals))
        self.refusals = tuple(refusals)


class UnreadablePixels(ValueError):
    """The pixels cannot be used. Send the image again, uncompressed and in grey values."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"{detail} Send the image again, uncompressed and in grey values.")


def facts_of(dataset: Dataset) -> SliceFacts:
    """The facts of one instance; a value that is absent or cannot be read becomes None."""
    position = _numbers(dataset, "ImagePositionPatient", 3)
    spacing = _numbers(dataset, "PixelSpacing", 2)
    tilt = _numbers(dataset, "GantryDetectorTilt", 1)
    frames = _integer(dataset, "NumberOfFrames")
    return SliceFacts(
        sop_uid=_text(dataset, "SOPInstanceUID"),
        frame_of_reference_uid=_text(dataset, "FrameOfReferenceUID"),
        position_mm=vector(position) if position else None,
        orientation=_numbers(dataset, "ImageOrientationPatient", 6),
        rows=_integer(dataset, "Rows"),
        columns=_integer(dataset, "Columns"),
        pixel_spacing_mm=(spacing[0], spacing[1]) if spacing else None,
        instance_number=_integer(dataset, "InstanceNumber"),
        image_type=_texts(dataset, "ImageType"),
        gantry_tilt=tilt[0] if tilt else None,
        frames=1 if frames is None else frames,
    )


def value_of(dataset: Dataset, keyword: str) -> Any:
    """A value, None where it is not there or contradicts its VR."""
    try:
        return dataset.get(keyword)
    except Exception:  # noqa: BLE001  pydicom raises many kinds on a malformed value
        return None


def _text(dataset: Dataset, keyword: str) -> str:
    value = value_of(dataset, keyword)
    return "" if value is None else str(value).strip()


def _texts(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    value = value_of(dataset, keyword)
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(str(item) for item in value)


def _integer(dataset: Dataset, keyword: str) -> int | None:
    try:
        return int(value_of(dataset, keyword))
    except (TypeError, ValueError):
        return None


def _numbers(dataset: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    value = value_of(dataset, keyword)
    values = [value] if count == 1 else value
    try:
        numbers = tuple(float(item) for item in values)
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) == count and all(map(math.isfinite, numbers)) else None


def judge(slices: Iterable[SliceFacts]) -> Grid:
    """The grid the slices form, in whatever order they come.

    A Frame of Reference UID that is absent everywhere, or different in every single slice (some
    de-identification leaves it so), is taken as unknown: "".

    Raises:
        SeriesRefused: with every refusal found at the first step that fails.
    """
    facts = list(slices)
    for step in (_refuse_headers, _refuse_mixtures, _refuse_identities):
        refusals = step(facts)
        if refusals:
            raise SeriesRefused(refusals)
    ordered, along_mm, sideways_mm = stacked(facts)
    refusals = _refuse_stack(ordered, along_mm, np.linalg.norm(sideways_mm, axis=1))
    if refusals:
        raise SeriesRefused(refusals)
    first = ordered[0]
    row, column = _directions(first)
    between_rows, between_columns = first.pixel_spacing_mm or (0.0, 0.0)
    return Grid(
        shape=(len(ordered), first.rows or 0, first.columns or 0),
        spacing_mm=(
            float(along_mm[-1] - along_mm[0]) / (len(ordered) - 1),
            between_rows,
            between_columns,
        ),
        origin_mm=vector(first.position_mm or ()),
        row_direction=row,
        column_direction=column,
        sop_uids=tuple(s.sop_uid for s in ordered),
        frame_of_reference_uid=_frame_of_reference(facts),
    )


def _directions(facts: SliceFacts) -> tuple[Vector, Vector]:
    cosines = facts.orientation or ()
    return vector(cosines[:3]), vector(cosines[3:])


def _listed(slices: Sequence[SliceFacts]) -> str:
    """The slices of a message by name, the first few only."""
    names = ", ".join(s.name for s in slices[:NAMED_AT_MOST])
    more = len(slices) - NAMED_AT_MOST
    return f"{names} and {more} more" if more > 0 else names


def _uids(slices: Iterable[SliceFacts]) -> tuple[str, ...]:
    return tuple(s.sop_uid for s in slices)


def _refuse_headers(facts: list[SliceFacts]) -> list[Refusal]:
    """Each header on its own: one frame, every tag there, sound directions."""
    refusals = []
    many = [s for s in facts if s.frames > 1]
    if many:
        refusals.append(
            Refusal(
                "MULTI_FRAME",
                f"These are multi-frame images: {_listed(many)}, {many[0].frames} frames.",
                "Have the scanner or PACS send the series as single-frame images.",
                _uids(many),
            )
        )
        return refusals
    tags: dict[str, Callable[[SliceFacts], object]] = {
        "SOP Instance UID": lambda s: s.sop_uid,
        "Image Position (Patient)": lambda s: s.position_mm,
        "Image Orientation (Patient)": lambda s: s.orientation,
        "Pixel Spacing": lambda s: s.pixel_spacing_mm and min(s.pixel_spacing_mm) > 0,
        "Rows": lambda s: s.rows,
        "Columns": lambda s: s.columns,
    }
    for tag, value in tags.items():
        lacking = [s for s in facts if not value(s)]
        if lacking:
            refusals.append(
                Refusal(
                    "MISSING_TAG",
                    f"{tag} is missing or unreadable in {_listed(lacking)}.",
                    "Send the original images from the scanner or PACS.",
                    _uids(lacking),
                )
            )
    for s in facts:
        if s.orientation is not None:
            fault = orthonormality_fault(*_directions(s))
            if fault:
                refusals.append(
                    Refusal(
                        "BAD_ORIENTATION",
                        f"{fault.rstrip('.')}, in {s.name}.",
                        "Send the original images from the scanner or PACS.",
                        (s.sop_uid,),
                    )
                )
                break
    return refusals


def _refuse_mixtures(facts: list[SliceFacts]) -> list[Refusal]:
    """What must be equal in all slices: orientation, matrix, pixel spacing, frame of reference."""
    refusals = []
    if len(facts) < MINIMUM_SLICES:
        return [
            Refusal(
                "TOO_FEW_SLICES",
                f"The series has {len(facts)} of at least {MINIMUM_SLICES} slices.",
                "Send the whole series, or choose another series of the study.",
                _uids(facts),
            )
        ]
    groups = _group_orientations(facts)
    if len(groups) > 1:
        odd = [s for group in groups[1:] for s in group]
        refusals.append(
            Refusal(
                "MIXED_ORIENTATION",
                f"The slices point in {len(groups)} directions; {len(groups[0])} agree, "
                f"these do not: {_listed(odd)}.",
                "Split the series by orientation (take localizers out) and send one stack.",
                _uids(odd),
            )
        )
    matrices = Counter((s.rows, s.columns) for s in facts)
    if len(matrices) > 1:
        usual = matrices.most_common(1)[0][0]
        odd = [s for s in facts if (s.rows, s.columns) != usual]
        refusals.append(
            Refusal(
                "MIXED_MATRIX",
                f"Most slices have {usual[0]} rows × {usual[1]} columns, these do not: "
                f"{_listed(odd)}.",
                "Take the odd images out of the series, or send them as their own series.",
                _uids(odd),
            )
        )
    usual_mm = Counter(s.pixel_spacing_mm for s in facts).most_common(1)[0][0]
    odd = [s for s in facts if not _same_spacing(s.pixel_spacing_mm, usual_mm)]
    if odd and usual_mm:
        refusals.append(
            Refusal(
                "MIXED_PIXEL_SPACING",
                f"Most slices have pixels of {usual_mm[0]:g} × {usual_mm[1]:g} mm, these do not: "
                f"{_listed(odd)}.",
                "Send one reconstruction; two fields of view cannot be one volume.",
                _uids(odd),
            )
        )
    frames = Counter(s.frame_of_reference_uid for s in facts)
    if 1 < len(frames) < len(facts):
        main = frames.most_common(1)[0][0]
        odd = [s for s in facts if s.frame_of_reference_uid != main]
        refusals.append(
            Refusal(
                "MIXED_FRAME_OF_REFERENCE",
                f"The slices have {len(frames)} frames of reference, so their positions cannot be "
                f"compared: {_listed(odd)}.",
                "Send the images of each acquisition as their own series.",
                _uids(odd),
            )
        )
    return refusals


def _same_spacing(a: tuple[float, float] | None, b: tuple[float, float] | None) -> bool:
    return bool(a and b) and all(
        abs(p - q) <= LENGTH_TOLERANCE_MM for p, q in zip(a or (), b or (), strict=True)
    )


def _frame_of_reference(facts: Sequence[SliceFacts]) -> str:
    frames = {s.frame_of_reference_uid for s in facts}
    return frames.pop() if len(frames) == 1 else ""


def _group_orientations(facts: Sequence[SliceFacts]) -> list[list[SliceFacts]]:
    """Slices with the same direction cosines together, the largest group first."""
    groups: list[list[SliceFacts]] = []
    for s in facts:
        for group in groups:
            first = group[0].orientation or ()
            if all(
                abs(p - q) <= DIRECTION_TOLERANCE * 10
                for p, q in zip(first, s.orientation or (), strict=True)
            ):
                group.append(s)
                break
        else:
            groups.append([s])
    return sorted(groups, key=len, reverse=True)


def _refuse_identities(facts: list[SliceFacts]) -> list[Refusal]:
    """Each instance once."""
    counts = Counter(s.sop_uid for s in facts)
    twice = [s for s in facts if counts[s.sop_uid] > 1]
    if not twice:
        return []
    return [
        Refusal(
            "DUPLICATE_INSTANCE",
            f"The same SOP Instance UID stands more than once: {_listed(twice)}.",
            "Keep one of each and send the series again.",
            tuple(sorted({s.sop_uid for s in twice})),
        )
    ]


def stacked(
    facts: Sequence[SliceFacts],
) -> tuple[list[SliceFacts], NDArray[np.float64], NDArray[np.float64]]:
    """Slices ascending along the normal, their places along it ``(slices,)``, and how far each
    lies sideways of the first ``(slices, 2)``: along a column, along a row. All in mm."""
    row, column = _directions(facts[0])
    normal = np.cross(row, column)
    normal /= np.linalg.norm(normal)
    positions = np.array([s.position_mm for s in facts], np.float64)
    order = np.argsort(positions @ normal, kind="stable")
    positions = positions[order]
    along = positions @ normal
    sideways = (positions - positions[0]) @ np.array([column, row]).T
    return [facts[i] for i in order], along, sideways


def _refuse_stack(
    ordered: list[SliceFacts], along_mm: NDArray[np.float64], drift_mm: NDArray[np.float64]
) -> list[Refusal]:
    """How the slices follow one another: once each, straight along the normal, evenly."""
    gaps = np.diff(along_mm)
    same = np.flatnonzero(gaps <= LENGTH_TOLERANCE_MM)
    if same.size:
        both = [ordered[i] for i in sorted({*same.tolist(), *(same + 1).tolist()})]
        return [
            Refusal(
                "DUPLICATE_POSITION",
                f"Several slices lie at the same place, {along_mm[same[0]]:.2f} mm along the "
                f"normal: {_listed(both)}.",
                "Send one phase or echo per series.",
                _uids(both),
            )
        ]
    distance = along_mm - along_mm[0]
    sheared = np.flatnonzero((drift_mm > SHEAR_MM) & (drift_mm > SHEAR_SLOPE * distance))
    if sheared.size:
        worst = int(sheared[np.argmax(drift_mm[sheared])])
        angle = math.degrees(math.atan2(float(drift_mm[worst]), float(distance[worst])))
        stated = ordered[worst].gantry_tilt
        said = "" if stated is None else f" (header: gantry tilt {stated:g}°)"
        return [
            Refusal(
                "GANTRY_TILT",
                f"The slices are not stacked along their normal: {ordered[worst].name} lies "
                f"{drift_mm[worst]:.2f} mm sideways, a shear of {angle:.1f}°{said}.",
                "Have the scanner reconstruct the series without tilt, or resample it first.",
                _uids([ordered[i] for i in sheared]),
            )
        ]
    return _refuse_stated_tilt(ordered) or _refuse_gaps(ordered, along_mm, gaps)


def _refuse_stated_tilt(ordered: list[SliceFacts]) -> list[Refusal]:
    """Original slices that lie straight across the patient although a tilted gantry is stated."""
    row, column = _directions(ordered[0])
    lean = math.degrees(math.acos(min(1.0, abs(float(np.cross(row, column)[2])))))
    stated = [
        s
        for s in ordered
        if s.gantry_tilt is not None
        and abs(s.gantry_tilt) > max(STATED_TILT_DEG, 2 * lean)
        and "DERIVED" not in s.image_type
    ]
    if not stated:
        return []
    return [
        Refusal(
            "TILT_CONTRADICTED",
            f"The header states a gantry tilt of {stated[0].gantry_tilt:g}°, but the directions "
            f"of the slices show none: {_listed(stated)}.",
            "Have the scanner or PACS send the series with its true directions.",
            _uids(stated),
        )
    ]


def _refuse_gaps(
    ordered: list[SliceFacts], along_mm: NDArray[np.float64], gaps: NDArray[np.float64]
) -> list[Refusal]:
    step = (along_mm[-1] - along_mm[0]) / gaps.size
    even = along_mm[0] + step * np.arange(along_mm.size)
    if np.abs(along_mm - even).max() <= max(UNEVEN_SHARE * step, ROUNDING_MM):
        return []
    usual = _usual_gap(gaps)
    multiples = np.rint(gaps / usual)
    odd = np.flatnonzero(np.abs(gaps - usual) > UNEVEN_SHARE * usual)
    pairs = [(ordered[i], ordered[i + 1]) for i in odd.tolist()]
    between = ", ".join(
        f"{float(gaps[i]):.2f} mm between {ordered[i].name} and {ordered[i + 1].name}"
        for i in odd.tolist()[: NAMED_AT_MOST // 2]
    )
    uids = _uids(s for pair in pairs for s in pair)
    whole = np.abs(gaps - multiples * usual) <= UNEVEN_SHARE * usual
    if odd.size and whole.all() and multiples.min() >= 1:
        missing = int((multiples - 1).sum())
        return [
            Refusal(
                "MISSING_SLICES",
                f"{missing} {'slice is' if missing == 1 else 'slices are'} missing: {between}, "
                f"where {usual:.2f} mm is usual.",
                "Send the missing images.",
                uids,
            )
        ]
    return [
        Refusal(
            "UNEVEN_SPACING",
            f"The slices are not evenly spaced: {between or 'the distance drifts'}, "
            f"where {usual:.2f} mm is usual.",
            "Send a reconstruction with even spacing.",
            uids or _uids(ordered),
        )
    ]


def _usual_gap(gaps: NDArray[np.float64]) -> float:
    """The gap most others agree with; of equally common ones the smallest."""
    agreeing = (np.abs(gaps[:, None] - gaps[None, :]) <= UNEVEN_SHARE * gaps[:, None]).sum(axis=1)
    return float(np.median(gaps[agreeing == agreeing.max()].min()))


def decode_frame(dataset: Dataset, index: int = 0) -> Stored:
    """Stored values of one frame ``(rows, columns)``, int16 or int32, not rescaled.

    Raises:
        UnreadablePixels: when there are no pixels, they are colour, or cannot be decoded.
    """
    name = _text(dataset, "SOPInstanceUID") or "the image"
    samples = _integer(dataset, "SamplesPerPixel")
    meaning = _text(dataset, "PhotometricInterpretation")
    if samples not in (None, 1) or meaning not in ("", "MONOCHROME1", "MONOCHROME2"):
        raise UnreadablePixels(f"{name} is a colour image.")
    if "PixelData" not in dataset:
        raise UnreadablePixels(f"{name} has no pixels.")
    syntax = dataset.file_meta.get("TransferSyntaxUID", "") if "file_meta" in vars(dataset) else ""
    plugin = codecs.LABEL if codecs.is_available(syntax) else ""
    try:
        if syntax == codecs.PROGRESSIVE_JPEG:
            stored = codecs.decode_progressive(dataset, index)
        else:
            stored = pixel_array(dataset, index=index, decoding_plugin=plugin)
    except Exception as error:
        raise UnreadablePixels(f"The pixels of {name} cannot be decoded ({error}).") from error
    if stored.dtype.kind not in "iu":
        raise UnreadablePixels(f"{name} holds {stored.dtype} values.")
    narrow = np.can_cast(stored.dtype, np.int16)
    return stored.astype(np.int16 if narrow else np.int32)


def rescale(stored: Stored, slope: float = 1.0, intercept: float = 0.0) -> NDArray[np.int16]:
    """stored × slope + intercept, rounded to whole numbers and clipped to int16."""
    limits = np.iinfo(np.int16)
    if slope == 1 and float(intercept).is_integer():
        values: NDArray[Any] = stored.astype(np.int64) + int(intercept)
    else:
        values = np.rint(stored.astype(np.float64) * slope + intercept)
    clipped: NDArray[np.int16] = np.clip(values, limits.min, limits.max).astype(np.int16)
    return clipped


def to_hu(dataset: Dataset, index: int = 0) -> NDArray[np.int16]:
    """One frame ``(rows, columns)`` in HU (in MR: in rescaled units), clipped to int16.

    A missing Rescale Slope counts as 1, a missing intercept as 0; a multi-frame image's are read
    from its functional groups.

    Raises:
        UnreadablePixels: see `decode_frame`.
    """
    holder = _rescale_of_frame(dataset, index)
    slope = _numbers(holder, "RescaleSlope", 1) or (1.0,)
    intercept = _numbers(holder, "RescaleIntercept", 1) or (0.0,)
    return rescale(decode_frame(dataset, index), slope[0], intercept[0])


def _rescale_of_frame(dataset: Dataset, index: int) -> Dataset:
    """The dataset that carries Rescale Slope and Intercept for a frame."""
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence") or []
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    groups: list[Dataset] = [*per_frame[index : index + 1], *shared]
    for group in groups:
        items: list[Dataset] = list(group.get("PixelValueTransformationSequence") or [])
        if items:
            return items[0]
    return dataset
