"""Every odd file of the data folder ends stored, kept aside with a sentence, or ignored."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from django.db.models import Q
from django.test import Client

from backend.accounts.models import User
from backend.archive import visibility
from backend.archive.models import Instance, Receipt, Series

pytestmark = pytest.mark.django_db


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_every_odd_file_has_a_good_end(
    test_data: Path, receive: Callable[..., Receipt], client: Client, person: User
) -> None:
    odd = receive(test_data / "odd_dicom")
    everything_is_accounted_for(odd, test_data)
    bad_geometry_is_quarantined_by_name(test_data)
    encodings_of_one_image_are_one_image(odd)
    what_is_stored_is_served(client, person)


def everything_is_accounted_for(odd: Receipt, test_data: Path) -> None:
    files = [p for p in (test_data / "odd_dicom").rglob("*") if p.is_file()]
    assert odd.total == len(files)
    assert odd.stored >= 85
    for kept in odd.kept.all():
        assert kept.name in kept.message
        assert kept.cure.endswith(".")
        assert "{" not in kept.message
    expected = {
        "index.csv": "NOT_DICOM",
        "23x38x3_brainlab.jpg": "NOT_DICOM",
        "MR_truncated.dcm": "TRUNCATED",
        "PrivateGEImplicitVRBigEndianTransferSyntax16Bits.dcm": "UNSUPPORTED_SYNTAX",
        "no_meta_group_length.dcm": "MISSING_UID",
        "GH340.dcm": "MISSING_UID",
    }
    codes = {Path(k.name).name: k.code for k in odd.kept.all()}
    assert {name: codes.get(name) for name in expected} == expected


def bad_geometry_is_quarantined_by_name(test_data: Path) -> None:
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


def what_is_stored_is_served(client: Client, person: User) -> None:
    visibility.register(lambda user: Q(pk__isnull=False))
    visibility.register_uploader(lambda user: True)
    client.force_login(person)
    explicit = {"Accept": "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"}
    octets = {"Accept": "application/octet-stream"}
    for one in Instance.objects.select_related("series__study").order_by("sop_uid"):
        study = f"/dicom-web/studies/{one.series.study.uid}"
        path = f"{study}/series/{one.series.uid}/instances/{one.sop_uid}"
        assert client.get(f"{path}/metadata").status_code == 200
        plain = client.get(path, headers=explicit)
        assert plain.status_code == 200, path
        ds = pydicom.dcmread(io.BytesIO(plain.content))
        assert ds.SOPInstanceUID == one.sop_uid
        if not one.frames:
            continue
        frame = client.get(f"{path}/frames/{one.frames}", headers=octets)
        assert frame.status_code == 200, path
        bits = ds.Rows * ds.Columns * ds.SamplesPerPixel * ds.BitsAllocated
        if ds.PhotometricInterpretation != "YBR_FULL_422":
            assert len(frame.content) == -(-bits // 8), (path, ds.file_meta)
        assert client.get(f"{path}/thumbnail").status_code == 200, path


def encodings_of_one_image_are_one_image(odd: Receipt) -> None:
    """The neck slice in lossless syntaxes is one image; its lossy forms have UIDs of their own."""
    kept = odd.kept.filter(name__contains="a_neck_slice_all_syntaxes")
    assert [k.code for k in kept] == ["UNSUPPORTED_SYNTAX"]
    assert odd.already_here >= 6
