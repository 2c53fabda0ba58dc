"""Standardised uptake value by body weight (SUVbw) of a PET series, from its headers.

QIBA's vendor-neutral way: activity concentration, decayed to the start of the scan, times the
patient's weight over the dose left at that moment. What the headers do not say is not guessed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from pydicom.dataset import Dataset

from backend.imaging.dicom import value_of

GRAMS = 1000.0
LONGEST_WAIT = dt.timedelta(hours=12)
"""From injection to scan; more, and one of the two times is not of this examination."""


class NoSuv(ValueError):
    """Why the values of a series cannot be told as SUVbw: one sentence."""


def suvbw_per_unit(headers: Sequence[Dataset]) -> float:
    """What the rescaled values of a PET series are multiplied by to be SUVbw (g/mL).

    Args:
        headers: the headers of its images, all of one series.

    Raises:
        NoSuv: when the headers do not say enough, or contradict one another.
    """
    first = headers[0]
    units = _one(headers, "Units")
    if units == "GML":
        if (kind := str(value_of(first, "SUVType") or "BW")) != "BW":
            raise NoSuv(f"Its values are SUV by another measure than weight ({kind}).")
        return 1.0
    if units != "BQML":
        raise NoSuv(f"Its values are in {units or 'no unit that it names'}, not in Bq/mL.")
    corrected = {str(v) for v in _many(first, "CorrectedImage")}
    if not {"ATTN", "DECY"} <= corrected:
        raise NoSuv("Its images are not said to be corrected for attenuation and decay.")
    weight = _positive(first, "PatientWeight", "the patient's weight")
    given = value_of(first, "RadiopharmaceuticalInformationSequence")
    if not given:
        raise NoSuv("It does not say what was injected.")
    dose = _positive(given[0], "RadionuclideTotalDose", "the injected dose")
    correction = _one(headers, "DecayCorrection")
    if correction == "ADMIN":
        return weight * GRAMS / dose
    if correction != "START":
        raise NoSuv("It does not say to which moment decay was corrected.")
    half_life = _positive(given[0], "RadionuclideHalfLife", "the half-life")
    waited = _waited(headers, given[0])
    left: float = dose * 2.0 ** (-waited.total_seconds() / half_life)
    return weight * GRAMS / left


def _waited(headers: Sequence[Dataset], given: Dataset) -> dt.timedelta:
    """From injection to the start of the scan: of series and first image, whichever is earlier.

    A series' own time may be that of a later reconstruction.
    """
    starts = [_moment(headers[0], "SeriesDate", "SeriesTime")]
    starts += [_moment(h, "AcquisitionDate", "AcquisitionTime") for h in headers]
    known = [moment for moment in starts if moment is not None]
    if not known:
        raise NoSuv("It does not say when the scan began.")
    start = min(known)
    injected = _stamp(value_of(given, "RadiopharmaceuticalStartDateTime"))
    if injected is None:
        time = value_of(given, "RadiopharmaceuticalStartTime")
        injected = _stamp(f"{start:%Y%m%d}{time}") if time else None
        if injected is None:
            raise NoSuv("It does not say when the dose was injected.")
        if injected > start:  # The scan began after midnight.
            injected -= dt.timedelta(days=1)
    waited = start - injected
    if not dt.timedelta(0) <= waited <= LONGEST_WAIT:
        raise NoSuv("Its times of injection and scan contradict each other.")
    return waited


def _moment(header: Dataset, date: str, time: str) -> dt.datetime | None:
    day, hour = value_of(header, date), value_of(header, time)
    return _stamp(f"{day}{hour}") if day and hour else None


def _stamp(value: object) -> dt.datetime | None:
    """YYYYMMDDHHMMSS[.ffffff]; parts of a second do not matter beside a half-life."""
    text = str(value or "")[:14]
    try:
        return dt.datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=dt.UTC)
    except ValueError:
        return None


def _one(headers: Sequence[Dataset], keyword: str) -> str:
    found = {str(value_of(header, keyword) or "") for header in headers}
    if len(found) > 1:
        raise NoSuv(f"Its images differ in {keyword}.")
    return found.pop()


def _many(header: Dataset, keyword: str) -> list[object]:
    value = value_of(header, keyword)
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value)


def _positive(header: Dataset, keyword: str, what: str) -> float:
    try:
        found = float(value_of(header, keyword) or 0)
    except (TypeError, ValueError):
        found = 0.0
    if not found > 0:
        raise NoSuv(f"It does not say {what}.")
    return found
