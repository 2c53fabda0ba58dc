"""The upload page's server side: batches, pieces, going on, and who may not."""

from __future__ import annotations

import hashlib
import io
import json
import os
import threading
import time
import uuid
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from backend.accounts.models import User
from backend.archive import registry, visibility
from backend.archive.judging import judge_quiet_series
from backend.archive.models import Instance, KeptAside, Receipt, Series
from backend.archive.uploads import services, spool
from backend.archive.uploads.files import Said
from backend.archive.uploads.models import Upload, UploadedFile
from backend.archive.uploads.services import MAX_SEVERAL
from tests.archive.made import ct_series, encoded
from tests.stack import Stack, until

JSON = {"Accept": "application/json"}


@pytest.fixture(autouse=True)
def own_spool(settings: Any, tmp_path: Path) -> Path:
    """A spool of this test's own."""
    settings.SPOOL = tmp_path / "spool"
    return Path(settings.SPOOL)


@pytest.fixture
def other(db: None) -> User:
    """Somebody else who may upload."""
    return User.objects.create(username="other", is_superuser=True)


@pytest.fixture
def uploader(client: Client, person: User) -> Client:
    visibility.register_uploader(lambda user: user == person)
    client.force_login(person)
    return client


def packed(count: int = 6) -> bytes:
    """A zip of a series, not compressed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number, ds in enumerate(ct_series(count)):
            archive.writestr(f"neck/{number}.dcm", encoded(ds))
    return buffer.getvalue()


def begin(client: Client, receipt: str, name: str, size: int, **more: Any) -> Any:
    fields = {"receipt": receipt, "name": name, "size": size, **more}
    return client.post("/archive/upload/begin", fields, headers=JSON)


def piece(client: Client, file: str, offset: int, data: bytes) -> Any:
    address = f"/archive/upload/files/{file}?offset={offset}"
    return client.post(address, data, content_type="application/octet-stream", headers=JSON)


def take(client: Client, file: str, name: str = "study.zip") -> Any:
    return client.post(f"/archive/upload/files/{file}/take", {"name": name}, headers=JSON)


def whole(client: Client, receipt: str, name: str, data: bytes, **more: Any) -> Any:
    fields = {"receipt": receipt, "name": name, "file": SimpleUploadedFile("file", data), **more}
    return client.post("/archive/upload", fields, headers=JSON)


def several(client: Client, receipt: str, files: dict[str, bytes], **more: Any) -> Any:
    """Small files in one request."""
    fields = {
        "receipt": receipt,
        "name": list(files),
        "modified": ["17"] * len(files),
        "copy": ["0"] * len(files),
        "file": [SimpleUploadedFile("file", data) for data in files.values()],
    }
    return client.post("/archive/upload/several", {**fields, **more}, headers=JSON)


def batches(client: Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/archive/upload/batches", headers=JSON).json()[
        "batches"
    ]
    return found


def test_a_large_file_comes_in_pieces_and_goes_on_where_it_stopped(
    uploader: Client, own_spool: Path
) -> None:
    receipt, data = str(uuid.uuid4()), packed()
    told = begin(uploader, receipt, "study.zip", len(data)).json()
    assert (told["received"], told["taken"]) == (0, False)
    file = told["file"]
    half = len(data) // 2
    assert piece(uploader, file, 0, data[:half]).json()["received"] == half
    # The page was reloaded: the same file is known by its name, size and time.
    assert begin(uploader, receipt, "study.zip", len(data)).json()["received"] == half
    wrong = piece(uploader, file, half - 5, data[half - 5 :])
    assert (wrong.status_code, wrong.json()["error"]) == (409, "OTHER_OFFSET")
    assert wrong.json()["received"] == half
    early = take(uploader, file)
    assert (early.status_code, early.json()["error"]) == (409, "NOT_WHOLE")
    assert Instance.objects.count() == 0
    assert piece(uploader, file, half, data[half:]).json()["received"] == len(data)
    assert take(uploader, file).json()["counts"] == {"stored": 6}
    assert list(own_spool.glob("*.part")) == []
    # Asked again (its answer was lost): the same answer, and nothing is taken twice.
    assert take(uploader, file).json()["counts"] == {"stored": 6}
    assert begin(uploader, receipt, "study.zip", len(data)).json()["taken"] is True
    row = Receipt.objects.get()
    assert (row.stored, row.already_here) == (6, 0)


def test_what_waits_lies_encrypted(uploader: Client, own_spool: Path) -> None:
    """A copy of the spool's files tells nothing, also where pieces end anywhere."""
    receipt, data = str(uuid.uuid4()), packed(4)
    assert data.count(b"Planted^Name") == 4
    file = begin(uploader, receipt, "Planted^Name.zip", len(data)).json()["file"]
    at = 0
    for length in (1, 15, 1000, 16, len(data)):
        piece(uploader, file, at, data[at : at + length])
        at += length
    kept = (own_spool / f"{file}.part").read_bytes()
    assert len(kept) == len(data)
    assert b"Planted" not in kept
    assert b"PK\x03\x04" not in kept
    other = begin(uploader, receipt, "other.zip", len(data)).json()["file"]
    piece(uploader, other, 0, data)
    assert (own_spool / f"{other}.part").read_bytes()[:64] != kept[:64], "each has its own key"
    assert take(uploader, file).json()["counts"] == {"stored": 4}
    assert take(uploader, other).json()["counts"] == {"already_here": 4}


