"""Every test of the content store runs on a folder and on a bucket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.store import ContentStore, FolderStore
from tests import s3


@pytest.fixture(scope="session")
def s3_server() -> Iterator[dict[str, str]]:
    """An S3 server."""
    with s3.server() as environment:
        yield environment


@pytest.fixture
def bucket(s3_server: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of an empty store in a bucket."""
    for name, value in s3_server.items():
        monkeypatch.setenv(name, value)
    return f"s3://{s3.bucket(s3_server)}/concord/one"


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ContentStore:
    """An empty store of either kind."""
    if request.param == "folder":
        return FolderStore(tmp_path / "content")
    from backend.store.bucket import BucketStore

    return BucketStore.at(request.getfixturevalue("bucket"))
