"""Objects with a name planted wherever DICOM has room for one."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from pydicom.datadict import DicomDictionary, dictionary_VR

from tests.archive.made import COLUMNS, CT, ROWS, values

NAME = "Zyxquell"
NUMBER = "7391846205"
DAY = "19571103"
ROOT = "1.2.826.0.1.3680043.7391846205"
CANARIES = tuple(text.encode() for text in (NAME, NAME.upper(), NAME.lower(), NUMBER, DAY))

# What stands in a value of each type, so that the planted text is there whatever the type.
PLANTED = {
    "AE": NAME.upper(),
    "AS": NAME[:4],
    "CS": NAME.upper(),
    "DA": DAY,
    "DS": f"{NAME}\\1.5",
    "DT": f"{DAY}101500.5\\{NAME}",
    "IS": f"{NAME}\\7{NUMBER}9999",
    "LO": f"CT neck of {NAME} {NUMBER}, born {DAY}",
    "LT": f"Dear {NAME},\r\nneck {NUMBER} seen on 3.11.1957",
    "OB": f"{NAME}\0{NUMBER}",
    "OW": f"{NAME} {NUMBER} ",
    "PN": f"{NAME}^Hildegard=\u2000{NAME}={NAME.lower()}",
    "SH": f"{NAME.lower()} {NUMBER}",
    "ST": f"venous {NAME}",
    "TM": NAME,
    "UC": f"{NAME} {NUMBER}",
    "UI": f"{ROOT}.5",
    "UN": f"{NAME} {NUMBER}",
    "UR": f"https://hospital.example/{NAME}?id={NUMBER}",
    "UT": f"{NAME} was here on {DAY}, axial",
}
_LONG = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}
# What an object needs to be taken at all, and is planted in objects of its own.
_NEEDED = {
    0x00080016, 0x00080018, 0x0020000D, 0x0020000E, 0x00080060, 0x00280010, 0x00280011,
    0x00280100, 0x00280101, 0x00280102, 0x00280103, 0x00280002, 0x00280004, 0x7FE00010,
    0x00280008, 0x00080008, 0x00280301, 0x00080064, 0x7FE00008, 0x7FE00009, 0x00420011,
    0x00080005, 0x00280006, 0x00281052, 0x00281053, 0x7FE00001, 0x7FE00002, 0x00280300,
}  # fmt: skip


@dataclass(frozen=True)
class Form:
    """An encoding: transfer syntax, implicit or not, byte order."""

    syntax: str
    implicit: bool
    order: str

    def element(self, tag: int, vr: str, value: bytes) -> bytes:
        value += (b"\0" if vr in ("UI", "OB", "UN") else b" ") * (len(value) % 2)
        group, number = tag >> 16, tag & 0xFFFF
        if self.implicit:
            return struct.pack(f"{self.order}HHL", group, number, len(value)) + value
        if vr in _LONG:
            head = struct.pack(f"{self.order}HH2sHL", group, number, vr.encode(), 0, len(value))
        else:
            head = struct.pack(f"{self.order}HH2sH", group, number, vr.encode(), len(value))
        return head + value

    def number(self, tag: int, value: int) -> bytes:
        return self.element(tag, "US", struct.pack(f"{self.order}H", value))

    def sequence(self, tag: int, *items: bytes) -> bytes:
        head = f"{self.order}HHL"
        value = b"".join(struct.pack(head, 0xFFFE, 0xE000, len(i)) + i for i in items)
        return self.element(tag, "SQ", value)


IMPLICIT = Form("1.2.840.10008.1.2", True, "<")
EXPLICIT = Form("1.2.840.10008.1.2.1", False, "<")
BIG = Form("1.2.840.10008.1.2.2", False, ">")
FORMS = {"implicit": IMPLICIT, "explicit": EXPLICIT, "big": BIG}


def text_tags() -> list[int]:
    """Every standard attribute that holds text or bytes."""
    return sorted(
        tag
        for tag in DicomDictionary
        if tag >> 16 >= 8 and tag not in _NEEDED and dictionary_VR(tag).split(" ")[0] in PLANTED
    )


def planted(form: Form, tag: int, vr: str = "") -> bytes:
    """An element with the planted text of its type."""
    vr = vr or dictionary_VR(tag)
    vr = "OW" if vr.startswith("OB or") else vr.split(" ")[0]
    return form.element(tag, vr, PLANTED[vr].encode())


def everywhere(form: Form) -> dict[int, bytes]:
    """Every text attribute there is, and in sequences three deep, known and unknown."""
    made = {tag: planted(form, tag) for tag in text_tags()}
    inner = b"".join(made[tag] for tag in sorted(made) if dictionary_VR(tag) != "SQ")
    deep = form.sequence(0x00081140, form.sequence(0x00081115, inner) + private(form))
    made[0x00081111] = form.sequence(0x00081111, deep)
    made[0x00081115] = form.sequence(0x00081115, inner + form.sequence(0x00081199, inner))
    made[0x00540016] = form.sequence(0x00540016, inner)
    made[0x0040A730] = form.sequence(0x0040A730, inner, form.sequence(0x0040A730, inner))
    made[0x00101002] = form.sequence(0x00101002, inner)
    # A coded entry of a hospital's own scheme, and one whose meaning speaks.
    made[0x00082218] = form.sequence(0x00082218, coded(form, NAME, "99HOSPITAL", NAME))
    made[0x00081032] = form.sequence(0x00081032, coded(form, "45048000", "SCT", f"Neck of {NAME}"))
    # A standard number that no dictionary has, and group lengths.
    made[0x00180FFE] = form.element(0x00180FFE, "LO", NAME.encode())
    made[0x00080000] = form.element(0x00080000, "UL", struct.pack(f"{form.order}L", 7))
    return made


def coded(form: Form, code: str, scheme: str, meaning: str) -> bytes:
    """The item of a code sequence."""
    parts = ((0x00080100, "SH", code), (0x00080102, "SH", scheme), (0x00080104, "LO", meaning))
    return b"".join(form.element(tag, vr, text.encode()) for tag, vr, text in parts)


def private(form: Form) -> bytes:
    """Private blocks: a creator who speaks, and known creators with more than they should hold."""
    return b"".join(
        (
            form.element(0x00090010, "LO", f"{NAME} GMBH".encode()),
            form.element(0x00091001, "LO", f"{NAME} {NUMBER}".encode()),
            form.element(0x00091002, "UN", f"{NAME} {NUMBER}".encode()),
            form.sequence(0x00091003, form.element(0x00100010, "PN", NAME.encode())),
            form.element(0x70530010, "LO", b"Philips PET Private Group"),
            form.element(0x70531000, "DS", f"{NAME}\\1.5".encode()),
            form.element(0x70531003, "ST", NAME.encode()),
        )
    )


def overlays(form: Form) -> dict[int, bytes]:
    """An overlay, its comments and label, and a curve."""
    return {
        0x50000010: form.number(0x50000010, 1),
        0x50003000: form.element(0x50003000, "OW", PLANTED["OW"].encode()),
        0x60000010: form.number(0x60000010, ROWS),
        0x60000011: form.number(0x60000011, COLUMNS),
        0x60000040: form.element(0x60000040, "CS", b"G"),
        0x60000100: form.number(0x60000100, 1),
        0x60000102: form.number(0x60000102, 0),
        0x60001500: form.element(0x60001500, "LO", NAME.encode()),
        0x60003000: form.element(0x60003000, "OW", PLANTED["OW"].encode()),
        0x60004000: form.element(0x60004000, "LT", NAME.encode()),
    }


def needed(form: Form, number: int = 1) -> dict[int, bytes]:
    """A CT image: what makes it one. Its UIDs have the planted number in them."""
    text = {
        0x00080008: ("CS", "ORIGINAL\\PRIMARY\\AXIAL"),
        0x00080016: ("UI", CT),
        0x00080018: ("UI", f"{ROOT}.3.{number}"),
        0x00080060: ("CS", "CT"),
        0x0020000D: ("UI", f"{ROOT}.1"),
        0x0020000E: ("UI", f"{ROOT}.2"),
        0x00280004: ("CS", "MONOCHROME2"),
    }
    numbers = {
        0x00280002: 1, 0x00280010: ROWS, 0x00280011: COLUMNS, 0x00280100: 16, 0x00280101: 16,
        0x00280102: 15, 0x00280103: 1,
    }  # fmt: skip
    made = {tag: form.element(tag, vr, value.encode()) for tag, (vr, value) in text.items()}
    made |= {tag: form.number(tag, value) for tag, value in numbers.items()}
    pixels = values(number).astype(f"{form.order}i2").tobytes()
    made[0x7FE00010] = form.element(0x7FE00010, "OW", pixels + f"{NAME} behind it".encode())
    made[0xFFFCFFFC] = form.element(0xFFFCFFFC, "OB", PLANTED["OB"].encode())
    return made


def whole(form: Form, elements: dict[int, bytes], number: int = 1) -> bytes:
    """A file with a preamble and file meta information that speak."""
    meta = b"".join(
        EXPLICIT.element(tag, vr, value.encode("latin-1"))
        for tag, vr, value in (
            (0x00020001, "OB", "\0\1"),
            (0x00020002, "UI", CT),
            (0x00020003, "UI", f"{ROOT}.3.{number}"),
            (0x00020010, "UI", form.syntax),
            (0x00020012, "UI", f"{ROOT}.4"),
            (0x00020013, "SH", NAME),
            (0x00020016, "AE", NAME.upper()),
            (0x00020017, "AE", NAME.upper()),
            (0x00020100, "UI", f"{ROOT}.6"),
            (0x00020102, "OB", NAME),
        )
    )
    length = EXPLICIT.element(0x00020000, "UL", struct.pack("<L", len(meta)))
    preamble = f"{NAME} {NUMBER}".encode().ljust(128, b"\0")
    body = b"".join(elements[tag] for tag in sorted(elements))
    return preamble + b"DICM" + length + meta + body


def files() -> Iterator[tuple[str, bytes]]:
    """The corpus: of each encoding one image with all of it."""
    for number, (name, form) in enumerate(FORMS.items(), start=1):
        elements = everywhere(form) | overlays(form) | needed(form, number)
        blocks = private(form)
        place = blocks.index(form.element(0x70530010, "LO", b"Philips PET Private Group"))
        elements |= {0x00090010: blocks[:place], 0x70530010: blocks[place:]}
        yield f"{NAME}^{name}.dcm", whole(form, elements, number)
