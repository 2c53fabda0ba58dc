"""Exports are read back before they are handed out; a file that differs never is."""

from __future__ import annotations

import dataclasses
import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK
from django.db import connection

from backend.audit.models import Event
from backend.errors import BadInput, WrongState
from backend.imaging.seg import tracking_uid
from backend.reports import exporting, formats, services
from backend.reports.models import Export
from backend.store import store
from tests.reports.room import Room, wanted


def made(room: Room, file_format: str) -> Export:
    export = services.request_export(
        reading=room.reading, file_format=file_format, actor=room.users["coordinator"]
    )
    return exporting.make_export(export.pk)


@pytest.mark.parametrize("file_format", ["seg", "nifti"])
def test_an_export_is_read_back_and_equal(room: Room, file_format: str):
    export = made(room, file_format)
    assert (export.state, export.message) == ("ready", "")
    verification = export.verification
    assert verification["equal"] is True
    assert verification["foreground"] == int((wanted() > 0).sum())
    assert verification["segments"] == 5
    assert verification["sha256"] == export.blob
    assert export.filename.startswith(f"LN-0001_R1_{room.reading.effective.hash[:12]}")
    actions = Event.objects.filter(subject_id=str(export.pk)).values_list("action", flat=True)
    assert list(actions) == ["export.requested", "export.made"]


def test_the_segmentation_has_one_coded_tracked_segment_per_node(room: Room):
    dataset = pydicom.dcmread(io.BytesIO(store().read(made(room, "seg").blob)))
    segments = {s.SegmentLabel: s for s in dataset.SegmentSequence}
    kinds = {name: s.SegmentAlgorithmType for name, s in segments.items()}
    assert kinds == {
        "Lymph node 1": "AUTOMATIC",
        "Lymph node 2": "SEMIAUTOMATIC",
        "Lymph node 4": "AUTOMATIC",
        "Lymph node 5": "SEMIAUTOMATIC",
        "Lymph node 6": "MANUAL",
    }
    for number, node in room.nodes.items():
        if number != 3:
            assert segments[f"Lymph node {number}"].TrackingUID == tracking_uid(node)
    one = segments["Lymph node 1"]
    assert one.SegmentedPropertyTypeCodeSequence[0].CodeValue == "59441001"
    assert one.SegmentationAlgorithmIdentificationSequence[0].AlgorithmName == "Test net"
    assert "SegmentationAlgorithmIdentificationSequence" not in segments["Lymph node 6"]
    assert dataset.StudyInstanceUID == room.case.study_uid
    assert "research use only" in dataset.SeriesDescription.lower()


def test_other_software_reads_the_nifti_where_the_images_lie(room: Room, tmp_path: Path):
    path = tmp_path / "mask.nii.gz"
    path.write_bytes(store().read(made(room, "nifti").blob))
    image = SimpleITK.ReadImage(str(path))
    assert np.array_equal(SimpleITK.GetArrayFromImage(image), wanted())
    assert np.allclose(image.GetOrigin(), room.case.grid.origin_mm)


def corrupted(data: bytes) -> bytes:
    """The NIfTI with one voxel more."""
    raw = bytearray(gzip.decompress(data))
    raw[-2] = 1
    return gzip.compress(bytes(raw), mtime=0)


def corrupted_seg(data: bytes) -> bytes:
    """The segmentation with one bit more."""
    dataset = pydicom.dcmread(io.BytesIO(data))
    pixels = bytearray(dataset.PixelData)
    pixels[0] ^= 1
    dataset.PixelData = bytes(pixels)
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(("file_format", "spoil"), [("nifti", corrupted), ("seg", corrupted_seg)])
def test_a_file_that_differs_is_never_handed_out(
    room: Room, monkeypatch: pytest.MonkeyPatch, file_format: str, spoil: Any
):
    whole = formats.FORMATS[file_format]
    bad = dataclasses.replace(whole, write=lambda *args: spoil(whole.write(*args)))
    monkeypatch.setitem(formats.FORMATS, file_format, bad)
    export = made(room, file_format)
    assert export.state == "failed"
    assert "differs from the signed mask in 1 voxels" in export.message
    assert (export.blob, export.filename) == ("", "")
    event = Event.objects.get(action="export.failed")
    assert (event.outcome, event.reason) == ("failure", export.message)
    with pytest.raises(WrongState, match="thrown away"):
        services.hand_out(export=export, actor=room.users["coordinator"])
    answer = room.client("coordinator").get(f"/api/exports/{export.pk}/file")
    assert answer.status_code == 409
    assert answer.json()["error"] == "EXPORT_NOT_READY"


def test_a_truncated_file_is_a_failure_that_says_why(room: Room, monkeypatch: pytest.MonkeyPatch):
    whole = formats.FORMATS["nifti"]
    bad = dataclasses.replace(whole, write=lambda *args: whole.write(*args)[:-9])
    monkeypatch.setitem(formats.FORMATS, "nifti", bad)
    export = made(room, "nifti")
    assert export.state == "failed"
    assert "gzip" in export.message


def test_the_job_is_deferred_in_the_transaction_that_asked(room: Room):
    export = services.request_export(reading=room.reading, file_format="seg", actor=None)
    with connection.cursor() as cursor:
        cursor.execute(
            "select queue_name, task_name from procrastinate_jobs where args ->> 'export' = %s",
            [str(export.pk)],
        )
        assert cursor.fetchall() == [("work", "reports.make_export")]


def test_making_an_export_twice_changes_nothing(room: Room):
    export = made(room, "nifti")
    again = exporting.make_export(export.pk)
    assert (again.blob, again.finished) == (export.blob, export.finished)
    assert Event.objects.filter(action="export.made").count() == 1


def test_an_export_whose_maker_is_gone_is_offered_again(room: Room):
    export = services.request_export(reading=room.reading, file_format="seg", actor=None)
    assert exporting.offer_again() == 0
    long_ago = export.touched - 2 * exporting.PATIENCE
    Export.objects.filter(pk=export.pk).update(touched=long_ago, state="running")
    assert exporting.offer_again() == 1
    assert exporting.offer_again() == 0


def test_an_unknown_format_is_refused(room: Room):
    with pytest.raises(BadInput, match="Exports are seg or nifti"):
        services.request_export(reading=room.reading, file_format="mat", actor=None)


def test_a_download_has_its_name_and_type_and_is_recorded(room: Room):
    export = made(room, "seg")
    answer = room.client("auditor").get(f"/api/exports/{export.pk}/file")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/dicom"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{export.filename}"'
    assert answer.content == store().read(export.blob)
    event = Event.objects.get(action="export.downloaded")
    assert (event.actor, event.facts["file"]) == (room.users["auditor"], export.blob)
