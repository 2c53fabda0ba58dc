"""One signed reading per module, made once; what a test does to it is undone after the test."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from django.test.utils import override_settings

from backend.reading import maskstore
from backend.reports import reporting
from backend.reports.models import Report
from backend.store import store
from tests.reports.room import Room, build_room


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A content store of the module's own."""
    with override_settings(CONTENT_ROOT=tmp_path_factory.mktemp("content")):
        maskstore._read_slice.cache_clear()
        yield


@pytest.fixture(scope="module")
def made_room(
    django_db_setup: None,
    django_db_blocker: Any,
    content: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Room]:
    """The case with its signed reading, inside a transaction that is rolled back at the end."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield build_room(tmp_path_factory.mktemp("images") / "series")
        transaction.set_rollback(True)


def report_now(room: Room) -> Report:
    """A report of the room's case as it stands, made at once."""
    asked = reporting.request_report(case=room.case, actor=room.users["coordinator"])
    made = reporting.make_report(asked.pk)
    assert made.state == "ready", made.message
    return made


def file_of(report: Report, name: str) -> bytes:
    """A file of a report, by its name in `case_report.FILES`."""
    return store().read(report.files[name])


def document_of(report: Report) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file_of(report, "document"))
    return found


def rows_of(report: Report, room: Room) -> list[dict[str, Any]]:
    """The node rows of the room's signed reading."""
    found: list[dict[str, Any]] = document_of(report)["numbers"]["nodes"][str(room.reading.pk)]
    return found


@pytest.fixture(scope="module")
def made_report(made_room: Room) -> Report:
    return report_now(made_room)


@pytest.fixture
def room(made_room: Room, db: None) -> Room:
    return made_room.fresh()


@pytest.fixture
def report(made_report: Report, db: None) -> Report:
    return Report.objects.select_related("case").get(pk=made_report.pk)
