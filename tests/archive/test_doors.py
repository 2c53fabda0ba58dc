"""One study through four doors at once, by real processes, is the study of one door."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from backend.database import free_port
from tests.archive.made import ct_series, ct_slice, encoded, values, written
from tests.archive.test_live import web_of
from tests.stack import Stack, until

pytestmark = pytest.mark.deep


@pytest.fixture
def doors() -> Iterator[tuple[Stack, int]]:
    """Web, work and a DICOM listener."""
    port = free_port()
    stack = Stack(CONCORD_DIMSE_PORT=str(port), CONCORD_DIMSE_SENDERS="SCANNER")
    for door, name in (("stow", "coordinator"), ("upload", "upload page"), ("dimse", "SCANNER")):
        stack.as_is(door, name)
    stack.start(worker=False)
    listener = stack._child("dimse", sys.executable, "manage.py", "dimse")
    listener.start()
    log = stack.state / "logs" / "dimse.log"
    try:
        until(lambda: "listens on" in log.read_text(), "the listener", 60, stack.words)
        yield stack, port
    finally:
        listener.stop()
        stack.close()


def study() -> list[Dataset]:
    """A volume, a stack with a gap, and another volume, of one study."""
    first = ct_series(14)
    uid = first[0].StudyInstanceUID
    gap = [ct_slice(i, study=uid, series=generate_uid()[:56]) for i in (0,)]
    other = gap[0].SeriesInstanceUID
    gap = [ct_slice(i, study=uid, series=other) for i in (0, 1, 3, 4)]
    third = generate_uid()[:56]
    return [*first, *gap, *(ct_slice(i, study=uid, series=third) for i in range(6))]


def through_stow(stack: Stack, slices: list[Dataset]) -> None:
    web = web_of(stack, "coordinator")
    for start in range(0, len(slices), 5):
        web.store_instances(slices[start : start + 5])


def through_page(stack: Stack, slices: list[Dataset]) -> None:
    receipt, client = str(uuid.uuid4()), stack.client("coordinator")
    for number, ds in enumerate(slices):
        answer = client.post(
            "/archive/upload",
            data={"receipt": receipt, "name": f"neck/{number}"},
            files={"file": ("file", encoded(ds))},
            headers={"Accept": "application/json"},
        )
        assert answer.status_code == 200, answer.text
    closed = client.post(
        "/archive/upload/close", data={"receipt": receipt}, headers={"Accept": "application/json"}
    )
    assert closed.status_code == 200, closed.text


def through_command(stack: Stack, folder: Path) -> None:
    stack.manage("receive", "--as-is", str(folder))


def through_dicom(port: int, folder: Path) -> None:
    command = ["storescu", "-aet", "SCANNER", "-aec", "CONCORD", "+sd", "127.0.0.1", str(port)]
    done = subprocess.run(
        [*command, str(folder)], check=False, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


def state_of(stack: Stack, uid: str) -> list[tuple[Any, ...]]:
    """What the archive holds of a study, but for ids, times, and how a door wrote the file."""
    until(
        lambda: (
            not stack.query(
                "select 1 from archive_series s join archive_study t on t.id = s.study_id"
                " where t.uid = %s and volume_state = 'pending'",
                uid,
            )
        ),
        "the series to be judged",
        60,
        stack.words,
    )
    rows = stack.query(
        "select t.uid, t.patient_id, s.uid, s.modality, s.number, s.volume_state, s.volume_code,"
        " s.geometry_hash, i.sop_uid, i.number, i.metadata::text, i.geometry::text"
        " from archive_instance i join archive_series s on s.id = i.series_id"
        " join archive_study t on t.id = s.study_id where t.uid = %s order by s.uid, i.number",
        uid,
    )
    return [tuple(row) for row in rows]


def pixels_of(stack: Stack, slices: list[Dataset]) -> list[str]:
    web = web_of(stack, "coordinator")
    found = []
    for ds in slices:
        uids = ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID
        frame = web.retrieve_instance_frames(*uids, [1])[0]
        found.append(hashlib.sha256(frame).hexdigest())
    return found


def test_one_study_from_four_doors_at_once_is_the_study_of_one_door(
    doors: tuple[Stack, int], dcmtk_installed: None, tmp_path: Path
) -> None:
    stack, port = doors
    slices = study()
    uid = slices[0].StudyInstanceUID
    shuffled = [random.sample(slices, len(slices)) for _ in range(4)]
    ways: list[Callable[[], None]] = [
        lambda: through_stow(stack, shuffled[0]),
        lambda: through_page(stack, shuffled[1]),
        lambda: through_command(stack, written(tmp_path / "command", shuffled[2])),
        lambda: through_dicom(port, written(tmp_path / "dicom", shuffled[3])),
    ]
    failed: list[BaseException] = []

    def go(way: Callable[[], None]) -> None:
        try:
            way()
        except BaseException as error:  # noqa: BLE001  told to the test below
            failed.append(error)

    threads = [threading.Thread(target=go, args=(way,)) for way in ways]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert stack.query("select distinct door from archive_receipt order by door") == [
        ("dimse",),
        ("receive",),
        ("stow",),
        ("upload",),
    ]
    at_once = state_of(stack, uid)
    assert len(at_once) == len(slices)
    sums = stack.query(
        "select sum(stored), sum(already_here), sum(kept_aside) from archive_receipt"
    )
    assert sums == [(len(slices), 3 * len(slices), 0)]
    expected = [
        hashlib.sha256(values(ds.InstanceNumber - 1).tobytes()).hexdigest() for ds in slices
    ]
    assert pixels_of(stack, slices) == expected
    # The same through one door, in a database of its own.
    one = Stack()
    try:
        one.start(worker=False)
        through_command(one, written(tmp_path / "one", slices))
        assert state_of(one, uid) == at_once
        assert pixels_of(one, slices) == expected
    finally:
        one.close()
    assert stack.manage("verify_store", "--orphan-hours", "0").returncode == 0
