"""A reading room of its own for every test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backend.reading import maskstore
from tests.reading.site import Site, Twin, build_site, default_model


@pytest.fixture(autouse=True)
def content(settings: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A content store of this test's own."""
    settings.CONTENT_ROOT = tmp_path_factory.mktemp("content")
    maskstore._read_slice.cache_clear()
    return Path(settings.CONTENT_ROOT)


@pytest.fixture
def site(db: None) -> Site:
    """One case, its AI not done yet."""
    default_model()
    return build_site()


@pytest.fixture
def ready(site: Site) -> Site:
    """One case whose AI proposed three nodes."""
    site.presegment()
    return site


@pytest.fixture
def twin(ready: Site) -> Twin:
    """The first reader at work."""
    return Twin(ready)
