"""What must become of every odd file was judged by people (odd_dicom.csv); here it is held to."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from django.db.models import Q
from django.test import Client

from backend.accounts.models import User
from backend.archive import visibility
from backend.archive.models import Instance, KeptAside, Receipt, Series

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
JUDGED = list(csv.DictReader((Path(__file__).parent / "odd_dicom.csv").open()))
EXPLICIT = {"Accept": "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"}
OCTETS = {"Accept": "application/octet-stream"}
SOME = 5  # Of more frames than these, the first and last are looked at.


def name_of(row: dict[str, str]) -> str:
    return row["file"]


def body_of(answer: Any) -> bytes:
    return b"".join(answer.streaming_content) if answer.streaming else bytes(answer.content)


def test_every_odd_file_was_judged(test_data: Path) -> None:
    folder = test_data / "odd_dicom"
    files = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert files - {"index.csv"} == {row["file"] for row in JUDGED}
    for row in JUDGED:
        assert row["outcome"] in ("stored", "kept aside", "refused")
        assert bool(row["code"]) == (row["outcome"] != "stored")
        assert row["sentence"].endswith(".")


@pytest.mark.parametrize("row", JUDGED, ids=name_of)
def test_an_odd_file_becomes_what_was_judged(
    test_data: Path,
    receive: Callable[..., Receipt],
    client: Client,
    person: User,
    row: dict[str, str],
) -> None:
    receipt = receive(test_data / "odd_dicom" / row["file"])
    assert receipt.total == 1
    if row["outcome"] == "stored":
        assert [kept.message for kept in receipt.kept.all()] == []
        its_frames_are_served(client, person, Instance.objects.get(), row)
        return
    kept = KeptAside.objects.get()
    assert (kept.code, Instance.objects.count()) == (row["code"], 0)
    assert Path(row["file"]).name in kept.message
    assert "{" not in kept.message
    assert kept.cure.endswith(".")
    assert bool(kept.blob) == (row["outcome"] == "kept aside")


def its_frames_are_served(client: Client, person: User, one: Instance, row: dict[str, str]) -> None:
    assert one.frames == int(row["frames"])
    assert one.series.is_image == (row["read"] == "yes")
    visibility.register(lambda user: Q(pk__isnull=False))
    visibility.register_uploader(lambda user: True)
    client.force_login(person)
    path = (
        f"/dicom-web/studies/{one.series.study.uid}/series/{one.series.uid}/instances/{one.sop_uid}"
    )
    (metadata,) = json.loads(body_of(client.get(f"{path}/metadata")))
    assert metadata["00080018"]["Value"] == [one.sop_uid]
    plain = pydicom.dcmread(io.BytesIO(body_of(client.get(path, headers=EXPLICIT))))
    assert plain.SOPInstanceUID == one.sop_uid
    stored = client.get(path, headers={"Accept": "application/dicom; transfer-syntax=*"})
    assert body_of(stored)[128:132] == b"DICM"
    if not one.frames:
        return
    assert np.atleast_3d(plain.pixel_array).size >= one.frames
    frames = range(1, one.frames + 1)
    for number in {*frames[:SOME], *frames[-SOME:]}:
        frame = client.get(f"{path}/frames/{number}", headers=OCTETS)
        assert frame.status_code == 200
        assert len(body_of(frame)) == frame_size(plain)
    for picture in ("thumbnail", f"frames/{one.frames}/rendered"):
        assert client.get(f"{path}/{picture}").status_code == 200


def frame_size(ds: pydicom.Dataset) -> int:
    """Bytes of one frame as the uncompressed object says."""
    samples = 2 if ds.PhotometricInterpretation == "YBR_FULL_422" else ds.SamplesPerPixel
    return int(-(-ds.Rows * ds.Columns * samples * ds.BitsAllocated // 8))


def test_bad_geometry_is_quarantined_by_name(
    test_data: Path, receive: Callable[..., Receipt]
) -> None:
    receive(test_data / "odd_dicom" / "e_geometry")
    expected = {
        "gantrytilting_001_0.dcm": "GANTRY_TILT",
        "slicecount_001_0.dcm": "TOO_FEW_SLICES",
        "sliceincrement_001_0.dcm": {"MISSING_SLICES", "UNEVEN_SPACING"},
        "sliceorientation_001_0.dcm": "MIXED_ORIENTATION",
    }
    for name, codes in expected.items():
        ds = pydicom.dcmread(test_data / "odd_dicom" / "e_geometry" / name, stop_before_pixels=True)
        series = Series.objects.get(uid=ds.SeriesInstanceUID)
        assert series.volume_state == "quarantined", name
        assert series.volume_code in codes, (name, series.volume_code)
        assert series.volume_reason


def test_encodings_of_one_image_are_one_image(
    test_data: Path, receive: Callable[..., Receipt]
) -> None:
    """The neck slice in lossless syntaxes is one image; its lossy forms have UIDs of their own."""
    receipt = receive(test_data / "odd_dicom" / "a_neck_slice_all_syntaxes")
    assert (receipt.stored, receipt.already_here, receipt.kept_aside) == (5, 6, 0)


def test_all_odd_files_together_are_all_accounted_for(
    test_data: Path, receive: Callable[..., Receipt]
) -> None:
    receipt = receive(test_data / "odd_dicom")
    assert receipt.total == len(JUDGED) + 1  # index.csv lies there too.
    judged = {row["file"]: row for row in JUDGED}
    of_two = {"SAME_UID_OTHER_PIXELS", "SAME_UID_OTHER_HEADER", "SERIES_MODALITY", "STUDY_PATIENT"}
    for kept in receipt.kept.exclude(name__endswith="index.csv"):
        row = judged[kept.name.partition("odd_dicom/")[2]]
        expected = of_two if row["outcome"] == "stored" else {row["code"]} | of_two
        assert kept.code in expected, (kept.name, kept.code)
