"""The archive on an S3-compatible bucket: received, judged, served, measured, with no file here."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from django.test import Client

from backend.accounts.models import User
from backend.archive.models import Instance, Receipt, Series
from backend.archive.services import load_volume
from backend.store import store
from backend.store.bucket import BucketStore
from tests import s3
from tests.archive.client import dicomweb
from tests.archive.made import ct_series, encoded, values, written


@pytest.fixture
def bucket(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """The content store is a bucket."""
    with s3.server() as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        settings.CONTENT_ROOT = f"s3://{s3.bucket(environment)}/site"
        yield environment


def test_a_series_in_a_bucket_is_served_like_one_in_a_folder(
    bucket: dict[str, str],
    content: Path,
    tmp_path: Path,
    receive: Callable[..., Receipt],
    client: Client,
    person: User,
    sees_all: None,
) -> None:
    slices = ct_series(4)
    folder = written(tmp_path / "neck", slices)
    (folder / "cut.dcm").write_bytes(encoded(ct_series(1)[0])[:-50])
    receipt = receive(folder)
    assert (receipt.stored, receipt.kept_aside) == (4, 1)
    assert isinstance(store(), BucketStore)
    assert list(content.rglob("*")) == []
    series = Series.objects.get()
    assert series.volume_state == "volume"
    client.force_login(person)
    web = dicomweb(client)
    study, uid = slices[0].StudyInstanceUID, slices[0].SeriesInstanceUID
    for _ in range(2):  # The second time a grant would let the fast route answer.
        for index, ds in enumerate(slices):
            frame = web.retrieve_instance_frames(study, uid, ds.SOPInstanceUID, [1])[0]
            assert frame == values(index).tobytes()
    assert len(web.retrieve_series_metadata(study, uid)) == 4
    back = web.retrieve_series(study, uid)
    assert [d.SOPInstanceUID for d in back] == [d.SOPInstanceUID for d in slices]
    _, volume = load_volume(series)
    assert np.array_equal(volume, np.stack([values(i) - 1024 for i in range(4)]))
    blob = Instance.objects.get(sop_uid=slices[2].SOPInstanceUID).blob
    assert pydicom.dcmread(io.BytesIO(store().read(blob))).InstanceNumber == 3
    assert receive(folder).already_here == 4


def test_files_sent_while_the_bucket_is_away_are_kept_from_nobody_and_taken_later(
    bucket: dict[str, str],
    tmp_path: Path,
    receive: Callable[..., Receipt],
    client: Client,
) -> None:
    folder = written(tmp_path / "neck", ct_series(3))
    away = store()
    assert isinstance(away, BucketStore)
    real, away.bucket = away.bucket, "no-such-bucket"
    receipt = receive(folder)
    assert (receipt.stored, receipt.kept_aside) == (0, 3)
    assert {kept.code for kept in receipt.kept.all()} == {"NOT_STORED"}
    assert "the content store refused" in receipt.kept.first().message  # type: ignore[union-attr]
    assert not Instance.objects.exists()
    assert not client.get("/readyz").json()["storage"]
    away.bucket = real
    away._probed = (float("-inf"), False)
    assert client.get("/readyz").json()["storage"]
    assert receive(folder).stored == 3
