"""The key and the store of links: derived alike everywhere, durable, safe among processes."""

from __future__ import annotations

import json
import multiprocessing
import os
import sqlite3
import stat
from pathlib import Path
from uuid import uuid4

import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import UID

from backend.archive.deidentify import links as module
from backend.archive.deidentify.keys import (
    LONGEST_SHIFT_DAYS,
    Keys,
    KeyUnusable,
    is_pseudonym,
    make_key,
    read_key,
)
from backend.archive.deidentify.links import Links, PseudonymTaken


@pytest.fixture(autouse=True)
def without_a_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was de-identified before (no row says so: there is no database here)."""
    monkeypatch.setattr(module, "_ever_needed", lambda: False)


KEYS = Keys(bytes(range(32)))
OTHER = Keys(bytes(range(1, 33)))


@given(st.text(min_size=1, max_size=64))
def test_pseudonyms_and_shifts_are_functions_of_the_key(identity: str) -> None:
    pseudonym = KEYS.pseudonym(identity)
    assert pseudonym == Keys(bytes(range(32))).pseudonym(identity)
    assert is_pseudonym(pseudonym)
    assert pseudonym != OTHER.pseudonym(identity)
    assert -LONGEST_SHIFT_DAYS <= KEYS.shift_days(pseudonym) <= -1


@given(st.from_regex(r"1\.2\.[0-9]{1,20}(\.[1-9][0-9]{0,5}){0,4}", fullmatch=True))
def test_uids_become_proper_uids_that_say_nothing(original: str) -> None:
    mapped = KEYS.uid(original)
    assert UID(mapped).is_valid
    assert mapped == KEYS.uid(original)
    assert mapped != OTHER.uid(original)
    assert mapped.startswith("2.25.")


def test_the_standards_own_uids_stay() -> None:
    for known in ("1.2.840.10008.1.2.1", "1.2.840.10008.5.1.4.1.1.2"):
        assert KEYS.uid(known) == known
    assert KEYS.uid("1.2.840.10008.99.7391846205") != "1.2.840.10008.99.7391846205"


def test_a_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "key"
    make_key(path)
    first = path.read_text()
    make_key(path)
    assert path.read_text() == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["key"]
    assert repr(read_key(path)) == "Keys(…)"


@pytest.mark.parametrize("content", ["", "zz", "ab" * 31])
def test_a_damaged_key_is_refused_with_its_cure(tmp_path: Path, content: str) -> None:
    (tmp_path / "key").write_text(content)
    with pytest.raises(KeyUnusable) as raised:
        read_key(tmp_path / "key")
    assert "CONCORD_PSEUDONYM_KEY_FILE" in raised.value.cure


def test_a_lost_key_is_never_replaced_in_silence(tmp_path: Path) -> None:
    folder, key = tmp_path / "store", tmp_path / "key"
    module._links_at(folder, key)
    module._links_at.cache_clear()
    kept = key.read_text()
    key.unlink()
    with pytest.raises(KeyUnusable):
        module._links_at(folder, key)
    assert not key.exists()
    key.write_text("00" * 32)
    with pytest.raises(KeyUnusable) as raised:
        module._links_at(folder, key)
    assert "belongs to" in raised.value.cure
    key.write_text(kept)
    module._links_at(folder, key)
    module._links_at.cache_clear()


def test_what_is_remembered_comes_back_and_is_not_readable(links: Links) -> None:
    links.remember_person("SUBJ-00000001", "patient 7", {"name": "Zyxquell^H", "patient_id": "7"})
    links.remember_uid("2.25.1", "1.2.826.7391846205")
    links.flush()
    again = Links(links.folder, links.keys)
    assert again.people("SUBJ-00000001") == [{"name": "Zyxquell^H", "patient_id": "7"}]
    assert again.original_uid("2.25.1") == "1.2.826.7391846205"
    assert again.original_uid("2.25.2") == ""
    assert again.gave("2.25.1", "SUBJ-00000001")
    assert not again.gave("2.25.2", "SUBJ-00000001")
    for path in links.folder.rglob("*"):
        if path.is_file():
            assert b"Zyxquell" not in path.read_bytes()
            assert b"7391846205" not in path.read_bytes()


def test_what_could_not_be_written_stays_remembered(
    links: Links, monkeypatch: pytest.MonkeyPatch
) -> None:
    links.remember_uid("2.25.1", "1.2.3")
    place = links.folder
    monkeypatch.setattr(links, "folder", place / "gone")
    with pytest.raises(OSError, match="store of pseudonyms"):
        links.flush()
    monkeypatch.setattr(links, "folder", place)
    links.flush()
    assert links.original_uid("2.25.1") == "1.2.3"


def test_two_people_never_share_a_pseudonym(links: Links) -> None:
    links.remember_person("SUBJ-00000001", "patient 7", {"patient_id": "7"})
    links.flush()
    links.remember_person("SUBJ-00000001", "patient 8", {"patient_id": "8"})
    links.remember_uid("2.25.8", "1.2.8")
    with pytest.raises(PseudonymTaken):
        links.flush()
    assert links.people("SUBJ-00000001") == [{"patient_id": "7"}]
    assert links.original_uid("2.25.8") == ""


def test_a_row_moved_to_another_place_is_not_believed(links: Links) -> None:
    links.remember_uid("2.25.1", "1.2.3")
    links.remember_uid("2.25.2", "1.2.4")
    links.flush()
    with sqlite3.connect(links.folder / module.DATABASE) as database:
        rows = dict(database.execute("SELECT mapped, sealed FROM uids"))
        database.execute("UPDATE uids SET sealed = ? WHERE mapped = '2.25.1'", (rows["2.25.2"],))
    database.close()
    with pytest.raises(InvalidTag):
        links.original_uid("2.25.1")


def test_files_are_kept_sealed(links: Links) -> None:
    one = uuid4()
    links.keep_file(one, "Zyxquell/1.dcm", b"DICM of Zyxquell")
    assert links.file_names([one, uuid4()]) == {one: "Zyxquell/1.dcm"}
    assert links.file_bytes(one) == b"DICM of Zyxquell"
    links.drop_file(one)
    with pytest.raises(FileNotFoundError):
        links.file_bytes(one)
    assert links.file_names([one]) == {one: "Zyxquell/1.dcm"}


ROUNDS, EACH, PROCESSES = 12, 10, 4


def _write(folder: str, key: str, number: int, begin: object) -> None:
    """One process of several: opens the store, writes its own and what all write."""
    begin.wait()  # type: ignore[attr-defined]
    store = module._links_at(Path(folder), Path(key))
    for turn in range(ROUNDS):
        for count in range(EACH):
            store.remember_uid(f"2.25.{turn}.{count}", f"1.2.{turn}.{count}")
            store.remember_uid(f"2.25.{number}.{turn}.{count}", f"1.3.{number}.{turn}.{count}")
        store.remember_person("SUBJ-00000001", "patient 7", {"patient_id": "7"})
        store.flush()
    os._exit(0)


def test_several_processes_open_and_write_at_once(tmp_path: Path) -> None:
    folder, key = tmp_path / "store", tmp_path / "key"
    several = multiprocessing.get_context("fork")
    begin = several.Event()
    processes = [
        several.Process(target=_write, args=(str(folder), str(key), number, begin))
        for number in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    begin.set()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * PROCESSES
    store = module._links_at(folder, key)
    module._links_at.cache_clear()
    for turn in range(ROUNDS):
        for count in range(EACH):
            assert store.original_uid(f"2.25.{turn}.{count}") == f"1.2.{turn}.{count}"
            for number in range(PROCESSES):
                mapped, original = f"2.25.{number}.{turn}.{count}", f"1.3.{number}.{turn}.{count}"
                assert store.original_uid(mapped) == original
    assert store.people("SUBJ-00000001") == [{"patient_id": "7"}]
    assert json.dumps(store.people("SUBJ-00000002")) == "[]"
