"""What who may not upload is shown of an image taken as it is: no more than PS3.15 lets stay."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from django.test import Client
from pydicom.datadict import dictionary_has_tag, dictionary_VR, keyword_for_tag

from backend.accounts.models import User
from backend.archive import identity
from backend.archive.deidentify.profile import Action, action_of, table
from backend.archive.matching import INSTANCE_KEYS, SERIES_KEYS, STUDY_KEYS
from backend.archive.models import Receipt
from tests.archive.deidentify.corpus import (
    EXPLICIT,
    NAME,
    PLANTED,
    coded,
    needed,
    overlays,
    planted,
    private,
    whole,
)
from tests.archive.test_dicomweb import every_address

# UIDs name objects and nobody; times of day stay (option 113107).
_LOST = (Action.DROP, Action.EMPTY, Action.DUMMY, Action.PSEUDONYM)
CANARY = NAME.encode().lower()


def lost() -> list[int]:
    """Every attribute of the standard's table that holds text or bytes and is lost by it."""
    return [
        tag
        for tag in sorted(table())
        if tag >> 16 >= 8
        and dictionary_has_tag(tag)
        and dictionary_VR(tag) in PLANTED
        and action_of(tag) in _LOST
        and tag not in (0x00080018, 0x0020000D, 0x0020000E, 0xFFFCFFFC)
    ]


@pytest.fixture
def image(tmp_path: Path, receive: Callable[..., Receipt]) -> pydicom.Dataset:
    """An image taken as it is, with a name in all that identifies, at the top and in sequences."""
    elements = {tag: planted(EXPLICIT, tag) for tag in lost()}
    inner = b"".join(elements[tag] for tag in sorted(elements)) + private(EXPLICIT)
    made = needed(EXPLICIT) | elements | overlays(EXPLICIT)
    made[0x7FE00010] = needed(EXPLICIT)[0x7FE00010].replace(f"{NAME} behind it".encode(), b"")
    pixels = 12 * 16 * 2
    made[0x7FE00010] = EXPLICIT.element(0x7FE00010, "OW", made[0x7FE00010][12 : 12 + pixels])
    made[0x00081140] = EXPLICIT.sequence(0x00081140, inner)
    made[0x00180FFE] = EXPLICIT.element(0x00180FFE, "LO", NAME.encode())
    made[0x0040A730] = EXPLICIT.sequence(0x0040A730, coded(EXPLICIT, "1", "99X", NAME))
    (tmp_path / "one.dcm").write_bytes(whole(EXPLICIT, made))
    receipt = receive(tmp_path / "one.dcm")
    assert receipt.stored == 1, list(receipt.kept.values_list("message", flat=True))
    return pydicom.dcmread(tmp_path / "one.dcm")


def test_no_address_tells_a_name(
    image: pydicom.Dataset, person: User, sees_all: None, browser: Client
) -> None:
    for path in every_address(image):
        for headers in ({}, {"Accept": "application/dicom"}, {"Accept": "*/*"}):
            answer: Any = browser.get(path, headers=headers)
            content = b"".join(answer) if answer.streaming else answer.content
            assert CANARY not in content.lower(), path
            assert CANARY not in json.dumps(dict(answer.items())).lower().encode(), path
    for query in ("includefield=all", "includefield=00104000,00102000,ImageComments"):
        for level in ("studies", "series", "instances"):
            found = browser.get(f"/dicom-web/{level}?{query}")
            assert found.status_code == 200
            assert CANARY not in found.content.lower()


def test_no_bulk_value_of_the_table_is_there(
    image: pydicom.Dataset, person: User, sees_all: None, browser: Client
) -> None:
    one = every_address(image)[11]
    hidden = [*lost(), 0x00180FFE, 0x60003000, 0x50003000, 0x00091001, 0x0040A730]
    for tag in hidden:
        for path in (f"{tag:08X}", f"00081140/0/{tag:08X}", f"00081140/-1/{tag:08x}"):
            answer = browser.get(f"{one}/bulkdata/{path}")
            assert answer.status_code == 404, path
            told = {"If-None-Match": "*", "Range": "bytes=0-3"}
            assert browser.get(f"{one}/bulkdata/{path}", headers=told).status_code == 404, path


def test_a_file_without_names_has_none_in_its_preamble_and_header(
    image: pydicom.Dataset, person: User, sees_all: None, browser: Client
) -> None:
    one = every_address(image)[11]
    data = browser.get(one, headers={"Accept": "application/dicom"}).content
    assert data[:128] == bytes(128)
    back = pydicom.dcmread(io.BytesIO(data))
    assert {keyword_for_tag(e.tag) for e in back.file_meta} <= {
        "FileMetaInformationGroupLength",
        "FileMetaInformationVersion",
        "MediaStorageSOPClassUID",
        "MediaStorageSOPInstanceUID",
        "TransferSyntaxUID",
        "ImplementationClassUID",
        "ImplementationVersionName",
    }
    assert NAME not in str(back)
    assert back.pixel_array.shape == (12, 16)


def test_who_may_upload_is_shown_all_of_it(
    image: pydicom.Dataset, coordinator: User, browser: Client
) -> None:
    one = every_address(image)[11]
    assert CANARY in browser.get(one, headers={"Accept": "application/dicom"}).content.lower()
    assert CANARY in browser.get(f"{one}/metadata").content.lower()


def test_what_is_hidden_is_not_matched_either() -> None:
    for keys in (STUDY_KEYS, SERIES_KEYS, INSTANCE_KEYS):
        for path, key in keys.items():
            hidden = any(identity.is_hidden(tag) for tag in path.split("."))
            assert hidden == key.identifying, path


def test_what_a_reader_reads_by_stays() -> None:
    kept = (
        "00080020 00080060 00081030 0008103E 00080070 00081090 00101010 00100040 00101030 "
        "00180050 00180010 00181210 0020000D 00200032 00200037 00280030 00281050 7FE00010 "
        "00080008 00540016 00181072 00181074 00101020"
    )
    assert not [tag for tag in kept.split() if identity.is_hidden(tag)]
