"""Whom news of a case or a reading reaches. A reader hears of their own reading alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from backend.audit.services import News
from backend.reading.models import Case, Reading

COORDINATORS = "coordinators"


def reading_audience(reading: Reading) -> str:
    """The audience of one reading's socket."""
    return f"reading:{reading.pk}"


def worklist_changed(readings: Iterable[Reading]) -> list[News]:
    """To each reader, that a row of their own worklist changed."""
    return [
        News(f"user:{r.reader_id}", "worklist.changed", {"reading": str(r.pk)}) for r in readings
    ]


def case_changed(case: Case) -> News:
    """To coordinators, that a case of theirs moved."""
    return News(COORDINATORS, "case.changed", {"case": str(case.pk), "stage": case.stage})


def to_reading(reading: Reading, kind: str, payload: dict[str, Any]) -> News:
    """To whoever has this reading open."""
    return News(reading_audience(reading), kind, payload)
