"""Small DICOM series made on the spot, and the archive without the rooms above it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dicomweb_client.web import DICOMwebClient
from django.db.models import Q
from django.test import Client
from pydicom.dataset import Dataset

from backend.accounts.models import User
from backend.archive import origins, registry, services, visibility
from backend.archive.models import Receipt, Series, Study
from tests.archive.client import dicomweb
from tests.archive.made import ct_series, written


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No rule, scope, uploader or hook of an upper room is registered."""
    monkeypatch.setattr(visibility, "_rules", [])
    monkeypatch.setattr(visibility, "_scopes", {})
    monkeypatch.setattr(visibility, "_uploaders", [])
    for rules in ("on_study_ready", "volume_rules", "resample_rules"):
        monkeypatch.setattr(registry, rules, [])


@pytest.fixture(autouse=True)
def content(settings: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A content store of this test's own."""
    settings.CONTENT_ROOT = tmp_path_factory.mktemp("content")
    return Path(settings.CONTENT_ROOT)


@pytest.fixture(autouse=True)
def as_it_is(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are known by the names and UIDs they came with, except in tests of de-identification.

    (In `tests/archive/deidentify` sources are what they are in the product.)
    """
    if "deidentify" not in request.node.path.parts:
        monkeypatch.setattr(origins, "NEW_ONES_DEIDENTIFY", False)


@pytest.fixture(autouse=True)
def pseudonyms(settings: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pseudonym key and a store of links of this test's own."""
    folder = tmp_path_factory.mktemp("pseudonyms")
    settings.PSEUDONYM_KEY_FILE, settings.PSEUDONYM_STORE = folder / "key", folder / "store"
    return folder


@pytest.fixture
def ready(alone: None) -> list[Series]:
    """The volumes the archive offered to the rooms above, in order; one judged anew again."""
    offered: list[Series] = []

    def hook(study: Study) -> None:
        known = {(series.pk, series.judged_at) for series in offered}
        volumes = study.series.filter(volume_state="volume").order_by("number", "uid")
        offered.extend(s for s in volumes if (s.pk, s.judged_at) not in known)

    registry.on_study_ready.append(hook)
    return offered


@pytest.fixture
def person(db: None) -> User:
    """Somebody signed in who may see what the test says."""
    return User.objects.create(username="person")


@pytest.fixture
def sees_all(alone: None) -> None:
    """Everyone sees every series."""
    visibility.register(lambda user: Q(pk__isnull=False))


@pytest.fixture
def receive(db: None) -> Callable[..., Receipt]:
    """Receive paths as the system."""

    def run(*paths: Path, **options: Any) -> Receipt:
        return services.receive(paths, source="test", actor=None, **options)

    return run


@pytest.fixture
def slices(tmp_path: Path, receive: Callable[..., Receipt]) -> list[Dataset]:
    """Four slices of a neck, received."""
    made = ct_series(4)
    receive(written(tmp_path / "neck", made))
    return made


@pytest.fixture
def coordinator(person: User, sees_all: None) -> User:
    """Somebody who sees all series and who the patients are, and may upload."""
    visibility.register_uploader(lambda user: user == person)
    return person


@pytest.fixture
def browser(client: Client, person: User) -> Client:
    """Django's client, signed in as the person."""
    client.force_login(person)
    return client


@pytest.fixture
def web(browser: Client) -> DICOMwebClient:
    """dicomweb-client, signed in as the person."""
    return dicomweb(browser)
