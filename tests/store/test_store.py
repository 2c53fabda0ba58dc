"""The content store, in a folder and in a bucket: names, ranges, durability, what it refuses."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.database import free_port
from backend.settings import _content
from backend.store import BlobMissing, BlobShort, ContentStore, FolderStore
from tests.postgres import ROOT

SHARED = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@SHARED
@given(data=st.binary(max_size=2000), compress=st.booleans())
def test_a_blob_is_named_by_its_uncompressed_bytes_and_read_back(
    store: ContentStore, data: bytes, compress: bool
) -> None:
    name = store.put(data, compress=compress)
    assert name == hashlib.sha256(data).hexdigest()
    assert store.exists(name)
    assert store.read(name) == data
    assert b"".join(store.chunks(name)) == data
    assert store.put(data, compress=not compress, name=name) == name
    assert store.read(name) == data


@pytest.mark.parametrize("compress", [False, True])
def test_a_part_of_a_blob_is_read_without_the_rest(store: ContentStore, compress: bool) -> None:
    data = os.urandom(5000)
    name = store.put(data, compress=compress)
    assert store.read_range(name, 0, 5000) == data
    assert store.read_range(name, 4990, 10) == data[4990:]
    assert store.read_range(name, 17, 0) == b""
    for offset in (4991, 5000, 9000):
        with pytest.raises(BlobShort):
            store.read_range(name, offset, 10)


def test_several_blobs_are_kept_at_once_under_names_known_before(store: ContentStore) -> None:
    datas = [bytes([number]) * 700 for number in range(40)]
    names = [hashlib.sha256(data).hexdigest() for data in datas]
    assert store.put_many([memoryview(data) for data in datas[:20]]) == names[:20]
    assert store.put_many([bytearray(data) for data in datas], names) == names
    assert [store.read(name) for name in names] == datas
    assert store.put_many([]) == []
    with pytest.raises(BlobMissing):
        store.put_many([b"x"], ["../../outside"])


def test_zstd_is_given_whichever_way_a_blob_is_kept(store: ContentStore) -> None:
    import zstandard

    for number, compress in enumerate((False, True)):
        data = bytes([number]) * 9000
        packed = store.read_zstd(store.put(data, compress=compress))
        assert zstandard.ZstdDecompressor().decompress(packed) == data


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "a" * 63, "A" * 64, "f" * 64])
def test_an_unknown_or_crooked_name_is_missing(store: ContentStore, name: str) -> None:
    for ask in (
        store.read,
        store.read_zstd,
        store.path,
        lambda name: list(store.chunks(name)),
        lambda name: store.read_range(name, 0, 1),
    ):
        with pytest.raises(BlobMissing):
            ask(name)


def test_a_blob_that_lost_bytes_is_written_anew_when_it_is_put_again(store: ContentStore) -> None:
    data = os.urandom(3000)
    name = store.put(data)
    shorten(store, name)
    with pytest.raises(BlobShort):
        store.read_range(name, 0, 3000)
    store.put(data)
    assert store.read(name) == data


def shorten(store: ContentStore, name: str) -> None:
    """Take the blob's last bytes away, as a disk might."""
    (entry,) = store.entries()
    if isinstance(store, FolderStore):
        os.truncate(entry.place, 100)
    else:
        body = store.read(name)[:100]
        store._client.put_object(Bucket=store.bucket, Key=entry.place, Body=body)  # type: ignore[attr-defined]


