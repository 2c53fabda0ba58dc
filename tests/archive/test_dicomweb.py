"""DICOMweb as dicomweb-client uses it: search, retrieve, store; for whom it exists."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from dicomweb_client.web import DICOMwebClient
from django.db import connection
from django.db.models import Q
from django.test import Client
from django.test.utils import CaptureQueriesContext
from PIL import Image
from pydicom.dataset import Dataset
from requests import HTTPError

from backend.accounts.models import User
from backend.accounts.services import create_token
from backend.archive import services, visibility
from backend.archive.models import Instance, Receipt, Series
from backend.archive.streaming import parts_of
from backend.errors import Missing
from backend.jobs import protocol
from backend.jobs.models import Run
from tests.archive.client import dicomweb
from tests.archive.made import address, ct_series, ct_slice, encoded, values, written

pytestmark = pytest.mark.django_db
Receive = Callable[..., Any]


# Search.


def test_studies_series_and_instances_are_found(
    slices: list[Dataset], coordinator: User, web: DICOMwebClient
) -> None:
    study = Dataset.from_json(web.search_for_studies()[0])
    assert study.StudyInstanceUID == slices[0].StudyInstanceUID
    assert study.PatientName == "Planted^Name"
    assert study.ModalitiesInStudy == "CT"
    assert (study.NumberOfStudyRelatedSeries, study.NumberOfStudyRelatedInstances) == (1, 4)
    series = Dataset.from_json(web.search_for_series(slices[0].StudyInstanceUID)[0])
    assert series.SeriesInstanceUID == slices[0].SeriesInstanceUID
    assert series.NumberOfSeriesRelatedInstances == 4
    found = web.search_for_instances(slices[0].StudyInstanceUID, slices[0].SeriesInstanceUID)
    assert [i["00080018"]["Value"][0] for i in found] == [s.SOPInstanceUID for s in slices]
    assert Dataset.from_json(found[0]).AvailableTransferSyntaxUID == "1.2.840.10008.1.2.1"


@pytest.mark.parametrize(
    ("query", "hits"),
    [
        ({"PatientName": "planted*"}, 1),
        ({"PatientName": "Plan?ed^Name"}, 1),
        ({"00100010": "Other*"}, 0),
        ({"PatientID": "PID-1"}, 1),
        ({"StudyDate": "20240501-20240531"}, 1),
        ({"StudyDate": "20240601-"}, 0),
        ({"StudyDate": "-20240519"}, 1),
        ({"ModalitiesInStudy": "CT,MR"}, 1),
        ({"ModalitiesInStudy": "MR"}, 0),
        ({"StudyDescription": "CT*"}, 1),
        ({"StudyDescription": ".*"}, 0),
        ({"StudyInstanceUID": "1.2.3"}, 0),
        ({"AccessionNumber": ""}, 1),
    ],
)
def test_studies_match_by_key(
    slices: list[Dataset],
    coordinator: User,
    web: DICOMwebClient,
    query: dict[str, str],
    hits: int,
) -> None:
    assert len(web.search_for_studies(search_filters=query)) == hits


def test_pages_have_a_stable_order_and_unknown_keys_are_named(
    slices: list[Dataset], coordinator: User, browser: Client
) -> None:
    path = f"{address(slices[0], deep=False)}/instances"
    uids = []
    for offset in (0, 2):
        answer = browser.get(path, {"limit": 2, "offset": offset, "includefield": "all"})
        uids += [row["00080018"]["Value"][0] for row in answer.json()]
    assert uids == [s.SOPInstanceUID for s in slices]
    assert answer.json()[0]["00280030"]["Value"] == [0.8, 0.8]
    answer = browser.get("/dicom-web/studies", {"Nonsense": "1", "fuzzymatching": "false"})
    assert "Nonsense" in answer["Warning"]
    assert len(answer.json()) == 1
    assert browser.get("/dicom-web/studies", {"PatientID": "x"}).content == b"[]"
    assert browser.get("/dicom-web/studies", {"limit": "ten"}).status_code == 400
    assert len(browser.get("/dicom-web/studies", {"limit": "9" * 5000}).json()) == 1
    assert browser.get("/dicom-web/series", {"SeriesNumber": "9" * 5000}).status_code == 400
    assert browser.get("/dicom-web/studies", {"StudyDate": "today"}).status_code == 400


# Retrieve.


def test_instances_come_back_byte_for_byte(
    slices: list[Dataset], coordinator: User, browser: Client, web: DICOMwebClient
) -> None:
    ds = slices[1]
    back = web.retrieve_instance(ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID)
    assert back == pydicom.dcmread(io.BytesIO(encoded(ds)))
    series = web.retrieve_series(ds.StudyInstanceUID, ds.SeriesInstanceUID)
    assert [d.SOPInstanceUID for d in series] == [s.SOPInstanceUID for s in slices]
    assert len(web.retrieve_study(ds.StudyInstanceUID)) == 4
    answer = browser.get(address(ds), headers={"Accept": "application/dicom"})
    assert answer.content == encoded(ds)


def test_frames_equal_the_pixels(
    slices: list[Dataset], coordinator: User, browser: Client, web: DICOMwebClient
) -> None:
    ds = slices[2]
    frames = web.retrieve_instance_frames(
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID, [1]
    )
    assert np.array_equal(np.frombuffer(frames[0], "<i2").reshape(12, 16), values(2))
    answer = browser.get(
        f"{address(ds)}/frames/1",
        headers={"Accept": "multipart/related; type=application/octet-stream; transfer-syntax=*"},
    )
    assert answer["Content-Type"].startswith("multipart/related")
    assert answer["Cache-Control"].endswith("immutable")
    assert b"transfer-syntax=1.2.840.10008.1.2.1" in answer.content
    again = browser.get(f"{address(ds)}/frames/1", headers={"If-None-Match": answer["ETag"]})
    assert again.status_code in (200, 304)
    single = browser.get(f"{address(ds)}/frames/1", headers={"Accept": "application/octet-stream"})
    assert single.content == values(2).tobytes()
    same = {"Accept": "application/octet-stream", "If-None-Match": single["ETag"]}
    assert browser.get(f"{address(ds)}/frames/1", headers=same).status_code == 304


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("*/*", 200),
        ('multipart/related; type="application/octet-stream"', 200),
        ("image/jpeg", 406),
        ('multipart/related; type="image/jls"', 406),
        ('multipart/related; type="application/octet-stream"; transfer-syntax=1.2.3', 406),
        ("image/jphc;q=0.9, application/octet-stream;q=0.1", 200),
    ],
)
def test_frames_are_negotiated(
    slices: list[Dataset], coordinator: User, browser: Client, accept: str, status: int
) -> None:
    answer = browser.get(f"{address(slices[0])}/frames/1", headers={"Accept": accept})
    assert answer.status_code == status
    if status == 406:
        assert answer.json()["possible"]


@pytest.mark.parametrize(
    ("numbers", "status"), [("2", 404), ("0", 400), ("1,x", 400), ("1,1", 200)]
)
def test_frames_that_are_not_there(
    slices: list[Dataset], coordinator: User, browser: Client, numbers: str, status: int
) -> None:
    assert browser.get(f"{address(slices[0])}/frames/{numbers}").status_code == status


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.5"])
def test_compressed_images_are_served_uncompressed(
    tmp_path: Path,
    receive: Receive,
    coordinator: User,
    browser: Client,
    web: DICOMwebClient,
    syntax: str,
) -> None:
    made = ct_series(3)
    for ds in made:
        ds.compress(syntax, generate_instance_uid=False)
    receive(written(tmp_path / "packed", made))
    ds = made[1]
    frame = web.retrieve_instance_frames(
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID, [1]
    )[0]
    assert frame == values(1).tobytes()
    accept = {"Accept": "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"}
    plain = pydicom.dcmread(io.BytesIO(browser.get(address(ds), headers=accept).content))
    assert plain.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert np.array_equal(plain.pixel_array, values(1))
    series = Series.objects.get()
    assert np.array_equal(services.load_volume(series)[1][1], values(1) - 1024)


def test_metadata_names_its_bulk_and_is_kept_gzipped(
    slices: list[Dataset], coordinator: User, browser: Client, web: DICOMwebClient
) -> None:
    ds = slices[0]
    rows = web.retrieve_series_metadata(ds.StudyInstanceUID, ds.SeriesInstanceUID)
    assert [r["00080018"]["Value"][0] for r in rows] == [s.SOPInstanceUID for s in slices]
    assert rows[0]["7FE00010"]["BulkDataURI"] == f"instances/{ds.SOPInstanceUID}/bulkdata/7FE00010"
    assert Dataset.from_json(
        {k: v for k, v in rows[0].items() if k != "7FE00010"}
    ).PixelSpacing == [0.8, 0.8]
    assert Series.objects.get().metadata_blob
    bulk = f"{address(ds, deep=False)}/{rows[0]['7FE00010']['BulkDataURI']}"
    single = browser.get(bulk, headers={"Accept": "application/octet-stream"})
    assert single.content == ds.PixelData
    path = f"{address(ds, deep=False)}/metadata"
    packed = browser.get(path, headers={"Accept-Encoding": "gzip"})
    assert packed["Content-Encoding"] == "gzip"
    same = browser.get(path, headers={"If-None-Match": packed["ETag"]})
    assert same.status_code == 304
    assert len(web.retrieve_study_metadata(ds.StudyInstanceUID)) == 4
    one = web.retrieve_instance_metadata(
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID
    )
    assert one["7FE00010"]["BulkDataURI"] == "bulkdata/7FE00010"


def test_metadata_is_made_anew_when_images_come(
    tmp_path: Path, receive: Receive, coordinator: User, browser: Client
) -> None:
    made = ct_series(4)
    receive(written(tmp_path / "a", made[:3]))
    path = f"{address(made[0], deep=False)}/metadata"
    assert len(browser.get(path).json()) == 3
    receive(written(tmp_path / "b", made[3:]))
    assert len(browser.get(path).json()) == 4


def test_pictures_are_rendered(slices: list[Dataset], coordinator: User, browser: Client) -> None:
    answer = browser.get(f"{address(slices[0])}/rendered", {"window": "-1000,200,linear"})
    picture = Image.open(io.BytesIO(answer.content))
    assert (picture.format, picture.size) == ("PNG", (16, 12))
    assert np.asarray(picture)[0, 0] == round(((-1024 + 1000.5) / 199 + 0.5) * 255)
    small = browser.get(
        f"{address(slices[0], deep=False)}/thumbnail", headers={"Accept": "image/jpeg"}
    )
    assert small["Content-Type"] == "image/jpeg"
    assert browser.get(f"{address(slices[0])}/rendered", {"window": "1"}).status_code == 400


# Store.


def test_a_coordinator_stores_and_each_failure_has_its_sentence(
    coordinator: User, browser: Client
) -> None:
    token = create_token(user=coordinator)
    web = dicomweb(Client(), Authorization=f"Bearer {token}")
    made = ct_series(3)
    result = web.store_instances(made)
    assert [i.ReferencedSOPInstanceUID for i in result.ReferencedSOPSequence] == [
        s.SOPInstanceUID for s in made
    ]
    assert Instance.objects.count() == 3
    assert (
        web.store_instances(made[:1])
        .ReferencedSOPSequence[0]
        .RetrieveURL.endswith(made[0].SOPInstanceUID)
    )
    changed = ct_slice(0, study=made[0].StudyInstanceUID, series=made[0].SeriesInstanceUID)
    changed.PixelData = bytes(len(changed.PixelData))
    extra = ct_slice(3, study=made[0].StudyInstanceUID, series=made[0].SeriesInstanceUID)
    result = web.store_instances([changed, extra])
    failure = result.FailedSOPSequence[0]
    assert failure.FailureReason == 0x0111
    assert "other pixels" in failure.TextValue
    assert result.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == extra.SOPInstanceUID


def stow(client: Client, parts: list[bytes], path: str = "/dicom-web/studies", **extra: Any) -> Any:
    boundary = "b0undary"
    body = b"".join(
        b"--%s\r\nContent-Type: application/dicom\r\n\r\n%s\r\n" % (boundary.encode(), part)
        for part in parts
    )
    return client.generic(
        "POST",
        path,
        body + f"--{boundary}--".encode(),
        content_type=f'multipart/related; type="application/dicom"; boundary={boundary}',
        **extra,
    )


def test_text_sent_over_stow_is_refused_with_a_sentence(coordinator: User, browser: Client) -> None:
    good = encoded(ct_series(1)[0])
    answer = stow(browser, [b"hello, this is text", good])
    assert answer.status_code == 202
    assert "not a DICOM file" in answer.json()["0008119A"]["Value"][0]["0040A160"]["Value"][0]
    assert stow(browser, [b"hello"]).status_code == 409
    assert stow(browser, []).status_code == 400
    other = stow(browser, [encoded(ct_series(1)[0])], "/dicom-web/studies/1.2.3")
    assert other.status_code == 409
    assert "another study" in json.dumps(other.json())
    wrong = browser.post("/dicom-web/studies", b"{}", content_type="application/json")
    assert wrong.status_code == 415
    broken = browser.generic(
        "POST",
        "/dicom-web/studies",
        b"--x\r\nContent-Type: application/dicom\r\n\r\n123",
        content_type='multipart/related; type="application/dicom"; boundary=x',
    )
    assert broken.status_code == 400
    assert not Receipt.objects.filter(closed_at=None).exists()
    assert Instance.objects.count() == 1


def test_a_request_over_the_limit_is_refused(
    coordinator: User, browser: Client, settings: Any
) -> None:
    settings.MAX_UPLOAD_BYTES = 1000
    assert stow(browser, [encoded(ct_series(1)[0])]).status_code == 413
    assert Instance.objects.count() == 0


def test_only_coordinators_store(person: User, sees_all: None, browser: Client) -> None:
    answer = stow(browser, [encoded(ct_series(1)[0])])
    assert answer.status_code == 403
    assert set(answer.json()) >= {"error", "message", "cure", "possible"}
    assert Instance.objects.count() == 0


def test_a_session_needs_its_csrf_token_to_store(coordinator: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(coordinator)
    assert stow(strict, [encoded(ct_series(1)[0])]).status_code == 403
    strict.cookies["csrftoken"] = "a" * 32
    assert (
        stow(strict, [encoded(ct_series(1)[0])], headers={"X-CSRFToken": "a" * 32}).status_code
        == 200
    )


# For whom it exists.


def every_address(ds: Dataset) -> list[str]:
    study = f"/dicom-web/studies/{ds.StudyInstanceUID}"
    series, one = address(ds, deep=False), address(ds)
    return [
        study,
        f"{study}/metadata",
        f"{study}/series",
        f"{study}/instances",
        f"{study}/thumbnail",
        f"{study}/rendered",
        series,
        f"{series}/metadata",
        f"{series}/instances",
        f"{series}/thumbnail",
        f"{series}/rendered",
        one,
        f"{one}/metadata",
        f"{one}/frames/1",
        f"{one}/rendered",
        f"{one}/thumbnail",
        f"{one}/frames/1/rendered",
        f"{one}/frames/1/thumbnail",
        f"{one}/bulkdata/7FE00010",
        f"/wado?requestType=WADO&studyUID={ds.StudyInstanceUID}"
        f"&seriesUID={ds.SeriesInstanceUID}&objectUID={ds.SOPInstanceUID}",
    ]


def test_with_nothing_registered_nothing_is_visible(
    slices: list[Dataset], person: User, browser: Client
) -> None:
    User.objects.filter(pk=person.pk).update(is_superuser=True)
    visibility.register(lambda user: Q())  # An empty condition names no series.
    for path in ("studies", "series", "instances"):
        assert browser.get(f"/dicom-web/{path}").json() == []
    absent = ct_series(1)[0]
    for hidden, missing in zip(every_address(slices[0]), every_address(absent), strict=True):
        one, other = browser.get(hidden), browser.get(missing)
        assert one.status_code == other.status_code == 404, hidden
        assert one.content == other.content
        assert set(one.json()) == {"error", "message", "cure", "possible"}


def test_asking_for_what_is_hidden_asks_the_database_no_more_than_for_what_is_not_there(
    slices: list[Dataset], browser: Client
) -> None:
    """What would take longer would tell that it is there."""
    visibility.register(lambda user: Q(uid="1.2.3.4"))
    absent = ct_series(1)[0]
    for hidden, missing in zip(every_address(slices[0]), every_address(absent), strict=True):
        asked = []
        for path in (hidden, missing):
            with CaptureQueriesContext(connection) as queries:
                assert browser.get(path).status_code == 404
            asked.append(len(queries))
        assert asked[0] == asked[1], hidden


def test_a_stranger_is_told_to_sign_in(slices: list[Dataset], sees_all: None) -> None:
    for path in [*every_address(slices[0]), "/dicom-web/studies"]:
        answer = Client().get(path)
        assert answer.status_code == 401, path
        assert answer["WWW-Authenticate"].startswith("Bearer")
    bad = {"Authorization": "Bearer cu_nothing"}
    assert Client().get("/dicom-web/studies", headers=bad).status_code == 401


def test_what_is_not_visible_is_not_counted(
    tmp_path: Path, receive: Receive, slices: list[Dataset], person: User, browser: Client
) -> None:
    other = ct_series(3)
    for ds in other:
        ds.StudyInstanceUID, ds.Modality = slices[0].StudyInstanceUID, "MR"
        ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    receive(written(tmp_path / "mr", other))
    visibility.register(lambda user: Q(modality="CT"))
    study = browser.get("/dicom-web/studies").json()[0]
    assert study["00201206"]["Value"] == [1]
    assert study["00201208"]["Value"] == [4]
    assert study["00080061"]["Value"] == ["CT"]
    assert browser.get("/dicom-web/studies", {"ModalitiesInStudy": "MR"}).json() == []
    assert browser.get(address(other[0])).status_code == 404
    path = f"/dicom-web/studies/{slices[0].StudyInstanceUID}"
    assert len(browser.get(f"{path}/instances").json()) == 4
    assert len(browser.get(f"{path}/metadata").json()) == 4


def test_who_may_not_upload_does_not_see_the_patient(
    slices: list[Dataset], person: User, sees_all: None, browser: Client
) -> None:
    for path in every_address(slices[0]):
        answer = browser.get(path)
        content = b"".join(answer) if answer.streaming else answer.content
        for planted in (b"Planted", b"PID-1", b"19600520", b"ACC-1"):
            assert planted not in content, path
    assert browser.get("/dicom-web/studies", {"PatientID": "PID-1"}).json() == []
    one = browser.get(address(slices[0]), headers={"Accept": "application/dicom"})
    back = pydicom.dcmread(io.BytesIO(one.content))
    assert (back.PatientName, back.PatientID) == ("", "")
    assert np.array_equal(back.pixel_array, values(0))
    assert browser.get(f"{address(slices[0])}/bulkdata/00100010").status_code == 404


def test_a_scope_shows_its_image_series_alone(
    tmp_path: Path, receive: Receive, slices: list[Dataset], person: User, browser: Client
) -> None:
    seg = ct_slice(0, study=slices[0].StudyInstanceUID, series="1.2.3.77")
    seg.SOPClassUID, seg.Modality = "1.2.840.10008.5.1.4.1.1.66.4", "SEG"
    receive(written(tmp_path / "seg", [seg]))
    mine = uuid.uuid4()

    def scope(user: User, scope_id: uuid.UUID) -> Any:
        if scope_id != mine:
            raise Missing("study")
        return Series.objects.filter(study__uid=slices[0].StudyInstanceUID)

    visibility.register_scope("readings", scope)
    web = dicomweb(browser, f"/dicom-web/readings/{mine}")
    found = web.search_for_series(slices[0].StudyInstanceUID)
    assert [s["00080060"]["Value"] for s in found] == [["CT"]]
    assert f"/readings/{mine}/" in found[0]["00081190"]["Value"][0]
    ds = slices[0]
    frame = web.retrieve_instance_frames(
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID, [1]
    )
    assert frame[0] == values(0).tobytes()
    assert len(web.retrieve_series_metadata(ds.StudyInstanceUID, ds.SeriesInstanceUID)) == 4
    with pytest.raises(HTTPError):
        web.retrieve_instance(seg.StudyInstanceUID, seg.SeriesInstanceUID, seg.SOPInstanceUID)
    assert browser.get("/dicom-web/studies").json() == []
    hidden = browser.get(f"/dicom-web/readings/{uuid.uuid4()}/studies")
    unknown = browser.get(f"/dicom-web/secrets/{mine}/studies")
    assert hidden.status_code == unknown.status_code == 404
    assert hidden.content == unknown.content
    assert stow(browser, [encoded(ds)], f"/dicom-web/readings/{mine}/studies").status_code == 404


# The volume in one answer.


def test_the_volume_answer_equals_the_loaded_volume(
    slices: list[Dataset], person: User, sees_all: None, browser: Client
) -> None:
    answer = browser.get(
        address(slices[0], deep=False), headers={"Accept": protocol.VOLUME_MEDIA_TYPE}
    )
    body = b"".join(answer.streaming_content)
    assert int(answer["Content-Length"]) == len(body)
    header, volume = protocol.parse_volume(body)
    grid, loaded = services.load_volume(Series.objects.get())
    assert np.array_equal(volume, loaded)
    assert np.array_equal(volume, np.stack([values(i) - 1024 for i in range(4)]))
    assert header["grid"]["geometry_hash"] == grid.geometry_hash
    assert header["facts"]["contrast"] is True
    assert b"Planted" not in body


@pytest.mark.parametrize(
    "changes",
    [
        {"RescaleSlope": "0.37", "RescaleIntercept": "-3.25"},
        {"PixelRepresentation": 0},
        {"BitsStored": 12, "HighBit": 11, "PixelRepresentation": 0},
        {"RescaleSlope": None, "RescaleIntercept": None},
    ],
)
def test_the_volume_answer_is_right_for_every_rescale(
    tmp_path: Path,
    receive: Receive,
    person: User,
    sees_all: None,
    browser: Client,
    changes: dict[str, Any],
) -> None:
    made = ct_series(3, **changes)
    for index, ds in enumerate(made):
        pattern = np.arange(12 * 16, dtype=np.uint16) * 331 + index
        ds.PixelData = pattern.tobytes()
    receive(written(tmp_path / "odd", made))
    answer = browser.get(
        address(made[0], deep=False), headers={"Accept": protocol.VOLUME_MEDIA_TYPE}
    )
    _, volume = protocol.parse_volume(b"".join(answer.streaming_content))
    loaded = services.load_volume(Series.objects.get())[1]
    assert np.array_equal(volume, loaded)
    ds = pydicom.dcmread(io.BytesIO(encoded(made[1])))
    expected = np.rint(
        ds.pixel_array * float(ds.get("RescaleSlope", 1)) + float(ds.get("RescaleIntercept", 0))
    )
    assert np.array_equal(loaded[1], np.clip(expected, -32768, 32767))


def test_the_volume_answer_begins_in_the_middle_where_a_reader_looks(
    slices: list[Dataset], person: User, sees_all: None, browser: Client
) -> None:
    path, accept = address(slices[0], deep=False), {"Accept": protocol.VOLUME_MEDIA_TYPE}
    whole = b"".join(browser.get(f"{path}?order=outwards", headers=accept).streaming_content)
    header, volume = protocol.parse_volume(whole)
    assert header["facts"]["order"] == [2, 3, 1, 0]
    assert header["facts"]["stored"] is True
    loaded = services.load_volume(Series.objects.get())[1]
    assert np.array_equal(volume, loaded[header["facts"]["order"]])
    rest = browser.get(f"{path}?order=outwards&after=3", headers=accept)
    body = b"".join(rest.streaming_content)
    assert int(rest["Content-Length"]) == len(body)
    assert body[-2 * volume[0].size :] == whole[-2 * volume[0].size :]
    assert len(whole) - len(body) == 3 * 2 * volume[0].size
    assert browser.get(f"{path}?order=outwards&after=-1", headers=accept).status_code == 400


def test_a_lease_opens_its_series_and_no_other(
    tmp_path: Path, receive: Receive, slices: list[Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = ct_series(3)
    receive(written(tmp_path / "other", other))
    leased = Series.objects.get(uid=slices[0].SeriesInstanceUID)
    run = Run(kind=protocol.RunKind.PRESEGMENT, series_id=leased.pk)
    monkeypatch.setattr(
        "backend.archive.access.lease_of", lambda token: run if token == "cl_live" else None
    )
    accept = {"Accept": protocol.VOLUME_MEDIA_TYPE}
    live = {**accept, "Authorization": "Bearer cl_live"}
    ended = {**accept, "Authorization": "Bearer cl_ended"}
    path = address(slices[0], deep=False)
    assert Client().get(path, headers=live).status_code == 200
    assert Client().get(address(other[0], deep=False), headers=live).status_code == 404
    assert Client().get(path, headers=ended).status_code == 401
    assert Client().get(path, headers=accept).status_code == 401
    token = {"Authorization": live["Authorization"]}
    assert len(Client().get("/dicom-web/series", headers=token).json()) == 1


def test_a_series_that_is_no_volume_says_why(
    tmp_path: Path, receive: Receive, person: User, sees_all: None, browser: Client
) -> None:
    made = ct_series(4)
    made[3].ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    receive(written(tmp_path / "mixed", made))
    answer = browser.get(
        address(made[0], deep=False), headers={"Accept": protocol.VOLUME_MEDIA_TYPE}
    )
    assert answer.status_code == 409
    assert "2 directions" in answer.json()["message"]


# Multipart, as it arrives in pieces.


@pytest.mark.parametrize("chunk", [1, 3, 7, 64, 4096])
def test_parts_are_found_however_the_message_is_cut(
    monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr("backend.archive.streaming.CHUNK_BYTES", chunk)
    bodies = [b"one\r\n--not the end", b"", b"\r\n\r\n--", bytes(range(256))]
    message = b"preamble" + b"".join(
        b"\r\n--XX\r\nContent-Type: application/dicom\r\n\r\n" + body for body in bodies
    )
    found = [read() for _, read in parts_of(io.BytesIO(message + b"\r\n--XX--\r\n"), "XX")]
    assert found == bodies
