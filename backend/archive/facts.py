"""What studies and series say of themselves in their headers, read leniently."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from pydicom.dataset import Dataset

from backend.archive.parsing import is_uid, text
from backend.archive.plain_header import Header

_AGE = re.compile(r"(\d{1,3})([DWMY])")
_PER_YEAR = {"D": 365.25, "W": 52.18, "M": 12.0, "Y": 1.0}
_NO_AGENT = frozenset({"", "NO", "NONE", "N", "NO CONTRAST", "WITHOUT", "0", "OFF"})


def study_facts(dataset: Dataset) -> dict[str, Any]:
    """The fields of `Study`."""
    return {
        "date": date_of(text(dataset, "StudyDate")),
        "time": text(dataset, "StudyTime")[:16],
        "description": text(dataset, "StudyDescription")[:256],
        "study_id": text(dataset, "StudyID")[:64],
        "accession_number": text(dataset, "AccessionNumber")[:64],
        "referring_physician": text(dataset, "ReferringPhysicianName")[:256],
        "patient_id": patient_id_of(dataset),
        "patient_name": text(dataset, "PatientName")[:512],
        "patient_birth_date": date_of(text(dataset, "PatientBirthDate")),
        "patient_sex": text(dataset, "PatientSex")[:16],
    }


def series_facts(dataset: Dataset) -> dict[str, Any]:
    """The fields of `Series` that its first image gives."""
    agent = contrast_agent(dataset)
    frame = text(dataset, "FrameOfReferenceUID")
    return {
        "modality": modality_of(dataset),
        "description": text(dataset, "SeriesDescription")[:256],
        "number": number_of(text(dataset, "SeriesNumber")),
        "date": date_of(text(dataset, "SeriesDate")),
        "time": text(dataset, "SeriesTime")[:16],
        "frame_of_reference_uid": frame if is_uid(frame) else "",
        "body_part": text(dataset, "BodyPartExamined")[:64],
        "image_type": [v.strip() for v in text(dataset, "ImageType").split("\\") if v.strip()],
        "contrast": bool(agent),
        "contrast_agent": agent,
        "slice_thickness_mm": length_of(text(dataset, "SliceThickness")),
        "patient_age_years": age_years(dataset),
        "manufacturer": text(dataset, "Manufacturer")[:128],
        "station_model": text(dataset, "ManufacturerModelName")[:128],
        "kernel": text(dataset, "ConvolutionKernel")[:128],
    }


def patient_id_of(dataset: Dataset | Header) -> str:
    """The Patient ID as it is kept."""
    return text(dataset, "PatientID")[:256]


def modality_of(dataset: Dataset | Header) -> str:
    """The modality as it is kept."""
    return text(dataset, "Modality")[:16]


def contrast_agent(dataset: Dataset) -> str:
    """The contrast agent's name, "" where none was given."""
    agent = text(dataset, "ContrastBolusAgent")
    if agent.upper() not in _NO_AGENT:
        return agent[:256]
    try:
        items = dataset.get("ContrastBolusAgentSequence") or []
        return text(items[0], "CodeMeaning")[:256] or "agent without name" if items else ""
    except Exception:  # noqa: BLE001  a malformed sequence names no agent
        return ""


def age_years(dataset: Dataset) -> int | None:
    """Whole years at the study: Patient's Age, else birth date and study date, else None."""
    if match := _AGE.fullmatch(text(dataset, "PatientAge").upper()):
        return int(int(match[1]) / _PER_YEAR[match[2]])
    birth = date_of(text(dataset, "PatientBirthDate"))
    study = date_of(text(dataset, "StudyDate"))
    if birth is None or study is None or study < birth:
        return None
    return study.year - birth.year - ((study.month, study.day) < (birth.month, birth.day))


def date_of(value: str) -> dt.date | None:
    """A DA value (YYYYMMDD, also the old YYYY.MM.DD), or None."""
    digits = value.replace(".", "").replace("-", "")[:8]
    try:
        return dt.date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except ValueError:
        return None


def number_of(value: str) -> int | None:
    """An IS value that fits the database, or None."""
    try:
        number = int(value)
    except ValueError:
        return None
    return number if abs(number) < 2**31 else None


def length_of(value: str) -> float | None:
    """A positive, finite length, or None."""
    try:
        length = float(value)
    except ValueError:
        return None
    return length if 0 < length < 1e6 else None