def test_what_a_killed_process_left_of_a_request_goes_after_an_hour(own_spool: Path) -> None:
    own_spool.mkdir()
    for name, hours in (("a.part", 3), ("tmp1.upload.dcm", 3), ("tmp2.upload", 0.5)):
        (own_spool / name).write_bytes(b"x")
        then = time.time() - hours * 3600
        os.utime(own_spool / name, (then, then))
    assert spool.drop_old(2 * 86400) == 1
    assert {path.name for path in own_spool.iterdir()} == {"a.part", "tmp2.upload"}
    assert spool.drop_old(3600) == 1


def test_what_a_killed_process_left_behind_the_offset_is_dropped(uploader: Client) -> None:
    receipt, data = str(uuid.uuid4()), packed(3)
    file = begin(uploader, receipt, "study.zip", len(data)).json()["file"]
    piece(uploader, file, 0, data[:1000])
    (part,) = spool.folder().glob("*.part")
    with part.open("ab") as out:
        out.write(b"half a piece that was never acknowledged")
    assert begin(uploader, receipt, "study.zip", len(data)).json()["received"] == 1000
    piece(uploader, file, 1000, data[1000:])
    assert take(uploader, file).json()["counts"] == {"stored": 3}


def test_a_spool_that_lost_bytes_says_from_where_to_send_again(uploader: Client) -> None:
    receipt, data = str(uuid.uuid4()), packed(3)
    file = begin(uploader, receipt, "study.zip", len(data)).json()["file"]
    piece(uploader, file, 0, data[:1000])
    spool.drop(uuid.UUID(file))
    assert begin(uploader, receipt, "study.zip", len(data)).json()["received"] == 0


def test_a_small_file_sent_twice_is_taken_once(uploader: Client) -> None:
    receipt, data = str(uuid.uuid4()), encoded(ct_series(1)[0])
    for _ in range(2):
        told = whole(uploader, receipt, "a.dcm", data, modified=17).json()
        assert told["counts"] == {"stored": 1}
    for _ in range(2):
        assert whole(uploader, receipt, "notes.txt", b"hello").json()["kept"][0]["code"] == (
            "NOT_DICOM"
        )
    row = Receipt.objects.get()
    assert (row.stored, row.already_here, row.kept_aside) == (1, 0, 1)
    # Another file under the same name is another file.
    assert whole(uploader, receipt, "a.dcm", data, modified=18).json()["counts"] == {
        "already_here": 1
    }
    assert whole(uploader, receipt, "a.dcm", data, modified=17, copy=1).json()["counts"] == {
        "already_here": 1
    }


