"""The same files and the same requests, here and in Orthanc: the answers agree.

Where they may differ, and why, stands in the tables of this file; anything else is a failure.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from django.test import Client
from PIL import Image
from pydicom.datadict import keyword_for_tag

from backend.accounts.models import User
from backend.archive.metadata import Metadata
from backend.archive.models import Instance, Receipt
from backend.store import store
from tests.archive.made import ct_series, encoded
from tests.archive.orthanc import Orthanc

pytestmark = [
    pytest.mark.deep,
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
Receive = Callable[..., Receipt]
OCTETS = 'multipart/related; type="application/octet-stream"'


@pytest.fixture(scope="module")
def orthanc(orthanc_installed: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with Orthanc(tmp_path_factory.mktemp("orthanc")) as running:
        yield running


@pytest.fixture(scope="module")
def files(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """About a hundred objects of each kind: one copy of each, all of them valid."""
    folder = tmp_path_factory.mktemp("files")
    odd = test_data / "odd_dicom"
    judged = csv.DictReader((Path(__file__).parent / "odd_dicom.csv").open())
    seen: set[str] = set()
    for number, row in enumerate(judged):
        data = (odd / row["file"]).read_bytes()
        if row["outcome"] != "stored" or data[128:132] != b"DICM":
            continue
        uid = str(pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True).SOPInstanceUID)
        if uid not in seen:
            (folder / f"{number:03}.dcm").write_bytes(data)
        seen.add(uid)
    for number, ds in enumerate([*_named(), *_pet()]):
        (folder / f"made{number:02}.dcm").write_bytes(encoded(ds))
    return folder


def _named() -> list[pydicom.Dataset]:
    first = ct_series(3, PatientName="Adams^Ann", PatientID="A.1", StudyTime="081500")
    second = ct_series(2, PatientName="Brown^Bob", PatientID="A*1", StudyTime="101530")
    for ds in second:
        ds.StudyDate, ds.StudyDescription, ds.SeriesNumber = "20240102", "Follow-up", 7
    return [*first, *second]


def _pet() -> list[pydicom.Dataset]:
    pet = ct_series(2, Modality="PT", SOPClassUID="1.2.840.10008.5.1.4.1.1.128")
    for ds in pet:
        ds.Units, ds.DecayCorrection, ds.RescaleSlope = "BQML", "START", "0.5"
        ds.PatientName, ds.PatientID, ds.StudyDate = "Clark^Cy", "C-1", "20230517"
    return pet


@pytest.fixture
def both(files: Path, orthanc: Orthanc, receive: Receive, coordinator: User) -> list[Instance]:
    """What is in both archives; all but a few objects are."""
    receipt = receive(files)
    found = [one for path in sorted(files.iterdir()) if (one := _in_both(path, orthanc))]
    assert len(found) >= 40
    assert len(found) >= 0.9 * receipt.stored
    return found


def _in_both(path: Path, orthanc: Orthanc) -> Instance | None:
    """The object here, once Orthanc has it too; what is kept aside here never reaches Orthanc."""
    data = path.read_bytes()
    uid = str(pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True).SOPInstanceUID)
    here = Instance.objects.select_related("series__study").filter(sop_uid=uid).first()
    return here if here is not None and orthanc.takes(data) else None


def path_of(one: Instance) -> str:
    series = one.series
    return f"/dicom-web/studies/{series.study.uid}/series/{series.uid}/instances/{one.sop_uid}"


def body_of(answer: Any) -> bytes:
    return b"".join(answer.streaming_content) if answer.streaming else bytes(answer.content)


def one_part(kind: str, body: bytes) -> bytes:
    """The first part of a multipart answer; the body where it is no such answer."""
    if not kind.startswith("multipart/"):
        return body
    boundary = kind.partition("boundary=")[2].partition(";")[0].strip('"').encode()
    part = body.split(b"--" + boundary)[1]
    return part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")


# One value, however it is written.


def plain(element: dict[str, Any]) -> list[Any]:
    """The values of an element of DICOM JSON, comparable: no padding, numbers as numbers."""
    return [_plain(v, element["vr"]) for v in element.get("Value", []) if v not in ("", None, {})]


def _plain(value: Any, vr: str) -> Any:
    if vr == "SQ":
        return {tag: plain(e) for tag, e in value.items() if plain(e)}
    if vr == "PN":
        return {k: v.strip().rstrip("^") for k, v in value.items() if v.strip("^ ")}
    if vr in ("DS", "IS", "FL", "FD", "US", "SS", "UL", "SL", "UV", "SV"):
        return round(float(value), 6)
    return str(value).strip(" \x00")


# Search.

QUERIES = [
    "studies",
    "studies?PatientName=Adams^Ann",
    "studies?PatientName=adams*",
    "studies?PatientName=*^B?b",
    "studies?PatientID=A.1",
    "studies?PatientID=A?1",
    "studies?PatientID=nobody",
    "studies?00100020=C-1",
    "studies?StudyDate=20240102",
    "studies?StudyDate=20230101-20231231",
    "studies?StudyDate=20240101-",
    "studies?StudyDate=-19991231",
    "studies?StudyDescription=Follow-up",
    "studies?StudyDescription=CT*",
    "studies?StudyTime=081500",
    "studies?StudyTime=080000-103000",
    "studies?ModalitiesInStudy=PT",
    "studies?ModalitiesInStudy=MR",
    "studies?AccessionNumber=ACC-1",
    "studies?ReferringPhysicianName=doctor*",
    "studies?StudyInstanceUID={study}",
    "series",
    "series?Modality=CT",
    "series?Modality=SEG",
    "series?SeriesNumber=7",
    "series?SeriesDescription=venous*",
    "series?PatientID=A.1",
    "series?SeriesInstanceUID={series}",
    "studies/{study}/series",
    "instances",
    "instances?SOPClassUID=1.2.840.10008.5.1.4.1.1.2",
    "instances?SOPInstanceUID={sop}",
    "instances?InstanceNumber=2",
    "instances?Modality=PT",
    "studies/{study}/instances",
    "studies/{study}/series/{series}/instances",
]
UID_OF = {"studies": "0020000D", "series": "0020000E", "instances": "00080018"}

# Tags of search answers that differ, and why.
SEARCH_DIFFERS = {
    "00080005": "ours are always UTF-8; Orthanc names the file's character set",
    "00081190": "the address of the archive itself",
}
# What Orthanc leaves out of some answers, and we do not.
SEARCH_ONLY_HERE = frozenset(
    [
        "00080021",
        "00080031",
        "00080056",
        "00080061",
        "00081030",
        "00083002",
        "00180015",
        "00200052",
        "00201206",
        "00201208",
    ]
)
# What only Orthanc gives, and why.
SEARCH_ONLY_THERE = {
    "00080201": "a list of studies reads no image; includefield brings it",
    "00280008": "left out here where it is one",
}


def test_searches_find_the_same_and_say_the_same(
    both: list[Instance], orthanc: Orthanc, browser: Client
) -> None:
    shared = {
        "0020000D": {one.series.study.uid for one in both},
        "0020000E": {one.series.uid for one in both},
        "00080018": {one.sop_uid for one in both},
    }
    adams = next(one for one in both if one.series.study.patient_id == "A.1")
    uids = {"study": adams.series.study.uid, "series": adams.series.uid, "sop": adams.sop_uid}
    wrong: list[str] = []
    for query in QUERIES:
        asked = f"/dicom-web/{query.format(**uids)}"
        tag = UID_OF[asked.partition("?")[0].rsplit("/", 1)[1]]
        ours = {row[tag]["Value"][0]: row for row in browser.get(asked).json()}
        theirs = {row[tag]["Value"][0]: row for row in orthanc.get(asked).json()}
        if "=-" in query:  # Orthanc takes a study without a date for one before any date.
            theirs = {uid: row for uid, row in theirs.items() if plain(row["00080020"])}
        for uid in sorted((ours.keys() ^ theirs.keys()) & shared[tag]):
            wrong.append(f"{query}: {uid} only {'here' if uid in ours else 'in Orthanc'}")
        for uid in sorted(ours.keys() & theirs.keys() & shared[tag]):
            told = _differences(ours[uid], theirs[uid], within="{study}" in query)
            # Of a series whose files give it two numbers we tell one, Orthanc each file's own.
            wrong += [f"{query}: {t}" for t in told if tag != "00080018" or t[:8] != "00200011"]
    assert not wrong, "\n".join(sorted(set(wrong)))


def _differences(ours: dict[str, Any], theirs: dict[str, Any], *, within: bool) -> Iterator[str]:
    """What two answers say otherwise; below a study Orthanc repeats the study, we do not."""
    for tag in sorted({*ours, *theirs}):
        if tag in SEARCH_DIFFERS or (within and tag not in ours):
            continue
        here, there = (_alphabetic(plain(row[tag])) if tag in row else [] for row in (ours, theirs))
        allowed = (tag in SEARCH_ONLY_HERE and not there) or (tag in SEARCH_ONLY_THERE and not here)
        if tag == "00100010" and not (*here, "")[0].isascii():
            continue  # Orthanc's index of names knows few character sets.
        if here != there and not allowed:
            yield f"{tag} {keyword_for_tag(tag)}: {here} here, {there} in Orthanc"


def _alphabetic(values: list[Any]) -> list[Any]:
    """Of names the first group: Orthanc does not decode ISO 2022, nor answer other groups."""
    return [v.get("Alphabetic") if isinstance(v, dict) else v for v in values]


# Objects: metadata tag by tag, bulk values byte by byte, frames and pictures pixel by pixel.

METADATA_DIFFERS = {
    "00080005": "ours are always UTF-8; Orthanc names the file's character set",
    "00280004": "colour that is decoded is served as RGB, and said to be",
    "00280006": "the same",
}
# Orthanc reads no ISO 2022 and takes the yen sign of these for a letter instead of a backslash.
YEN = ("ISO 2022 IR 13", "ISO 2022 IR 87")
# Debian's Orthanc is built without a decoder of JPEG 2000, and gives no frames of one bit nor of
# native colour at half width.
UNDECODED_THERE = ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91")


def test_objects_agree_in_every_tag_and_pixel(
    both: list[Instance], orthanc: Orthanc, browser: Client
) -> None:
    wrong: list[str] = []
    compared = Counter[str]()
    for one in both:
        answer = browser.get(f"{path_of(one)}/metadata")
        (ours,) = json.loads(body_of(answer))
        (theirs,) = orthanc.get(f"{path_of(one)}/metadata", "application/dicom+json").json()
        named = f"{one.sop_class_uid} {one.transfer_syntax}"
        for comparing, compare in {
            "metadata": _metadata_differ,
            "bulk values": _bulk_differs,
            "frames": _frames_differ,
            "pictures": _pictures_differ,
        }.items():
            for line in compare(one, ours, theirs, orthanc, browser):
                compared[comparing] += 1
                if line:
                    wrong.append(f"{comparing} of {named}: {line}")
    assert not wrong, "\n".join(wrong)
    assert compared["metadata"] >= 2000
    assert compared["bulk values"] >= 40
    assert compared["frames"] >= 60
    assert compared["pictures"] >= 30


def _metadata_differ(
    one: Instance, ours: Metadata, theirs: Metadata, orthanc: Orthanc, browser: Client
) -> Iterator[str]:
    """A line for each tag, "" where they agree."""
    charset = set(ours.get("00080005", {}).get("Value", []))
    raw = pydicom.dcmread(io.BytesIO(store().read(one.blob)), stop_before_pixels=True)
    charset = {*charset, *_several(raw.get("SpecificCharacterSet"))}
    if charset & set(YEN):
        return
    for tag in sorted({*ours, *theirs} - METADATA_DIFFERS.keys()):
        here, there = ours.get(tag, {"vr": ""}), theirs.get(tag, {"vr": ""})
        if "BulkDataURI" in here or "BulkDataURI" in there:
            continue  # Compared byte by byte.
        if there["vr"] == "UN" or (int(tag[:4], 16) % 2 == 1 and not plain(there)):
            continue  # What private elements are, Orthanc does not know.
        agree = plain(here) == plain(there)
        told = f"{plain(here)!r:.200} here, {plain(there)!r:.200} in Orthanc"
        yield "" if agree else f"{tag} {keyword_for_tag(tag)}: {told}"


def _several(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or [])


def _bulk_differs(
    one: Instance, ours: Metadata, theirs: Metadata, orthanc: Orthanc, browser: Client
) -> Iterator[str]:
    """Bulk values at the address that each of the two gives; compressed pixels are frames' work."""
    native = one.transfer_syntax in ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1")
    for tag in sorted(ours):
        if "BulkDataURI" not in ours[tag] or (tag == "7FE00010" and not native):
            continue
        address = theirs.get(tag, {}).get("BulkDataURI")
        if address is None:
            continue  # Orthanc gives it within the metadata, or not at all.
        other = orthanc.get("/dicom-web/" + address.partition("/dicom-web/")[2])
        answer = browser.get(f"{path_of(one)}/{ours[tag]['BulkDataURI']}")
        here = one_part(answer["Content-Type"], body_of(answer))
        there = one_part(other.headers.get("Content-Type", ""), other.content)
        agree = other.status_code == 200 and here.rstrip(b"\0") == there.rstrip(b"\0")
        yield "" if agree else f"{tag}: {len(here)} here, {other.status_code} {len(there)} there"


