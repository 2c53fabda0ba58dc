"""The same file again, where its bytes were lost: it fills the gap, and nothing else does."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from dicomweb_client.web import DICOMwebClient
from django.core.management import call_command
from pydicom.dataset import Dataset

from backend.accounts.models import User
from backend.archive import origins
from backend.archive.models import Instance, KeptAside, Receipt
from backend.store import store
from tests.archive.made import address, ct_series, written

Receive = Callable[..., Receipt]


def lose(content: Path, blob: str) -> Path:
    """Take a blob's file away, as a failing disk would; where it was."""
    path = content / blob[:2] / blob
    path.unlink()
    return path


def lost_of(content: Path) -> list[Path]:
    """The bytes of every instance, lost."""
    return [lose(content, blob) for blob in Instance.objects.values_list("blob", flat=True)]


@pytest.mark.parametrize("deidentified", [False, True])
def test_received_again_the_files_fill_the_gap(
    tmp_path: Path,
    receive: Receive,
    content: Path,
    monkeypatch: pytest.MonkeyPatch,
    deidentified: bool,
) -> None:
    monkeypatch.setattr(origins, "NEW_ONES_DEIDENTIFY", deidentified)
    folder = written(tmp_path / "neck", ct_series(3))
    receive(folder)
    before = {one.blob: store().read(one.blob) for one in Instance.objects.all()}
    gone = lost_of(content)
    with pytest.raises(SystemExit):
        call_command("verify_store", stdout=io.StringIO(), stderr=io.StringIO())
    again = receive(folder)
    assert (again.stored, again.already_here, again.kept_aside) == (0, 3, 0)
    assert all(path.is_file() for path in gone)
    assert {blob: store().read(blob) for blob in before} == before
    call_command("verify_store", stdout=io.StringIO(), stderr=io.StringIO())


def test_stored_again_over_stow_a_file_is_served_again(
    slices: list[Dataset], coordinator: User, web: DICOMwebClient, content: Path
) -> None:
    lost_of(content)
    one = slices[0]
    asked = (one.StudyInstanceUID, one.SeriesInstanceUID, one.SOPInstanceUID)
    path = f"{address(one)}/frames/1".removeprefix("/dicom-web")
    answer = web._session.get(f"{web.base_url}{path}")
    assert (answer.status_code, answer.json()["error"]) == (503, "NOT_AT_HAND")
    told = web.store_instances(slices)
    assert len(told.ReferencedSOPSequence) == 4
    assert "FailedSOPSequence" not in told
    assert web.retrieve_instance(*asked).PixelData == one.PixelData


def test_another_file_under_the_uid_of_a_lost_one_is_kept_aside_with_the_cure(
    slices: list[Dataset], tmp_path: Path, receive: Receive, content: Path
) -> None:
    """Whether it is the same cannot be told: it neither fills the gap nor stops a batch."""
    lost_of(content)
    slices[0].PatientComments = "sent again by other software"
    fresh = ct_series(2)
    receipt = receive(written(tmp_path / "again", [slices[0], *fresh]))
    assert (receipt.stored, receipt.already_here, receipt.kept_aside) == (2, 0, 1)
    kept = KeptAside.objects.get()
    assert (kept.code, kept.sop_uid) == ("BLOB_LOST", slices[0].SOPInstanceUID)
    assert "verify_store" in kept.cure
    assert not store().exists(Instance.objects.get(sop_uid=slices[0].SOPInstanceUID).blob)
