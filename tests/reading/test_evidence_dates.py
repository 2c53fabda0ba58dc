"""Dates of evidence are moved like those of de-identified images, and days between them stay."""

from __future__ import annotations

import datetime
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from backend.archive import services as archive
from backend.archive.deidentify.keys import KeyUnusable
from backend.archive.deidentify.links import links
from backend.archive.models import Door, Instance, Receipt, Series, Study
from backend.audit.models import Event
from backend.errors import BadInput
from backend.reading.evidence_form import MOVED
from backend.reading.models import Case, Evidence
from tests.reading.labels_room import LabelRoom
from tests.reading.site import Site

STUDY = datetime.date(2024, 6, 10)  # As it is kept: moved already.
PSEUDONYM = "SUBJ-7K3M9Q2R"


@pytest.fixture
def room(ready: Site, settings: Any, tmp_path: Path) -> LabelRoom:
    """A case whose images came through a door that de-identifies."""
    settings.PSEUDONYM_KEY_FILE = tmp_path / "key"
    settings.PSEUDONYM_STORE = tmp_path / "store"
    links()
    room = LabelRoom(ready)
    came_in(room.case, deidentified=True)
    return room


def came_in(case: Case, *, deidentified: bool) -> None:
    Study.objects.filter(uid=case.study_uid).update(patient_id=PSEUDONYM, date=STUDY)
    Case.objects.filter(pk=case.pk).update(study_date=STUDY)
    receipt = Receipt.objects.create(source="x", door=Door.RECEIVE, deidentified=deidentified)
    Instance.objects.create(
        series=Series.objects.get(pk=case.series_id),
        receipt=receipt,
        sop_uid=f"2.25.{uuid.uuid4().int}",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        transfer_syntax="1.2.840.10008.1.2.1",
        blob="0" * 64,
        size=1,
        metadata={},
    )


def body(date: datetime.date, **own: Any) -> dict[str, Any]:
    return {
        "client": str(uuid.uuid4()),
        "kind": "PET",
        "result": "positive",
        "date": date.isoformat(),
        "source": "PET/CT report",
        "scope": "patient",
        **own,
    }


def really(days: int = 0) -> datetime.date:
    """A day in the hospital's records, counted from the real day of the study."""
    return STUDY - datetime.timedelta(links().keys.shift_days(PSEUDONYM)) + datetime.timedelta(days)


@pytest.mark.parametrize(("days", "counts"), [(91, True), (92, True), (93, False), (-92, True)])
def test_the_days_between_a_pet_and_the_ct_are_the_real_ones(
    room: LabelRoom, days: int, counts: bool
) -> None:
    path = f"/api/cases/{room.case.pk}/evidence"
    answer = room.send("abstractor", "POST", path, body(really(days)))
    assert answer.status_code == 200, answer.content
    found = answer.json()["evidence"]
    assert (found["days_from_study"], found["counts_as_positive"]) == (days, counts)
    assert Evidence.objects.get().date == STUDY + datetime.timedelta(days)


def test_no_real_date_is_kept_or_recorded(room: LabelRoom) -> None:
    given = body(really(5), known_at=really(9).isoformat())
    path = f"/api/cases/{room.case.pk}/evidence"
    assert room.send("abstractor", "POST", path, given).status_code == 200
    row, event = Evidence.objects.get(), Event.objects.get(action="evidence.entered")
    assert row.known_at == STUDY + datetime.timedelta(9)
    told = str(event.facts)
    assert STUDY.replace(day=15).isoformat() in told
    assert really(5).isoformat() not in told
    assert really(9).isoformat() not in told


def test_the_same_entry_again_is_one(room: LabelRoom) -> None:
    path, given = f"/api/cases/{room.case.pk}/evidence", body(really(5))
    first = room.send("abstractor", "POST", path, given).json()
    assert room.send("abstractor", "POST", path, given).json() == first
    assert Evidence.objects.count() == 1


def test_today_may_be_entered_and_tomorrow_may_not(room: LabelRoom) -> None:
    path, today = f"/api/cases/{room.case.pk}/evidence", timezone.now().date()
    assert room.send("abstractor", "POST", path, body(today)).status_code == 200
    answer = room.send("abstractor", "POST", path, body(today + datetime.timedelta(1)))
    assert answer.status_code == 400
    assert "future" in answer.json()["fields"]["date"]


def test_a_date_before_all_calendars_is_a_fault_and_no_crash(room: LabelRoom) -> None:
    with pytest.raises(BadInput):
        room.enter(date=datetime.date(1, 1, 1))


def test_without_the_key_nothing_is_entered_at_a_wrong_day(room: LabelRoom, settings: Any) -> None:
    settings.PSEUDONYM_KEY_FILE = settings.PSEUDONYM_KEY_FILE.with_name("gone")
    with pytest.raises(KeyUnusable):
        room.enter(date=really(5))
    assert not Evidence.objects.exists()


def test_the_form_says_that_dates_are_moved(room: LabelRoom) -> None:
    page = room.client("abstractor").get(f"/evidence/{room.case.pk}/").content.decode()
    assert page.count(MOVED.replace("'", "&#x27;")) == 2


def test_of_images_that_came_as_they_are_nothing_moves(ready: Site) -> None:
    room = LabelRoom(ready)
    came_in(room.case, deidentified=False)
    assert archive.shift_days(room.case.study_uid) == 0
    item = room.enter(date=STUDY + datetime.timedelta(5))
    assert item.date == STUDY + datetime.timedelta(5)
    page = room.client("abstractor").get(f"/evidence/{room.case.pk}/").content.decode()
    assert MOVED.replace("'", "&#x27;") not in page
