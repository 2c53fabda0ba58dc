"""What a stranger's client may ask: every parameter and header with what it never holds."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client
from pydicom.dataset import Dataset

from backend.accounts.models import User
from backend.archive.matching import INSTANCE_KEYS, SERIES_KEYS, STUDY_KEYS
from tests.archive.made import address

ODD = (
    "", " ", "-1", "0", "1.5", "1e999", "NaN", "-inf", "٣", "9" * 4000, "1,1,1", ",", "1,,2", "1-",
    "-", "--", "*", "?", "*" * 60, "%", "é", "\u202e", "\ud7ff", "../..", "'\"", "\\", "[", "(?<",
    "{1", "^", "=", "a=b=c", "true", "null", "{}", "x" * 4000, "\r\nSet-Cookie: a=b", "$", "1\\2",
    "20240230", "99999999", "20240101-20230101", "240000", "10:15:00", "00100010", "all",
)  # fmt: skip
KEYS = sorted({*STUDY_KEYS, *SERIES_KEYS, *INSTANCE_KEYS})


def answered(client: Client, path: str, **headers: str) -> Any:
    answer = client.get(path, headers=headers)
    assert answer.status_code < 500, path[:200]
    if answer.status_code >= 400 and not answer.streaming and answer.content:
        told = json.loads(answer.content)
        assert told["message"], path[:200]
        assert told["cure"], path[:200]
    for name, value in answer.items():
        assert "\n" not in value, name
    return answer


@pytest.mark.parametrize("value", ODD)
def test_any_search_is_answered(
    slices: list[Dataset], coordinator: User, browser: Client, value: str
) -> None:
    text = quote(value)
    for level in ("studies", "series", "instances"):
        for key in (*KEYS, "limit", "offset", "includefield", "fuzzymatching", "Nonsense"):
            answered(browser, f"/dicom-web/{level}?{key}={text}")
        answered(browser, f"/dicom-web/{level}?{text or 'x'}=1")
        answered(browser, f"/dicom-web/{level}", Accept=value.strip().encode().decode("latin-1"))


@pytest.mark.parametrize("value", ODD)
def test_any_retrieval_is_answered(
    slices: list[Dataset], coordinator: User, browser: Client, value: str
) -> None:
    text, one = quote(value), address(slices[0])
    safe = quote(value, safe="")
    for part in ("window", "viewport", "quality", "annotation", "iccprofile", "accept", "charset"):
        for kind in ("rendered", "thumbnail", "frames/1/rendered", "metadata"):
            answered(browser, f"{one}/{kind}?{part}={text}")
    uids = {
        "studyUID": slices[0].StudyInstanceUID,
        "seriesUID": slices[0].SeriesInstanceUID,
        "objectUID": slices[0].SOPInstanceUID,
        "requestType": "WADO",
        "contentType": "image/jpeg",
    }
    others = (
        "frameNumber rows columns region windowCenter windowWidth imageQuality transferSyntax "
        "annotation charset anonymize presentationUID"
    )
    for part in (*uids, *others.split()):
        asked = {**{name: quote(told) for name, told in uids.items()}, part: text}
        query = "&".join(f"{name}={told}" for name, told in asked.items())
        answered(browser, f"/wado?{query}")
    if safe:
        for path in (f"frames/{safe}", f"bulkdata/{safe}", f"bulkdata/7FE00010/{safe}/00100010"):
            answered(browser, f"{one}/{path}")
        answered(browser, f"/dicom-web/studies/{safe}/series/{safe}/instances/{safe}/metadata")
    header = value.strip().encode().decode("latin-1")
    for name in ("Accept", "Range", "If-Range", "If-None-Match", "Accept-Encoding"):
        for path in (one, f"{one}/frames/1", f"{one}/metadata", f"{one}/rendered"):
            answered(browser, path, **{name: header})


def test_more_parameters_than_any_search_has_are_told_as_such(
    coordinator: User, browser: Client
) -> None:
    many = "&".join(f"StudyDate={20200101 + n}" for n in range(1500))
    answer = answered(browser, f"/dicom-web/studies?{many}")
    assert (answer.status_code, answer.json()["error"]) == (400, "BAD_REQUEST")


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=\xe9"])
def test_a_form_that_cannot_be_read_is_told_as_such(
    coordinator: User, browser: Client, kind: str
) -> None:
    for path in ("/archive/upload", "/archive/upload/several", "/archive/upload/close"):
        accept = {"Accept": "application/json"}
        answer = browser.post(path, b"x", content_type=kind, headers=accept)
        told = answer.json()
        assert (answer.status_code, told["error"]) == (400, "BAD_REQUEST")
        assert told["cure"]


def test_the_head_of_an_answer_tells_no_other_length_than_its_body_has(
    slices: list[Dataset], coordinator: User, browser: Client
) -> None:
    one, series = address(slices[0]), address(slices[0], deep=False)
    for path in (one, series, f"{one}/metadata", f"{one}/frames/1", f"{one}/bulkdata/7FE00010"):
        whole, head = browser.get(path), browser.head(path)
        assert head.status_code == 200
        assert head.headers.get("Content-Length") == whole.headers.get("Content-Length"), path
        assert b"".join(head) == b""
