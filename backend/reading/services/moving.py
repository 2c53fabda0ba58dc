"""Dates typed as the hospital's records have them, moved as its images' dates were."""

from __future__ import annotations

import datetime

from backend.archive.services import shift_days
from backend.errors import BadInput
from backend.reading.models import Case


def shift_of(case: Case) -> datetime.timedelta:
    """By how much dates of this case were moved; nothing where its images came as they are.

    Where they were de-identified on receipt, their dates were moved by days that are constant for
    the patient. What is typed has to move alike before it is judged or kept: then the days between
    a PET and the CT are what they were. Raises `KeyUnusable` where that cannot be told.
    """
    return datetime.timedelta(shift_days(case.study_uid))


def moved(date: datetime.date | None, shift: datetime.timedelta) -> datetime.date | None:
    """A date as this case has dates; raises `BadInput` for one before all calendars."""
    try:
        return date + shift if date is not None else None
    except OverflowError:
        raise BadInput(
            "BAD_INPUT",
            "This date is too early to be one.",
            "Enter the day it was done.",
            fields={"date": "This date is too early to be one. Enter the day it was done."},
        ) from None