def test_small_files_in_one_request_end_each_on_its_own_and_once(uploader: Client) -> None:
    slices = ct_series(3)
    files = {f"{n}.dcm": encoded(one) for n, one in enumerate(slices)}
    files |= {"notes.txt": b"hello", "inside.zip": packed(2)}
    receipt = str(uuid.uuid4())
    whole(uploader, receipt, "1.dcm", files["1.dcm"], modified=17)
    for _ in range(2):
        answer = several(uploader, receipt, files)
        assert answer.status_code == 200, answer.content
        told = answer.json()["files"]
        assert [one["counts"] for one in told] == [
            *([{"stored": 1}] * 3),
            {"kept_aside": 1},
            {"stored": 2},
        ]
        assert [len(one["kept"]) for one in told] == [0, 0, 0, 1, 0]
        assert told[3]["kept"][0]["name"] == "notes.txt"
    row = Receipt.objects.get()
    assert (row.stored, row.already_here, row.kept_aside) == (5, 0, 1)
    assert len(batches(uploader)[0]["here"]) == 5


def test_small_files_that_do_not_say_what_they_are_are_refused_whole(uploader: Client) -> None:
    receipt = str(uuid.uuid4())
    two = {"a": b"x", "b": b"y"}
    many = {f"{n}": b"x" for n in range(MAX_SEVERAL + 1)}
    for answer in (
        several(uploader, receipt, {}),
        several(uploader, receipt, two, name=["a"]),
        several(uploader, receipt, two, copy=["0", "0", "0"]),
        several(uploader, receipt, {"a": b"x", "b": b"x"}, name=["a", "a"]),
        several(uploader, receipt, two, name=["a", ""]),
        several(uploader, receipt, many),
    ):
        assert answer.status_code == 400
        assert answer.json()["cure"]
    assert not UploadedFile.objects.exists()


def test_a_reload_is_told_what_is_here_and_what_is_not(uploader: Client, person: User) -> None:
    receipt = str(uuid.uuid4())
    opened = uploader.post(
        "/archive/upload/batches",
        {"receipt": receipt, "files": 3, "bytes": 5000},
        headers=JSON,
    )
    assert opened.json()["here"] == []
    data = encoded(ct_series(1)[0])
    whole(uploader, receipt, "neck/0.dcm", data, modified=5)
    part = begin(uploader, receipt, "neck/1.zip", 5000, modified=6).json()["file"]
    begin(uploader, receipt, "neck/2.zip", 5000)
    piece(uploader, part, 0, b"PK\x03\x04")
    (told,) = batches(uploader)
    assert (told["receipt"], told["files"], told["bytes"]) == (receipt, 3, 5000)
    assert sorted(told["here"]) == sorted(
        [
            [Said("neck/0.dcm", len(data), 5).key, 1],
            [Said("neck/1.zip", 5000, 6).key, 0],
        ]
    )
    assert told["counts"] == {"stored": 1, "already_here": 0, "kept_aside": 0}
    closed = uploader.post("/archive/upload/close", {"receipt": receipt}, headers=JSON).json()
    assert closed["counts"]["stored"] == 1
    assert batches(uploader) == []
    assert list(spool.folder().glob("*.part")) == []
    assert not UploadedFile.objects.exists()
    late = piece(uploader, part, 4, b"x")
    assert late.status_code == 404
    assert begin(uploader, receipt, "neck/1.zip", 5000).json()["error"] == "BATCH_CLOSED"


def test_nobody_else_may_write_to_a_batch_or_see_it(uploader: Client, other: User) -> None:
    receipt, data = str(uuid.uuid4()), packed(2)
    file = begin(uploader, receipt, "study.zip", len(data)).json()["file"]
    piece(uploader, file, 0, data[:100])
    stranger = Client()
    stranger.force_login(other)
    assert batches(stranger) == []
    assert piece(stranger, file, 100, data[100:]).status_code == 404
    assert take(stranger, file).status_code == 404
    for refused in (
        begin(stranger, receipt, "study.zip", len(data)),
        whole(stranger, receipt, "a.dcm", b"x"),
        several(stranger, receipt, {"a.dcm": b"x", "b.dcm": b"y"}),
        stranger.post("/archive/upload/batches", {"receipt": receipt}, headers=JSON),
    ):
        assert (refused.status_code, refused.json()["error"]) == (409, "BATCH_CLOSED")
    closing = stranger.post("/archive/upload/close", {"receipt": receipt}, headers=JSON)
    assert closing.status_code == 404
    assert UploadedFile.objects.get().received == 100
    assert Receipt.objects.get().closed_at is None


