"""The archive's page, the upload and `manage.py receive`, for those who may."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client

from backend.accounts.models import User
from backend.archive import visibility
from backend.archive.models import Instance, KeptAside, Receipt, Series
from tests.archive.made import ct_series, encoded, written
from tests.postgres import ROOT
from tests.stack import Stack, until

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def alone() -> Iterator[Stack]:
    """A database and a store, and no process."""
    stack = Stack()
    yield stack
    stack.close()


@pytest.fixture
def uploader(client: Client, person: User) -> Client:
    visibility.register_uploader(lambda user: user == person)
    client.force_login(person)
    return client


def send(client: Client, receipt: str, name: str, data: bytes) -> Any:
    file = SimpleUploadedFile(name.rsplit("/", 1)[-1], data)
    return client.post(
        "/archive/upload",
        {"receipt": receipt, "name": name, "file": file},
        headers={"Accept": "application/json"},
    )


def test_files_are_uploaded_one_by_one_and_judged_at_the_end(uploader: Client) -> None:
    receipt = str(uuid.uuid4())
    for number, ds in enumerate(ct_series(4)):
        answer = send(uploader, receipt, f"neck/{number}.dcm", encoded(ds))
        assert answer.json()["counts"] == {"stored": 1}
    answer = send(uploader, receipt, "neck/notes.txt", b"hello")
    assert answer.json()["kept"] == [
        {
            "name": "neck/notes.txt",
            "code": "NOT_DICOM",
            "message": "neck/notes.txt is not a DICOM file.",
            "cure": KeptAside.objects.get().cure,
        }
    ]
    assert Series.objects.get().volume_state == "pending"
    closed = uploader.post("/archive/upload/close", {"receipt": receipt}).json()
    assert [s["state"] for s in closed["series"]] == ["volume"]
    row = Receipt.objects.get()
    assert (row.stored, row.kept_aside, row.door) == (4, 1, "upload")
    late = send(uploader, receipt, "more.dcm", b"x")
    assert late.status_code == 409
    assert late.json()["error"] == "BATCH_CLOSED"


def test_a_zip_is_uploaded_as_one_file(uploader: Client) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number, ds in enumerate(ct_series(3)):
            archive.writestr(f"a/{number}", encoded(ds))
        archive.writestr("../out", b"x")
    answer = send(uploader, str(uuid.uuid4()), "study.zip", packed.getvalue()).json()
    assert answer["counts"] == {"kept_aside": 1, "stored": 3}
    assert answer["kept"][0]["code"] == "ZIP_PATH_OUTSIDE"


def test_the_form_works_without_its_script(uploader: Client) -> None:
    files = [SimpleUploadedFile(f"{n}.dcm", encoded(d)) for n, d in enumerate(ct_series(3))]
    answer = uploader.post("/archive/upload", {"files": files})
    assert (answer.status_code, answer["Location"]) == (302, "/archive/")
    assert Series.objects.get().volume_state == "volume"


def test_the_page_shows_what_came_what_was_kept_and_what_is_quarantined(
    uploader: Client, tmp_path: Path, receive: Any
) -> None:
    slices = ct_series(5)
    del slices[2]
    folder = written(tmp_path / "neck", slices)
    (folder / "<b>notes.txt").write_text("hello")
    receive(folder)
    page = uploader.get("/archive/").content.decode()
    assert "neck/&lt;b&gt;notes.txt is not a DICOM file." in page
    assert "MISSING_SLICES" in page
    assert "1 slice is missing" in page
    assert ">4</td>" in page


def test_others_may_neither_look_nor_upload(client: Client, person: User) -> None:
    assert client.get("/archive/").status_code == 302
    client.force_login(person)
    json = {"Accept": "application/json"}
    assert client.get("/archive/", headers=json).status_code == 403
    assert send(client, str(uuid.uuid4()), "a.dcm", encoded(ct_series(1)[0])).status_code == 403
    receipt = {"receipt": str(uuid.uuid4())}
    assert client.post("/archive/upload/close", receipt, headers=json).status_code == 403
    assert Instance.objects.count() == Receipt.objects.count() == 0


def test_an_upload_without_a_file_begins_no_batch(uploader: Client) -> None:
    json = {"Accept": "application/json"}
    refused = uploader.post("/archive/upload", {}, headers=json)
    assert (refused.status_code, refused.json()["error"]) == (400, "NO_FILE")
    assert not Receipt.objects.exists()


def test_a_batch_belongs_to_who_began_it(uploader: Client, person: User) -> None:
    receipt = str(uuid.uuid4())
    send(uploader, receipt, "a.dcm", encoded(ct_series(1)[0]))
    other = User.objects.create(username="other", is_superuser=True)
    uploader.force_login(other)
    assert send(uploader, receipt, "b.dcm", b"x").status_code == 409
    json = {"Accept": "application/json"}
    answer = uploader.post("/archive/upload/close", {"receipt": receipt}, headers=json)
    assert answer.status_code == 404


def command(*arguments: str) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command("receive", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_receive_tells_what_became_of_everything(tmp_path: Path, db: None) -> None:
    good = written(tmp_path / "good", ct_series(4))
    (good / "notes.txt").write_text("hello")
    bad = ct_series(4)
    bad[1].ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    out, err = command(str(good), str(written(tmp_path / "bad", bad)), "--source", "the scanner")
    assert "Kept aside: good/notes.txt is not a DICOM file." in out
    assert "8 stored, 0 already here, 1 kept aside, 0 ignored." in out
    assert "quarantined: CT venous 2.5: The slices point in 2 directions" in out
    assert "1 series became volumes, 1 quarantined, 0 set aside, 0 still arriving." in out
    assert "9/9" in err
    assert Receipt.objects.get().source == "the scanner"


def test_receive_fails_only_where_nothing_could_be_stored(tmp_path: Path, db: None) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(CommandError, match="Nothing could be stored"):
        command(str(tmp_path / "notes.txt"))
    with pytest.raises(CommandError, match="There is no"):
        command(str(tmp_path / "absent"))
    folder = str(written(tmp_path / "good", ct_series(3)))
    command(folder)
    out, _ = command(folder)
    assert "0 stored, 3 already here" in out


def test_ctrl_c_leaves_all_that_came_and_says_so(alone: Stack, tmp_path: Path) -> None:
    folder = written(tmp_path / "long", ct_series(400))
    process = subprocess.Popen(
        [sys.executable, "manage.py", "receive", "--as-is", str(folder)],
        cwd=ROOT,
        env=alone.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    count = "select count(*) from archive_instance"
    until(lambda: alone.query(count) != [(0,)], "the first images", 60, alone.words)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, out + err
    ((stored,),) = alone.query(count)
    assert 0 < stored < 400
    assert f"Stopped after {stored} of 400 files" in err
    assert f"{stored} stored, 0 already here, 0 kept aside, 0 ignored." in out
    assert alone.query("select stored, closed_at is not null from archive_receipt") == [
        (stored, True)
    ]
    again = alone.manage("receive", "--as-is", str(folder))
    assert f"{400 - stored} stored, {stored} already here" in again.stdout
