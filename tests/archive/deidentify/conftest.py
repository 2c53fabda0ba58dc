"""A store of links without a database."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.archive.deidentify.keys import Keys
from backend.archive.deidentify.links import Links


@pytest.fixture
def links(tmp_path: Path) -> Links:
    """A store of links with a key of its own."""
    folder = tmp_path / "links"
    folder.mkdir()
    made = Links(folder, Keys(bytes(range(32))))
    made.prepare()
    return made