def test_who_may_not_upload_is_refused_at_every_door(client: Client, person: User) -> None:
    file = str(uuid.uuid4())
    for status in (401, 403):
        answers = [
            begin(client, str(uuid.uuid4()), "a", 1),
            piece(client, file, 0, b"x"),
            take(client, file),
            whole(client, str(uuid.uuid4()), "a", b"x"),
            several(client, str(uuid.uuid4()), {"a": b"x"}),
            client.get("/archive/upload/batches", headers=JSON),
            client.post("/archive/upload/batches", headers=JSON),
            client.post("/archive/upload/close", headers=JSON),
        ]
        assert [answer.status_code for answer in answers] == [status] * len(answers)
        if status == 401:
            assert {answer.json()["error"] for answer in answers} == {"SIGNED_OUT"}
        client.force_login(person)
    assert not Receipt.objects.exists()


def test_too_large_a_file_is_refused_before_it_is_sent(uploader: Client, settings: Any) -> None:
    settings.MAX_UPLOAD_BYTES = 1 << 20
    receipt = str(uuid.uuid4())
    told = begin(uploader, receipt, "huge.zip", 5 << 20).json()
    assert told["taken"] is True
    assert told["kept"][0]["code"] == "TOO_LARGE"
    assert told["kept"][0]["message"] == "huge.zip has 5 MiB, more than the 1 MiB allowed."
    assert KeptAside.objects.get().code == "TOO_LARGE"
    assert piece(uploader, told["file"], 0, b"x").json()["taken"] is True
    assert list(spool.folder().glob("*.part")) == []


def test_a_file_that_is_no_zip_may_not_be_as_large_as_one(
    uploader: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "MAX_FILE_BYTES", 1 << 20)
    file = begin(uploader, str(uuid.uuid4()), "huge.dcm", 5 << 20).json()["file"]
    refused = piece(uploader, file, 0, bytes(1000))
    assert (refused.status_code, refused.json()["error"]) == (400, "TOO_LARGE")
    assert refused.json()["message"] == "The file has 5 MiB, more than the 1 MiB allowed."
    assert list(spool.folder().glob("*.part")) == []


@pytest.mark.parametrize(
    ("offset", "data"), [(0, bytes(101)), (90, bytes(11)), (-1, b"x"), ("x", b"x"), ("", b"x")]
)
def test_a_piece_that_does_not_fit_is_refused(uploader: Client, offset: Any, data: bytes) -> None:
    file = begin(uploader, str(uuid.uuid4()), "a.zip", 100).json()["file"]
    if offset == 90:
        piece(uploader, file, 0, bytes(90))
    assert piece(uploader, file, offset, data).status_code == 400
    assert UploadedFile.objects.get().received == (90 if offset == 90 else 0)


def test_a_piece_may_not_be_larger_than_a_piece(
    uploader: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "MAX_PIECE_BYTES", 10)
    file = begin(uploader, str(uuid.uuid4()), "a.zip", 100).json()["file"]
    assert piece(uploader, file, 0, bytes(11)).json()["error"] == "TOO_MANY_BYTES"
    assert list(spool.folder().glob("*.part")) == []


