"""DICOM JSON straight from an element's bytes, where nothing about them is unusual.

pydicom turns every element into an object that checks and remembers; for a header of sixty plain
values that is most of the cost of receiving a file. What is plain ASCII or a plain number is read
here; all else (other character sets, odd lengths, unknown or ambiguous types) is left to pydicom,
and a test holds both to the same answer.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement

LONGEST = 4096
_CACHED = 64
_NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d"}
_SEVERAL = frozenset({"AE", "AS", "CS", "DA", "DT", "LO", "SH", "TM", "UC", "UI"})
_ONE = frozenset({"LT", "ST", "UT"})
_ODD = re.compile(rb"[\x00-\x1f\x80-\xff]")
_ODD_IN_LINES = re.compile(rb"[\x00-\x08\x0b\x0e-\x1f\x80-\xff]")


@lru_cache(maxsize=4096)
def _vr_of(tag: int) -> str:
    try:
        return str(dictionary_VR(tag))
    except KeyError:
        return ""


def plain_json(raw: RawDataElement) -> dict[str, Any] | None:
    """The element as DICOM JSON; None where pydicom has to read it."""
    if raw.value is None or len(raw.value) > LONGEST or raw.tag.is_private:
        return None
    return plain_value(raw.VR or _vr_of(int(raw.tag)), raw.value, little=raw.is_little_endian)


def plain_value(vr: str, value: bytes, *, little: bool = True) -> dict[str, Any] | None:
    """A value of at most `LONGEST` bytes as DICOM JSON; None where pydicom has to read it.

    Most values are the same in every slice of a series, so short ones are remembered: the answer
    is shared, and not to be changed.
    """
    if len(value) <= _CACHED:
        return _remembered(vr, value, little)
    return _read(vr, value, little)


def _read(vr: str, value: bytes, little: bool) -> dict[str, Any] | None:
    if form := _NUMBERS.get(vr):
        return _numbers(vr, form, value, little=little)
    if (_ODD_IN_LINES if vr in _ONE else _ODD).search(value.rstrip(b"\x00")):
        return None
    text = value.decode("ascii")
    if vr == "PN":
        return _person(text)
    if vr in _SEVERAL:
        return _texts(vr, text)
    if vr in _ONE:
        found = text.rstrip("\x00 ")
        return {"vr": vr, "Value": [found]} if found else {"vr": vr}
    if vr == "IS":
        return _decimals(vr, text, int)
    if vr == "DS":
        return _decimals(vr, text, float)
    return None


_remembered = lru_cache(maxsize=8192)(_read)


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