def test_a_store_says_whether_it_takes_writes(
    store: ContentStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store.writable()
    assert list(store.entries()) == []
    blocked = tmp_path / "a file"
    blocked.write_text("not a folder")
    assert not FolderStore(blocked).writable()


def test_a_bucket_that_does_not_answer_is_an_error_of_the_disk(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backend.store.bucket import BucketStore

    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    away = BucketStore.at(bucket)
    assert not away.writable()
    with pytest.raises(OSError, match="does not answer"):
        away.put(b"bytes")
    monkeypatch.undo()


def test_a_bucket_that_is_not_there_refuses(s3_server: dict[str, str], bucket: str) -> None:
    from backend.store.bucket import BucketStore

    with pytest.raises(OSError, match=r"refused \(NoSuchBucket\)"):
        BucketStore("no-such-bucket").put(b"bytes")


def test_a_plain_blob_is_a_file_only_in_a_folder(store: ContentStore) -> None:
    name = store.put(b"bytes")
    if isinstance(store, FolderStore):
        assert store.path(name).read_bytes() == b"bytes"
    else:
        with pytest.raises(BlobMissing):
            store.path(name)
    with pytest.raises(BlobMissing):
        store.path(store.put(b"packed", compress=True))


def test_a_blob_that_could_not_be_written_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    store = FolderStore(tmp_path)
    with pytest.raises(OSError, match="No space left"):
        store.put(b"bytes")
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


_PUT = """
import os, sys
from pathlib import Path
from backend.store import FolderStore
real = os.fsync
def dies(descriptor):
    real(descriptor)
    os.kill(os.getpid(), 9)
os.fsync = dies
FolderStore(Path(sys.argv[1])).put(b"x" * 1_000_000)
"""


def test_a_process_killed_in_the_middle_of_put_leaves_no_half_blob_under_its_name(
    tmp_path: Path,
) -> None:
    done = subprocess.run([sys.executable, "-c", _PUT, str(tmp_path)], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    store = FolderStore(tmp_path)
    name = hashlib.sha256(b"x" * 1_000_000).hexdigest()
    assert not store.exists(name)
    (left,) = store.entries()
    assert (left.name, left.size) == ("", 1_000_000)
    assert store.put(b"x" * 1_000_000) == name
    assert store.read(name) == b"x" * 1_000_000


def test_folders_are_flushed_once_for_a_batch_and_the_root_when_it_gained_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[str] = []
    real = os.fsync

    def noting(descriptor: int) -> None:
        flushed.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        real(descriptor)

    monkeypatch.setattr("os.fsync", noting)
    store = FolderStore(tmp_path)
    names = store.put_many([bytes([n]) * 10 for n in range(8)])
    folders = [path for path in flushed if Path(path).is_dir()]
    assert len(folders) == len(set(folders))
    assert set(map(Path, folders)) == {tmp_path / n[:2] for n in names} | {tmp_path}
    assert sum(".incoming-" in path for path in flushed) == 8


def test_blobs_that_lie_two_folders_deep_are_found_and_stay(tmp_path: Path) -> None:
    """As a store of before has them."""
    store, lain = FolderStore(tmp_path), {}
    for data, compress in ((b"plain" * 90, False), (b"packed" * 90, True), (b"short" * 90, False)):
        name = store.put(data, compress=compress)
        (entry,) = (e for e in store.entries() if e.name == name)
        before = tmp_path / name[:2] / name[2:4] / Path(entry.place).name
        before.parent.mkdir()
        os.rename(entry.place, before)
        lain[name] = data, compress, before
    for name, (data, compress, before) in lain.items():
        assert store.exists(name)
        assert store.read(name) == data
        assert b"".join(store.chunks(name)) == data
        assert store.read_range(name, 3, 7) == data[3:10]
        if not compress:
            assert store.path(name) == before
        assert store.put(data, compress=compress) == name
    assert {e.name: Path(e.place) for e in store.entries()} == {
        n: b for n, (_, _, b) in lain.items()
    }
    assert all(store.is_whole(entry) for entry in store.entries())
    name, (data, _, before) = list(lain.items())[-1]
    os.truncate(before, 3)
    assert store.put(data) == name
    assert before.read_bytes() == data


def test_a_store_is_a_folder_or_a_bucket_by_setting(tmp_path: Path) -> None:
    assert _content("", tmp_path) == tmp_path / "content"
    assert _content(str(tmp_path / "x"), tmp_path) == tmp_path / "x"
    assert _content("s3://images/concord", tmp_path) == "s3://images/concord"
    for wrong in ("s3://", "s3:///x", "http://images", "s3://UPPER", "s3://b/a b"):
        with pytest.raises(ImproperlyConfigured, match="CONCORD_CONTENT"):
            _content(wrong, tmp_path)