def test_the_spool_takes_no_more_than_it_may(uploader: Client, settings: Any) -> None:
    settings.SPOOL_BYTES = 10_000
    receipt = str(uuid.uuid4())
    first = begin(uploader, receipt, "a.zip", 6000).json()["file"]
    piece(uploader, first, 0, bytes(10))
    full = begin(uploader, receipt, "b.zip", 6000)
    assert (full.status_code, full.json()["error"]) == (503, "NO_ROOM")
    assert piece(uploader, first, 10, bytes(5990)).status_code == 200
    take(uploader, first)
    assert begin(uploader, receipt, "b.zip", 6000).status_code == 200


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>.dcm",
        "../../../etc/passwd",
        "x" * 500,
        "x" * 5000,
        "two\nlines \x1b[2J \u202ecod.exe",
        "❤/é",
    ],
)
def test_a_name_is_only_a_name(uploader: Client, own_spool: Path, name: str) -> None:
    receipt = str(uuid.uuid4())
    told = whole(uploader, receipt, name, b"no image").json()
    assert told["kept"][0]["code"] == "NOT_DICOM"
    data = packed(2)
    file = begin(uploader, receipt, f"{name}.zip", len(data)).json()["file"]
    piece(uploader, file, 0, data)
    assert {path.name for path in own_spool.iterdir()} == {f"{file}.part"}
    assert take(uploader, file).json()["counts"] == {"stored": 2}
    (told_of,) = batches(uploader)
    assert len(told_of["here"]) == 2
    page = uploader.get("/archive/").content.decode()
    assert "<script>alert" not in page
    assert all("\x00" not in kept.name for kept in KeptAside.objects.all())


def test_a_name_is_needed(uploader: Client) -> None:
    assert begin(uploader, str(uuid.uuid4()), "", 5).json()["error"] == "BAD_FILE"
    assert begin(uploader, "no id", "a", 5).json()["error"] == "BAD_RECEIPT"


def test_the_end_tells_what_became_of_each_series_and_where_to_go(
    uploader: Client, person: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[User, Series]] = []

    def lead(user: User, series: Series) -> list[tuple[str, str]]:
        asked.append((user, series))
        return [("Case 7", "/cases/7/")] if series.volume_state == "volume" else []

    monkeypatch.setattr(registry, "where_next", [lead])
    receipt = str(uuid.uuid4())
    gap = ct_series(5)
    del gap[2]
    for number, ds in enumerate([*ct_series(4), *gap]):
        whole(uploader, receipt, f"{number}.dcm", encoded(ds))
    closed = uploader.post("/archive/upload/close", {"receipt": receipt}, headers=JSON).json()
    told = sorted((s["state"], s["code"], s["images"], s["next"]) for s in closed["series"])
    assert told == [
        ("quarantined", "MISSING_SLICES", 4, []),
        ("volume", "", 4, [{"label": "Case 7", "address": "/cases/7/"}]),
    ]
    assert {user for user, _ in asked} == {person}
    again = uploader.post("/archive/upload/close", {"receipt": receipt}, headers=JSON).json()
    assert again["series"] == closed["series"]


def test_an_upload_nobody_went_on_with_is_ended_and_its_pieces_removed(
    uploader: Client, person: User, settings: Any
) -> None:
    receipt = uuid.uuid4()
    for number, ds in enumerate(ct_series(3)):
        whole(uploader, str(receipt), f"{number}.dcm", encoded(ds))
    file = begin(uploader, str(receipt), "rest.zip", 5000).json()["file"]
    piece(uploader, file, 0, b"half")
    assert services.end_old_uploads() == 0
    assert Receipt.objects.get().closed_at is None
    long_ago = timezone.now() - timedelta(hours=settings.UPLOAD_HOURS, minutes=1)
    Upload.objects.update(touched=long_ago)
    assert services.end_old_uploads() == 1
    assert Receipt.objects.get().closed_at is not None
    assert list(spool.folder().glob("*.part")) == []
    assert Series.objects.get().volume_state == "volume"
    assert services.end_old_uploads() == 0


