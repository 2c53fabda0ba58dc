"""Every field of the archive's pages, filled with what is no text, or with far too much of it."""

from __future__ import annotations

import html
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from backend.accounts.models import User
from backend.archive.models import Door, KeptAside, Receipt, Review, Source
from backend.archive.remotes.managing import RemoteFacts, add_remote
from backend.errors import BadInput, reason_of
from tests.archive.made import ct_series, written

JSON = {"Accept": "application/json"}
NUL, LONG, ODD = "a\0b", "x" * 30_000, "\u202e\x1b[2J\r\n\ud7ff\uffff"
RECEIPT = str(uuid.UUID(int=9))

# Address, its proper fields (the first is one that names or explains), and whether text that is
# only long or odd may be taken there.
FORMS: dict[str, dict[str, str]] = {
    "/archive/sources/": {"name": "North hospital"},
    "/archive/sources/SOURCE": {"reason": "our own phantom", "deidentify": "off"},
    "/archive/sources/SOURCE#": {"issuer": "NORTH", "reason": "two hospitals"},
    "/archive/review/KEPT": {"reason": "a scale", "decision": "discard"},
    "/archive/remotes/": {
        "name": "south",
        "url": "http://192.0.2.1/dicom-web",
        "sign_in": "basic",
        "username": "me",
        "secret": "word",
        "ca_certificates": "",
    },
    "/archive/remotes/pacs/change": {
        "url": "http://192.0.2.1/dicom-web",
        "sign_in": "basic",
        "username": "me",
        "secret": "word",
        "ca_certificates": "",
    },
    "/archive/remotes/pacs/pull": {"study": "1.2.3", "series": "1.2.3/1.2", "label-1.2.3": "{}"},
    "/archive/remotes/pacs/push": {"kind": "study", "id": RECEIPT, "case": RECEIPT, "back": "1"},
    "/archive/remotes/pacs/studies": {"words": "neck"},
    "/archive/upload/batches": {"receipt": RECEIPT, "source": "upload page", "files": "3"},
    "/archive/upload/begin": {"receipt": RECEIPT, "name": "a.zip", "size": "9", "modified": "1"},
    "/archive/upload/close": {"receipt": RECEIPT},
    "/archive/upload": {"receipt": RECEIPT, "name": "a.dcm", "modified": "1", "copy": "0"},
}


@pytest.fixture
def desk(
    client: Client, sees_all: None, tmp_path: Path, receive: Callable[..., Receipt]
) -> Callable[[str], str]:
    """An administrator's addresses, with a source, a remote and a file to look at."""
    admin = User.objects.create_superuser("admin", password="x")
    client.force_login(admin)
    source = Source.objects.create(door=Door.STOW, name="ward")
    facts = RemoteFacts(url="http://192.0.2.1/dicom-web")
    add_remote(name="pacs", facts=facts, actor=admin)
    receive(written(tmp_path / "x", ct_series(1, PixelData=None)))
    kept = KeptAside.objects.get()
    KeptAside.objects.update(sealed=True, review=Review.WAITING)

    def address(form: str) -> str:
        form = form.removesuffix("#")
        return form.replace("SOURCE", str(source.pk)).replace("KEPT", str(kept.pk))

    return address


def post(client: Client, form: str, address: str, fields: dict[str, Any]) -> Any:
    if form == "/archive/upload":
        fields = {**fields, "file": SimpleUploadedFile("file", b"no image")}
    return client.post(address, fields, headers=JSON)


@pytest.mark.parametrize("form", FORMS)
def test_no_field_of_any_form_is_an_error_of_the_server(
    desk: Callable[[str], str], client: Client, form: str
) -> None:
    for field, usual in FORMS[form].items():
        for text in (NUL, LONG, ODD):
            answer = post(client, form, desk(form), {**FORMS[form], field: text})
            assert answer.status_code < 500, (field, text[:9])
            if text == NUL:
                assert answer.status_code == 400, (field, usual)
                told = answer.json()
                assert told["error"] == "BAD_TEXT"
                assert told["message"].endswith(".")
                assert told["cure"].endswith(".")


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ("/archive/sources/", "name"),
        ("/archive/sources/SOURCE", "reason"),
        ("/archive/sources/SOURCE#", "issuer"),
        ("/archive/sources/SOURCE#", "reason"),
        ("/archive/review/KEPT", "reason"),
    ],
)
def test_what_explains_or_names_is_limited_and_says_so(
    desk: Callable[[str], str], client: Client, form: str, field: str
) -> None:
    answer = post(client, form, desk(form), {**FORMS[form], field: LONG})
    assert answer.status_code == 400
    assert answer.json()["cure"].endswith(".")
    page = client.post(desk(form), {**FORMS[form], field: LONG}, headers={"Accept": "text/html"})
    assert page.status_code == 400
    assert answer.json()["message"] in html.unescape(page.content.decode())


@pytest.mark.parametrize(
    "address",
    [
        "/archive/?x=%00",
        "/archive/remotes/?next=%00",
        "/dicom-web/studies?PatientName=%00",
        "/dicom-web/studies?Nonsense=%00",
        "/dicom-web/studies?includefield=%00",
        "/dicom-web/studies?StudyInstanceUID=1.2%00",
        "/wado?requestType=WADO&studyUID=%00&seriesUID=1&objectUID=1",
        "/dicom-web/wado?requestType=WADO&studyUID=1&seriesUID=1&objectUID=1%00",
    ],
)
def test_no_address_is_an_error_of_the_server(
    desk: Callable[[str], str], client: Client, address: str
) -> None:
    answer = client.get(address, headers=JSON)
    assert (answer.status_code, answer.json()["error"]) == (400, "BAD_TEXT")


def test_a_command_says_the_same() -> None:
    for bad in ("a\0b", "half \ud83d"):
        with pytest.raises(BadInput, match="none"):
            reason_of(bad, "A reason is needed.")
