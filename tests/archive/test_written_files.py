"""What the archive itself writes is DICOM: dciodvfy finds no fault that did not come with it."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from django.test import Client

from backend.accounts.models import User
from backend.archive import visibility
from backend.archive.models import Instance, Receipt
from backend.store import store
from fixtures.phantom_dicom import write_series
from fixtures.small import small_phantom

pytestmark = pytest.mark.django_db
Receive = Callable[..., Receipt]
EXPLICIT, HTJ2K = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.201"


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CT slice of the phantom."""
    folder = tmp_path_factory.mktemp("phantom") / "dicom"
    write_series(small_phantom(), folder, patient_id="PHANTOM-9")
    return folder / "0001.dcm"


def errors_of(dciodvfy: str, path: Path) -> set[str]:
    said = subprocess.run([dciodvfy, str(path)], capture_output=True, text=True, check=False)
    assert "CTImage" in said.stderr
    return {line for line in said.stderr.splitlines() if line.startswith("Error")}


def served(client: Client, one: Instance, syntax: str) -> bytes:
    path = (
        f"/dicom-web/studies/{one.series.study.uid}/series/{one.series.uid}/instances/{one.sop_uid}"
    )
    accept = {"Accept": f"application/dicom; transfer-syntax={syntax}"}
    answer: Any = client.get(path, headers=accept)
    assert answer.status_code == 200
    return b"".join(answer.streaming_content) if answer.streaming else bytes(answer.content)


@pytest.mark.parametrize("implicit", [True, False])
def test_a_file_without_preamble_is_stored_with_one_that_is_right(
    valid: Path, receive: Receive, tmp_path: Path, dciodvfy: str, implicit: bool
) -> None:
    ds = pydicom.dcmread(valid)
    buffer = io.BytesIO()
    data_set = pydicom.Dataset({e.tag: e for e in ds if e.tag.group > 2})
    pydicom.dcmwrite(buffer, data_set, implicit_vr=implicit, little_endian=True)
    bare_file = tmp_path / "bare.dcm"
    bare_file.write_bytes(buffer.getvalue())
    assert bare_file.read_bytes()[128:132] != b"DICM"
    assert receive(bare_file).stored == 1
    written = tmp_path / "written.dcm"
    written.write_bytes(store().read(Instance.objects.get().blob))
    assert errors_of(dciodvfy, written) == errors_of(dciodvfy, valid)
    back = pydicom.dcmread(written)
    meta = back.file_meta
    assert meta.MediaStorageSOPInstanceUID == back.SOPInstanceUID == ds.SOPInstanceUID
    assert meta.MediaStorageSOPClassUID == ds.SOPClassUID
    assert np.array_equal(back.pixel_array, ds.pixel_array)


@pytest.mark.parametrize("names", [True, False])
@pytest.mark.parametrize("syntax", [EXPLICIT, HTJ2K])
def test_what_is_written_for_someone_is_right(
    valid: Path,
    receive: Receive,
    tmp_path: Path,
    dciodvfy: str,
    browser: Client,
    person: User,
    sees_all: None,
    syntax: str,
    names: bool,
) -> None:
    """As stored or recompressed; whole, or without the patient."""
    visibility.register_uploader(lambda user: names)
    packed = pydicom.dcmread(valid)
    packed.compress("1.2.840.10008.1.2.5", generate_instance_uid=False)
    packed.save_as(tmp_path / "packed.dcm", enforce_file_format=True)
    receive(tmp_path / "packed.dcm")
    sent = tmp_path / "sent.dcm"
    sent.write_bytes(served(browser, Instance.objects.get(), syntax))
    back = pydicom.dcmread(sent)
    assert back.file_meta.TransferSyntaxUID == syntax
    if syntax == HTJ2K:  # dciodvfy is older than HTJ2K; what lies around the pixels it can judge.
        back.decompress(decoding_plugin="imagecodecs", generate_instance_uid=False)
        back.save_as(sent, enforce_file_format=True)
    assert errors_of(dciodvfy, sent) <= errors_of(dciodvfy, valid)
