"""One signed reading per module, made once; what a test does to it is undone after the test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from django.test.utils import override_settings

from backend.reading import maskstore
from backend.reports import services
from backend.reports.models import Report
from tests.reports.room import Room, build_room

HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A content store of the module's own."""
    with override_settings(
        CONTENT_ROOT=tmp_path_factory.mktemp("content"), PASSWORD_HASHERS=HASHERS
    ):
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


@pytest.fixture(scope="module")
def made_report(made_room: Room) -> Report:
    return services.build_case_report(
        reading=made_room.reading, actor=made_room.users["coordinator"]
    )


@pytest.fixture
def room(made_room: Room, db: None) -> Room:
    return made_room.fresh()


@pytest.fixture
def report(made_report: Report, db: None) -> Report:
    return Report.objects.select_related("reading__case", "case").get(pk=made_report.pk)
