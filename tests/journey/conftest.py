"""What every journey starts with: the phantom and a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from fixtures.__main__ import demo_phantom
from fixtures.phantom import GENERATOR_VERSION
from fixtures.phantom_dicom import write_series
from fixtures.small import short_neck_phantom
from tests.journey.room import browser
from tests.postgres import ROOT

CACHE = ROOT / ".cache" / "phantom"


@pytest.fixture(scope="module")
def phantom() -> Path:
    """The demonstration's phantom; made once, kept while its generator stays the same."""
    folder = CACHE / f"v{GENERATOR_VERSION}" / "dicom"
    if not folder.exists():
        demo_phantom(folder)
    return folder


@pytest.fixture(scope="session")
def short_neck(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A phantom of 44 slices in which the model finds a handful of nodes: soon read by two."""
    made = short_neck_phantom()
    folder = tmp_path_factory.mktemp("short-neck") / "dicom"
    return write_series(made, folder, patient_id="PHANTOM-2", study_description="CT neck (phantom)")


@pytest.fixture(scope="module")
def chrome(chromium: str) -> Iterator[Browser]:
    with browser(chromium) as running:
        yield running
