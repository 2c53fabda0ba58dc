"""A name planted wherever DICOM has room for one comes out nowhere."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
import zstandard
from django.apps import apps
from django.core import serializers
from django.test import Client

from backend.accounts.models import User
from backend.archive.models import Instance, KeptAside, Receipt
from backend.audit.models import Event
from backend.store import store
from tests.archive.deidentify.corpus import CANARIES, DAY, NAME, NUMBER, ROOT, files
from tests.archive.made import values

pytestmark = pytest.mark.django_db
Receive = Callable[..., Receipt]


@pytest.fixture
def received(tmp_path: Path, receive: Receive) -> Receipt:
    folder = tmp_path / f"{NAME}^Hildegard {NUMBER}"
    folder.mkdir()
    for name, data in files():
        assert all(canary in data for canary in CANARIES), "the corpus is planted"
        (folder / name).write_bytes(data)
    # And what is refused: cut off, a report about her, a text, a picture of a screen.
    (name, data), *_ = files()
    (folder / f"cut {name}").write_bytes(data[: len(data) // 2])
    (folder / f"{NAME}.txt").write_text(f"Dear {NAME}")
    capture = data.replace(b"1.2.840.10008.5.1.4.1.1.2\0", b"1.2.840.10008.5.1.4.1.1.7\0")
    (folder / f"screen {name}").write_bytes(capture)
    return receive(folder)


def spoken(data: bytes) -> list[bytes]:
    """The canaries that stand in the bytes, in any usual character set."""
    found = [canary for canary in CANARIES if canary in data]
    found += [c for c in CANARIES if c.decode().encode("utf-16-le") in data]
    return found + [root for root in (ROOT.encode(),) if root in data]


def on_disk(folder: Path) -> Iterator[tuple[Path, bytes]]:
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            yield path, data
            if path.suffix == ".zst":
                yield path, zstandard.ZstdDecompressor().decompress(data, 1 << 28)


def test_it_is_taken_and_its_pixels_are_what_they_were(received: Receipt) -> None:
    assert (received.stored, received.kept_aside) == (3, 3)
    codes = {kept.code for kept in received.kept.all()}
    assert codes == {"NOT_DICOM", "BURNED_IN", "TRUNCATED"}
    for instance in Instance.objects.all():
        dataset = pydicom.dcmread(io.BytesIO(store().read(instance.blob)))
        number = [i for i in (1, 2, 3) if (dataset.pixel_array == values(i)).all()]
        assert len(number) == 1
        assert dataset.preamble == bytes(128)
        assert dataset.PatientIdentityRemoved == "YES"


def test_no_name_is_in_any_byte_that_is_kept(
    received: Receipt, content: Path, pseudonyms: Path
) -> None:
    kept = [(path, spoken(data)) for path, data in on_disk(content)]
    assert len(kept) >= 3
    assert not [one for one in kept if one[1]]
    sealed = [(path, spoken(data)) for path, data in on_disk(pseudonyms)]
    assert len(sealed) >= 3
    assert not [one for one in sealed if one[1]]


def test_no_name_is_in_any_row(received: Receipt) -> None:
    models = [m for label in ("archive", "audit") for m in apps.get_app_config(label).get_models()]
    rows = 0
    for model in models:
        for row in model._default_manager.all():
            text = serializers.serialize("json", [row], ensure_ascii=False)
            rows += 1
            assert not spoken(text.encode()), (model.__name__, text[:2000])
    assert rows > 8


def test_no_name_is_in_any_event_or_log(
    tmp_path: Path, received: Receipt, caplog: pytest.LogCaptureFixture
) -> None:
    assert Event.objects.exists()
    assert not spoken(caplog.text.encode())


def test_no_name_is_served(received: Receipt, sees_all: None, client: Client, person: User) -> None:
    User.objects.filter(pk=person.pk).update(is_superuser=True)
    client.force_login(User.objects.get(pk=person.pk))
    for instance in Instance.objects.select_related("series__study"):
        base = f"/dicom-web/studies/{instance.series.study.uid}/series/{instance.series.uid}"
        for path in (base, f"{base}/metadata", f"{base}/instances?includefield=all"):
            answer = client.get(path)
            assert answer.status_code == 200
            body = b"".join(answer.streaming_content) if answer.streaming else answer.content
            assert body
            assert not spoken(body)
    assert not spoken(client.get("/dicom-web/studies?includefield=all").content)
    assert client.get(f"/dicom-web/studies?PatientName={NAME}*").status_code in (200, 204)


def test_who_may_upload_knows_the_names_of_files_that_were_refused(
    received: Receipt, client: Client, person: User
) -> None:
    assert all(kept.name.startswith("file ") for kept in KeptAside.objects.all())
    User.objects.filter(pk=person.pk).update(is_superuser=True)
    client.force_login(User.objects.get(pk=person.pk))
    page = client.get("/archive/").content.decode()
    assert f"{NAME}.txt" in page
    assert f"{NAME}.txt is not a DICOM file." in page


def test_what_stays_is_enough_to_read_by(received: Receipt) -> None:
    metadata: dict[str, Any] = Instance.objects.first().metadata  # type: ignore[union-attr]
    assert metadata["0008103E"]["Value"] == ["CT neck of"]
    assert DAY not in json.dumps(metadata)
