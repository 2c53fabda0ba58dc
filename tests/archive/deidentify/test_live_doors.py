"""De-identified at four doors at once: real processes that share a key and a store of links."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from dicomweb_client.web import DICOMwebClient

from tests.archive.made import ct_series, written
from tests.stack import Stack, until

pytestmark = pytest.mark.deep


@pytest.fixture(scope="module")
def alone() -> Iterator[Stack]:
    """Web and work, without an inference worker; sources as they are in the product."""
    stack = Stack()
    try:
        yield stack.start(worker=False)
    finally:
        stack.close()


def test_one_study_from_four_doors_at_once_is_one_nameless_study(
    alone: Stack, tmp_path: Path
) -> None:
    slices = ct_series(12)
    folder = written(tmp_path / "neck", slices)
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {alone.token('coordinator')}"
    web = DICOMwebClient(f"{alone.url}/dicom-web", session=session)
    doors: list[Callable[[], object]] = [
        lambda: web.store_instances(slices),
        lambda: web.store_instances(slices[::-1]),
        lambda: alone.manage("receive", str(folder)),
        lambda: alone.manage("receive", str(folder)),
    ]
    failed: list[BaseException] = []

    def through(door: Callable[[], object]) -> None:
        try:
            door()
        except BaseException as error:  # noqa: BLE001  told to the test below
            failed.append(error)

    threads = [threading.Thread(target=through, args=(door,)) for door in doors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    studies = alone.query("select uid, patient_id, patient_name from archive_study")
    ((uid, pseudonym, name),) = studies
    assert pseudonym == name
    assert uid != slices[0].StudyInstanceUID
    until(
        lambda: alone.query("select volume_state from archive_series") == [("volume",)],
        "the series to be judged",
        60,
        alone.words,
    )
    rows = alone.query("select sop_uid from archive_instance order by number")
    assert len(rows) == 12
    kept = alone.query("select code from archive_keptaside")
    assert {code for (code,) in kept} <= {"LATE_IMAGE"}
    given = ("--by", "admin", "--reason", "the test asks")
    for (sop,), ds in list(zip(rows, slices, strict=True))[::5]:
        assert (
            f"original UID: {ds.SOPInstanceUID}" in alone.manage("reidentify", sop, *given).stdout
        )
    log = "".join(path.read_text() for path in (alone.state / "logs").glob("*.log"))
    assert "Planted" not in log
    assert slices[0].StudyInstanceUID not in log
