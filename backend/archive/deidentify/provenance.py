"""What a de-identified object says of how it became one (PS3.15 E.1, CID 7050)."""

from __future__ import annotations

from functools import lru_cache

from backend.archive.deidentify.encoding import Encoding
from backend.archive.deidentify.profile import EDITION
from backend.version import VERSION

# Only what is really done. Device identity (113109) is not: makers and models stay, which the
# profile allows anyhow, and serial numbers and stations go. Pixels (113101) and faces (113102)
# are not changed.
_ALWAYS = (
    ("113100", "Basic Application Confidentiality Profile"),
    ("113105", "Clean Descriptors Option"),
    ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    ("113108", "Retain Patient Characteristics Option"),
    ("113111", "Retain Safe Private Option"),
)
_OF_REPORTS = (("113104", "Clean Structured Content Option"),)
_METHOD = (
    f"PS3.15 Annex E, table of {EDITION}",
    f"Concord {VERSION}",
    "Pixels not changed; recognizable features (faces) not removed",
)


@lru_cache(maxsize=32)
def provenance(encoding: Encoding, *, report: bool, faces: bool) -> dict[int, bytes]:
    """The elements, written.

    Args:
        encoding: of the object.
        report: whether structured content was cleaned.
        faces: whether a face may be recognised when the images are rendered.
    """
    codes = _ALWAYS + (_OF_REPORTS if report else ())
    items = [
        encoding.element(0x00080100, "SH", value.encode())
        + encoding.element(0x00080102, "SH", b"DCM")
        + encoding.element(0x00080104, "LO", meaning.encode())
        for value, meaning in sorted(codes)
    ]
    made = {
        0x00120062: encoding.element(0x00120062, "CS", b"YES"),
        0x00120063: encoding.element(0x00120063, "LO", "\\".join(_METHOD).encode()),
        0x00120064: encoding.sequence(0x00120064, items),
        0x00280303: encoding.element(0x00280303, "CS", b"MODIFIED"),
    }
    if faces:
        made[0x00280302] = encoding.element(0x00280302, "CS", b"YES")
    return made
