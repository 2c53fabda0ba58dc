"""Is a series one volume? The geometry decides; header facts only describe it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from backend.archive import registry
from backend.archive.models import IMAGE_MODALITIES, Derivation, Instance, Series, VolumeState
from backend.archive.parsing import READ_CLASSES
from backend.imaging.dicom import Refusal, SeriesRefused, SliceFacts
from backend.imaging.frames import Frame, frames_of, holds_frames, judge_frames
from backend.imaging.grid import Grid
from backend.imaging.tilt import straighten

ASKEW_DEG = 10.0
"""A localizer lies askew to the stack it came with; one within this angle could be part of it."""

HIGHEST_SLOPE = 1e6
"""Of a CT; scanners write 1, rarely a few."""

_DOSE_REPORTS = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.88.67",  # X-Ray Radiation Dose SR
        "1.2.840.10008.5.1.4.1.1.88.68",  # Radiopharmaceutical Radiation Dose SR
        "1.2.840.10008.5.1.4.1.1.88.73",  # Patient Radiation Dose SR
    }
)
_SCREENSHOTS = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.7",  # Secondary Capture
        "1.2.840.10008.5.1.4.1.1.7.1",  # Multi-frame Single Bit Secondary Capture
        "1.2.840.10008.5.1.4.1.1.7.2",  # Multi-frame Grayscale Byte Secondary Capture
        "1.2.840.10008.5.1.4.1.1.7.3",  # Multi-frame Grayscale Word Secondary Capture
        "1.2.840.10008.5.1.4.1.1.7.4",  # Multi-frame True Color Secondary Capture
    }
)
_OTHER_KINDS = {
    "SEG": "a segmentation",
    "SR": "a structured report",
    "KO": "a key object selection",
    "PR": "a presentation state",
    "RTSTRUCT": "a set of radiotherapy structures",
    "RTPLAN": "a radiotherapy plan",
    "RTDOSE": "a radiotherapy dose",
    "REG": "a registration",
    "DOC": "a document",
}
_NOT_READ = "Nothing to do: it is kept and served, and not offered for reading."
_SOURCE = "Nothing to do: it is kept and served as it came."


@dataclass(frozen=True)
class Verdict:
    """What a series is.

    Attributes:
        grid: of a volume; or the one that the series made of it will have, whose `sop_uids` then
            name the source's frames (see `imaging.frames`).
        derivation: how it has to be rewritten to be read; `state`, `code` and `reason` are those
            of the source once that is done.
    """

    state: VolumeState
    code: str = ""
    reason: str = ""
    grid: Grid | None = None
    derivation: str = ""

    @property
    def sentence(self) -> str:
        """The reason of one that is set aside, without what to do about it."""
        return self.reason.partition(" Nothing to do")[0]


def verdict_on(series: Series, instances: Sequence[Instance]) -> Verdict:
    """What these instances are, without changing anything; in whatever order they come."""
    images = [i for i in instances if i.sop_class_uid in READ_CLASSES]
    if not images or series.modality not in IMAGE_MODALITIES:
        return _no_images(series, instances)
    localizers = [i for i in images if "LOCALIZER" in _image_type(i)]
    if len(localizers) == len(images):
        return _set_aside("LOCALIZER", "This series is a localizer.")
    stack = [i for i in images if i not in localizers]
    if any(i.pixels.get("samples", 1) != 1 for i in stack):
        return _set_aside("COLOUR", "This series holds colour images.")
    try:
        grid = judge_frames([frame for i in stack for frame in frames_in(i)])
        _refuse_doubtful(localizers, grid)
        if series.modality == "CT":
            _refuse_bad_rescale(stack)
    except SeriesRefused as refused:
        return _resampled(series, stack, localizers, refused) or _quarantined(refused)
    if any(holds_frames(i.sop_class_uid) for i in stack):
        return _rewritten(
            Derivation.FRAMES,
            "READ_AS_SINGLE_FRAMES",
            f"This series holds {grid.shape[0]} frames in "
            f"{len(stack)} multi-frame {'object' if len(stack) == 1 else 'objects'}; they are read "
            "as a series of single images with the same pixels.",
            grid,
        )
    if len(stack) < len(instances):
        others = len(instances) - len(stack)
        return _rewritten(
            Derivation.STACK,
            "READ_WITHOUT_OTHERS",
            f"This series holds {others} {'object' if others == 1 else 'objects'} beside the stack "
            f"of {len(stack)} slices (localizers or screenshots); copies of these slices alone are "
            "read.",
            grid,
        )
    return Verdict(VolumeState.VOLUME, grid=grid)


def frames_in(instance: Instance) -> list[Frame]:
    """The frames of an image: one, unless its class describes several."""
    if not holds_frames(instance.sop_class_uid):
        return [Frame(instance.sop_uid, 0, slice_facts(instance))]
    try:
        header = Dataset.from_json(instance.metadata, lambda tag, vr, uri: None)
        return frames_of(header)
    except SeriesRefused:
        raise
    except Exception as error:  # pydicom raises many kinds on malformed values
        raise SeriesRefused(
            [
                Refusal(
                    "FRAMES_NOT_DESCRIBED",
                    f"{instance.sop_uid} does not describe its frames ({type(error).__name__}).",
                    "Have the scanner send the original, or single-frame images.",
                    (instance.sop_uid,),
                )
            ]
        ) from error


def slice_facts(instance: Instance) -> SliceFacts:
    """The geometry facts stored with an instance."""
    stored: dict[str, Any] = {
        field.name: tuple(value) if isinstance(value, list) else value
        for field in fields(SliceFacts)
        if (value := instance.geometry.get(field.name)) is not None
    }
    return SliceFacts(**stored)


def _no_images(series: Series, instances: Sequence[Instance]) -> Verdict:
    classes = {i.sop_class_uid for i in instances}
    if classes and classes <= _DOSE_REPORTS:
        return _set_aside("DOSE_REPORT", "This series is a radiation dose report.")
    if classes and classes <= _SCREENSHOTS:
        return _set_aside("SCREENSHOT", "This series holds screenshots, not images of a scanner.")
    kind = _OTHER_KINDS.get(series.modality, f"not an image of {_or(IMAGE_MODALITIES)}")
    return _set_aside("NOT_AN_IMAGE", f"This series is {kind}.")


def _refuse_doubtful(localizers: Sequence[Instance], grid: Grid) -> None:
    """Let pass localizers that cannot be slices of the stack: they lie askew to it."""
    doubtful = []
    for instance in localizers:
        cosines = slice_facts(instance).orientation
        if cosines is not None:
            normal = np.cross(cosines[:3], cosines[3:])
            aligned = abs(float(normal @ np.array(grid.normal)))
            if aligned < math.cos(math.radians(ASKEW_DEG)):
                continue
        doubtful.append(slice_facts(instance))
    if doubtful:
        raise SeriesRefused(
            [
                Refusal(
                    "LOCALIZER_IN_STACK",
                    "Images that are marked as localizers lie like slices of the stack: "
                    f"{', '.join(s.name for s in doubtful[:6])}.",
                    "Have the scanner send the localizers as a series of their own.",
                    tuple(s.sop_uid for s in doubtful),
                )
            ]
        )


def _refuse_bad_rescale(stack: Sequence[Instance]) -> None:
    """A slope of 0, or a huge one, makes one grey of every Hounsfield unit."""
    bad = [i for i in stack if not 0 < abs(i.pixels["slope"]) <= HIGHEST_SLOPE]
    if bad:
        named = ", ".join(slice_facts(i).name for i in bad[:6])
        raise SeriesRefused(
            [
                Refusal(
                    "BAD_RESCALE",
                    f"The Rescale Slope of {len(bad)} of {len(stack)} slices "
                    f"({bad[0].pixels['slope']:g}) leaves no Hounsfield units: {named}.",
                    "Have the scanner or the PACS send the original images.",
                    tuple(i.sop_uid for i in bad),
                )
            ]
        )


def _resampled(
    series: Series,
    stack: Sequence[Instance],
    localizers: Sequence[Instance],
    refused: SeriesRefused,
) -> Verdict | None:
    """A tilted CT that somebody reads resampled; None for what stays refused."""
    if (
        refused.refusals[0].code != "GANTRY_TILT"
        or series.modality != "CT"
        or any(holds_frames(i.sop_class_uid) for i in stack)
        or not any(rule(series) for rule in registry.resample_rules)
    ):
        return None
    try:
        straight = straighten(slice_facts(i) for i in stack)
        _refuse_doubtful(localizers, straight.grid)
    except SeriesRefused as second:
        return _quarantined(second)
    return _rewritten(
        Derivation.TILT,
        "READ_RESAMPLED",
        f"This series was imaged with a tilted gantry (a shear of {straight.angle_deg:.1f}°); its "
        "slices are read sheared back to an orthogonal grid.",
        straight.grid,
    )


def _quarantined(refused: SeriesRefused) -> Verdict:
    reasons = " ".join(f"{r.message} {r.cure}" for r in refused.refusals)
    return Verdict(VolumeState.QUARANTINED, refused.refusals[0].code, reasons)


def _rewritten(derivation: Derivation, code: str, sentence: str, grid: Grid) -> Verdict:
    reason = f"{sentence} {_SOURCE}"
    return Verdict(VolumeState.SET_ASIDE, code, reason, grid, derivation.value)


def _image_type(instance: Instance) -> list[str]:
    return [str(v).upper() for v in instance.geometry.get("image_type") or []]


def _set_aside(code: str, sentence: str) -> Verdict:
    return Verdict(VolumeState.SET_ASIDE, code, f"{sentence} {_NOT_READ}")


def _or(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
