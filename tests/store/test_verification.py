"""Is the store whole? Damaged, missing, orphaned and left over: each found, each repaired."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from backend.store import ContentStore, FolderStore
from backend.store.references import Column
from backend.store.verification import Verdict, Wanted, verify

EVERYTHING = Wanted(orphan_seconds=-1)
REPAIR = Wanted(repair=True, orphan_seconds=-1)


def named(*names: str, **options: object) -> Column:
    """A column that names these."""
    return Column("room.Thing", "blob", lambda: [("7", name) for name in names], **options)  # type: ignore[arg-type]


def kinds(verdict: Verdict) -> list[tuple[str, str]]:
    return [(fault.kind, fault.name) for fault in verdict.faults]


def flip(store: ContentStore, name: str) -> None:
    """Change one byte of a blob behind the store's back."""
    entry = next(entry for entry in store.entries() if entry.name == name)
    with closing(store.opened(entry)) as file:
        data = bytearray(file.read())
    data[len(data) // 2] ^= 1
    if isinstance(store, FolderStore):
        Path(entry.place).write_bytes(data)
    else:
        store._client.put_object(Bucket=store.bucket, Key=entry.place, Body=bytes(data))  # type: ignore[attr-defined]


@pytest.fixture
def three(store: ContentStore) -> list[str]:
    """Three blobs, the last packed."""
    return [
        store.put(os.urandom(3000)),
        store.put(os.urandom(2_500_000)),
        store.put(b"labels" * 500, compress=True),
    ]


def test_a_whole_store_holds(store: ContentStore, three: list[str]) -> None:
    shown: list[tuple[int, int]] = []
    verdict = verify(store, [named(*three)], EVERYTHING, lambda *told: shown.append(told))
    assert (verdict.holds, verdict.faults) == (True, [])
    assert (verdict.blobs, verdict.hashed, verdict.named) == (3, 3, 3)
    assert shown[-1] == (3, 3)
    fast = verify(store, [named(*three)], Wanted(fast=True, orphan_seconds=-1))
    assert (fast.holds, fast.hashed) == (True, 0)
    some = verify(store, [named(*three)], Wanted(sample=2, orphan_seconds=-1))
    assert (some.holds, some.hashed) == (True, 2)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_flipped_bit_is_found_moved_aside_and_taken_from_a_backup(
    store: ContentStore, three: list[str], which: int, tmp_path: Path
) -> None:
    backup = tmp_path / "backup" / "deep"
    backup.mkdir(parents=True)
    (backup / "some name").write_bytes(store.read(three[which]))
    flip(store, three[which])
    found = verify(store, [named(*three)], EVERYTHING)
    assert ("damaged", three[which]) in kinds(found)
    assert not found.holds
    assert all(not fault.repaired for fault in found.faults)
    moved = verify(store, [named(*three)], REPAIR)
    assert not store.exists(three[which])
    assert "quarantine" in moved.of("damaged")[0].repaired
    assert [fault.name for fault in moved.of("missing")] == [three[which]]
    assert not moved.holds
    assert "room.Thing.blob of 7 names it" in moved.of("missing")[0].sentence
    back = verify(
        store,
        [named(*three)],
        Wanted(repair=True, backups=[tmp_path / "backup"], orphan_seconds=-1),
    )
    assert back.holds
    assert back.of("missing")[0].repaired.startswith("Taken from")
    assert verify(store, [named(*three)], EVERYTHING).faults == []


def test_a_missing_blob_is_found_and_made_again_where_it_can_be(
    store: ContentStore, three: list[str]
) -> None:
    lost = hashlib.sha256(b"made again").hexdigest()
    gone = hashlib.sha256(b"gone").hexdigest()
    columns = [named(*three), named(lost, gone)]
    for wanted in (EVERYTHING, Wanted(fast=True, orphan_seconds=-1)):
        verdict = verify(store, columns, wanted)
        assert sorted(kinds(verdict)) == sorted([("missing", lost), ("missing", gone)])
        assert not verdict.holds
    tries = {lost: b"made again", gone: b"not what was lost"}
    columns[1] = named(lost, gone, remake=tries.get, cure="Ask the sender.")
    verdict = verify(store, columns, REPAIR)
    done = {fault.name: fault.repaired for fault in verdict.of("missing")}
    assert done == {lost: "Made again from room.Thing.", gone: ""}
    assert not verdict.holds
    assert store.read(lost) == b"made again"
    assert all("Ask the sender." in fault.cure for fault in verdict.of("missing"))


def test_what_is_made_when_asked_for_is_forgotten(store: ContentStore, three: list[str]) -> None:
    rows = {"cache": hashlib.sha256(b"lost cache").hexdigest()}

    def forget(name: str) -> int:
        return int(rows.get("cache") == name and bool(rows.pop("cache")))

    column = Column("room.Cache", "blob", lambda: list(rows.items()), forget=forget)
    verdict = verify(store, [named(*three), column], REPAIR)
    assert verdict.holds
    assert "room.Cache.blob" in verdict.of("missing")[0].repaired
    assert rows == {}


def test_an_orphan_is_moved_aside_once_it_is_old_and_nothing_is_missing(
    store: ContentStore, three: list[str]
) -> None:
    orphan = store.put(b"nobody's")
    columns = [named(*three)]
    assert verify(store, columns, Wanted()).faults == []  # Its row may still be on its way.
    assert kinds(verify(store, columns, EVERYTHING)) == [("orphan", orphan)]
    lost = named(hashlib.sha256(b"gone").hexdigest())
    verdict = verify(store, [*columns, lost], REPAIR)
    assert store.exists(orphan)
    assert verdict.of("orphan")[0].repaired == ""
    mentioned = named(orphan, required=False)
    assert verify(store, [*columns, mentioned], REPAIR).faults == []
    verdict = verify(store, columns, REPAIR)
    assert verdict.holds
    assert "quarantine" in verdict.of("orphan")[0].repaired
    assert not store.exists(orphan)
    assert verify(store, columns, EVERYTHING).faults == []
    # It can be brought back, and put again.
    assert store.put(b"nobody's") == orphan
    assert kinds(verify(store, columns, EVERYTHING)) == [("orphan", orphan)]
    assert verify(store, columns, REPAIR).holds


def test_a_blob_put_again_since_it_was_listed_is_not_moved(
    store: ContentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = store.put(b"wanted again")
    monkeypatch.setattr("backend.store.folder._TOUCH_SECONDS", -1.0)
    monkeypatch.setattr("backend.store.bucket._TOUCH_SECONDS", -1.0)
    (entry,) = store.entries()
    if isinstance(store, FolderStore):
        os.utime(entry.place, (time.time() - 90_000,) * 2)
        (entry,) = store.entries()
    else:
        # moto tells whole seconds.
        wait_for_another_second()
    store.put(b"wanted again")
    assert store.set_aside(entry) == ""
    assert store.exists(name)


def wait_for_another_second() -> None:
    from tests.stack import until

    now = int(time.time())
    until(lambda: int(time.time()) > now, "the next second")


def test_leftovers_of_cut_writes_are_removed_once_they_are_old(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    name = store.put(b"whole")
    left = store.path(name).parent / ".incoming-abc"
    left.write_bytes(b"half")
    assert verify(store, [named(name)], REPAIR).faults == []  # Somebody may be writing it.
    os.utime(left, (time.time() - 7200,) * 2)
    found = verify(store, [named(name)], EVERYTHING)
    assert [fault.kind for fault in found.faults] == ["leftover"]
    assert left.exists()
    assert found.holds
    repaired = verify(store, [named(name)], REPAIR)
    assert repaired.of("leftover")[0].repaired == "Removed."
    assert not left.exists()
    assert store.read(name) == b"whole"


def test_what_is_not_the_stores_is_left_alone(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    name = store.put(b"whole")
    notes = [tmp_path / "README", store.path(name).parent / "notes.txt"]
    for note in notes:
        note.write_text("someone's")
    assert verify(store, [named(name)], REPAIR).faults == []
    assert all(note.exists() for note in notes)


def test_hashing_reads_in_pieces(store: ContentStore, three: list[str]) -> None:
    entry = next(entry for entry in store.entries() if entry.name == three[1])
    sizes: list[int] = []
    check: Callable[[int], None] = sizes.append
    assert store.is_whole(entry, check)
    assert sum(sizes) == 2_500_000
    assert max(sizes) <= 1 << 20
