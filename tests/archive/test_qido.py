"""QIDO-RS in full: required answers and keys, how values match, pages, and for whom."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dicomweb_client.web import DICOMwebClient
from django.db.models import Q
from django.test import Client
from pydicom.dataset import Dataset

from backend.accounts.models import User
from backend.archive import visibility
from tests.archive.made import address, ct_series, written

pytestmark = pytest.mark.django_db
Receive = Callable[..., Any]

# PS3.18 tables 10.6.3-3, -4 and -5, those that are there whatever the images say.
STUDY = (
    "00080005 00080020 00080030 00080050 00080056 00080061 00080090 00081190 00100010 00100020 "
    "00100030 00100040 0020000D 00200010 00201206 00201208"
)
SERIES = "00080005 00080060 0008103E 00081190 0020000E 00200011 00201209"
INSTANCE = "00080005 00080016 00080018 00080056 00081190 00200013 00280010 00280011 00280100"


def requested(step: str, procedure: str) -> Dataset:
    item = Dataset()
    item.ScheduledProcedureStepID, item.RequestedProcedureID = step, procedure
    return item


@pytest.fixture
def three(tmp_path: Path, receive: Receive) -> list[list[Dataset]]:
    """Three studies of a series each, different in all that can be matched."""
    made = [
        ct_series(3, StudyTime="081500", PatientName="Adams^Ann", PatientID="A.1"),
        ct_series(2, StudyTime="101530.250", PatientName="Brown^Bob=布朗", PatientID="A*1"),
        ct_series(2, StudyTime="2359", PatientName="O'Neil^Ó", PatientID="a.1"),
    ]
    for number, series in enumerate(made):
        for ds in series:
            ds.StudyDate = f"2024010{number + 1}"
            ds.SpecificCharacterSet = "ISO_IR 192"
            ds.SeriesNumber = number
            ds.PerformedProcedureStepStartDate = f"2024020{number + 1}"
            ds.PerformedProcedureStepStartTime = f"1{number}0000"
            ds.RequestAttributesSequence = [requested(f"SPS{number}", f"RP{number}")]
            ds.TimezoneOffsetFromUTC = "+0100"
            ds.PatientWeight = 70 + number
            ds.PatientAge = "050Y"
            ds.ImageComments = f"comment {number}"
    for ds in made[2]:
        ds.Modality, ds.SOPClassUID = "MR", "1.2.840.10008.5.1.4.1.1.4"
    for number, series in enumerate(made):
        receive(written(tmp_path / str(number), series))
    return made


def test_answers_have_what_the_standard_requires(
    three: list[list[Dataset]], coordinator: User, browser: Client
) -> None:
    ds = three[0][0]
    study = next(
        row
        for row in browser.get("/dicom-web/studies").json()
        if row["0020000D"]["Value"] == [ds.StudyInstanceUID]
    )
    assert set(STUDY.split()) <= set(study)
    assert study["00081190"]["Value"] == [
        f"http://testserver/dicom-web/studies/{ds.StudyInstanceUID}"
    ]
    path = f"/dicom-web/studies/{ds.StudyInstanceUID}/series"
    (series,) = browser.get(path).json()
    assert set(SERIES.split()) <= set(series)
    assert series["00080201"]["Value"] == ["+0100"]
    assert series["00400244"]["Value"] == ["20240201"]
    assert series["00400245"]["Value"] == ["100000"]
    item = series["00400275"]["Value"][0]
    assert (item["00400009"]["Value"], item["00401001"]["Value"]) == (["SPS0"], ["RP0"])
    instance = browser.get(f"{path}/{ds.SeriesInstanceUID}/instances").json()[0]
    assert set(INSTANCE.split()) <= set(instance)


@pytest.mark.parametrize(
    ("query", "hits"),
    [
        ("PatientName=adams^ann", [0]),
        ("PatientName=ADAMS*", [0]),
        ("PatientName=Adams^Ann^^", [0]),
        ("PatientName=Adams", []),
        ("PatientName=布朗", [1]),
        ("PatientName=*^?", [2]),
        ("PatientName=O'Neil^*", [2]),
        ("PatientID=A.1", [0]),
        ("PatientID=a.1", [2]),
        ("PatientID=A?1", [0, 1]),
        ("PatientID=A%2A1", [0, 1]),
        ("PatientID=**1", [0, 1, 2]),
        ("PatientID=%25", []),
        ("PatientID=[Aa].1", []),
        ("StudyDate=20240102-", [1, 2]),
        ("StudyDate=-20240102", [0, 1]),
        ("StudyDate=20240102-20240102", [1]),
        ("StudyDate=20240102", [1]),
        ("StudyDate=*", [0, 1, 2]),
        ("StudyTime=080000-1016", [0, 1]),
        ("StudyTime=10-", [1, 2]),
        ("StudyTime=-0815", [0]),
        ("StudyTime=101530", [1]),
        ("StudyTime=10", [1]),
        ("StudyTime=1014", []),
        ("StudyDate=20240101-20240102&StudyTime=09-", [1]),
        ("ModalitiesInStudy=MR", [2]),
        ("ModalitiesInStudy=CT\\MR", [0, 1, 2]),
        ("ModalitiesInStudy=M?", [2]),
        ("ModalitiesInStudy=mr", []),
        ("00080061=CT", [0, 1]),
        ("AccessionNumber=ACC-1&PatientID=A.1", [0]),
        ("StudyID=1", [0, 1, 2]),
        ("ReferringPhysicianName=doctor*", [0, 1, 2]),
    ],
)
def test_studies_match(
    three: list[list[Dataset]], coordinator: User, browser: Client, query: str, hits: list[int]
) -> None:
    found = browser.get(f"/dicom-web/studies?{query}").json()
    uids = {row["0020000D"]["Value"][0] for row in found}
    assert uids == {three[n][0].StudyInstanceUID for n in hits}


def test_a_list_of_uids_matches_each_of_them(
    three: list[list[Dataset]], coordinator: User, browser: Client
) -> None:
    uids = [series[0].StudyInstanceUID for series in three]
    for separator in (",", "\\"):
        asked = {"StudyInstanceUID": separator.join([uids[0], uids[2], "1.2.3"])}
        found = browser.get("/dicom-web/studies", asked).json()
        assert {row["0020000D"]["Value"][0] for row in found} == {uids[0], uids[2]}


@pytest.mark.parametrize(
    ("query", "hits"),
    [
        ("Modality=MR", [2]),
        ("SeriesNumber=1", [1]),
        ("PerformedProcedureStepStartDate=20240202", [1]),
        ("PerformedProcedureStepStartDate=20240202-", [1, 2]),
        ("PerformedProcedureStepStartTime=100000", [0]),
        ("RequestAttributesSequence.ScheduledProcedureStepID=SPS2", [2]),
        ("00400275.00401001=RP?", [0, 1, 2]),
        ("00400275.00401001=RP.", []),
        ("PatientName=adams*", [0]),
        ("ModalitiesInStudy=MR", [2]),
        ('00400275.00401001=" || true', []),
    ],
)
def test_series_match(
    three: list[list[Dataset]], coordinator: User, browser: Client, query: str, hits: list[int]
) -> None:
    found = browser.get(f"/dicom-web/series?{query}").json()
    uids = {row["0020000E"]["Value"][0] for row in found}
    assert uids == {three[n][0].SeriesInstanceUID for n in hits}
    instances = browser.get(f"/dicom-web/instances?{query}").json()
    assert {row["00080018"]["Value"][0] for row in instances} == {
        ds.SOPInstanceUID for n in hits for ds in three[n]
    }


@pytest.mark.parametrize(
    "query",
    [
        "StudyDate=20240102-x",
        "StudyTime=25",
        "StudyTime=1-2",
        "SeriesNumber=one",
        "SeriesNumber=99999999999",
        "limit=-1",
        "offset=x",
        "PatientName=" + "A" * 5000,
        "PatientName=%00",
        "PatientName=" + "*a?" * 1300,
        "StudyDescription=" + "*a" * 2000,
        "00400275.00400009=" + "*a" * 2000,
    ],
)
def test_what_cannot_be_matched_is_refused_with_a_cure(
    three: list[list[Dataset]], coordinator: User, browser: Client, query: str
) -> None:
    answer = browser.get(f"/dicom-web/series?{query}")
    assert answer.status_code == 400
    assert answer.json()["cure"].endswith(".")


def test_what_is_not_heeded_is_told(
    three: list[list[Dataset]], coordinator: User, browser: Client
) -> None:
    answer = browser.get(
        "/dicom-web/studies?fuzzymatching=true&ImageComments=x&includefield=Nonsense&limit=1"
    )
    assert len(answer.json()) == 1
    assert "fuzzymatching parameter is not supported" in answer["Warning"]
    assert "not used to match: ImageComments" in answer["Warning"]
    assert "not known: Nonsense" in answer["Warning"]
    assert "Warning" not in browser.get("/dicom-web/studies?fuzzymatching=false")


def test_fields_are_included_at_their_level(
    three: list[list[Dataset]], coordinator: User, browser: Client
) -> None:
    plain = browser.get("/dicom-web/studies?PatientID=A.1").json()[0]
    assert not {"00101030", "00204000"} & set(plain)
    asked = "includefield=PatientWeight&includefield=00101010,ImageComments"
    more = browser.get(f"/dicom-web/studies?PatientID=A.1&{asked}").json()[0]
    assert more["00101030"]["Value"] == [70]
    assert more["00101010"]["Value"] == ["050Y"]
    assert "00204000" not in more
    assert {k: v for k, v in more.items() if k in plain} == plain
    everything = browser.get("/dicom-web/studies?PatientID=A.1&includefield=all").json()[0]
    assert "00101030" in everything
    assert not {"00080018", "00204000", "7FE00010"} & set(everything)
    path = f"/dicom-web/studies/{three[0][0].StudyInstanceUID}"
    series = browser.get(f"{path}/series?includefield=Manufacturer").json()[0]
    assert series["00080070"]["Value"] == ["Maker"]
    rows = browser.get(f"{path}/instances?includefield=00204000,00400275.00400009").json()
    assert rows[0]["00204000"]["Value"] == ["comment 0"]
    assert rows[0]["00400275"]["Value"][0]["00400009"]["Value"] == ["SPS0"]


def test_pages_are_stable_and_say_how_many_there_are(
    three: list[list[Dataset]], coordinator: User, browser: Client
) -> None:
    whole = browser.get("/dicom-web/instances")
    assert whole["X-Total-Count"] == "7"
    pages = [browser.get(f"/dicom-web/instances?limit=3&offset={n}") for n in (0, 3, 6, 9)]
    assert [page["X-Total-Count"] for page in pages] == ["7"] * 4
    assert [row for page in pages for row in page.json()] == whole.json()
    newest = browser.get("/dicom-web/studies?limit=1")
    assert newest.json()[0]["00080020"]["Value"] == ["20240103"]
    assert newest["X-Total-Count"] == "3"


def test_what_is_hidden_is_neither_matched_nor_counted(
    three: list[list[Dataset]], person: User, browser: Client
) -> None:
    visibility.register(lambda user: Q(modality="MR"))
    for level in ("studies", "series", "instances"):
        answer = browser.get(f"/dicom-web/{level}?limit=1&includefield=all")
        assert answer["X-Total-Count"] == ("2" if level == "instances" else "1")
        for hidden in ("SPS", "RP2", "Adams", "Neil"):
            assert hidden not in answer.content.decode()
    # Somebody who does not see names finds nothing by them, whatever they are.
    for query in (
        "PatientID=a.1",
        "00400275.00400009=SPS2",
        "PatientName=O*",
        "PerformedProcedureStepStartDate=20240203",
    ):
        assert browser.get(f"/dicom-web/series?{query}").json() == []
    assert browser.get("/dicom-web/series?Modality=CT").json() == []
    assert len(browser.get("/dicom-web/series?Modality=MR").json()) == 1


def test_dicomweb_client_searches_by_page_and_field(
    three: list[list[Dataset]], coordinator: User, web: DICOMwebClient
) -> None:
    first = web.search_for_studies(limit=2, offset=1, fields=["PatientWeight"])
    assert [row["00101030"]["Value"] for row in first] == [[71], [70]]
    found = web.search_for_series(search_filters={"Modality": "MR"})
    assert found[0]["0020000E"]["Value"] == [three[2][0].SeriesInstanceUID]
    assert len(web.search_for_instances(get_remaining=True, limit=2)) == 7


def test_other_methods_are_told_what_is_answered(
    three: list[list[Dataset]], coordinator: User, browser: Client
) -> None:
    assert browser.head("/dicom-web/studies").status_code == 200
    options = browser.options("/dicom-web/studies")
    assert options["Allow"] == "GET, POST, HEAD, OPTIONS"
    hidden = Client().options(f"{address(three[0][0])}")
    assert (hidden.status_code, hidden["Allow"]) == (204, "GET, HEAD, OPTIONS")
    for path in ("/dicom-web/studies", address(three[0][0])):
        answer = browser.delete(path)
        assert answer.status_code == 405
        assert answer.json()["cure"]
    nowhere = browser.get("/dicom-web/nowhere")
    assert nowhere.status_code == 404
    assert nowhere.json()["cure"]
