"""The content store: names, durability of what was put, and what it refuses."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.store import BlobMissing, ContentStore


@given(data=st.binary(max_size=2000), compress=st.booleans())
def test_a_blob_is_named_by_its_uncompressed_bytes_and_read_back(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, compress: bool
) -> None:
    store = ContentStore(tmp_path_factory.mktemp("store"))
    name = store.put(data, compress=compress)
    assert name == hashlib.sha256(data).hexdigest()
    assert store.read(name) == data
    assert store.put(data, compress=not compress) == name


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "a" * 63, "A" * 64, "f" * 64])
def test_an_unknown_or_crooked_name_is_missing(tmp_path: Path, name: str) -> None:
    store = ContentStore(tmp_path)
    with pytest.raises(BlobMissing):
        store.read(name)


def test_a_blob_that_could_not_be_written_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    store = ContentStore(tmp_path)
    with pytest.raises(OSError, match="No space left"):
        store.put(b"bytes")
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []
