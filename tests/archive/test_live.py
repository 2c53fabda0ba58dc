"""DICOMweb over real HTTP: uvicorn, the work process, dicomweb-client."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import requests
from dicomweb_client.web import DICOMwebClient

from backend.jobs import protocol
from tests.archive.made import ct_series, encoded, values, written
from tests.archive.made_frames import enhanced
from tests.stack import Stack, until

pytestmark = pytest.mark.deep


@pytest.fixture(scope="module")
def alone() -> Iterator[Stack]:
    """Web and work, without an inference worker."""
    stack = Stack()
    stack.as_is("stow", "coordinator")
    try:
        yield stack.start(worker=False)
    finally:
        stack.close()


def web_of(stack: Stack, user: str) -> DICOMwebClient:
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {stack.token(user)}"
    return DICOMwebClient(f"{stack.url}/dicom-web", session=session)


def state_of(stack: Stack, uid: str) -> str:
    found = stack.query("select volume_state from archive_series where uid = %s", uid)
    return str(found[0][0]) if found else ""


def test_what_is_stored_over_http_is_judged_when_quiet_and_comes_back(alone: Stack) -> None:
    web = web_of(alone, "coordinator")
    slices = ct_series(5)
    web.store_instances(slices)
    uid = slices[0].SeriesInstanceUID
    until(lambda: state_of(alone, uid) == "volume", "the series to be judged", 60, alone.words)
    study = slices[0].StudyInstanceUID
    assert len(web.search_for_series(study)) == 1
    back = web.retrieve_series(study, uid)
    assert [d.SOPInstanceUID for d in back] == [s.SOPInstanceUID for s in slices]
    for index, ds in enumerate(slices):
        frame = web.retrieve_instance_frames(study, uid, ds.SOPInstanceUID, [1])[0]
        assert frame == values(index).tobytes()
    answer = requests.get(
        f"{alone.url}/dicom-web/studies/{study}/series/{uid}",
        headers={**web._session.headers, "Accept": protocol.VOLUME_MEDIA_TYPE},
        timeout=60,
    )
    _, volume = protocol.parse_volume(answer.content)
    assert np.array_equal(volume, np.stack([values(i) - 1024 for i in range(5)]))
    assert int(answer.headers["Content-Length"]) == len(answer.content)


def test_a_reader_without_a_case_sees_nothing_of_it(alone: Stack, tmp_path: Path) -> None:
    slices = ct_series(3, ImageOrientationPatient=[1, 0, 0, 0, 0, -1])
    slices[0].ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    done = alone.manage("receive", "--as-is", str(written(tmp_path / "mixed", slices)))
    assert "1 quarantined" in done.stdout
    study = slices[0].StudyInstanceUID
    assert web_of(alone, "coordinator").search_for_series(study)
    assert web_of(alone, "reader1").search_for_studies() == []


def test_requests_at_once_make_one_study_and_lose_nothing(alone: Stack) -> None:
    first, second = ct_series(8), ct_series(8)
    for one in second:
        one.StudyInstanceUID, one.PatientID = first[0].StudyInstanceUID, first[0].PatientID
    parts = [[*first[:6], *second[:6]], [*second[::-1], *first[::-1]]] * 2
    study = first[0].StudyInstanceUID
    web = [web_of(alone, "coordinator") for _ in parts]
    receipts = "select id, stored, already_here, (closed_at is not null)::int from archive_receipt"
    before = {receipt for receipt, *_ in alone.query(receipts)}
    barrier, answers = threading.Barrier(len(parts)), []

    def send(number: int) -> None:
        barrier.wait()
        answers.append(web[number].store_instances(parts[number]))

    threads = [threading.Thread(target=send, args=(n,)) for n in range(len(parts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(len(answer.ReferencedSOPSequence) for answer in answers) == [12, 12, 16, 16]
    assert not any("FailedSOPSequence" in answer for answer in answers)
    here = "select count(*) from archive_instance i join archive_series s on s.id = i.series_id "
    here += "join archive_study t on t.id = s.study_id where t.uid = %s"
    assert alone.query(here, study) == [(16,)]
    new = [told for receipt, *told in alone.query(receipts) if receipt not in before]
    assert len(new) == len(parts)
    assert [sum(told[n] for told in new) for n in range(3)] == [16, 40, len(parts)]


def test_one_study_from_four_doors_at_once_is_one_study(alone: Stack, tmp_path: Path) -> None:
    slices = ct_series(12)
    folder = written(tmp_path / "neck", slices)
    web = [web_of(alone, "coordinator") for _ in range(2)]
    doors = [
        lambda: web[0].store_instances(slices),
        lambda: web[1].store_instances(slices[::-1]),
        lambda: alone.manage("receive", "--as-is", str(folder)),
        lambda: alone.manage("receive", "--as-is", str(folder)),
    ]
    failed: list[BaseException] = []

    def through(door: object) -> None:
        try:
            door()  # type: ignore[operator]
        except BaseException as error:  # noqa: BLE001  told to the test below
            failed.append(error)

    threads = [threading.Thread(target=through, args=(door,)) for door in doors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    uid = slices[0].SeriesInstanceUID
    until(lambda: state_of(alone, uid) == "volume", "the series to be judged", 60, alone.words)
    rows = alone.query(
        "select i.sop_uid, i.size from archive_instance i join archive_series s"
        " on s.id = i.series_id where s.uid = %s order by i.number",
        uid,
    )
    assert rows == [(s.SOPInstanceUID, len(encoded(s))) for s in slices]
    kept = alone.query("select code from archive_keptaside where series_uid = %s", uid)
    assert {code for (code,) in kept} <= {"LATE_IMAGE"}


def test_a_multi_frame_image_is_rewritten_by_the_work_process_and_read(alone: Stack) -> None:
    slices = ct_series(6)
    whole = enhanced(slices)
    web_of(alone, "coordinator").store_instances([whole])

    def made() -> str:
        found = alone.query(
            "select d.uid from archive_series d join archive_series s on s.id = d.derived_from_id"
            " join reading_case c on c.series_id = d.id where s.uid = %s",
            whole.SeriesInstanceUID,
        )
        return str(found[0][0]) if found else ""

    until(lambda: made() != "", "a case of the single frames", 60, alone.words)
    web = web_of(alone, "coordinator")
    study = whole.StudyInstanceUID
    frames = web.retrieve_series(study, made())
    assert [d.PixelData for d in frames] == [s.PixelData for s in slices]
    assert state_of(alone, whole.SeriesInstanceUID) == "set_aside"
    back = web.retrieve_instance(study, whole.SeriesInstanceUID, whole.SOPInstanceUID)
    assert back.PixelData == whole.PixelData
