"""Values of an object whose elements are still as the file had them."""

from __future__ import annotations

import struct
from typing import Any

from pydicom import charset
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from backend.archive.deidentify.values import text_of


def raw_value(element: Any) -> bytes:
    """The bytes of an element that is no sequence, also of one that was looked at before."""
    value = element.value
    if isinstance(element, RawDataElement) or isinstance(value, (bytes, bytearray)):
        return bytes(value or b"")
    if value is None:
        return b""
    parts = value if isinstance(value, (list, tuple)) or hasattr(value, "append") else [value]
    return "\\".join(str(part) for part in parts).encode("latin-1", "replace")


def text(dataset: Dataset, tag: int) -> str:
    """An element of plain characters, "" where there is none."""
    element = dataset.get_item(tag) if tag in dataset else None
    return text_of(raw_value(element)).strip() if element is not None else ""


def name(dataset: Dataset, tag: int) -> str:
    """An element of a person's language, decoded as the object says."""
    element = dataset.get_item(tag) if tag in dataset else None
    value = raw_value(element) if element is not None else b""
    if value.isascii():
        return value.decode("ascii").rstrip("\x00 ")
    try:
        sets = charset.convert_encodings(text(dataset, 0x00080005).split("\\"))
        return str(charset.decode_bytes(value, sets, set("\r\n\t\f\\^=")).rstrip("\x00 "))
    except (LookupError, UnicodeError, ValueError):
        return value.decode("utf-8", "replace").rstrip("\x00 ")


def number(dataset: Dataset, tag: int) -> int | None:
    """A US or IS, None where there is none."""
    element = dataset.get_item(tag) if tag in dataset else None
    if element is None:
        return None
    value = element.value
    if isinstance(value, int):
        return value
    data = raw_value(element)
    binary = isinstance(element, RawDataElement) and element.VR in (None, "US", "SS", "UN")
    if binary and len(data) >= 2 and tag != 0x00280008:
        order = "<" if element.is_little_endian else ">"
        return int(struct.unpack(f"{order}H", data[:2])[0])
    try:
        return int(text_of(data))
    except ValueError:
        return None
