"""What no rule can clean: pictures with a name in their pixels, reports, documents.

They are kept aside until someone has looked at them.
"""

from __future__ import annotations

from pydicom.dataset import Dataset

from backend.archive.deidentify.keys import STANDARD_ROOT
from backend.archive.deidentify.reading import number, text
from backend.archive.findings import NotTaken

# Codes of what may come in once somebody has looked at it.
REVIEWED = frozenset({"BURNED_IN", "REPORT_TEXT"})
_LOOK = "A coordinator looks at it on the archive's page, and releases or discards it."
_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.3.1": "an ultrasound image",
    "1.2.840.10008.5.1.4.1.1.3": "an ultrasound image",
    "1.2.840.10008.5.1.4.1.1.6": "an ultrasound image",
    "1.2.840.10008.5.1.4.1.1.6.1": "an ultrasound image",
    "1.2.840.10008.5.1.4.1.1.6.2": "an ultrasound image",
    "1.2.840.10008.5.1.4.1.1.6.3": "an ultrasound image",
    "1.2.840.10008.5.1.4.1.1.7": "a secondary capture",
}
_FAMILIES = {
    "1.2.840.10008.5.1.4.1.1.7.": "a secondary capture",
    "1.2.840.10008.5.1.4.1.1.77.": "a photograph or slide",
    "1.2.840.10008.5.1.4.1.1.88.": "a structured report",
    "1.2.840.10008.5.1.4.1.1.104.": "a document",
}
_MODALITIES = {
    "US": "an ultrasound image",
    "IVUS": "an ultrasound image",
    "SC": "a secondary capture",
    "XC": "a photograph",
    "GM": "a photograph",
    "ES": "an endoscopic picture",
    "SM": "a slide",
    "DOC": "a document",
    "SR": "a structured report",
}
_SCREENS = frozenset({"SCREEN", "REPORT", "SCREENSAVE", "SAVE", "DISPLAY", "PATIENT", "DOSE_INFO"})
_COLOUR_IS_A_SCREEN = frozenset({"CT", "MR", "PT", "NM"})
REPORTS = "1.2.840.10008.5.1.4.1.1.88."


def needs_review(dataset: Dataset) -> NotTaken | None:
    """Why an object may not come in by itself; None where it may."""
    sop_class, modality = text(dataset, 0x00080016), text(dataset, 0x00080060)
    if sop_class and not sop_class.startswith(STANDARD_ROOT):
        return NotTaken(
            "UNKNOWN_KIND",
            "{name} is an object of a maker's own kind, of which nobody knows what it holds.",
            "Send standard objects, or receive it from a source that does not de-identify.",
        )
    kind = _CLASSES.get(sop_class) or _MODALITIES.get(modality)
    kind = kind or next((k for root, k in _FAMILIES.items() if sop_class.startswith(root)), None)
    if kind == "a structured report":
        return NotTaken(
            "REPORT_TEXT",
            "{name} is a structured report, which may name anyone in its text.",
            _LOOK,
        )
    if kind == "a document":
        return NotTaken(
            "DOCUMENT",
            "{name} is a document, which may name anyone in its text.",
            "It cannot be cleaned. Enter what it says as evidence, without names.",
        )
    if kind is not None:
        return _burned(kind)
    if text(dataset, 0x00280301).upper() == "YES":
        return _burned("an image marked as having text burned in")
    words = {w for part in text(dataset, 0x00080008).upper().split("\\") for w in part.split()}
    if words & _SCREENS or text(dataset, 0x00080064):
        return _burned("a picture of a screen")
    if number(dataset, 0x00280002) == 3 and modality in _COLOUR_IS_A_SCREEN:
        return _burned("a picture of a screen")
    if _has_overlay_in_pixels(dataset):
        return _burned("an image with drawings in the unused bits of its pixels")
    return None


def _burned(kind: str) -> NotTaken:
    return NotTaken(
        "BURNED_IN", f"{{name}} is {kind}: its pixels may show who the patient is.", _LOOK
    )


def _has_overlay_in_pixels(dataset: Dataset) -> bool:
    for tag in dataset.keys():  # noqa: SIM118  a data set iterates over its elements
        if tag.group >> 8 == 0x60 and tag.group % 2 == 0:
            base = tag.group << 16
            allocated, position = number(dataset, base | 0x100), number(dataset, base | 0x102)
            if position or (allocated or 1) > 1 or (base | 0x3000) not in dataset:
                return True
    return False
