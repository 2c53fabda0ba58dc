"""Asking a remote what it has (QIDO-RS): studies, their series, the images of a series."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from backend.archive.facts import date_of
from backend.archive.metadata import clean_text
from backend.archive.parsing import is_uid
from backend.archive.remotes.line import Answer, Line
from backend.archive.remotes.problems import not_dicomweb, require_good, unreadable
from backend.errors import BadInput

SHOWN_STUDIES = 100
MOST_SERIES = 2000
PAGE = 1000
MOST_IMAGES = 100_000
# An answer longer than this is not read to its end.
ANSWER_BYTES = 64 << 20
JSON_KINDS = ("application/dicom+json", "application/json")
_ACCEPT = {"Accept": "application/dicom+json"}


@dataclass(frozen=True)
class Criteria:
    """What to look for; "" and None ask for anything. `modality` as in CT."""

    patient_id: str = ""
    patient_name: str = ""
    first: dt.date | None = None
    last: dt.date | None = None
    modality: str = ""
    accession: str = ""

    @property
    def named(self) -> list[str]:
        """The names of what is asked for, not the values: for the log."""
        found = {
            "patient ID": self.patient_id,
            "patient name": self.patient_name,
            "date": self.first or self.last,
            "modality": self.modality,
            "accession number": self.accession,
        }
        return [name for name, value in found.items() if value]

    def query(self) -> list[tuple[str, str]]:
        """As QIDO-RS asks for it; part of a name is enough."""
        name = self.patient_name
        if name and not set("*?") & set(name):
            name = f"*{name}*"
        date = ""
        if self.first or self.last:
            date = "-".join(f"{day:%Y%m%d}" if day else "" for day in (self.first, self.last))
        asked = (
            ("PatientID", self.patient_id),
            ("PatientName", name),
            ("StudyDate", date),
            ("ModalitiesInStudy", self.modality),
            ("AccessionNumber", self.accession),
        )
        return [(key, value) for key, value in asked if value]


@dataclass(frozen=True)
class FoundStudy:
    """One study as the remote describes it."""

    uid: str
    date: dt.date | None = None
    description: str = ""
    patient_name: str = ""
    patient_id: str = ""
    accession: str = ""
    modalities: tuple[str, ...] = ()
    series: int | None = None
    images: int | None = None


@dataclass(frozen=True)
class FoundSeries:
    """One series as the remote describes it."""

    uid: str
    number: int | None = None
    modality: str = ""
    description: str = ""
    images: int | None = None


@dataclass(frozen=True)
class Found:
    """The studies found; `more` where the remote has more than are shown."""

    studies: tuple[FoundStudy, ...] = field(default_factory=tuple)
    more: bool = False


def search_studies(line: Line, criteria: Criteria) -> Found:
    """Studies, the newest first, at most `SHOWN_STUDIES`; raises `RemoteProblem`."""
    query = [
        *criteria.query(),
        *(("includefield", tag) for tag in ("00081030", "00080061", "00201206", "00201208")),
        ("limit", str(SHOWN_STUDIES + 1)),
    ]
    rows = _asked(line, "/studies", query, "its studies")
    found = {study.uid: study for row in rows if (study := _study(row)) is not None}
    shown = sorted(found.values(), key=lambda s: (s.date or dt.date.min, s.uid), reverse=True)
    return Found(tuple(shown[:SHOWN_STUDIES]), len(found) > SHOWN_STUDIES)


def series_of(line: Line, study: str) -> list[FoundSeries]:
    """The series of a study, by number; raises `RemoteProblem`."""
    query = [("includefield", tag) for tag in ("0008103E", "00200011", "00201209")]
    path = f"/studies/{uid_in_path(study)}/series"
    rows = _asked(line, path, [*query, ("limit", str(MOST_SERIES))], "the study")
    found = {series.uid: series for row in rows if (series := _series(row)) is not None}
    return sorted(found.values(), key=lambda s: (s.number is None, s.number or 0, s.uid))


def images_of(line: Line, study: str, series: str, expected: int | None = None) -> list[str]:
    """The SOP Instance UIDs of a series, in the remote's order; raises `RemoteProblem`.

    Many a remote gives at most so many at once, whatever it is asked for: it is asked on while it
    has not listed as many as it says there are (`expected`).
    """
    path = f"/studies/{uid_in_path(study)}/series/{uid_in_path(series)}/instances"
    found: dict[str, None] = {}
    offset = 0
    while offset < MOST_IMAGES:
        query = [("limit", str(PAGE)), ("offset", str(offset))]
        before = len(found)
        rows = _asked(line, path, query, "the series")
        offset += len(rows)
        found.update((uid, None) for row in rows if is_uid(uid := _text(row, "00080018")))
        # A service without offsets gives the same again.
        if len(found) == before or (len(rows) < PAGE and len(found) >= (expected or 0)):
            break
    return list(found)


def speaks_dicomweb(line: Line) -> None:
    """Ask for one study; raises `RemoteProblem` where that does not work."""
    _asked(line, "/studies", [("limit", "1")], "its studies")


def uid_in_path(uid: str) -> str:
    """The UID, fit for an address; raises `BadInput`."""
    if not is_uid(uid):
        raise BadInput("BAD_UID", "That is no UID.", "Choose a study or series from the results.")
    return uid


def _asked(line: Line, path: str, query: list[tuple[str, str]], what: str) -> list[dict[str, Any]]:
    with line.answer("GET", path, query=query, headers=_ACCEPT) as answer:
        if answer.response.status_code == 204:
            return []
        require_good(answer.response, what)
        return rows_of(answer)


def rows_of(answer: Answer) -> list[dict[str, Any]]:
    """The data sets of a DICOM JSON answer; raises `RemoteProblem`."""
    found = json_of(answer)
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise unreadable("it is no list of data sets")
    return found


def json_of(answer: Answer) -> Any:
    """The value of a DICOM JSON answer; raises `RemoteProblem`."""
    if answer.kind not in JSON_KINDS:
        raise not_dicomweb(answer.kind)
    answer.allow(ANSWER_BYTES)
    try:
        return json.loads(answer.all() or b"[]")
    except (ValueError, RecursionError):
        raise unreadable("it is no JSON") from None


def _study(row: dict[str, Any]) -> FoundStudy | None:
    uid = _text(row, "0020000D")
    if not is_uid(uid):
        return None
    return FoundStudy(
        uid=uid,
        date=date_of(_text(row, "00080020")),
        description=_text(row, "00081030"),
        patient_name=_text(row, "00100010"),
        patient_id=_text(row, "00100020"),
        accession=_text(row, "00080050"),
        modalities=tuple(_texts(row, "00080061")[:12]),
        series=_number(row, "00201206"),
        images=_number(row, "00201208"),
    )


def _series(row: dict[str, Any]) -> FoundSeries | None:
    uid = _text(row, "0020000E")
    if not is_uid(uid):
        return None
    return FoundSeries(
        uid=uid,
        number=_number(row, "00200011"),
        modality=_text(row, "00080060"),
        description=_text(row, "0008103E"),
        images=_number(row, "00201209"),
    )


def _values(row: dict[str, Any], tag: str) -> Iterator[Any]:
    element = row.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    if isinstance(values, list):
        yield from values


def _texts(row: dict[str, Any], tag: str) -> list[str]:
    found = []
    for value in _values(row, tag):
        if isinstance(value, dict):  # A person's name in its three spellings.
            value = next((v for v in value.values() if isinstance(v, str)), "")
        if isinstance(value, str | int | float):
            found.append(clean_text(str(value)).strip()[:256])
    return found


def _text(row: dict[str, Any], tag: str) -> str:
    return next(iter(_texts(row, tag)), "")


def _number(row: dict[str, Any], tag: str) -> int | None:
    try:
        number = int(_text(row, tag))
    except ValueError:
        return None
    return number if 0 <= number < 2**31 else None
