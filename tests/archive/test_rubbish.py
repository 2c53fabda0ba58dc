"""What a clerk's folder holds besides images, through every door: named, kept aside, harmless."""

from __future__ import annotations

import io
import uuid
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client

from backend.accounts.models import User
from backend.archive import sources
from backend.archive.findings import NotTaken
from backend.archive.models import Instance, KeptAside, Receipt
from backend.archive.sources import offers_of, offers_of_upload
from tests.archive.client import dicomweb
from tests.archive.made import ct_series, encoded, written

pytestmark = pytest.mark.django_db
Receive = Callable[..., Receipt]
JSON = {"Accept": "application/json"}
EVIL = "neck\n100 stored, 0 kept aside.\r\x1b[2J\u202emcd.dcm"


class Counted(io.BytesIO):
    """A file that says how much of it was read."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.count = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.count += len(data)
        return data


def zipped(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def rubbish() -> dict[str, tuple[bytes, str]]:
    """Name → bytes, and the code of what is said of them."""
    whole = encoded(ct_series(1)[0])
    return {
        "nothing.dcm": (b"", "EMPTY"),
        "zeros.dcm": (bytes(100_000), "NOT_DICOM"),
        "text.dcm": (b"Dear colleague,\n" * 50, "NOT_DICOM"),
        "page.dcm": (b"<!doctype html><html>Sign in</html>", "NOT_DICOM"),
        "half.dcm": (whole[:-200], "TRUNCATED"),
        "head.dcm": (whole[:140], "MISSING_UID"),
        "mark.dcm": (bytes(128) + b"DICM", "MISSING_UID"),
        "noise.dcm": (bytes(128) + b"DICM" + bytes(range(256)) * 40, "MISSING_UID"),
        "picture.jpg": (b"\xff\xd8\xff\xe0" + bytes(500), "NOT_DICOM"),
        "broken.zip": (zipped(a=whole)[:-30], "ZIP_DAMAGED"),
    }


def judged(name: str, code: str) -> None:
    kept = KeptAside.objects.get()
    assert kept.code == code, kept.message
    assert name in kept.message
    assert kept.cure.endswith(".")
    assert not Instance.objects.exists()


@pytest.mark.parametrize("name", rubbish())
def test_rubbish_on_the_upload_page_is_named(client: Client, admin: User, name: str) -> None:
    data, code = rubbish()[name]
    receipt = str(uuid.uuid4())
    fields = {"receipt": receipt, "name": name, "file": SimpleUploadedFile("file", data)}
    told = client.post("/archive/upload", fields, headers=JSON).json()
    assert told["kept"][0]["name"] == name or code.startswith("ZIP")
    judged(name, code)
    assert client.post("/archive/upload/close", {"receipt": receipt}, headers=JSON).json()["counts"]


@pytest.mark.parametrize("name", rubbish())
def test_rubbish_in_a_folder_is_named(tmp_path: Path, receive: Receive, name: str) -> None:
    data, code = rubbish()[name]
    (tmp_path / name).write_bytes(data)
    assert receive(tmp_path).kept_aside == 1
    judged(name, code)


@pytest.mark.parametrize("name", rubbish())
def test_rubbish_over_stow_is_refused_and_the_rest_is_stored(
    client: Client, admin: User, name: str
) -> None:
    (good,) = ct_series(1)
    body = b"".join(
        b"--b\r\nContent-Type: application/dicom\r\n\r\n%s\r\n" % part
        for part in (rubbish()[name][0], encoded(good))
    )
    kind = 'multipart/related; type="application/dicom"; boundary=b'
    answer = client.post("/dicom-web/studies", body + b"--b--\r\n", content_type=kind)
    assert answer.status_code == 202
    told = answer.json()
    assert told["00081199"]["Value"][0]["00081155"]["Value"] == [good.SOPInstanceUID]
    refused = told.get("00081198") or told["0008119A"]
    assert refused["Value"][0]["0040A160"]["Value"][0].endswith(".")


@pytest.fixture
def admin(client: Client) -> User:
    """Somebody who may do everything, signed in."""
    user = User.objects.create_superuser("admin", password="x")
    client.force_login(user)
    return user


def test_of_what_is_no_image_only_the_beginning_is_read() -> None:
    """A gigabyte of zeros, or a bomb in a zip, costs no memory."""
    for head in (bytes(4), b"GIF89a", b"%PDF-1.7"):
        file = Counted(head + bytes(5 << 20))
        (offer,) = offers_of_upload("x", file, 5 << 20)
        with pytest.raises(NotTaken) as caught:
            offer.read()
        assert caught.value.code == "NOT_DICOM"
        assert file.count <= 200
    whole = encoded(ct_series(1)[0])
    (offer,) = offers_of_upload("x", io.BytesIO(whole), len(whole))
    assert offer.read() == whole


def test_a_bomb_in_a_zip_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bomb.zip"
    path.write_bytes(zipped(**{"a.dcm": bytes(64 << 20), "b.dcm": bytes(64 << 20)}))
    assert path.stat().st_size < 300_000
    unpacked = 0
    read = zipfile.ZipExtFile._read1  # type: ignore[attr-defined]

    def counted(self: Any, n: int) -> bytes:
        nonlocal unpacked
        data: bytes = read(self, n)
        unpacked += len(data)
        return data

    monkeypatch.setattr(zipfile.ZipExtFile, "_read1", counted)
    for offer in offers_of([path]):
        with pytest.raises(NotTaken):
            offer.read()
    assert unpacked < 1 << 20


def test_a_sparse_file_is_not_read(tmp_path: Path, receive: Receive) -> None:
    with (tmp_path / "huge.dcm").open("wb") as file:
        file.truncate(2 << 30)
    with (tmp_path / "large.dcm").open("wb") as file:
        file.truncate((1 << 30) - 1)
    receive(tmp_path)
    assert dict(KeptAside.objects.values_list("name", "code")) == {
        f"{tmp_path.name}/huge.dcm": "TOO_LARGE",
        f"{tmp_path.name}/large.dcm": "NOT_DICOM",
    }


def test_no_name_ends_a_line_or_moves_a_terminal(
    tmp_path: Path, client: Client, admin: User
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / EVIL).write_bytes(b"no image")
    (tmp_path / "in" / "z.zip").write_bytes(zipped(**{EVIL: b"no image", f"../{EVIL}": b"x"}))
    out = io.StringIO()
    with pytest.raises(CommandError):
        call_command("receive", "--as-is", str(tmp_path / "in"), stdout=out, stderr=io.StringIO())
    said = out.getvalue()
    assert not set(said) & set("\x1b\r\u202e")
    assert [line for line in said.splitlines() if line.startswith("100 stored")] == []
    fields = {"name": EVIL, "file": SimpleUploadedFile("f", b"no image")}
    client.post("/archive/upload", {"receipt": str(uuid.uuid4()), **fields}, headers=JSON)
    assert KeptAside.objects.count() == 4
    for kept in KeptAside.objects.all():
        assert kept.name == sources.printable(kept.name)
        assert not set(kept.message) & set("\n\r\x1b\u202e")


def test_many_tiny_files_and_a_few_images_among_them(tmp_path: Path, receive: Receive) -> None:
    folder = written(tmp_path / "all", ct_series(5))
    for number in range(600):
        (folder / f"tiny {number}.txt").write_bytes(b"%d" % number)
    (folder / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    (folder / ".DS_Store").write_bytes(b"x")
    receipt = receive(folder)
    assert (receipt.stored, receipt.kept_aside, receipt.ignored) == (5, 600, 2)


def test_a_study_of_two_patients_keeps_the_first(
    tmp_path: Path, receive: Receive, sees_all: None, client: Client, admin: User
) -> None:
    mixed = ct_series(4)
    for one in mixed[2:]:
        one.PatientID, one.PatientName = "OTHER", "Somebody^Else"
    receipt = receive(written(tmp_path / "mixed", mixed))
    assert (receipt.stored, receipt.kept_aside) == (2, 2)
    assert set(KeptAside.objects.values_list("code", flat=True)) == {"STUDY_PATIENT"}
    found = dicomweb(client).search_for_studies()
    assert [study["00100020"]["Value"] for study in found] == [["PID-1"]]
