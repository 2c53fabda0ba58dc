"""Values by their type: what of an element's bytes may stay. Bytes in, bytes out, no padding.

Each function lets through only what its type can mean, so a name cannot hide in a number, a date
or a UID. Text comes out in ASCII, so character sets no longer matter.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable

from backend.archive.deidentify.vocabulary import NOBODY, cleaned, coded, device, kernel

OLDEST_AGE_YEARS = 89
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_INTEGER = re.compile(r"[+-]?\d{1,12}")
_TIME = re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?|\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?")
_DATE = re.compile(r"(\d{4})[.\-]?(\d{2})[.\-]?(\d{2})")
_MOMENT = re.compile(r"(\d{8})(\d{0,6}(?:\.\d{1,6})?)([+-]\d{4})?")
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_AGE = re.compile(r"(\d{3})([DWMY])")


def text_of(value: bytes) -> str:
    """The bytes as characters, without padding; of other character sets only ASCII matters."""
    return value.decode("latin-1").rstrip("\x00 ")


def _each(value: bytes, change: Callable[[str], str]) -> bytes:
    text = text_of(value)
    if not text:
        return b""
    parts = [change(part.strip(" \x00")) for part in text.split("\\")]
    return "\\".join(parts).encode("ascii") if any(parts) else b""


def decimals(value: bytes) -> bytes:
    """DS."""
    return _each(value, lambda part: part if _DECIMAL.fullmatch(part) else "")


def integers(value: bytes) -> bytes:
    """IS."""
    return _each(value, lambda part: part if _INTEGER.fullmatch(part) else "")


def times(value: bytes) -> bytes:
    """TM: kept, for decay is counted between times of one day."""
    return _each(value, lambda part: part if _TIME.fullmatch(part) else "")


def dates(value: bytes, days: int) -> bytes:
    """DA moved by `days`; what is no date becomes empty."""
    return _each(value, lambda part: _moved(part, days))


def moments(value: bytes, days: int) -> bytes:
    """DT: its day moved by `days`, its time kept; less than a whole day becomes empty."""

    def moved(part: str) -> str:
        match = _MOMENT.fullmatch(part)
        day = _moved(match[1], days) if match else ""
        return f"{day}{match[2]}{match[3] or ''}" if match and day else ""

    return _each(value, moved)


def _moved(text: str, days: int) -> str:
    match = _DATE.fullmatch(text)
    if match is None:
        return ""
    try:
        day = dt.date(int(match[1]), int(match[2]), int(match[3])) + dt.timedelta(days)
    except (ValueError, OverflowError):
        return ""
    return f"{day:%Y%m%d}" if day.year >= 1000 else ""


def ages(value: bytes) -> bytes:
    """AS as written; everyone over 89 is 090Y, for so old there are few."""

    def kept(part: str) -> str:
        match = _AGE.fullmatch(part.upper())
        if match is None:
            return ""
        return age_of(int(match[1])) if match[2] == "Y" else part.upper()

    return _each(value, kept)


def age_of(years: int) -> str:
    """An age in years as AS."""
    return f"{min(years, OLDEST_AGE_YEARS + 1):03}Y"


def uids(value: bytes, mapped: Callable[[str], str]) -> bytes:
    """UI, each mapped; what is no UID becomes empty."""
    return _each(
        value, lambda part: mapped(part) if _UID.fullmatch(part) and len(part) <= 64 else ""
    )


def codes(value: bytes) -> bytes:
    """CS: each value whole, or not at all."""
    return _each(value, lambda part: part if part.isascii() and coded(part) else "")


def words(value: bytes, without: frozenset[str] = NOBODY) -> bytes:
    """LO, SH and UC: words of the committed list, but none of the patient's name."""
    return _each(value, lambda part: cleaned(part, without))


def lines(value: bytes, without: frozenset[str] = NOBODY) -> bytes:
    """ST, LT and UT: the same, of one value."""
    return cleaned(text_of(value), without).encode("ascii")


def devices(value: bytes) -> bytes:
    """Manufacturer, model, software."""
    return _each(value, device)


def kernels(value: bytes) -> bytes:
    """Convolution Kernel."""
    return _each(value, kernel)


def age_at(birth: str, study: str) -> str:
    """The age that birth date and study date (DA) give, as AS; "" where they give none.

    In whole years; in months under two years.
    """
    born, seen = _DATE.fullmatch(birth), _DATE.fullmatch(study)
    if born is None or seen is None:
        return ""
    (y0, m0, d0), (y1, m1, d1) = (tuple(map(int, found.groups())) for found in (born, seen))
    months = (y1 - y0) * 12 + m1 - m0 - (d1 < d0)
    if months < 0 or not 1 <= m0 <= 12 or not 1 <= m1 <= 12 or months > 12 * 150:
        return ""
    return age_of(months // 12) if months >= 24 else f"{months:03}M"