def test_a_series_is_not_judged_while_its_upload_pauses(
    uploader: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.QUIET_SECONDS = 0
    receipt = str(uuid.uuid4())
    slices = ct_series(6)
    for number, ds in enumerate(slices[:4]):
        whole(uploader, receipt, f"{number}.dcm", encoded(ds))
    Instance.objects.update(received_at=timezone.now() - timedelta(hours=3))
    Series.objects.update(received_at=timezone.now() - timedelta(hours=3))
    assert judge_quiet_series() == []
    for number, ds in enumerate(slices[4:], start=4):
        whole(uploader, receipt, f"{number}.dcm", encoded(ds))
    closed = uploader.post("/archive/upload/close", {"receipt": receipt}, headers=JSON).json()
    assert [(s["state"], s["images"]) for s in closed["series"]] == [("volume", 6)]


def test_a_key_tells_files_apart_by_everything_that_is_said() -> None:
    said = [
        Said("a", 1),
        Said("b", 1),
        Said("a", 2),
        Said("a", 1, 5),
        Said("a", 1, 0, 1),
        Said("é", 1),
        Said("\udcff", 1),
    ]
    assert len({one.key for one in said}) == len(said)
    # As the page reckons it.
    told = hashlib.sha256("né/0\x0010\x005\x001".encode()).hexdigest()
    assert Said("né/0", 10, 5, 1).key == told


@pytest.fixture(scope="module")
def alone() -> Any:
    """Web and work, without an inference worker."""
    stack = Stack()
    stack.as_is("upload", "upload page")
    try:
        yield stack.start(worker=False)
    finally:
        stack.close()


def test_the_same_file_asked_for_by_several_requests_at_once_is_taken_once(alone: Stack) -> None:
    receipt, data = str(uuid.uuid4()), packed(20)
    client = alone.client("coordinator")
    said = {"receipt": receipt, "name": "study.zip", "size": str(len(data))}
    file = client.post("/archive/upload/begin", data=said, headers=JSON).json()["file"]
    client.post(f"/archive/upload/files/{file}?offset=0", content=data, headers=JSON)
    answers: list[Any] = []

    def ask() -> None:
        one = client.post(f"/archive/upload/files/{file}/take", headers=JSON)
        answers.append((one.status_code, json.dumps(one.json()["counts"])))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [(200, '{"stored": 20}')] * 4
    counts = "select stored, already_here from archive_receipt where id = %s"
    assert alone.query(counts, receipt) == [(20, 0)]


def test_a_batch_ends_only_when_nothing_of_it_is_being_taken(alone: Stack) -> None:
    """Else a case would be opened on half a series, and could not take the rest."""
    receipt, data = str(uuid.uuid4()), packed(200)
    client, other = alone.client("coordinator"), alone.client("coordinator")
    said = {"receipt": receipt, "name": "ended.zip", "size": str(len(data))}
    file = client.post("/archive/upload/begin", data=said, headers=JSON).json()["file"]
    client.post(f"/archive/upload/files/{file}?offset=0", content=data, headers=JSON)
    counts: list[Any] = []

    def take_it() -> None:
        address = f"/archive/upload/files/{file}/take"
        answer = client.post(address, data={"name": "ended.zip"}, headers=JSON)
        counts.append(answer.json()["counts"])

    thread = threading.Thread(target=take_it)
    thread.start()
    stored = "select count(*) from archive_instance where receipt_id = %s"
    until(lambda: alone.query(stored, receipt)[0][0] > 0, "the first files", 60, alone.words)
    told = other.post("/archive/upload/close", data={"receipt": receipt}, headers=JSON).json()
    thread.join()
    assert counts == [{"stored": 200}]
    assert told["counts"]["stored"] == 200
    assert [(one["images"], one["state"]) for one in told["series"]] == [(200, "volume")]
    late = client.post("/archive/upload/begin", data={**said, "name": "b.zip"}, headers=JSON)
    assert (late.status_code, late.json()["error"]) == (409, "BATCH_CLOSED")


def test_a_web_process_killed_while_pieces_come_loses_none_that_it_acknowledged(
    alone: Stack,
) -> None:
    receipt, data = str(uuid.uuid4()), packed(30)
    client = alone.client("coordinator")
    said = {"receipt": receipt, "name": "killed.zip", "size": str(len(data))}
    file = client.post("/archive/upload/begin", data=said, headers=JSON).json()["file"]
    third = len(data) // 3
    client.post(f"/archive/upload/files/{file}?offset=0", content=data[:third], headers=JSON)
    alone.kill(alone.web)
    alone.start_web()
    client = alone.client("coordinator")
    told = client.post("/archive/upload/begin", data=said, headers=JSON).json()
    assert told["received"] == third
    address = f"/archive/upload/files/{file}?offset={third}"
    assert client.post(address, content=data[third:], headers=JSON).json()["received"] == len(data)
    taken = client.post(f"/archive/upload/files/{file}/take", headers=JSON).json()
    assert taken["counts"] == {"stored": 30}
