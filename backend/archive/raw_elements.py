"""DICOM JSON straight from an element's bytes, where nothing about them is unusual.

pydicom turns every element into an object that checks and remembers; for a header of sixty plain
values that is most of the cost of receiving a file. What is plain ASCII or a plain number is read
here; all else (other character sets, odd lengths, unknown or ambiguous types) is left to pydicom,
and a test holds both to the same answer.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement

_LONGEST = 4096
_NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d"}
_SEVERAL = frozenset({"AE", "AS", "CS", "DA", "DT", "LO", "SH", "TM", "UC", "UI"})
_ONE = frozenset({"LT", "ST", "UT"})
_LINES = frozenset("\r\n\t\f")


@lru_cache(maxsize=4096)
def _vr_of(tag: int) -> str:
    try:
        return str(dictionary_VR(tag))
    except KeyError:
        return ""


def plain_json(raw: RawDataElement) -> dict[str, Any] | None:
    """The element as DICOM JSON; None where pydicom has to read it."""
    vr = raw.VR or _vr_of(int(raw.tag))
    if raw.value is None or len(raw.value) > _LONGEST or raw.tag.is_private:
        return None
    if form := _NUMBERS.get(vr):
        return _numbers(vr, form, raw.value, little=raw.is_little_endian)
    if not raw.value.isascii() or b"\x00" in raw.value.rstrip(b"\x00"):
        return None
    text = raw.value.decode("ascii")
    allowed = _LINES if vr in _ONE else frozenset[str]()
    if any(c < " " and c not in allowed for c in text.rstrip("\x00")):
        return None
    if vr == "PN":
        return _person(text)
    if vr in _SEVERAL:
        return _texts(vr, text)
    if vr in _ONE:
        value = text.rstrip("\x00 ")
        return {"vr": vr, "Value": [value]} if value else {"vr": vr}
    if vr == "IS":
        return _decimals(vr, text, int)
    if vr == "DS":
        return _decimals(vr, text, float)
    return None


def _numbers(vr: str, form: str, value: bytes, *, little: bool) -> dict[str, Any] | None:
    size = struct.calcsize(form)
    if not value or len(value) % size:
        return {"vr": vr} if not value else None
    found = struct.unpack(f"{'<' if little else '>'}{len(value) // size}{form}", value)
    if form in "fd" and not all(map(math.isfinite, found)):
        return None
    return {"vr": vr, "Value": list(found)}


def _texts(vr: str, text: str) -> dict[str, Any] | None:
    text = text.rstrip("\x00 ")
    if not text:
        return {"vr": vr}
    parts = text.split("\\")
    if not all(part and part == part.strip(" ") for part in parts):
        return None
    return {"vr": vr, "Value": parts}


def _person(text: str) -> dict[str, Any] | None:
    text = text.rstrip("\x00 ")
    if not text:
        return {"vr": "PN"}
    if "\\" in text or "=" in text:
        return None
    return {"vr": "PN", "Value": [{"Alphabetic": text}]}


def _decimals(vr: str, text: str, kind: Callable[[str], Any]) -> dict[str, Any] | None:
    text = text.rstrip("\x00 ")
    if not text.strip():
        return {"vr": vr}
    try:
        found = [kind(part) for part in text.split("\\")]
    except ValueError:
        return None
    return {"vr": vr, "Value": found} if all(map(math.isfinite, found)) else None