def _frames_differ(
    one: Instance, ours: Metadata, theirs: Metadata, orthanc: Orthanc, browser: Client
) -> Iterator[str]:
    """The first and the last frame, uncompressed."""
    if one.transfer_syntax in UNDECODED_THERE or one.pixels.get("bits_allocated") == 1:
        return
    colour = ours.get("00280004", {}).get("Value") == ["YBR_FULL_422"]
    decoded_colour = one.pixels and one.pixels["samples"] == 3 and one.frame_bytes is None
    for number in sorted({1, one.frames} if one.frames and not (decoded_colour or colour) else ()):
        path = f"{path_of(one)}/frames/{number}"
        accept = f"{OCTETS}; transfer-syntax=1.2.840.10008.1.2.1"
        other = orthanc.get(path, accept)
        answer = browser.get(path, headers={"Accept": accept})
        here = one_part(answer["Content-Type"], body_of(answer))
        there = one_part(other.headers.get("Content-Type", ""), other.content)
        agree = other.status_code == 200 and here == there
        yield "" if agree else f"{number}: {len(here)} here, {other.status_code} {len(there)} there"


def _pictures_differ(
    one: Instance, ours: Metadata, theirs: Metadata, orthanc: Orthanc, browser: Client
) -> Iterator[str]:
    """Pictures in a window given, to two grey levels."""
    if one.frames != 1 or one.series.modality not in ("CT", "MR", "PT"):
        return
    if one.transfer_syntax in UNDECODED_THERE:
        return
    path = f"{path_of(one)}/rendered?window=300,1500,linear"
    other = orthanc.get(path, "image/png")
    here = _grey(body_of(browser.get(path, headers={"Accept": "image/png"})))
    there = _grey(other.content)
    agree = here.shape == there.shape and bool(np.abs(here - there).max() <= 2)
    yield "" if agree else f"{here.shape} here, {there.shape} there"


def _grey(data: bytes) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(io.BytesIO(data)).convert("L")).astype(int)
